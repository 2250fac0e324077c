"""One writer at a time, also across nodes, and where a file system's locks are off or of one node alone.

Whoever wants to write puts a file into the store whose name says who it is, and then looks: alone among the
living, it is the writer; else it takes its file back and tries again (of several at once, the one whose name
sorts first stays). Each puts first and looks then, so of two at least one sees the other. No file is ever
taken over: a dead writer's is left out of account and removed, under a name that nobody uses again. So a
takeover cannot hit a living one by a race, and a lock of the file system (`files.one_writer`) is a courtesy
which spares the trying.

A writer of this node is dead when its process is; one of another node, or of another container, when its
file was not touched for `STALE_AFTER` seconds by the file system's own clock. A writer that slept for longer
(a suspended laptop) finds its file gone when it wants to publish, and gives up.
"""

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors
from lumienv.overlay.leases import start_time

STALE_AFTER = 120.0
"""seconds without a sign of life, after which a writer elsewhere counts as dead"""
HEARTBEAT = 15.0
"""seconds between two signs of life"""
PATIENCE = 3600.0
"""seconds that another writer is waited for: a large image takes its time to pack"""
_CLAIM = ".writer-"


@dataclass(frozen=True)
class Maker:
    """A process, told apart from all others that may write to the same file system."""

    pid: int
    started: int
    """clock ticks after the node's start, as /proc says it"""
    boot: str
    """begin of the id that the kernel gave this start of the node"""
    namespace: str
    """of process ids: a container may have its own"""
    host: str

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}-{self.boot}-{self.namespace}-{self.host}"

    @classmethod
    def of(cls, text: str) -> "Maker | None":
        """Read what `str` writes; None for anything else."""
        pid, started, boot, namespace, host = [*text.split("-", 4), *[""] * 5][:5]
        if not (pid.isdigit() and started.isdigit() and host):
            return None
        return cls(int(pid), int(started), boot, namespace, host)

    def dead(self, here: "Maker") -> bool | None:
        """Whether the process has ended; None when it cannot be seen from `here`."""
        if self.host != here.host:
            return None
        if self.boot != here.boot:
            return True
        return start_time(self.pid) != self.started if self.namespace == here.namespace else None


def this_maker() -> Maker:
    """This process."""
    boot, namespace = "0", "0"
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    return Maker(os.getpid(), start_time(os.getpid()) or 0, boot, namespace, os.uname().nodename)


def writers(root: Path, here: Maker, now: float) -> dict[Path, Maker]:
    """Whoever writes to the store, or is about to; files of dead ones are removed.

    `now` is the file system's time, in seconds.
    """
    living = {}
    for path in sorted(root.glob(f"{_CLAIM}*")):
        maker = Maker.of(path.name.removeprefix(_CLAIM).partition("-")[2])
        with suppress(FileNotFoundError):
            dead = maker.dead(here) if maker else None
            if dead is None:
                dead = now - path.stat().st_mtime > STALE_AFTER
            if maker is None or dead:
                path.unlink()
            else:
                living[path] = maker
    return living


def holds(root: Path) -> bool:
    """Whether this process is the writer: one that was suspended for long may have been taken for dead."""
    return any(root.glob(f"{_CLAIM}*-{this_maker()}"))


@contextmanager
def only_writer(root: Path, doing: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Be the only writer below `root`; others are waited for, and `waiting` is told once for whom.

    Raises StoreError when another is at work for longer than `PATIENCE`.
    """
    here = this_maker()
    deadline = time.monotonic() + PATIENCE
    told = False
    while True:
        claim = root / f"{_CLAIM}{secrets.token_hex(6)}-{here}"
        others = _claimed(root, claim, here, doing)
        if not others:
            break
        if not told:
            waiting(waiting_for(root, next(iter(others.values()))))
            told = True
        if time.monotonic() > deadline:
            raise StoreError(
                f"cannot {doing}: another lumienv has been at work on {root} for an hour",
                hint="wait for it, or end it, and try again",
            )
        time.sleep(random.uniform(0.05, 0.25))  # noqa: S311 - so that two do not meet again and again
    alive = threading.Event()
    thread = threading.Thread(target=_beat, args=(claim, alive), daemon=True)
    thread.start()
    try:
        yield
    finally:
        alive.set()
        thread.join()
        with suppress(OSError):
            claim.unlink()


def waiting_for(root: Path, maker: Maker | None) -> str:
    """One line: what is waited for."""
    who = f" (process {maker.pid} on {maker.host})" if maker else ""
    return f"another lumienv{who} is at work on {root}, waiting for it"


def current_writer(root: Path) -> Maker | None:
    """Who seems to be writing, for messages."""
    found = (Maker.of(path.name.removeprefix(_CLAIM).partition("-")[2]) for path in root.glob(f"{_CLAIM}*"))
    return next((maker for maker in found if maker is not None), None)


def _claimed(root: Path, claim: Path, here: Maker, doing: str) -> dict[Path, Maker]:
    """Put the claim, and return the others that are in its way; if there are any, it is taken back."""
    first = True
    while True:
        with disk_errors(doing, root):
            if first:
                claim.touch(mode=0o644, exist_ok=False)
            else:
                os.utime(claim)
            others = writers(root, here, claim.stat().st_mtime)
        others.pop(claim, None)
        if not others:
            return {}
        if not first or any(path < claim for path in others):
            with suppress(OSError):
                claim.unlink()
            return others
        # The first of several that came at once: the others, if they too only try, step back.
        first = False
        time.sleep(0.05)


def _beat(claim: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        with suppress(OSError):
            os.utime(claim)
