"""What a project has, and what is stale: starts nothing that its files name, and writes nothing."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ImageError, LumienvError, StoreError
from lumienv.image.snapshot import Base
from lumienv.launch.run import NOT_YET, misfit, sync_words, why_stale
from lumienv.lockfile import Lock, read_lock
from lumienv.overlay.generation import all_generations, read_generation
from lumienv.overlay.launched import BIN, launchers
from lumienv.overlay.output import image_is_whole
from lumienv.project import Project
from lumienv.project.look import known_snapshot, unstarted_base, why_old


@dataclass(frozen=True)
class ImageStatus:
    """The base that the manifest names."""

    name: str
    path: str = ""
    problem: str = ""
    known: bool = False
    """it has been probed, so that nothing has to be started to lock for it"""


@dataclass(frozen=True)
class LockStatus:
    """The lock beside the manifest."""

    packages: int
    """0 where there is none"""
    problem: str = ""


@dataclass(frozen=True)
class EnvironmentStatus:
    """One generation."""

    path: Path
    mode: str
    builder: str
    groups: tuple[str, ...]
    size: int
    """bytes"""
    current: bool
    shared: bool
    problem: str = ""
    files: int = 0
    """0 where it is not known"""
    warnings: tuple[str, ...] = ()
    """modules that could not be imported when it was made"""


@dataclass(frozen=True)
class Status:
    """All of it, and the command that mends what is stale."""

    image: ImageStatus
    lock: LockStatus
    environments: tuple[EnvironmentStatus, ...]
    problem: str
    """why `run` would not use the current environment as it is; empty when it would"""
    remedy: str
    """empty when nothing is stale"""
    launchers: tuple[Path, int] | None = None
    """the folder of the launchers, and how many there are"""


def status(project: Project) -> Status:
    """Look at the image, the lock and the store. Raises ManifestError, nothing else that is only stale."""
    lock, damaged = _lock(project)
    image, base = _image(project, lock)
    snapshot = known_snapshot(project, base) if base is not None else None
    locked = LockStatus(
        len(lock.labels()) if lock is not None else 0, damaged or why_old(project, lock, base, snapshot)
    )
    environments = tuple(_environments(project))
    problem = why_stale(project.manifest, look=False) or ""
    remedy = ""
    if image.problem:
        remedy = f"lumienv image {'pull' if project.manifest.image.kind == 'uri' else 'list'}"
    elif locked.problem or problem:
        remedy = shlex.join(sync_words(project.manifest))
    names = launchers(project.store.root)
    folder = (project.store.root / BIN, len(names)) if names else None
    return Status(image, locked, environments, problem, remedy, folder)


def _lock(project: Project) -> tuple[Lock | None, str]:
    try:
        lock = read_lock(project.lock_path)
    except LumienvError as error:
        return None, error.message
    return lock, "" if lock is not None else NOT_YET


def _image(project: Project, lock: Lock | None) -> tuple[ImageStatus, Base | None]:
    table = project.manifest.image
    if table.kind in ("host", "snapshot"):  # to look closer would start what the file names
        what = "a Python of this machine" if table.kind == "host" else "a saved snapshot"
        return ImageStatus(f"{table.value} ({what})", known=True), None
    try:
        base = unstarted_base(project, lock)
    except ImageError as error:
        return ImageStatus(table.value, problem=error.message), None
    return ImageStatus(base.name, base.path, known=known_snapshot(project, base) is not None), base


def _environments(project: Project) -> Iterator[EnvironmentStatus]:
    current = Path(os.path.realpath(project.store.current)).name
    for path in all_generations(project.store.root):
        is_current = path.name == current
        try:
            made = read_generation(path)
        except StoreError as error:
            mode = path.name.partition("-")[0]
            yield EnvironmentStatus(path, mode, "", (), 0, is_current, False, error.message)
            continue
        problem = misfit(project.manifest, made) or ""
        if not problem and made.mode == "sif" and not image_is_whole(made):
            problem = "its image is gone, or another one than was made"
        yield EnvironmentStatus(
            path,
            made.mode,
            made.builder,
            made.groups,
            made.size,
            is_current,
            made.shared,
            problem,
            made.files,
            made.warnings,
        )
