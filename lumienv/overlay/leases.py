"""Leases: which generation a job or a command uses, one small file each, for `lumienv clean` to heed.

`lumienv run` writes one before every job, so this module imports only the standard library and costs three
system calls. A lease is a courtesy: where it cannot be written, the command runs all the same.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from lumienv.paths import Path
from lumienv.values import dataclass

FOLDER = "leases"
LAUNCHERS = "launchers"
"""the lease of what launchers started outside Slurm begins so: `launchers.<generation>.<host>`"""
PRINTED = "printed"
"""the lease of lines that `run --mode … --print` wrote: it holds for the time that any lease holds"""


@dataclass(frozen=True)
class Lease:
    """Who uses which generations."""

    path: Path
    generations: frozenset[str]
    """names of directories; empty: the file cannot be read, which may be any of them"""
    readable: bool
    used: float
    """when it was last written to, in seconds"""
    owner: int
    cluster: str = ""
    job: str = ""
    """the job's id, or empty: it is a process"""
    host: str = ""
    pid: int = 0
    started: int = 0
    launchers: bool = False
    """launchers that this node called outside Slurm: what they started may run for as long as it likes"""

    @property
    def holder(self) -> str:
        """Who it is, for messages."""
        if self.job:
            return f"job {self.job}"
        if self.launchers:
            return f"a launcher on {self.host}"
        return f"process {self.pid} on {self.host}" if self.pid else "a line that `run --print` wrote"


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks after the node's start (proc(5)); None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - before every job
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def lease_name(environ: Mapping[str, str]) -> str:
    """`<cluster>.<job id>` inside a job of Slurm's, else `<host>.<process id>.<start time>`."""
    job = environ.get("SLURM_JOB_ID", "")
    if job.isdigit():
        return f"{cluster_name(environ.get('SLURM_CLUSTER_NAME') or 'slurm')}.{job}"
    return f"{os.uname().nodename}.{os.getpid()}.{start_time(os.getpid()) or 0}"


def cluster_name(name: str) -> str:
    """A cluster's name as it stands in a lease's."""
    return name.replace("/", "_").replace(".", "_")


def take_lease(generation: Path, name: str) -> bool:
    """Write down that this job, or this process, uses `generation`; whether that was possible."""
    path = os.path.join(generation.parent.parent, FOLDER, name)  # noqa: PTH118
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError:
        return False
    with suppress(OSError), os.fdopen(descriptor, "ab", buffering=0) as file:
        status = os.fstat(descriptor)
        # In a shared store teammates may write here: nothing is appended to what they have put in the way.
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1:
            if stat.S_IMODE(status.st_mode) != 0o644:
                os.fchmod(descriptor, 0o644)  # whatever the umask: the store's owner has to read it
            line = f"{generation.name}\n".encode()
            return file.write(line) == len(line)
    return False


def read_leases(root: Path) -> list[Lease]:
    """All leases of a store, by name."""
    leases = []
    with suppress(OSError):
        for path in sorted((root / FOLDER).iterdir()):
            with suppress(OSError):
                leases.append(_read(path))
    return leases


def _read(path: Path) -> Lease:
    from dataclasses import replace

    status = path.lstat()
    readable, names = True, frozenset[str]()
    first, _, rest = path.name.partition(".")
    if first == LAUNCHERS and "." in rest:  # written by a shell, for no more than its name
        generation, _, host = rest.partition(".")
        names = frozenset({generation})
        return Lease(path, names, True, status.st_mtime, status.st_uid, host=host, launchers=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            names = frozenset(file.read(1 << 20).decode("ascii", "replace").split("\n")) - {""}
    except OSError:
        readable = False
    words = path.name.rsplit(".", 2)
    cluster, _, job = path.name.rpartition(".")
    lease = Lease(path, names, readable, status.st_mtime, status.st_uid)
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        return replace(lease, host=words[0], pid=int(words[1]), started=int(words[2]))
    return replace(lease, cluster=cluster, job=job) if job.isdigit() else replace(lease, host=path.name)
