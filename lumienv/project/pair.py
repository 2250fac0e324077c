"""lumienv.toml and its lock, exchanged together: whoever is killed leaves both as they were, or both new.

No file system exchanges two files at once. So the new lock is laid beside the old one first; then
lumienv.toml is exchanged by one rename, which decides; then the lock is. Killed between the two, the next
`lock` or `sync` finds the lock that lies beside, sees that it was made from this lumienv.toml, and puts it in
its place.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import LumienvError, ManifestError
from lumienv.files import write_atomically
from lumienv.lockfile import read_lock
from lumienv.manifest import Manifest


def exchange(manifest: Path, before: bytes, after: bytes, lock: Path, locked: bytes | None) -> None:
    """Write `after` to `manifest` and `locked`, unless it is None, to `lock`: both, or neither.

    Raises ManifestError when `manifest` is no longer what it was `before`; OSError.
    """
    lock = written_at(lock)
    staged = _beside(lock)
    manifest = manifest.resolve()  # a link stays one
    try:
        if locked is not None:
            write_atomically(staged, locked, mode=_mode(lock))
        _check_unchanged(manifest, before)
        if after != before:
            write_atomically(manifest, after)
        if locked is not None:
            _put_in_place(staged, lock, manifest, before)
    except BaseException:  # Ctrl-C may come between any two of these
        if after != before and manifest.read_bytes() == after and staged.exists():
            staged.replace(lock)
        staged.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Pair:
    """The bytes of both files; None where there is no lock."""

    manifest: bytes
    lock: bytes | None


def read_pair(manifest: Path, lock: Path) -> Pair:
    """What both files hold. Raises OSError."""
    try:
        return Pair(manifest.read_bytes(), lock.read_bytes())
    except FileNotFoundError:
        return Pair(manifest.read_bytes(), None)


def put_back(manifest: Path, lock: Path, before: Pair, after: Pair) -> bool:
    """Have both files again as they were `before`, and say whether that was done.

    Not where they are no longer what they were `after` the edit: somebody else has changed them meanwhile.
    Raises OSError.
    """
    if read_pair(manifest, lock) != after:
        return False
    exchange(manifest, after.manifest, before.manifest, lock, before.lock)
    if before.lock is None:
        written_at(lock).unlink(missing_ok=True)
    return True


def finish(manifest: Manifest, lock: Path) -> None:
    """Put the lock in its place that a killed `exchange` has left beside it, where it is of this manifest."""
    lock = written_at(lock)
    staged = _beside(lock)
    if not staged.exists():
        return
    with suppress(LumienvError, OSError):
        found = read_lock(staged)
        if found is not None and found.inputs == manifest.inputs_digest():
            staged.replace(lock)


def forget(manifest: Manifest, lock: Path) -> None:
    """`finish`, and remove what is left of an exchange that never came to be: for the only one at work."""
    finish(manifest, lock)
    with suppress(OSError):
        _beside(written_at(lock)).unlink(missing_ok=True)


def written_at(lock: Path) -> Path:
    """Where the lock is written: where a link leads, which stays one, as long as there is a lock.

    A link to anything else is replaced: it may have come with a clone, and lead to a file of the user's.
    """
    if lock.is_symlink():
        with suppress(LumienvError, OSError):
            if read_lock(lock) is not None:
                return Path(os.path.realpath(lock))
    return lock


def _check_unchanged(manifest: Path, before: bytes) -> None:
    if manifest.read_bytes() != before:
        raise ManifestError(
            f"{manifest.name} was changed by somebody else meanwhile",
            hint="what they wrote stays as it is; look at it, and try again",
        )


def _put_in_place(staged: Path, lock: Path, manifest: Path, before: bytes) -> None:
    try:
        with suppress(FileNotFoundError):  # a `lumienv lock` that came in between has finished it
            staged.replace(lock)
    except OSError:
        write_atomically(manifest, before)
        raise


def _beside(lock: Path) -> Path:
    return lock.with_name(f".{lock.name}-edited")


def _mode(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_mode & 0o7777
    return None
