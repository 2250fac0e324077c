"""What uses a generation on this node: processes, mounts.

A container whose tree is a directory shows it in `mountinfo`; one whose tree is a file holds the file open
in the runtime's `starter`, or in squashfuse, or by a loop device; without a container it stands on PATH. The
name of a generation is random enough to be searched for in all of these (seen with a real Apptainer, as root
and unprivileged).
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_FILES = ("cmdline", "mountinfo", "environ", "maps")
_LINKS = ("cwd", "exe", "root")


def in_use(names: Collection[str]) -> dict[str, str]:
    """name of a generation → who uses it on this node, as far as this user may see."""
    wanted = {name: os.fsencode(name) for name in names}
    found: dict[str, str] = {}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            _note(found, wanted, backing.read_bytes(), f"{backing.parts[3]} on this node")
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            who = f"process {process.name}"
            for content in _contents(process):
                _note(found, wanted, content, who)
    return found


def _note(found: dict[str, str], wanted: dict[str, bytes], content: bytes, who: str) -> None:
    for name, written in wanted.items():
        if name not in found and written in content:
            found[name] = who


def _contents(process: Path) -> Iterator[bytes]:
    """All that may name a file that the process uses; what this user must not see is left out."""
    for name in _FILES:
        with suppress(OSError):
            yield (process / name).read_bytes()
    links = [process / name for name in _LINKS]
    with suppress(OSError):
        links += (process / "fd").iterdir()
    for link in links:
        with suppress(OSError):
            yield os.fsencode(link.readlink())
