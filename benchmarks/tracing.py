"""Which operations a command's processes ask of a file system's metadata, by strace.

Counted are system calls that name a path, and those that ask about an open file or list an open directory:
what on Lustre goes to the metadata server. What the kernel does by itself, such as looking up each part of a
path, or reading an image that it has mounted, is not seen.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import fresh

_METADATA = "%file,fstat,getdents64,getdents,fchdir,fstatfs,flistxattr,fgetxattr"
_READS = "read,pread64,readv,preadv,preadv2"
_CALL = re.compile(r"(\w+)\((.*)")
# `-y` writes the path of a descriptor behind it; a path is relative to the descriptor in front of it.
_PLACE = re.compile(r'(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>(?:, "(?P<below>(?:[^"\\]|\\.)*)")?')
_NAMED = re.compile(r'"(?P<path>(?:[^"\\]|\\.)*)"')
_GIVEN = re.compile(r"= \d+<(?P<path>[^>]*)>")
_TWO_PATHS = (
    "mount",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "pivot_root",
    "symlink",
    "symlinkat",
)


@dataclass(frozen=True)
class Operation:
    """A system call, and the absolute paths that it is about."""

    call: str
    paths: tuple[str, ...]

    def below(self, places: Sequence[str]) -> bool:
        """Whether one of the paths is one of these places, or lies below it."""
        return any(path == place or path.startswith(f"{place}/") for path in self.paths for place in places)


@dataclass(frozen=True)
class Trace:
    """All that the processes did, in no order across processes."""

    operations: tuple[Operation, ...]

    def metadata(self, *places: str) -> int:
        """How many operations on metadata go to these places."""
        reads = _READS.split(",")
        return sum(one.call not in reads and one.below(places) for one in self.operations)

    def reads(self, path: str) -> int:
        """How often the processes read the file at `path`."""
        return sum(one.call in _READS.split(",") and path in one.paths for one in self.operations)

    @property
    def fuse(self) -> bool:
        """Whether images were mounted by programs and not by the kernel."""
        return any(
            one.call == "execve" and Path(path).name.startswith("squashfuse")
            for one in self.operations
            for path in one.paths
        )


def trace(words: Sequence[str], env: Mapping[str, str], cwd: Path, folder: Path) -> Trace:
    """Run a command to its end, with every process that it starts. Raises RuntimeError when it fails.

    `folder` is emptied, and holds a file a process.
    """
    fresh(folder)
    options = ["-ff", "-qq", "-y", "-e", f"trace={_METADATA},{_READS}", "-e", "signal=none", "-s", "0"]
    done = subprocess.run(
        ["strace", *options, "-o", str(folder / "trace"), *words],
        env={**env, "PWD": str(cwd)},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)[:300]} under strace: {done.stderr[-2000:]}")
    lines = [
        line
        for file in folder.iterdir()
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    return Trace(tuple(operations(lines)))


def operations(lines: Sequence[str]) -> Iterator[Operation]:
    """The operations in lines of `strace -y`; what is no system call is passed over."""
    for line in lines:
        found = _CALL.match(line)
        if found is None:
            continue
        call, rest = found.groups()
        paths = []
        if place := _PLACE.match(rest):
            below = place["below"] or ""
            paths.append(below if below.startswith("/") else f"{place['folder']}/{below}".rstrip("/"))
        named = _NAMED.findall(rest)
        paths += [path for path in named[: 2 if call in _TWO_PATHS else 1] if path.startswith("/")]
        # A link that was followed, or /proc/self/fd/3: what was opened in the end.
        paths += [given["path"] for given in _GIVEN.finditer(rest)]
        yield Operation(call, tuple(dict.fromkeys(paths)))
