"""What the index room keeps on disk: entries that check themselves.

An entry is a file whose first line is the sha256 of the rest. One that was cut short, damaged or half
written by a failing disk is no entry, and is fetched again. Entries are replaced by rename, so that any
number of processes may use one cache. A disk that refuses to write costs speed, never the result.
"""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from lumienv.files import private_directory

_SEAL = 64  # hexadecimal digits of a sha256


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
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=root)
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


class IndexCache:
    """The cache directory: `pages/<index>/<name>` and `metadata/<first two digits>/<digest>`.

    Without a directory it remembers nothing. Raises StoreError for a directory that is not this user's.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        if root is not None:
            with suppress(OSError):  # a read-only place: nothing is kept, everything else works
                private_directory(root)

    def page(self, index: str, name: str) -> bytes | None:
        """What was kept for the page of `name` on the index with this URL."""
        return self._read("pages", _digest(index)[:16], name)

    def keep_page(self, index: str, name: str, content: bytes) -> None:
        """Keep a page, replacing an older one."""
        self._write(content, "pages", _digest(index)[:16], name)

    def metadata(self, sha256: str, url: str) -> bytes | None:
        """What was kept as the core metadata of a wheel.

        The URL counts too (without its query): metadata read from a part of the file is not covered by the
        file's hash, so one index must not be able to plant it for another.
        """
        return self._read("metadata", *_metadata_key(sha256, url))

    def keep_metadata(self, sha256: str, url: str, content: bytes) -> None:
        """Keep core metadata; it never expires, as the file it belongs to cannot change."""
        self._write(content, "metadata", *_metadata_key(sha256, url))

    def _read(self, *names: str) -> bytes | None:
        return None if self.root is None else read_sealed(self.root.joinpath(*names))

    def _write(self, content: bytes, *names: str) -> None:
        if self.root is not None:
            write_sealed(self.root, self.root.joinpath(*names), content)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata_key(sha256: str, url: str) -> tuple[str, str]:
    key = _digest(f"{sha256}\n{url.partition('?')[0]}")
    return key[:2], key
