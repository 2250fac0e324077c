"""What the wheels of a release lack to run on an image, read from their tags."""

import re
from collections.abc import Iterable, Sequence

from lumienv.resolve.candidates import Platform

_LINUX = re.compile(r"(?:many|musl)?linux|any$")
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
_LEGACY = {"manylinux2014": (2, 17), "manylinux2010": (2, 12), "manylinux1": (2, 5)}
_CPYTHON = re.compile(r"cp(\d)(\d+)$")

Glibc = tuple[int, int]


def on_linux(found: str) -> str:
    """Of the wheels that `found` tells of those for Linux; all where there are none."""
    parts = [
        (pythons, [one for one in platforms if _LINUX.match(one)]) for pythons, platforms in _parts(found)
    ]
    told = [f"{', '.join(pythons)} on {', '.join(platforms)}" for pythons, platforms in parts if platforms]
    return "; ".join(told) or found


def lacking(found: str, platform: Platform) -> str:
    """What a release lacks, of which `found` tells the wheels; "" where that is not clear.

    `cp311 on macosx_11_0_arm64, win_amd64; cp312 on win_amd64` has `none for Linux`.
    """
    linux = [part for part in _parts(found) if any(_LINUX.match(one) for one in part[1])]
    if not linux:
        return "none for Linux"
    ours = [platforms for pythons, platforms in linux if _for_python(pythons, platform)]
    if not ours:
        return f"none for Python {platform.python.major}.{platform.python.minor}"
    wanted, have = [_glibc_wanted(platforms) for platforms in ours], _glibc_of(platform)
    needed = min((one for one in wanted if one is not None), default=None)
    if needed and have and None not in wanted and needed > have:
        return f"for glibc {_dotted(needed)} or newer, and the image has {_dotted(have)}"
    return ""


def least_wanted(found: Sequence[str], platform: Platform) -> str:
    """What an image would need to have, to run one of these releases at least; "" if unclear."""
    have = _glibc_of(platform)
    libraries: list[Glibc] = []
    versions: list[tuple[int, int]] = []
    for pythons, platforms in (part for one in found for part in _parts(one)):
        if not any(_LINUX.match(one) for one in platforms):
            continue
        if _for_python(pythons, platform):
            needed = _glibc_wanted(platforms)
            libraries += [needed] if needed and have and needed > have else []
        else:
            versions += [(int(m[1]), int(m[2])) for one in pythons if (m := _CPYTHON.match(one))]
    if libraries:
        return f"glibc {_dotted(min(libraries))} or newer"
    return f"Python {_dotted(max(versions))}" if versions else ""


def _parts(found: str) -> list[tuple[list[str], list[str]]]:
    """The Python tags and the platform tags of each part."""
    parts = (part.partition(" on ") for part in found.split("; "))
    return [(pythons.split(", "), platforms.split(", ")) for pythons, _, platforms in parts]


def _for_python(pythons: Iterable[str], platform: Platform) -> bool:
    """Whether a wheel with one of these tags may run on the image's Python."""
    own = (str(platform.python.major), str(platform.python.minor))
    return any((match := _CPYTHON.match(one)) is None or match.groups() == own for one in pythons)


def _glibc_wanted(platforms: Iterable[str]) -> Glibc | None:
    """The oldest C library that wheels for these platforms run with; None where one of them names none."""
    linux = [one for one in platforms if _LINUX.match(one)]
    named = [found for one in linux if (found := _glibc_in(one)) is not None]
    return min(named) if named and len(named) == len(linux) else None


def _glibc_of(platform: Platform) -> Glibc | None:
    """The image's C library, as far as its tags tell."""
    platforms = {tag.rpartition("-")[2] for tag in platform.ranks}
    return max((found for one in platforms if (found := _glibc_in(one)) is not None), default=None)


def _glibc_in(tag: str) -> Glibc | None:
    match = _GLIBC.match(tag)
    return (int(match[1]), int(match[2])) if match else _LEGACY.get(tag.partition("_")[0])


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
