"""The launchers in the store: `bin/` with one small script under many names, and `launch.sh`, which it reads.

All that depends on the environment stands in `launch.sh`, and is exchanged by one rename. The script is the
same in every store, so a name is right whenever it is there, and keeps its path: also where an editor has
followed links to it.
"""

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from lumienv.files import current_umask, disk_errors, write_atomically

BIN = "bin"
LAUNCH = "launch.sh"
_MARK = "# generation: "

# Variables of the user's shell must reach the program as they are: so the long names. `$0` is a path, as the
# kernel and shells give it; only where it is a link a process is needed to follow it.
SCRIPT = """\
#!/bin/sh
# Starts the program of this name in the environment that `lumienv sync` made. Written by lumienv.
lumienv_self=$0
[ ! -L "$lumienv_self" ] || lumienv_self=$(readlink -f -- "$lumienv_self")
case $lumienv_self in */*) ;; *) lumienv_self=./$lumienv_self ;; esac
if [ -r "${lumienv_self%/*}/../launch.sh" ]; then
  . "${lumienv_self%/*}/../launch.sh"
fi
printf 'error: %s cannot be read\\nhelp: run `lumienv sync` in the project\\n' \\
  "${lumienv_self%/*}/../launch.sh" >&2
exit 1
"""


def launch_text(generation: str, body: str) -> str:
    """The text of `launch.sh`, which names the generation (by its folder) that it starts programs in."""
    return (
        "# Read by the launchers in bin/. Written by `lumienv sync` after lumienv.toml: change that.\n"
        f"{_MARK}{generation}\n{body}"
    )


def launched(root: Path) -> str | None:
    """The name of the generation that the launchers of the store `root` start programs in."""
    with suppress(OSError, ValueError):
        for line in (root / LAUNCH).read_text(encoding="utf-8").splitlines()[:5]:
            if line.startswith(_MARK):
                return line.removeprefix(_MARK)
    return None


def launchers(root: Path) -> list[str]:
    """The names of the launchers in the store `root`."""
    with suppress(OSError):
        return sorted(path.name for path in (root / BIN).iterdir() if not path.name.startswith("."))
    return []


def write_launchers(root: Path, text: str, names: Collection[str], group: int | None = None) -> bool:
    """Have launchers of these names, which read `text`; whether anything had to be written.

    `group` is who may use them besides, where the environment is shared. The caller is the store's writer.
    Killed at any moment, there are launchers of the one environment or of the other. Raises StoreError.
    """
    folder, mask = root / BIN, current_umask()
    content = text.encode("utf-8", "surrogateescape")
    wrote = False
    with disk_errors("write the launchers", folder):
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(exist_ok=True)
        _let(folder, 0o755 & ~mask, group)
        if _holds(root / LAUNCH, content):
            os.utime(root / LAUNCH)  # by its time launchers tell an image that was changed since
        else:
            write_atomically(root / LAUNCH, content, mode=0o444 & ~mask)
            wrote = True
        _let(root / LAUNCH, 0o444 & ~mask, group)
        right = _right(folder)
        lacking = sorted(set(names) - right)
        if lacking:
            _add(folder, lacking, sorted(right), 0o555 & ~mask)
        for name in sorted(names)[:1]:  # the others are the same file
            _let(folder / name, 0o555 & ~mask, group)
        for path in _ours(folder):
            if path.name not in names:
                path.unlink()
                wrote = True
    return wrote or bool(lacking)


def _right(folder: Path) -> set[str]:
    """The names under which the script is there. Each file is read once, whatever names it has."""
    found: dict[int, bool] = {}
    names = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or entry.name.startswith("."):
                continue
            inode = entry.inode()
            if inode not in found:
                found[inode] = _holds(Path(entry.path), SCRIPT.encode())
            if found[inode]:
                names.add(entry.name)
    return names


def _add(folder: Path, names: Collection[str], known: Collection[str], mode: int) -> None:
    """The script under each of `names`: as links to one file, where the file system has such."""
    one = folder / f".{secrets.token_hex(6)}"
    try:
        for name in known:
            with suppress(OSError):
                os.link(folder / name, one)
            break
        if not one.exists():
            _write(one, mode)
        for name in names:
            aside = folder / f".{secrets.token_hex(6)}"
            try:
                try:
                    os.link(one, aside)
                except OSError:
                    _write(aside, mode)
                aside.replace(folder / name)
            finally:
                aside.unlink(missing_ok=True)
    finally:
        one.unlink(missing_ok=True)


def _write(path: Path, mode: int) -> None:
    path.write_text(SCRIPT, encoding="utf-8")
    path.chmod(mode)


def _ours(folder: Path) -> Iterator[Path]:
    """What lumienv wrote there, now or in an earlier version; what a killed sync left bears a dot."""
    for path in folder.iterdir():
        with suppress(OSError):
            if path.name.startswith(".") or b"Written by lumienv" in path.read_bytes()[:200]:
                yield path


def _holds(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content
    except OSError:
        return False


def _let(path: Path, mode: int, group: int | None) -> None:
    """Give `path` this mode; `group` may read it, too, and run what its owner can."""
    status = path.stat()
    if group is not None:
        mode |= 0o040 | (0o010 if mode & 0o100 else 0)
        if status.st_gid != group:
            os.chown(path, -1, group)
    if status.st_mode & 0o777 != mode:
        path.chmod(status.st_mode & 0o7000 | mode)
