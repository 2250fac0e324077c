"""Copies of local projects: what a build changes, it changes in the copy."""

import hashlib
import os
import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors
from lumienv.manifest import FILE_NAME

_HISTORY = {".git", ".hg", ".svn", ".bzr"}
_LEFT_OUT = {"__pycache__", ".lumienv", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
# What setuptools left of an earlier build: modules that are gone since would come back from it.
_STALE = re.compile(r"lib.*|bdist\..*|temp\..*")


def copy_project(folder: Path, target: Path, *, history: bool) -> None:
    """Copy a project's folder to `target`, which does not exist yet: what a build of it may need.

    Virtual environments, caches and, without `history`, version control folders stay behind.
    Raises StoreError when it does not fit, or cannot be read.
    """
    with disk_errors(f"copy {folder} for its build", target):
        chosen = _chosen(folder, history)
        size = sum(path.lstat().st_size for path, _ in chosen)
        target.mkdir(parents=True)
        free = shutil.disk_usage(target).free
        if size > free:
            raise StoreError(
                f"there is not enough room to build {folder.name}",
                f"its folder holds {size / 1e6:.0f} MB, and {target.parent} has {free / 1e6:.0f} MB left",
                hint="keep data outside the project's folder, or set TMPDIR to a place with more room",
            )
        for path, inside in chosen:
            place = target / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() and not _copied_through(path, folder):
                place.symlink_to(path.readlink())
            else:
                shutil.copy2(path, place)


def folder_state(folder: Path) -> str:
    """A digest that changes when a build might come out differently: names, sizes and times, as `make` does.

    Of a folder that is not there, the digest of nothing.
    """
    digest = hashlib.sha256()
    for path, inside in sorted(_chosen(folder, history=False)):
        status = path.lstat()
        digest.update(os.fsencode(inside) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def known_path(folder: Path) -> Path:
    """Where an editable project is seen: the path by which the user came to it, without `..`.

    Not through links, where it can be had otherwise: on a cluster the path that users know is one.
    """
    plain = Path(os.path.normpath(folder.absolute()))
    with suppress(OSError):
        if plain.samefile(folder):
            return plain
    return folder.resolve()  # `..` behind a link means another folder than the text says


def _copied_through(link: Path, folder: Path) -> bool:
    """Whether a link stands for a file elsewhere, such as the README of the repository around a project.

    Raises StoreError for a file outside of that: a project that came from somebody else could point to any
    file of the user's, and have it in the package.
    """
    real = Path(os.path.realpath(link))
    inside = Path(os.path.realpath(folder))
    if not real.is_file() or real.is_relative_to(inside):
        return False
    around = _repository_of(inside)
    if not real.is_relative_to(around):
        raise StoreError(
            f"{folder.name} is not built: its {link.relative_to(folder)} is a link to {real}",
            f"that lies outside of {around}, and would become a part of the package",
            hint=f"put the file itself there: cp --remove-destination {shlex.quote(str(real))} "
            f"{shlex.quote(str(link))}",
        )
    return True


def _repository_of(folder: Path) -> Path:
    """The repository that a project is a part of; else the folder of lumienv.toml, or the project."""
    for names in (_HISTORY, {FILE_NAME}):
        for place in (folder, *folder.parents):
            if any((place / name).exists() for name in names):
                return place
    return folder


def _chosen(folder: Path, history: bool) -> list[tuple[Path, Path]]:
    """The files to copy, and their places in the folder."""
    chosen = []
    for root, names, files in os.walk(folder):
        here = Path(root)
        inside = here.relative_to(folder)
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = [
            name
            for name in names
            if name not in links
            and name not in _LEFT_OUT
            and (history or name not in _HISTORY)
            and not (inside == Path("build") and _STALE.fullmatch(name))
        ]
        for name in [*files, *links]:
            path = here / name
            if (path.is_file() or path.is_symlink()) and (history or name not in _HISTORY):
                chosen.append((path, inside / name))
    return chosen
