"""The store: `generations/`, and the link `current` that is swapped by rename.

A generation is built aside under the name of a staging directory and renamed when it is whole. Killed at
any moment, the store holds the old generation, in use, and perhaps a staging directory that the next writer
removes. One that is to go is renamed first, so that it is never seen in part.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import (
    current_umask,
    disk_errors,
    new_directory,
    one_writer,
    owner_name,
    remove_tree,
    write_atomically,
)
from lumienv.overlay.generation import (
    FILE_NAME,
    Generation,
    all_generations,
    read_generation,
    shared_generation,
)
from lumienv.overlay.launched import BIN, LAUNCH
from lumienv.overlay.leases import FOLDER as LEASES
from lumienv.overlay.trust import is_revoked, note_down, seal_of
from lumienv.overlay.writer import PATIENCE, current_writer, holds, only_writer, waiting_for
from lumienv.runtime import work

_STAGING = ".staging-"
_REMOVING = ".removing-"
_ASIDE = ".current-"
_IGNORE = ".gitignore"


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
        for path in self._of(mode, digest):
            with suppress(StoreError):
                found = read_generation(path)
                if whole(found):
                    return found
        return None

    def _of(self, mode: str, digest: str) -> list[Path]:
        name = f"{_name(mode, digest)}-"
        return [path for path in all_generations(self.root) if path.name.startswith(name)]

    @property
    def owner(self) -> int | None:
        """Whose store it is, when it is somebody else's; None when it is this user's, or not there yet."""
        try:
            uid = self.root.stat().st_uid
        except OSError:
            return None
        return uid if uid != os.geteuid() else None

    @contextmanager
    def writing(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Be the one writer: leftovers of killed ones are removed first. Raises StoreError."""
        with disk_errors("write to the store", self.root):
            self._make()
        told: list[str] = []

        def tell(line: str) -> None:
            if not told:
                told.append(line)
                waiting(line)

        with (
            one_writer(
                self.root / "lock",
                "write to the store",
                lambda _: tell(waiting_for(self.root, current_writer(self.root))),
                patience=PATIENCE,
            ),
            only_writer(self.root, "write to the store", tell),
        ):
            # Nobody else that lives has a claim, so the makers of these are dead or silent.
            for leftover in (
                *self.generations.glob(f"{_STAGING}*"),
                *self.generations.glob(f"{_REMOVING}*"),
                *self.generations.glob(f"*/.{FILE_NAME}.*"),
                *self.root.glob(f"{_ASIDE}*"),
            ):
                # What a killed sync had started on this node would write on.
                work.clear_away(leftover.name.removeprefix(f"{_STAGING}{os.uname().nodename}-"))
                with disk_errors("remove what a sync left behind", leftover):
                    remove_tree(leftover)
            yield

    def _make(self) -> None:
        """Make the store's folders, for this user alone to write to; what is there must be a store."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.root.stat().st_uid != os.geteuid():
            name = owner_name(self.root.stat().st_uid)
            raise StoreError(
                f"the store {self.root} was made by {name}",
                hint='give each of you a store of their own: [sync] store = ".lumienv-$USER"\n'
                f"or ask {name} to share this environment: lumienv sync --share",
            )
        if not self.generations.is_dir():
            names = {path.name for path in self.root.iterdir()}
            strange = names - {_IGNORE}
            if LEASES in names and _IGNORE in names:  # a store whose `generations` somebody has removed
                strange -= {LEASES, "lock", "current", BIN, LAUNCH}
            if strange and not self.generations.is_dir():  # unless another writer has made it just now
                raise StoreError(
                    f"{self.root} is no store of lumienv's, and not empty",
                    hint="[sync] store names a folder that lumienv may have for itself",
                )
            (self.root / _IGNORE).write_text("*\n")
            self.generations.mkdir(exist_ok=True)  # made last: whoever finds it finds the rest
        (self.root / LEASES).mkdir(mode=0o755, exist_ok=True)  # others write there where it is shared
        for folder in (self.root, self.generations):
            folder.chmod(folder.stat().st_mode & 0o7755)  # whatever the umask: others must not swap links

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new directory on the store's file system; removed when it has not been published."""
        path = self.generations / f"{_STAGING}{os.uname().nodename}-{work.label()}-{secrets.token_hex(3)}"
        with new_directory(path, "write to the store", 0o755):
            yield path

    def publish(self, staged: Path, generation: Generation) -> Generation:
        """Make what was staged a generation, and the current one. Raises StoreError.

        It gets a name of its own, even where one of the same digest is there already but cannot be used: a
        job may be running in that one.
        """
        if not holds(self.root):
            raise StoreError(
                "this sync was silent for so long that another one has taken its place",
                hint="nothing was changed; run it again: lumienv sync",
            )
        name = f"{_name(generation.mode, generation.digest)}-{secrets.token_hex(3)}"
        final = self.generations / name
        with disk_errors("publish the environment", final):
            size, files = protect(staged)
            description = replace(generation, size=size, files=files).to_json().encode()
            (staged / FILE_NAME).write_bytes(description)
            (staged / FILE_NAME).chmod(0o444 & ~current_umask())
            note_down(seal_of(description, staged.stat().st_ino), os.environ)
            staged.rename(final)
        published = read_generation(final)
        self.select(published)
        return published

    def select(self, generation: Generation) -> None:
        """Make `generation` the current one, atomically. Raises StoreError.

        The one before is marked by its directory's time: a job that started earlier may have found it by
        way of `current`.
        """
        with disk_errors("switch to the new environment", self.current):
            target = Path("generations") / generation.path.name
            before = self.current.readlink() if self.current.is_symlink() else None
            if before == target:
                return
            aside = self.root / f"{_ASIDE}{secrets.token_hex(6)}"
            try:
                aside.symlink_to(target)
                self._mark_replaced(before)  # a kill may come right after the switch
                aside.replace(self.current)
            finally:
                aside.unlink(missing_ok=True)  # where an interruption came before the switch
            self._mark_replaced(before)

    def _mark_replaced(self, link: Path | None) -> None:
        if link is not None:
            with suppress(OSError):
                os.utime(self.root / link)

    def share(self, generation: Generation) -> Generation:
        """Let the project's group read and use `generation`, whatever the umask. Raises StoreError.

        The group is that of the folder in which the store lies. It may write nowhere but in `leases`, where
        nobody can remove what is another's.
        """
        leases = self.root / LEASES
        with disk_errors("share the environment", self.root):
            group = self.root.parent.stat().st_gid
            leases.mkdir(exist_ok=True)
            for folder in (self.root, self.generations, leases):
                _give(folder, group)
            leases.chmod(0o3775 if leases.stat().st_mode & 0o005 == 0o005 else 0o3770)
            for folder_name, _, files in os.walk(generation.path):
                folder = Path(folder_name)
                for path in (folder, *(folder / file for file in files)):
                    if not path.is_symlink():
                        _give(path, group)
            if generation.carrier.is_symlink():  # an image that was put out onto another file system
                _give(Path(os.path.realpath(generation.carrier)), group)
            if generation.shared:
                return generation
            shared = replace(generation, shared=True)
            description = shared.to_json().encode()
            note_down(seal_of(description, generation.path.stat().st_ino), os.environ)
            file = generation.path / FILE_NAME
            write_atomically(file, description, mode=0o444)
            _give(file, group)
        return read_generation(generation.path)

    def adopt(self, mode: str, digest: str) -> Generation | None:
        """Accept what somebody else shares here, if there is one of this digest; None when there is none.

        Its seal is noted down beside its owner. Raises StoreError when the notes cannot be written.
        """
        for path in self._of(mode, digest):
            with suppress(StoreError):
                return read_generation(path)
            try:
                shared, owner, seal = shared_generation(path)
            except StoreError:
                continue
            if owner == self.owner and shared.digest == digest and not is_revoked(seal, os.environ):
                note_down(seal, os.environ, owner)
                return read_generation(path)
        return None

    def remove(self, path: Path, still_unused: Callable[[], bool]) -> bool:
        """Remove the directory of a generation, and say whether that was done.

        It is renamed first; where it turns out then that somebody has come to use it, it is put back. A
        command takes its lease before it looks whether the generation is there, so one of both sees the
        other. Raises StoreError.
        """
        aside = path.with_name(f"{_REMOVING}{path.name}")
        with disk_errors("remove an old environment", path):
            path.rename(aside)
            if not still_unused():
                aside.rename(path)
                return False
            remove_tree(aside)
            if aside.exists():
                raise PermissionError(1, "some of it cannot be removed", str(aside))
        return True


def _give(path: Path, group: int) -> None:
    """Let `group` read what is at `path`, and run it where its owner can."""
    status = path.stat()
    if status.st_gid != group:
        os.chown(path, -1, group)
    mode = stat.S_IMODE(status.st_mode)
    readable = mode | 0o040 | (0o010 if mode & 0o100 else 0)
    if readable != mode or status.st_gid != group:
        path.chmod(readable)


def _name(mode: str, digest: str) -> str:
    return f"{mode}-{digest.removeprefix('sha256:')[:16]}"


def protect(root: Path) -> tuple[int, int]:
    """Take the write permission off all files below `root`, and off folders that of others.

    Folders stay writable for their owner, so that `rm -rf` removes a store; links are left alone. Returns the
    size of the files in bytes, and their number.
    """
    size = number = 0
    for folder, _, files in os.walk(root, topdown=False):
        with os.scandir(folder) as entries:
            names = set(files)
            for entry in entries:
                if entry.name in names and not entry.is_symlink():
                    status = entry.stat()
                    size += status.st_size
                    number += 1
                    os.chmod(entry.path, status.st_mode & 0o7555)  # noqa: PTH101
        os.chmod(folder, Path(folder).stat().st_mode & 0o7755)  # noqa: PTH101
    return size, number
