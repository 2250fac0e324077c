"""Which generations may go, and why the others stay.

A generation stays while somebody may be using it, or may come to use it without asking lumienv: what cannot
be found out counts as use.
"""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.overlay.generation import FILE_NAME, Generation, all_generations, read_generation
from lumienv.overlay.launched import launched
from lumienv.overlay.leases import Lease, read_leases, start_time
from lumienv.overlay.queue import Queue
from lumienv.overlay.store import Store
from lumienv.overlay.usage import in_use

YOUNG = 14 * 86400.0
"""seconds for which a lease holds after its last use, whatever else is known"""
ANCIENT = 90 * 86400.0
"""seconds after which nothing that a Slurm elsewhere runs can be a job of then: no queue waits as long"""


@dataclass(frozen=True)
class Old:
    """A generation that was, or would be, removed."""

    path: Path
    size: int


@dataclass(frozen=True)
class Kept:
    """A generation that stays."""

    path: Path
    size: int
    reason: str


@dataclass(frozen=True)
class CleanOutcome:
    """What cleaning did, or would do."""

    removed: tuple[Old, ...]
    kept: tuple[Kept, ...]
    leases: int
    """how many stale leases were dropped"""


def clean(
    store: Store,
    queue: Queue | None,
    belongs: Callable[[Generation], bool],
    *,
    slurm: bool,
    dry_run: bool = False,
) -> CleanOutcome:
    """Remove the generations that nobody can be using; the caller is the store's writer.

    `queue` is None when Slurm cannot be asked, and `slurm` whether there is one here; `belongs` says whether
    a generation fits the manifest and the lock as they are. Raises StoreError.
    """
    paths = all_generations(store.root)
    names = {path.name for path in paths}
    now = time.time()
    with suppress(OSError):  # the clock of the file system, where it is another one
        probe = store.root / "lock"
        os.utime(probe)
        now = probe.stat().st_mtime
    leases = read_leases(store.root)
    busy = in_use(names)
    latest = _latest(store, paths, belongs)
    removed, kept = [], []
    for path in paths:
        reason = (
            latest.get(path)
            or _leased(path.name, leases, queue, now)
            or (f"{busy[path.name]} uses it" if path.name in busy else None)
            or _unleased(path, queue, now, slurm=slurm)
        )
        size = disk_size(path)
        if reason is None and not dry_run:
            name = path.name

            def unused(name: str = name) -> bool:
                return _leased(name, read_leases(store.root), queue, now) is None

            if not store.remove(path, unused):
                reason = "a command has just begun to use it"
        if reason is None:
            removed.append(Old(path, size))
        else:
            kept.append(Kept(path, size, reason))
    gone = [lease for lease in leases if _is_over(lease, queue, now, names)]
    if not dry_run:
        for lease in gone:
            with suppress(OSError):
                lease.path.unlink()
    return CleanOutcome(tuple(removed), tuple(kept), len(gone))


def _latest(store: Store, paths: list[Path], belongs: Callable[[Generation], bool]) -> dict[Path, str]:
    """The current one, and of each mode the newest that fits: `run --mode` takes that."""
    latest: dict[Path, str] = {}
    current = Path(os.path.realpath(store.current))
    by_launchers = launched(store.root)
    modes = set()
    for path in paths:
        with suppress(StoreError):
            generation = read_generation(path)
            if generation.mode not in modes and belongs(generation):
                modes.add(generation.mode)
                latest[path] = f"it is the newest of the mode {generation.mode}"
        if path.name == current.name:
            latest[path] = "it is the current one"
        elif path.name == by_launchers:  # a sync was killed before it wrote them anew
            latest[path] = "the launchers start programs in it"
    return latest


def _leased(name: str, leases: list[Lease], queue: Queue | None, now: float) -> str | None:
    for lease in leases:
        if lease.launchers and name in lease.generations:
            # Until it was replaced launchers have started programs in it, however old the lease is.
            with suppress(OSError):
                replaced = (lease.path.parents[1] / "generations" / name).stat().st_mtime
                lease = replace(lease, used=max(lease.used, replaced))
        if name in lease.generations or not lease.readable:
            reason = _holds(lease, queue, now)
            if reason is not None:
                return reason
    return None


def _holds(lease: Lease, queue: Queue | None, now: float) -> str | None:
    """Why a lease still counts; None when it does not."""
    if lease.job and queue is None:
        return f"{lease.holder} has used it, and Slurm cannot be asked whether that has ended"
    if lease.job and queue is not None:
        if lease.job in queue.jobs:
            return f"{lease.holder} uses it"
        if lease.cluster != queue.cluster and now - lease.used < ANCIENT:
            return (
                f"{lease.holder} of the cluster {lease.cluster} has used it, which cannot be asked from here"
            )
    if lease.launchers and lease.host == os.uname().nodename:
        return None  # this node's processes are looked at
    if lease.host == os.uname().nodename and lease.pid:
        # Where the process has ended, what it left running is found by looking at this node's processes.
        return f"{lease.holder} uses it" if start_time(lease.pid) == lease.started else None
    if now - lease.used < YOUNG:
        days = int(max(0.0, now - lease.used) // 86400)
        when = "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
        return f"{lease.holder} used it {when}; that is kept for {int(YOUNG // 86400)} days"
    return None


def _unleased(path: Path, queue: Queue | None, now: float, *, slurm: bool) -> str | None:
    """Use that leaves no lease: lines that `run --print` wrote, and teammates who could not write one."""
    replaced = path.stat().st_mtime
    shared = True  # unless its description says otherwise
    with suppress(OSError):
        shared = '"shared": true' in (path / FILE_NAME).read_text(encoding="utf-8")
    recent = now - replaced < YOUNG
    if recent and shared:
        return "it is shared, and a job of the group may still run in it; that is kept for 14 days"
    if recent and slurm and queue is None:
        return "Slurm cannot be asked whether a job still runs in it; that is kept for 14 days"
    if queue is not None:
        for job, started in queue.jobs.items():
            if job in queue.own and started is not None and started <= replaced:
                return f"job {job} started before it was replaced, and may run in it"
    return None


def _is_over(lease: Lease, queue: Queue | None, now: float, names: Collection[str]) -> bool:
    """Whether a lease may go: it no longer counts, or all that it names is gone."""
    if not lease.readable:
        return False
    if lease.launchers:  # written once, and good for as long as the environment is there
        return not lease.generations & set(names)
    if _holds(lease, queue, now) is None:
        return True
    return not lease.generations & set(names) and now - lease.used > YOUNG


def disk_size(path: Path) -> int:
    """Bytes that the files below `path` take up."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
    return total
