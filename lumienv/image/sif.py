"""Read a SIF file's header and descriptors: is it a SIF, is it whole, and which one is it?

Layout after the SIF specification, version 01 (github.com/apptainer/sif, `pkg/sif/sif.go`): a 128-byte
header, then a table of 585-byte descriptors, all little-endian; the data objects follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from lumienv.digest import sha256
from lumienv.errors import ImageError
from lumienv.paths import Path
from lumienv.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

# launch script, magic, version, architecture, UUID; created, modified; free and all descriptors;
# offset and length of the descriptor table and of the data.
_HEADER = struct.Struct("<32s10s3s3s16sqqqqqqqq")
# data type, in use, id, group, link; offset, length, length with padding; created, modified; uid, gid;
# name, extra.
_DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
_MAGIC = b"SIF_MAGIC\0"
PARTITION = 0x4004
GENERIC_JSON = 0x4006
OVERLAY = 4
SQUASHFS = 1
PRIMARY_SYSTEM = 2
_GROUP = 0x0FFFFFFF
_EDGE = 64 * 1024
# `pkg/sif/arch.go` there, whose names are Go's; here as `uname -m` has them.
_ARCHITECTURES = {
    **{b"01": "i386", b"02": "x86_64", b"03": "armv7l", b"04": "aarch64"},
    **{b"05": "ppc64", b"06": "ppc64le", b"11": "s390x", b"12": "riscv64"},
}


@dataclass(frozen=True)
class SifFile:
    """What a SIF's first kilobytes tell."""

    identity: str
    """`sif:` and the sha256 of header, descriptors, length and the edges of each data object."""
    size: int
    """bytes"""
    architecture: str
    """as `uname -m` prints it; empty when the SIF does not say"""


@dataclass(frozen=True)
class DataObject:
    """One entry of a SIF's descriptor table."""

    kind: int
    """`PARTITION`, `GENERIC_JSON` or another of the specification's data types"""
    number: int
    group: int
    offset: int
    size: int
    """bytes"""
    name: str
    file_system: int = 0
    """of a partition: `SQUASHFS` or another"""
    role: int = 0
    """of a partition: the image's own (2), `OVERLAY`, or another"""


def read_sif(path: Path) -> SifFile:
    """Identify a SIF by reading some hundred kilobytes of it.

    Guards against change, not against forgery. Raises ImageError when `path` is missing, no SIF, or
    truncated.
    """
    with _opened(path) as file:
        return _read(file, path)


def data_objects(path: Path) -> list[DataObject]:
    """What a SIF holds, in the order of its descriptors. Raises ImageError as `read_sif` does."""
    found = []
    with _opened(path) as file:
        _, table, _ = _table(file, path)
        for entry in _DESCRIPTOR.iter_unpack(table):
            kind, used, number, group, _, offset, size = entry[:7]
            if not used:
                continue
            name, extra = entry[12].split(b"\0")[0].decode("utf-8", "replace"), entry[13]
            kinds = struct.unpack("<ii", extra[:8]) if kind == PARTITION else (0, 0)
            found.append(DataObject(kind, number, group & _GROUP, offset, size, name, *kinds))
    return found


def read_object(path: Path, item: DataObject, most: int = 1 << 20) -> bytes:
    """The bytes of a small data object; at most `most` of them. Raises ImageError as `read_sif` does."""
    with _opened(path) as file:
        file.seek(item.offset)
        return file.read(min(item.size, most))


def whole_sha256(path: Path) -> str:
    """The sha256 of the whole file, in hex: gigabytes are read. Raises ImageError as `read_sif` does."""
    from hashlib import file_digest

    with _opened(path) as file:
        return file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed: no BinaryIO


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        gone = "is a link to a file that is gone" if path.is_symlink() else "does not exist"
        raise ImageError(
            f"the image {path} {gone}",
            hint="`lumienv image list` shows the images that are there; name one under [image], or lock for\n"
            "a saved snapshot of this one: lumienv lock --snapshot FILE",
        ) from None
    except IsADirectoryError:
        raise ImageError(
            f"the image {path} is a directory; lumienv needs a SIF file",
            hint=f"make one with: singularity build image.sif {path}",
        ) from None
    except PermissionError:
        raise ImageError(f"the image {path} cannot be read: permission denied") from None
    except OSError as error:  # a link to itself, too long a name, a file system that does not answer
        raise ImageError(
            f"the image {path} cannot be read: {(error.strerror or str(error)).lower()}",
            hint="see what `ls -lL` says of it; `lumienv image list` shows the images that are there",
        ) from None


def _table(file: BinaryIO, path: Path) -> tuple[bytes, bytes, int]:
    """Header and descriptor table, whole entries alone, and the file's length in bytes."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not (fields := _HEADER.unpack(head))[1].startswith(_MAGIC[:9]):
        raise ImageError(
            f"the image {path} is not a SIF file",
            hint="lumienv works on Singularity/Apptainer image files (.sif); from another format:\n"
            f"singularity build image.sif {path}",
        )
    slots, offset, length = fields[8], fields[9], fields[10]
    if min(slots, offset, length) < 0:
        raise ImageError(f"the header of the image {path} is damaged", hint="copy it again")
    if offset + length > size:
        raise _truncated(path, size, offset + length)
    file.seek(offset)
    table = file.read(min(length, slots * _DESCRIPTOR.size))
    return head, table[: len(table) // _DESCRIPTOR.size * _DESCRIPTOR.size], size


def _read(file: BinaryIO, path: Path) -> SifFile:
    head, table, size = _table(file, path)
    digest = sha256(head + table + size.to_bytes(8, "little"))
    architecture = ""
    for entry in _DESCRIPTOR.iter_unpack(table):
        kind, used, start, stored, extra = entry[0], entry[1], entry[5], entry[6], entry[13]
        if not used:
            continue
        if start < 0 or stored < 0:
            raise ImageError(f"the descriptors of the image {path} are damaged", hint="copy it again")
        if start + stored > size:
            raise _truncated(path, size, start + stored)
        file.seek(start)
        digest.update(file.read(min(_EDGE, stored)))
        file.seek(start + max(0, stored - _EDGE))
        digest.update(file.read(min(_EDGE, stored)))
        if kind == PARTITION and int.from_bytes(extra[4:8], "little") == PRIMARY_SYSTEM:
            architecture = _ARCHITECTURES.get(extra[8:10], "")
    return SifFile(f"sif:{digest.hexdigest()}", size, architecture)


def _truncated(path: Path, size: int, least: int) -> ImageError:
    return ImageError(
        f"the image {path} is truncated: it has {size} of at least {least} bytes", hint="copy it again"
    )
