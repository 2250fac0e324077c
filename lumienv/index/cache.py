"""What the index room keeps on disk: project pages and core metadata, as sealed entries."""

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from lumienv.files import private_directory
from lumienv.sealed import read_sealed, write_sealed

_TRIAL = 8  # reads before the cache may be called slow
_SLOW = 0.001  # seconds a read, on average: a local disk takes a tenth of that


class IndexCache:
    """The cache directory: `pages/<index>/<name>` and `metadata/<first two digits>/<digest>`.

    Without a directory it remembers nothing. Raises StoreError for a directory that is not this user's.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._reads = 0
        self._seconds = 0.0
        if root is not None:
            with suppress(OSError):  # a read-only place: nothing is kept, everything else works
                private_directory(root)

    def page(self, index: str, name: str) -> bytes | None:
        """What was kept for the page of `name` on the index with this URL."""
        return self._read("pages", _digest(index)[:16], name)

    def keep_page(self, index: str, name: str, content: bytes) -> None:
        """Keep a page, replacing an older one."""
        self._write(content, "pages", _digest(index)[:16], name)

    def projects(self, index: str) -> list[str]:
        """The normalised names of the projects that pages of this index are kept for, existing or not."""
        if self.root is None:
            return []
        with suppress(OSError):
            return sorted(path.name for path in (self.root / "pages" / _digest(index)[:16]).iterdir())
        return []

    def metadata(self, sha256: str, url: str) -> bytes | None:
        """What was kept as the core metadata of a wheel.

        The URL counts too (without its query): metadata read from a part of the file is not covered by the
        file's hash, so one index must not be able to plant it for another.
        """
        return self._read("metadata", *_metadata_key(sha256, url))

    def keep_metadata(self, sha256: str, url: str, content: bytes) -> None:
        """Keep core metadata; it never expires, as the file it belongs to cannot change."""
        self._write(content, "metadata", *_metadata_key(sha256, url))

    @property
    def slow(self) -> bool:
        """Whether entries take long to read, as on a shared file system on a bad day: then threads should."""
        return self._reads >= _TRIAL and self._seconds > _SLOW * self._reads

    def _read(self, *names: str) -> bytes | None:
        if self.root is None:
            return None
        began = time.perf_counter()
        content = read_sealed(self.root.joinpath(*names))
        self._reads += 1
        self._seconds += time.perf_counter() - began
        return content

    def _write(self, content: bytes, *names: str) -> None:
        if self.root is not None:
            write_sealed(self.root, self.root.joinpath(*names), content)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata_key(sha256: str, url: str) -> tuple[str, str]:
    key = _digest(f"{sha256}\n{url.partition('?')[0]}")
    return key[:2], key
