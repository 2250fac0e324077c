"""Allocations, terminals and waiting, for tests that compare lumienv with plain srun under a real Slurm."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace import Workspace

PARTITION = dict.fromkeys(("SLURM_PARTITION", "SALLOC_PARTITION", "SBATCH_PARTITION"), "debug")
"""Jobs of other tests wait in the default one, and a job waits for all before it in its partition."""

PATIENCE = 100.0
"""seconds after which something hangs"""


@dataclass(frozen=True)
class Allocation:
    """A job that is only room for steps."""

    job: str

    @property
    def variables(self) -> dict[str, str]:
        """What salloc would have told its shell of the job's id."""
        return {"SLURM_JOB_ID": self.job}


@contextmanager
def allocation(project: Workspace, *options: str) -> Iterator[Allocation]:
    """An allocation without a shell; it is given back at the end."""
    said = project.shell(["salloc", "--no-shell", "--time=30", *options])
    found = re.search(r"Granted job allocation (\d+)", said.err)
    assert found, said.err
    try:
        yield Allocation(found[1])
    finally:
        subprocess.run(["scancel", found[1]], check=True)


def until_gone(*jobs: str) -> None:
    """Wait until these jobs have ended. A job that depends on them would be started half a minute later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        said = subprocess.run(
            ["squeue", "-h", "--me", "-o", "%A %F"], capture_output=True, text=True, check=True
        )
        if not set(jobs) & set(said.stdout.split()):
            return
        assert time.monotonic() < deadline, said.stdout
        select.select([], [], [], 0.2)


def cancel_step(job: str, step: str) -> None:
    """scancel of one step that runs. Its tasks can be there before slurmctld will have it cancelled."""
    deadline = time.monotonic() + PATIENCE
    while True:
        listed = subprocess.run(
            ["squeue", "-h", "-s", "-j", job, "-O", "stepid,stepstate"], capture_output=True, text=True
        )
        if [f"{job}.{step}", "RUNNING"] in [line.split() for line in listed.stdout.splitlines()]:
            ended = subprocess.run(["scancel", f"{job}.{step}"], capture_output=True, text=True)
            said = ended.stderr.lower()
            if ended.returncode == 0:
                return
            assert "pending" in said or "invalid" in said, (ended.returncode, said)
        assert time.monotonic() < deadline, listed
        select.select([], [], [], 0.2)


def job_field(job: str, name: str) -> str:
    """What Slurm says of a job."""
    shown = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, check=True)
    found = re.search(rf"\b{name}=(\S*)", shown.stdout)
    assert found, shown.stdout
    return found[1]


class Running(subprocess.Popen[str]):
    """A program that does not outlive a `with` that fails: leaving that would wait for its end."""

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if kind is not None:
            self.terminate()
        super().__exit__(kind, value, trace)


def started(project: Workspace, words: Sequence[str], **variables: str) -> "subprocess.Popen[str]":
    """A program that runs, in a session of its own, its output to be read."""
    return Running(
        list(words),
        cwd=project.directory,
        env=project.environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def lines_until(process: "subprocess.Popen[str]", wanted: str, times: int = 1) -> list[str]:
    """What a program prints until it has said `wanted` so often."""
    assert process.stdout is not None
    lines: list[str] = []
    while sum(wanted in line for line in lines) < times:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line.rstrip("\n"))
    return lines


def at_terminal(
    words: Sequence[str], typed: Sequence[str], directory: Path, env: Mapping[str, str]
) -> tuple[int, str]:
    """Run a program at a terminal; each of `typed` is entered once the one before has been answered.

    An answer ends with what stands behind `echo ` in the line, as the shell prints that. Returns the exit
    status and all that was shown.
    """
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        list(words), cwd=directory, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        waiting = list(typed)
        answered = True
        while True:
            if answered and waiting:
                os.write(ours, waiting[0].encode() + b"\n")
                mark = re.search(r"echo (\S+)$", waiting.pop(0))
                wanted = re.compile(
                    rb"(?m)^(?:.*\$ )?" + re.escape((mark[1] if mark else "").encode()) + rb"\r?$"
                )
                answered, beginning = mark is None, len(shown)
            ready, _, _ = select.select([ours], [], [], PATIENCE)
            assert ready, shown
            try:
                read = os.read(ours, 4096)
            except OSError:  # the other side has been closed
                break
            if not read:
                break
            shown += read
            answered = answered or wanted.search(shown, beginning) is not None
        status = process.wait(PATIENCE)
    os.close(ours)
    return status, shown.decode(errors="replace").replace("\r", "")
