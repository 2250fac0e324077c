"""Is there room for an environment, before it is written: bytes and files, where each carrier needs them.

Free space is what the file system grants; a quota on Lustre is not seen here and shows when it is reached.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.overlay.wheel_contents import opened_wheel

# A small file takes a whole block, on ext4, XFS and tmpfs alike.
_BLOCK = 4096
# Beside the packages: the interpreter's links, the image's scripts, what describes a generation.
_BASIS = 400_000
_BASIS_FILES = 150
# An estimate: bytecode is about as large as its source, and packed by a half.
_PACKED_BYTECODE = 0.5
# What a wheel's compression leaves, squashfs leaves too; its blocks are cut anew.
_PACKED_WHEEL = 1.1
# gzip makes a third of an image, of LUMI's as of Debian's.
UNPACKED = 3
ENVIRONMENT = "the environment"


@dataclass(frozen=True)
class Size:
    """What something takes on a disk."""

    bytes: int
    files: int = 1

    def __add__(self, other: "Size") -> "Size":
        return Size(self.bytes + other.bytes, self.files + other.files)


@dataclass(frozen=True)
class Need:
    """What is about to be written to one place."""

    place: Path
    size: Size
    what: str
    """what it is written for: `the environment`, `packing it`"""
    remedy: str


def check_room(
    mode: str, builder: str, wheels: Collection[Path], base_size: int, store: Path, scratch: Path
) -> None:
    """Raises StoreError when an environment of these wheels cannot fit.

    `builder` counts in the mode `sif` alone, as does `base_size`, the image's in bytes. `store` and `scratch`
    may be folders that are yet to be made.
    """
    needs = needs_of(mode, builder, wheels, base_size, store, scratch)
    check_needs(needs, ENVIRONMENT)


def check_needs(needs: Collection[Need], what: str) -> None:
    """Raises StoreError when `what` (`the image`) does not fit into one of the places."""
    for together in _by_file_system(needs):
        _check(together, what)


def needs_of(
    mode: str, builder: str, wheels: Collection[Path], base_size: int, store: Path, scratch: Path
) -> list[Need]:
    """What a sync writes, and where; an estimate that is rather too high than too low."""
    tree, packed = _sizes(wheels)
    elsewhere = "choose another place with [sync] store"
    in_scratch = "name another place in TMPDIR"
    if mode == "venv":
        return [Need(store, tree, ENVIRONMENT, elsewhere)]
    build = Need(scratch, tree, "building the environment", in_scratch)
    if mode == "squashfs":
        return [build, Need(store, packed, "the squashfs file", elsewhere)]
    image = Need(store, Size(base_size) + packed, "the image", elsewhere)
    if builder == "append":
        return [build, Need(scratch, packed, "packing it", in_scratch), image]
    unpacked = Need(scratch, Size(UNPACKED * base_size), "unpacking the base image", in_scratch)
    # The runtime packs a copy of the unpacked image with the tree in it, and all three lie in scratch then.
    again = Need(scratch, Size((UNPACKED + 1) * base_size) + tree + packed, "packing it", in_scratch)
    return [unpacked, build, again, image]


def _sizes(wheels: Collection[Path]) -> tuple[Size, Size]:
    """Of a tree with these wheels, and of the squashfs file that is made of it."""
    bytes_, files, packed = _BASIS, _BASIS_FILES, float(_BASIS)
    for path in wheels:
        folders = set()
        with opened_wheel(path) as wheel:
            for member in wheel.infolist():
                bytes_ += _on_disk(member.file_size)
                files += 1
                folders.add(member.filename.rpartition("/")[0])
                packed += member.compress_size * _PACKED_WHEEL
                if member.filename.endswith(".py"):
                    bytes_ += _on_disk(member.file_size)
                    files += 1
                    packed += member.file_size * _PACKED_BYTECODE
        # uv unpacks into folders of its own and links the files from there; __pycache__ is one more each.
        bytes_ += 3 * _BLOCK * len(folders)
        files += 3 * len(folders)
    return Size(bytes_, files), Size(int(packed))


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _by_file_system(needs: Collection[Need]) -> Iterator[list[Need]]:
    """The needs of each file system: what is written to two places of one adds up."""
    found: dict[int, list[Need]] = {}
    for need in needs:
        found.setdefault(_existing(need.place).stat().st_dev, []).append(need)
    yield from found.values()


def _existing(place: Path) -> Path:
    """The place, or the nearest folder above it that is there."""
    return next(path for path in (place, *place.parents) if path.exists())


def _check(needs: list[Need], wanted: str) -> None:
    place = max(needs, key=lambda need: need.size.bytes).place
    size = sum((need.size for need in needs), Size(0, 0))
    disk = os.statvfs(_existing(place))
    free = disk.f_bavail * disk.f_frsize
    remedies = ", or ".join(dict.fromkeys(need.remedy for need in needs))
    what = " and ".join(dict.fromkeys(need.what for need in needs))
    if size.bytes > free:
        raise StoreError(
            f"there is not enough room for {wanted}",
            f"{place} has {_amount(free)} left; {what}: about {_amount(size.bytes)}",
            hint=f"free some space, or {remedies}; nothing was changed",
        )
    # Some file systems (btrfs, FUSE ones) count no files, and say 0 of 0.
    if disk.f_files and size.files > disk.f_favail:
        raise StoreError(
            "there is no room for so many files",
            f"{place} can take {disk.f_favail} more; {what}: about {size.files}",
            hint=f"use one file instead: lumienv sync --mode squashfs; or {remedies}; nothing was changed"
            if needs[0].what == ENVIRONMENT
            else f"remove some files, or {remedies}; nothing was changed",
        )


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
