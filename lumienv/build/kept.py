"""What was built once is not built again: notes of prepared metadata and of wheels, in the cache.

A note holds for exactly what was built (a hash or a commit), and for the image, its Python and its compilers.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import private_directory
from lumienv.image.snapshot import Snapshot
from lumienv.index.metadata import CoreMetadata, from_json, to_json
from lumienv.sealed import read_sealed, write_sealed

# Raised whenever the same sources may give other metadata or another wheel because builds changed.
BUILD_SCHEMA = 1


class Notes:
    """The notes in `cache` that hold for the base of `snapshot`."""

    def __init__(self, cache: Path, snapshot: Snapshot) -> None:
        self._root = cache / "builds"
        python = snapshot.python
        self._base = [
            snapshot.image.identity or snapshot.frozen_digest(),
            python.version,
            python.executable,
            sorted(snapshot.compilers.items()),
            sorted(snapshot.activation.set.items()),
        ]

    def metadata(self, what: Sequence[str]) -> CoreMetadata | None:
        """The metadata of `what`, whether it was stated or prepared."""
        for key in (self._key("stated", what), self._key("metadata", what)):
            content = read_sealed(key)
            with suppress(ValueError, TypeError):
                if content is not None:
                    return from_json(content)
        return None

    def note_metadata(self, what: Sequence[str], metadata: CoreMetadata, *, stated: bool) -> None:
        """Remember it; metadata that is stated holds for every image."""
        self._write(self._key("stated" if stated else "metadata", what), to_json(metadata))

    def wheel(self, what: Sequence[str]) -> tuple[str, str] | None:
        """File name and sha256 of the wheel that was built of `what`."""
        content = read_sealed(self._key("wheel", what))
        with suppress(ValueError, TypeError):
            if content is not None:
                filename, sha256 = json.loads(content)
                return str(filename), str(sha256)
        return None

    def note_wheel(self, what: Sequence[str], filename: str, sha256: str) -> None:
        """Remember where the wheel lies in the wheelhouse."""
        self._write(self._key("wheel", what), json.dumps([filename, sha256]).encode())

    def _key(self, kind: str, what: Sequence[str]) -> Path:
        base = [] if kind == "stated" else self._base
        text = json.dumps([BUILD_SCHEMA, kind, list(what), base])
        return self._root / hashlib.sha256(text.encode()).hexdigest()

    def _write(self, path: Path, content: bytes) -> None:
        with suppress(OSError, StoreError):  # a cache that cannot be used costs time, nothing else
            write_sealed(private_directory(self._root), path, content)
