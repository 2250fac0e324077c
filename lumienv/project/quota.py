"""Quotas of Lustre, as `lfs` tells them.

LUMI counts by project, which a folder is marked with (`lfs project`); others by user. Formats: Lustre manual,
25.4 Displaying quotas; lfs-quota(1), lfs-project(1).
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lumienv.project.finding import Machine

# A number may have `*` behind it, over the limit, or stand in brackets, where a server did not answer.
_NUMBER = r"\[?(\d+)\]?\*?"
_GRACE = r"\[?[-\w]+\]?\*?"
_ROW = re.compile(
    rf"{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s+{_GRACE}\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}(?:\s|$)"
)


@dataclass(frozen=True)
class Quota:
    """What is used, and what is allowed: the soft limit, else the hard one; 0 where there is none."""

    used: int
    """bytes"""
    limit: int
    """bytes"""
    files: int
    file_limit: int

    @property
    def share(self) -> float:
        """How full the fuller of both is: 1.0 is all of it, 0 where nothing is limited."""
        shares = ((self.used, self.limit), (self.files, self.file_limit))
        return max((used / limit for used, limit in shares if limit), default=0.0)


def read_quota(text: str) -> Quota | None:
    """The first row of figures in the output of `lfs quota`, whose kbytes are of 1,024 bytes each.

    A long name of a file system has a line of its own.
    """
    found = _ROW.search(text)
    if found is None:
        return None
    kilobytes, soft, hard, files, file_soft, file_hard = map(int, found.groups())
    return Quota(kilobytes * 1024, (soft or hard) * 1024, files, file_soft or file_hard)


def quota_of(folder: Path, machine: Machine) -> Quota | None:
    """The quota that counts in `folder`, which is on Lustre; None without `lfs`, or where it says nothing.

    Raises ContainerError when `lfs` does not answer.
    """
    if shutil.which("lfs", path=machine.environ.get("PATH")) is None:
        return None
    for whose in _whose(folder, machine):
        told = machine.ask("lfs", "quota", "-q", *whose, str(folder))
        quota = read_quota(told.stdout) if told.returncode == 0 else None
        if quota is not None and (quota.limit or quota.file_limit):
            return quota
    return None


def _whose(folder: Path, machine: Machine) -> Iterator[tuple[str, str]]:
    """Whose quotas to ask for: the folder's project first."""
    told = machine.ask("lfs", "project", "-d", str(folder))
    project = re.match(r"\s*(\d+)\s", told.stdout)
    if project and project[1] != "0":
        yield "-p", project[1]
    yield "-u", str(os.geteuid())
