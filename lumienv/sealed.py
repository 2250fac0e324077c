"""What lumienv keeps in its caches: entries that check themselves.

An entry is a file whose first line is the sha256 of the rest. One that was cut short, damaged or half
written by a failing disk is no entry, and is made anew. Entries are replaced by rename, so that any number
of processes may use one cache. A disk that refuses to write costs speed, never the result.
"""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from lumienv.files import abandoned, own_prefix

_SEAL = 64  # hexadecimal digits of a sha256
_NEW = ".new-"
_ABANDONED = 3600.0  # seconds: no entry takes so long to write

_swept: set[Path] = set()


def read_sealed(path: Path) -> bytes | None:
    """The content of an entry, or None when there is none or it is damaged."""
    try:
        sealed = path.read_bytes()
    except OSError:
        return None
    content = memoryview(sealed)[_SEAL + 1 :]
    if hashlib.sha256(content).hexdigest().encode() != sealed[:_SEAL]:
        return None
    return bytes(content)


def write_sealed(root: Path, path: Path, content: bytes) -> bool:
    """Write an entry below `root`; False when the disk refuses.

    What killed writers have left there is removed once in a process.

    Not synced to disk as `files.write_atomically` does: a seal that does not match after a power cut only
    means a fetch, and a sync for each of a hundred pages is slow on a shared file system.
    """
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root not in _swept:
            _swept.add(root)
            for left in abandoned(root, _NEW, _ABANDONED):
                left.unlink(missing_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=own_prefix(_NEW), dir=root)
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(content).hexdigest().encode() + b"\n")
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
        return False
    return True
