"""The file that an export goes to: whole or not at all, and never in place of what lumienv did not write."""

import shlex
from collections.abc import Callable
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors, write_atomically


def check_target(
    target: Path, is_ours: Callable[[str], bool], what: str, option: str, name: str, printed: str
) -> None:
    """Raises StoreError unless `target` is free, or a file whose text `is_ours`.

    `what` is such a file in words, `option` the one that names the target, `name` what a file may be called,
    `printed` what to do to have it printed.
    """
    if target.is_dir():
        raise StoreError(f"{target} is a directory", hint=f"name a file in it: {option} {target / name}")
    if not target.parent.is_dir():
        make = f"mkdir -p {shlex.quote(str(target.parent))}"
        raise StoreError(f"there is no folder {target.parent}", hint=f"make it: {make}")
    if target.exists() and not target.is_file():
        raise StoreError(f"{target} is no file", hint=printed)
    if target.exists() and not _bears_our_mark(target, is_ours):
        raise StoreError(
            f"{target} is there, and it is not {what}",
            hint=f"name another file with {option}, or remove this one; nothing was changed",
        )


def _bears_our_mark(target: Path, is_ours: Callable[[str], bool]) -> bool:
    try:
        return is_ours(target.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # closed to this user, or no text: somebody else's
        return False


def write_target(target: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, whole. Raises StoreError."""
    with disk_errors("write the export", target):
        write_atomically(target, text.encode())
