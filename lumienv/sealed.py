"""What lumienv keeps in its caches: entries that check themselves.

An entry is a file whose first line is the sha256 of the rest. One that was cut short, damaged or half
written by a failing disk is no entry, and is made anew. Entries are replaced by rename, so that any number
of processes may use one cache. A disk that refuses to write costs speed, never the result.
"""

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_SEAL = 64  # hexadecimal digits of a sha256
_NEW = ".new-"
_ABANDONED = 3600.0  # seconds: no entry takes so long to write


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

    Not synced to disk as `files.write_atomically` does: a seal that does not match after a power cut only
    means a fetch, and a sync for each of a hundred pages is slow on a shared file system.
    """
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_NEW, dir=root)
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


def sweep(root: Path) -> None:
    """Remove what writers that were killed have left below `root`; what may still be written to stays."""
    with suppress(OSError):
        for path in root.glob(f"{_NEW}*"):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
