"""Node-local directories for work in between: thousands of small files on a shared disk are slow."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors, new_directory, remove_tree
from lumienv.runtime import work

_PREFIX = "lumienv-scratch-"


@contextmanager
def scratch_directory(folder: Path) -> Iterator[Path]:
    """An empty directory of this user's in `folder`, removed at the end. Raises StoreError."""
    if not folder.is_dir():
        raise StoreError(
            f"there is no folder {folder} for work in between",
            hint="TMPDIR names one; without it: unset TMPDIR",
        )
    doing = "make a scratch directory"
    with disk_errors(doing, folder):
        _remove_abandoned(folder)
    with new_directory(folder / f"{_here()}{work.label()}-{secrets.token_hex(8)}", doing) as path:
        yield path


def _here() -> str:
    """Begins the names of this node's directories: TMPDIR may be shared, /proc is of this node alone."""
    return f"{_PREFIX}{os.uname().nodename}-"


def _remove_abandoned(folder: Path) -> None:
    """Scratch directories of this user's processes that were killed; on a compute node they are memory.

    What those had started is ended first, or it would write on.
    """
    for path in folder.glob(f"{_here()}*"):
        with suppress(OSError):
            if path.stat().st_uid == os.geteuid() and work.clear_away(path.name.removeprefix(_here())):
                remove_tree(path)
