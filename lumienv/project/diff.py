"""What changed from one lock to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import LockError
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, parse_lock, read_lock
from lumienv.project import Project


@dataclass(frozen=True)
class Changes:
    """Of packages, by name: as the lock calls their states, before and after."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    changed: Mapping[str, tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class LockDiff:
    """Two locks, compared."""

    old: str
    """what the older one is called: a path, or a revision"""
    new: str
    image: tuple[str, str]
    """the image's name before and after"""
    rebuilt: bool
    """whether the image, or what is in it, is another one although its name is the same"""
    python: tuple[str, str]
    """the image's Python before and after; empty where a lock does not say"""
    packages: Changes
    files: tuple[str, ...]
    """packages whose version is the same, and the file that is installed is not"""
    provided: Changes
    """the image packages that the lock rests on"""


def diff_files(old: Path, new: Path) -> LockDiff:
    """Compare two lock files. Raises LockError."""
    return _compared(str(old), _read(old), str(new), _read(new))


def diff_project(project: Project, old: Path | None, revision: str) -> LockDiff:
    """Compare the project's lock with an older one: a file, or what git has of it at a revision.

    Raises LockError, UsageError.
    """
    new = _read(project.lock_path)
    if old is not None:
        return _compared(str(old), _read(old), LOCK_NAME, new)
    from lumienv.build.history import committed

    before = parse_lock(committed(project.lock_path, revision).encode(), Path(f"{LOCK_NAME} of {revision}"))
    return _compared(revision, before, LOCK_NAME, new)


def _read(path: Path) -> Lock:
    lock = read_lock(path)
    if lock is None:
        own = path.name == LOCK_NAME
        raise LockError(
            f"there is no lock {path}", hint="make it: lumienv lock" if own else "name a file that is there"
        )
    return lock


def _compared(old: str, before: Lock, new: str, after: Lock) -> LockDiff:
    labels = before.labels(), after.labels()
    same = sorted(name for name in labels[0].keys() & labels[1].keys() if labels[0][name] == labels[1][name])
    digests = _digests(before), _digests(after)
    other_identity = bool(before.identity and after.identity) and before.identity != after.identity
    return LockDiff(
        old,
        new,
        (before.image, after.image),
        before.image == after.image and (other_identity or before.frozen != after.frozen),
        (before.python(), after.python()),
        _changes(*labels),
        tuple(name for name in same if digests[0].get(name) != digests[1].get(name)),
        _changes(before.provided, after.provided),
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    return Changes(
        {name: after[name] for name in sorted(after.keys() - before.keys())},
        {name: before[name] for name in sorted(before.keys() - after.keys())},
        {
            name: (before[name], after[name])
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        },
    )


def _digests(lock: Lock) -> dict[str, list[str]]:
    """name → the hashes of its files."""
    return {
        str(package.name): [
            file.hashes["sha256"].lower()
            for file in (*(package.wheels or ()), package.sdist, package.archive)
            if file is not None
        ]
        for package in lock.pylock.packages
    }
