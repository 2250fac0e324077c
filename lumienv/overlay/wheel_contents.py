"""What is in a wheel of the wheelhouse, looked at before anything is built of it."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path

from packaging.utils import canonicalize_name

from lumienv.errors import BrokenReleaseError

# What zipfile raises for an archive that is damaged, has a password, or is packed in a way it cannot undo.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
)


@contextmanager
def opened_wheel(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """The archive that a wheel is. Raises BrokenReleaseError when it is none, then or while it is read.

    A lock can have such a file, as an index may tell metadata beside it (PEP 658): its hash is right.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except _BROKEN as error:
        name, version = wheel.name.split("-")[:2]
        raise BrokenReleaseError(
            f"{wheel.name} cannot be installed: it is no zip archive, or a damaged one",
            hint=f'take another release: [resolve] constraints = ["{canonicalize_name(name)}!={version}"]\n'
            "and tell those who offer this file",
        ) from error
