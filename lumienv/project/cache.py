"""What lumienv's cache holds, and removing it.

Only what has the form that lumienv gives its entries counts, and only that is removed: a folder of the user's
that happens to be called `wheels` stays as it is.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import abandoned, disk_errors, owner_name, remove_tree
from lumienv.project.cacheuse import cleaning_cache

# Kind, which is the name of its folder → what it is, and the forms of its entries, as the rooms write them:
# index.wheelhouse, index.cache and index.config, build.kept, build.git, image.probing, image.pulled.
_KINDS = {
    "wheels": ("wheels and source distributions", ("[0-9a-f]{2}/[0-9a-f]{64}/[^/]+",)),
    "index": (
        "index pages and metadata",
        ("pages/[0-9a-f]{16}/[^/]+", "metadata/[0-9a-f]{2}/[0-9a-f]{64}", "default-index"),
    ),
    "builds": ("notes of what was built", ("[0-9a-f]{64}",)),
    "git": ("git repositories", ("[0-9a-f]{32}", r"[0-9a-f]{32}\.lock")),
    "snapshots": ("what images provide", ("[0-9a-f]{64}",)),
    "images": ("images that were pulled", (r"[^/]+-[0-9a-f]{16}\.sif(\.lock)?", "notes/[0-9a-f]{64}")),
}
KINDS = tuple(_KINDS)
# Few, large, and perhaps not to be had again; environments run on them. Removed only by their name.
ASKED_FOR = ("images",)
_DEPTH = 3
# Where writers put what they then rename, and how its names begin.
_UNFINISHED = {
    "wheels": ("parts", ""),
    "index": (".", ".new-"),
    "builds": (".", ".new-"),
    "snapshots": (".", ".new-"),
    "images": (".", ".new-"),
}


@dataclass(frozen=True)
class CacheKind:
    """What there is of one kind, or what was removed of it."""

    name: str
    what: str
    files: int
    size: int
    """bytes"""


@dataclass(frozen=True)
class CleanedCache:
    """What cleaning removed, or would remove."""

    root: Path
    kinds: tuple[CacheKind, ...]


@dataclass(frozen=True)
class _Entry:
    path: Path
    files: int
    size: int
    written: float


def cache_size(root: Path) -> tuple[CacheKind, ...]:
    """What is in the cache, by kind. Raises StoreError for a cache that is not this user's own."""
    _check_own(root)
    return tuple(_summed(kind, _entries(root, kind)) for kind in KINDS)


def clean_cache(
    root: Path, kinds: Collection[str] = (), older_than: float | None = None, *, dry_run: bool = False
) -> CleanedCache:
    """Remove the entries of these kinds, or those not written for `older_than` seconds.

    By default of all kinds but those in ASKED_FOR.

    Raises StoreError for a cache that is not this user's own, and for one that another lumienv is using.
    """
    _check_own(root)
    wanted = [kind for kind in KINDS if (kind in kinds if kinds else kind not in ASKED_FOR)]
    before = time.time() - older_than if older_than is not None else None
    if dry_run or not root.is_dir():
        found = {kind: _old(root, kind, before) for kind in wanted}
        return CleanedCache(root, tuple(_summed(kind, found[kind]) for kind in wanted))
    with cleaning_cache(root) as alive, disk_errors("clean the cache", root):
        done = []
        for kind in wanted:
            gone = _old(root, kind, before)
            _remove(root / kind, gone, alive)
            done.append(_summed(kind, gone))
    return CleanedCache(root, tuple(done))


def _check_own(root: Path) -> None:
    """Raises StoreError for what lumienv would not use either, and for what it has never used."""
    for path in (root, *(root / kind for kind in KINDS)):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _not_ours(path, f"cannot be looked into ({(error.strerror or '').lower()})") from None
        if not stat.S_ISDIR(status.st_mode):
            raise _not_ours(path, "is no folder, but a link or a file")
        if status.st_uid != os.geteuid():
            raise _not_ours(path, f"belongs to {owner_name(status.st_uid)}")
        if path == root and stat.S_IMODE(status.st_mode) & 0o077:
            raise _not_ours(path, "is open to others, and lumienv keeps its caches closed")


def _not_ours(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} {why}, so it is no cache of yours that lumienv made",
        hint="LUMIENV_CACHE_DIR says where the cache is; without it: unset LUMIENV_CACHE_DIR",
    )


def _old(root: Path, kind: str, before: float | None) -> list[_Entry]:
    return [entry for entry in _entries(root, kind) if before is None or entry.written < before]


def _entries(root: Path, kind: str) -> Iterator[_Entry]:
    forms = [re.compile(form) for form in _KINDS[kind][1]]
    folder = root / kind
    for path in _below(folder, _DEPTH):
        name = path.relative_to(folder).as_posix()
        if any(form.fullmatch(name) for form in forms):
            with suppress(FileNotFoundError):
                yield _entry(path)
    place, begin = _UNFINISHED.get(kind, ("", ""))
    if place and (folder / place).is_dir():
        for path in abandoned(folder / place, begin):
            with suppress(FileNotFoundError):
                yield _entry(path)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """All that lies in a folder, so many levels deep; links are not followed."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda one: one.name)
        for one in inside:
            path = Path(one.path)
            yield path
            if depth > 1 and one.is_dir(follow_symlinks=False):
                yield from _below(path, depth - 1)


def _entry(path: Path) -> _Entry:
    """A file, or a folder (a git repository) as a whole: written when the youngest file in it was."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return _Entry(path, 1, status.st_size, status.st_mtime)
    files, size, written = 0, 0, status.st_mtime
    for where, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                inside = Path(where, name).lstat()
                files, size, written = files + 1, size + inside.st_size, max(written, inside.st_mtime)
    return _Entry(path, files, size, written)


def _remove(folder: Path, entries: Sequence[_Entry], alive: Callable[[], None]) -> None:
    for entry in entries:
        alive()
        remove_tree(entry.path)
        # Folders that held nothing else go, too; `wheels` itself stays.
        above = entry.path.parent
        with suppress(OSError):
            while above != folder:
                above.rmdir()
                above = above.parent


def _summed(kind: str, entries: Iterable[_Entry]) -> CacheKind:
    found = list(entries)
    return CacheKind(kind, _KINDS[kind][0], sum(one.files for one in found), sum(one.size for one in found))
