"""Small files in the SIF format, written after its specification (github.com/apptainer/sif, pkg/sif)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

ARCHITECTURES = {
    "i386": b"01",
    "x86_64": b"02",
    "armv7l": b"03",
    "aarch64": b"04",
    "ppc64le": b"06",
    "s390x": b"11",
}
HEADER_SIZE = 128
DESCRIPTOR_SIZE = 585
PARTITION = 0x4004
LABELS = 0x4003
SLOTS = 48


@dataclass(frozen=True)
class DataObject:
    """One data object; `primary` marks the partition that holds the root file system."""

    content: bytes
    kind: int = PARTITION
    primary: bool = True
    name: str = "object"


def sif(objects: Sequence[DataObject], *, machine: str = "x86_64", uuid: bytes = b"U" * 16) -> bytes:
    """The bytes of a SIF with these data objects, each aligned to 4096 bytes."""
    architecture = ARCHITECTURES[machine] + b"\0"
    table_at = 4096
    position = 32768
    descriptors, body = b"", b""
    for number, item in enumerate(objects, start=1):
        padding = -position % 4096
        body += bytes(padding)
        position += padding
        extra = struct.pack("<ii3s", 1, 2 if item.primary else 3, architecture)
        extra = extra if item.kind == PARTITION else b""
        descriptors += struct.pack(
            "<i?IIIqqqqqqq128s384s",
            *(item.kind, True, number, 0xF0000001, 0),
            *(position, len(item.content), len(item.content) + padding, 1_700_000_000, 1_700_000_000, 0, 0),
            *(item.name.encode(), extra),
        )
        body += item.content
        position += len(item.content)
    table = descriptors + bytes(DESCRIPTOR_SIZE * (SLOTS - len(objects)))
    header = struct.pack(
        "<32s10s3s3s16sqqqqqqqq",
        *(b"#!/usr/bin/env run-singularity\n", b"SIF_MAGIC\0", b"01\0", architecture, uuid),
        *(1_700_000_000, 1_700_000_000, SLOTS - len(objects), SLOTS),
        *(table_at, len(table), 32768, len(body)),
    )
    start = header + bytes(table_at - len(header)) + table
    return start + bytes(32768 - len(start)) + body
