"""METADATA out of a wheel of which only parts are at hand.

A zip file has its table of contents at its end, and a wheel has METADATA just before it (PEP 427 recommends
so): mostly the last 64 KiB hold both. The table is walked here, as `zipfile` makes an object of each entry:
15 ms for the 2,400 files of transformers, where this takes 1 ms, and a cold lock reads dozens of wheels.

Zip format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
"""

import struct
import zlib
from collections.abc import Callable

from lumienv.errors import BrokenReleaseError
from lumienv.index.metadata import same_project

TAIL = 1 << 16  # bytes; also covers the longest comment that an archive can end with
_LARGEST_METADATA = 16 << 20  # bytes; a longer one is a decompression bomb
_LARGEST_TABLE = 256 << 20  # bytes

# Reads `length` bytes from `start`; fewer only at the end of the file.
Read = Callable[[int, int], bytes]


class BrokenWheelError(BrokenReleaseError):
    """The wheel cannot be read as one."""


def metadata_in_wheel(read: Read, size: int, filename: str) -> bytes:
    """The content of METADATA in the wheel `filename` of `size` bytes.

    Raises BrokenWheelError for something that is no wheel of that name.
    """
    try:
        return _metadata(read, size, filename)
    except (struct.error, zlib.error, IndexError) as error:
        raise _broken(filename, "it is no zip archive, or a damaged one") from error


def _broken(filename: str, reason: str) -> BrokenWheelError:
    return BrokenWheelError(
        f"cannot read the metadata of {filename}: {reason}",
        hint="choose another version, and tell those who run the index",
    )


def _metadata(read: Read, size: int, filename: str) -> bytes:
    table_start, table_size = _table(read, size, filename)
    if table_size > _LARGEST_TABLE:
        raise _broken(filename, "its table of contents is absurdly long")
    if table_start < size - TAIL:
        # Behind METADATA comes RECORD, whose packed size goes with that of the table (together 0.52 of it
        # in transformers 5.9): one request for all, where METADATA would take another round trip.
        around = max(0, table_start - table_size * 3 // 4 - (8 << 10))
        read(around, table_start + table_size - around)
    table = read(table_start, table_size)
    project = filename.partition("-")[0]
    found: list[int] = []
    other: str | None = None
    at = 0
    while table[at : at + 4] == b"PK\x01\x02":
        name_length, extra_length, comment_length = struct.unpack_from("<3H", table, at + 28)
        name_end = at + 46 + name_length
        if table[name_end - 19 : name_end] == b".dist-info/METADATA":
            directory = table[at + 46 : name_end - 19].decode("utf-8", "replace")
            if "/" not in directory:
                if same_project(directory.partition("-")[0], project):
                    found.append(at)
                else:
                    other = directory
        at = name_end + extra_length + comment_length
    if at != table_size:
        raise _broken(filename, "its table of contents is damaged")
    if len(found) == 1:
        return _member(read, table, found[0], filename)
    if found:
        raise _broken(filename, "it has two METADATA files")
    if other is not None:
        raise _broken(filename, f"its metadata is that of {other}")
    raise _broken(filename, "it has no METADATA")


def _table(read: Read, size: int, filename: str) -> tuple[int, int]:
    """Start and length of the table of contents, from the record at the archive's end."""
    tail_start = max(0, size - TAIL)
    tail = read(tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise _broken(filename, "it is no zip archive, or a damaged one")
    table_size, table_start = struct.unpack_from("<2I", tail, at + 12)
    if 0xFFFFFFFF in (table_size, table_start):
        # zip64: a locator stands before the record and says where the larger record is.
        signature, _, record, _ = struct.unpack_from("<4sIQI", tail, at - 20)
        if signature != b"PK\x06\x07" or record + 56 > size:
            raise _broken(filename, "it is a damaged zip archive")
        table_size, table_start = struct.unpack_from("<2Q", read(record, 56), 40)
    if table_start + table_size > size:
        raise _broken(filename, "it is cut short")
    return table_start, table_size


def _member(read: Read, table: bytes, at: int, filename: str) -> bytes:
    """The content of the entry that is described at `at` of the table."""
    flags, method = struct.unpack_from("<2H", table, at + 8)
    crc, packed_size, true_size = struct.unpack_from("<3I", table, at + 16)
    name_length, extra_length = struct.unpack_from("<2H", table, at + 28)
    (start,) = struct.unpack_from("<I", table, at + 42)
    if start == 0xFFFFFFFF:
        extra = table[at + 46 + name_length : at + 46 + name_length + extra_length]
        start = _zip64_start(extra, (packed_size == 0xFFFFFFFF) + (true_size == 0xFFFFFFFF))
    if flags & 1 or method not in (0, 8) or max(packed_size, true_size) > _LARGEST_METADATA:
        raise _broken(filename, "its METADATA is packed in a way that wheels do not use")
    # The header in front of the content repeats the name and has an extra field of its own length.
    head = read(start, 30 + name_length + extra_length + packed_size)
    if head[:4] != b"PK\x03\x04":
        raise _broken(filename, "it is a damaged zip archive")
    local_name, local_extra = struct.unpack_from("<2H", head, 26)
    begin = 30 + local_name + local_extra
    if begin + packed_size > len(head):
        head = read(start, begin + packed_size)
    packed = head[begin : begin + packed_size]
    content = packed
    if method == 8:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _LARGEST_METADATA)
    if len(content) != true_size or zlib.crc32(content) != crc:
        raise _broken(filename, "its METADATA is damaged")
    return content


def _zip64_start(extra: bytes, skipped: int) -> int:
    """The entry's position from its zip64 extra field, which holds only the values that did not fit."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return int(struct.unpack_from("<Q", extra, at + 4 + 8 * skipped)[0])
        at += 4 + length
    raise IndexError("no zip64 field")
