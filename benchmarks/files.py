"""What an environment asks of shared storage: how many files, and what a task does to its metadata."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, LeftOutError
from benchmarks.launched import launched
from benchmarks.measure import Bar, Row, Timing, say
from benchmarks.stack import FAMILY, IMPORTS, Stack, stack
from benchmarks.tracing import trace
from lumienv.overlay.generation import MOUNT

_MODES = ("venv", "squashfs", "sif")
_MOST_FILES = Bar(0, 12)
_LEAST_METADATA = Bar(0.01)


@dataclass(frozen=True)
class Cost:
    """Of one environment: what lies on the file system, and what a task asks there."""

    entries: int
    folders: int
    metadata: int
    note: str


def rows(bench: Bench) -> Iterator[Row]:
    """Two rows a mode, or why this machine cannot measure them."""
    try:
        image = bench.image(FAMILY)
    except LeftOutError as reason:
        yield Row("files", note=str(reason))
        return
    if shutil.which("strace") is None:
        yield Row("files", note="there is no strace here")
        return
    with stack(bench, image, "files", '[sif]\nbuilder = "append"\n') as made:
        by_hand = _by_hand(made)
        found = {mode: _lumienv(made, mode) for mode in _MODES}
    for mode, ours in found.items():
        yield Row(
            f"files in the store, {mode}",
            Timing((ours.entries,)),
            "the venv made by hand",
            Timing((by_hand.entries,)),
            None if mode == "venv" else _MOST_FILES,
            f"{ours.folders} of them folders, by hand {by_hand.folders}",
            "files",
        )
    for mode, ours in found.items():
        yield Row(
            f"metadata operations of a task on the store, {mode}",
            Timing((ours.metadata,)),
            "the venv made by hand",
            Timing((by_hand.metadata,)),
            None if mode == "venv" else _LEAST_METADATA,
            ours.note,
            "operations",
        )


def _by_hand(made: Stack) -> Cost:
    """A venv in a folder, entered as the guides do it."""
    say("files: the venv made by hand")
    made.directory_by_hand()
    script = f"$WITH_CONDA && source {made.venv}/bin/activate && python -c '{IMPORTS}'"
    words = [made.bench.runtime(), "exec", "-B", str(made.bench.work), str(made.image), "bash", "-c", script]
    entries, folders = _count(made.venv)
    seen = trace(words, made.env, made.folder, made.bench.work / "trace")
    return Cost(entries, folders, seen.metadata(str(made.venv)), "")


def _lumienv(made: Stack, mode: str) -> Cost:
    say(f"files: sync --mode {mode}")
    made.sync("--mode", mode)
    entries, folders = _count(made.store)
    words, env = launched(made.bench, made.env, made.folder, ["python", "-c", IMPORTS])
    # Twice: the first run may leave something behind that the second finds.
    trace(words, env, made.folder, made.bench.work / "trace")
    store = str(made.store)
    carrier = next(iter(made.store.glob("generations/*/*.s*f*")), None)
    if carrier is None:
        seen = trace(words, env, made.folder, made.bench.work / "trace")
        on_mount = seen.metadata(MOUNT)
        return Cost(entries, folders, seen.metadata(store, MOUNT), f"{on_mount} of them on {MOUNT}")
    forgotten = _forget(carrier)
    seen = trace(words, env, made.folder, made.bench.work / "trace")
    how = "by FUSE, in processes that are counted too" if seen.fuse else "by the kernel"
    note = f"{carrier.name}, mounted {how}: read {seen.reads(str(carrier))} × by processes"
    if forgotten:
        note += f", {_read(carrier)} of {carrier.stat().st_size / 1e6:.0f} MB in all"
    note += f"; {seen.metadata(MOUNT)} operations on {MOUNT}, which is inside the file"
    return Cost(entries, folders, seen.metadata(store), note)


def _count(root: Path) -> tuple[int, int]:
    """What lies below `root`, launchers aside, each of which a quota counts; and how many are folders."""
    entries = folders = 0
    for folder, names, files in os.walk(root):
        if Path(folder) == root or Path(folder).parent.name == "generations":
            # The launchers: as many as there are commands, whatever the mode.
            names[:] = [name for name in names if name != "bin" or root.name != ".lumienv"]
        entries += len(names) + len([name for name in files if name != "launch.sh"])
        folders += len(names)
    return entries, folders


def _forget(path: Path) -> bool:
    """Have the kernel drop what it keeps of a file, so that what is read afterwards can be told."""
    if shutil.which("fincore") is None:
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _read(path: Path) -> str:
    """How much of a file the kernel has read since then, reading ahead included."""
    words = ["fincore", "--noheadings", "--bytes", "--output", "RES", str(path)]
    return f"{int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) / 1e6:.0f}"
