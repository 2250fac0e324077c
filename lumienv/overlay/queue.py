"""Which jobs Slurm still has: asked once, for all leases together."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from lumienv.errors import ContainerError
from lumienv.overlay.leases import cluster_name
from lumienv.runtime.process import capture

_TIMEOUT = 30.0  # seconds: LUMI's controller takes its time now and then; Slurm itself tries for minutes


@dataclass(frozen=True)
class Queue:
    """What Slurm says about jobs."""

    jobs: Mapping[str, float | None]
    """job id → when it started, in seconds; None when it has not, or cannot be told"""
    cluster: str = ""
    """empty when it is not known: then no job is known to be gone"""
    own: frozenset[str] = frozenset()
    """ids of this user's jobs"""


def slurm_is_here(environ: Mapping[str, str]) -> bool:
    """Whether there is a Slurm to be asked."""
    return shutil.which("squeue", path=environ.get("PATH")) is not None


def ask_queue(environ: Mapping[str, str]) -> Queue | None:
    """All jobs that Slurm lists, pending and ending ones too; None when it cannot be asked.

    `%A` is an array task's own id, and that of each part of a heterogeneous job (squeue's manual).
    """
    # What a user has set for their own squeue would change what is listed here.
    env = {name: value for name, value in environ.items() if not name.startswith("SQUEUE_")}
    env |= {"SLURM_TIME_FORMAT": "standard"}
    try:
        asked = capture(["squeue", "-h", "-a", "-o", "%A|%U|%S"], env=env, timeout=_TIMEOUT)
        if asked.returncode != 0:
            return None
        told = capture(["scontrol", "show", "config"], env=env, timeout=_TIMEOUT)
    except ContainerError:
        return None
    jobs: dict[str, float | None] = {}
    own = set()
    for line in asked.stdout.splitlines():
        job, user, start = [*line.strip().split("|"), "", ""][:3]
        jobs[job] = None
        with suppress(ValueError):
            jobs[job] = datetime.fromisoformat(start).timestamp()
        if user == str(os.geteuid()):
            own.add(job)
    names = [
        line.partition("=")[2].strip() for line in told.stdout.splitlines() if line.startswith("ClusterName")
    ]
    return Queue(jobs, cluster_name(names[0]) if names else "", frozenset(own))
