"""The store: `generations/`, and the link `current` that is swapped by rename.

A generation is built aside under the name of a staging directory and renamed when it is whole. Killed at
any moment, the store holds the old generation, in use, and perhaps a staging directory that the next writer
removes.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors, one_writer, remove_tree
from lumienv.overlay.generation import FILE_NAME, Generation, read_generation
from lumienv.overlay.trust import note_down

_STAGING = ".staging-"
_ASIDE = ".current-"


class Store:
    """One project's generations, in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generations = root / "generations"
        self.current = root / "current"

    def current_generation(self) -> Generation:
        """The generation synced last, by its real path, so that a later sync cannot change what it names.

        Raises StoreError when there is none.
        """
        return read_generation(Path(os.path.realpath(self.current)))

    def find(self, mode: str, digest: str) -> Generation | None:
        """A whole and trusted generation of this digest, if it has been made before."""
        with suppress(StoreError):
            return read_generation(self.generations / _name(mode, digest))
        return None

    @contextmanager
    def writing(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Be the one writer: leftovers of killed ones are removed first. Raises StoreError."""
        with disk_errors("write to the store", self.root):
            self.generations.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        with one_writer(self.root / "lock", "write to the store", waiting):
            for leftover in (*self.generations.glob(f"{_STAGING}*"), *self.root.glob(f"{_ASIDE}*")):
                remove_tree(leftover)
            yield

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new directory on the store's file system; removed when it has not been published."""
        with disk_errors("write to the store", self.generations):
            path = self.generations / f"{_STAGING}{secrets.token_hex(6)}"
            path.mkdir(mode=0o755)
        try:
            yield path
        finally:
            remove_tree(path)

    def publish(self, staged: Path, generation: Generation) -> Generation:
        """Make what was staged a generation, and the current one. Raises StoreError."""
        final = self.generations / _name(generation.mode, generation.digest)
        sealed = replace(generation, seal=secrets.token_hex(16))
        note_down(sealed.seal, os.environ)
        with disk_errors("publish the environment", final):
            (staged / FILE_NAME).write_text(sealed.to_json(), encoding="utf-8")
            drop_write_bits(staged)
            remove_tree(final)  # an untrusted or half-removed one of the same name
            staged.rename(final)
        published = read_generation(final)
        self.select(published)
        return published

    def select(self, generation: Generation) -> None:
        """Make `generation` the current one, atomically. Raises StoreError."""
        with disk_errors("switch to the new environment", self.current):
            target = Path("generations") / generation.path.name
            if self.current.is_symlink() and self.current.readlink() == target:
                return
            aside = self.root / f"{_ASIDE}{secrets.token_hex(6)}"
            aside.symlink_to(target)
            aside.replace(self.current)


def _name(mode: str, digest: str) -> str:
    return f"{mode}-{digest.removeprefix('sha256:')[:16]}"


def drop_write_bits(root: Path) -> None:
    """Take the write permission off everything below `root`, and off `root`; links are left alone."""
    for folder, _, files in os.walk(root, topdown=False):
        with os.scandir(folder) as entries:
            names = set(files)
            for entry in entries:
                if entry.name in names and not entry.is_symlink():
                    os.chmod(entry.path, entry.stat().st_mode & 0o7555)  # noqa: PTH101
        os.chmod(folder, Path(folder).stat().st_mode & 0o7555)  # noqa: PTH101
