"""The store: `generations/`, and the link `current` that is swapped by rename.

A generation is built aside under the name of a staging directory and renamed when it is whole. Killed at
any moment, the store holds the old generation, in use, and perhaps a staging directory that the next writer
removes.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors, one_writer, owner_name, remove_tree
from lumienv.overlay.generation import FILE_NAME, Generation, read_generation
from lumienv.overlay.trust import note_down, seal_of

_STAGING = ".staging-"
_ASIDE = ".current-"


class Store:
    """One project's generations, in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generations = root / "generations"
        self.current = root / "current"

    def find(
        self, mode: str, digest: str, whole: Callable[[Generation], bool] = lambda _: True
    ) -> Generation | None:
        """A whole and trusted generation of this digest, if it has been made before."""
        for path in sorted(self.generations.glob(f"{_name(mode, digest)}-*")):
            with suppress(StoreError):
                found = read_generation(path)
                if whole(found):
                    return found
        return None

    @contextmanager
    def writing(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Be the one writer: leftovers of killed ones are removed first. Raises StoreError."""
        with disk_errors("write to the store", self.root):
            self._make()
        with one_writer(self.root / "lock", "write to the store", waiting):
            for leftover in (*self.generations.glob(f"{_STAGING}*"), *self.root.glob(f"{_ASIDE}*")):
                remove_tree(leftover)
            yield

    def _make(self) -> None:
        """Make the store's folders, for this user alone to write to; what is there must be a store."""
        if not self.root.is_dir():
            self.root.mkdir(parents=True)
            (self.root / ".gitignore").write_text("*\n")
        elif self.root.stat().st_uid != os.geteuid():
            raise StoreError(
                f"the store {self.root} was made by {owner_name(self.root.stat().st_uid)}",
                hint='give each of you a store of their own: [sync] store = ".lumienv-$USER"',
            )
        elif not self.generations.is_dir() and any(self.root.iterdir()):
            raise StoreError(
                f"{self.root} is no store of lumienv's, and not empty",
                hint="[sync] store names a folder that lumienv may have for itself",
            )
        self.generations.mkdir(exist_ok=True)
        for folder in (self.root, self.generations):
            folder.chmod(folder.stat().st_mode & 0o7755)  # whatever the umask: others must not swap links

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
        """Make what was staged a generation, and the current one. Raises StoreError.

        It gets a name of its own, even where one of the same digest is there already but cannot be used: a
        job may be running in that one.
        """
        name = f"{_name(generation.mode, generation.digest)}-{secrets.token_hex(3)}"
        final = self.generations / name
        description = generation.to_json().encode()
        with disk_errors("publish the environment", final):
            (staged / FILE_NAME).write_bytes(description)
            protect(staged)
            note_down(seal_of(description, staged.stat().st_ino), os.environ)
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


def protect(root: Path) -> None:
    """Take the write permission off all files below `root`, and off folders that of others.

    Folders stay writable for their owner, so that `rm -rf` removes a store; links are left alone.
    """
    for folder, _, files in os.walk(root, topdown=False):
        with os.scandir(folder) as entries:
            names = set(files)
            for entry in entries:
                if entry.name in names and not entry.is_symlink():
                    os.chmod(entry.path, entry.stat().st_mode & 0o7555)  # noqa: PTH101
        os.chmod(folder, Path(folder).stat().st_mode & 0o7755)  # noqa: PTH101
