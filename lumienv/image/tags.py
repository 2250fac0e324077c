"""The wheel tags that an image's Python accepts, worked out from what its probe reports.

`packaging.tags` knows the order of tags; the platforms have to come from the image's C library, not from
that of the machine lumienv runs on (PEP 600 for glibc, PEP 656 for musl).
"""

from collections.abc import Mapping
from typing import Any

from packaging.tags import compatible_tags, cpython_tags

# PEP 600: the older names of these glibc versions.
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The first glibc that manylinux knows, by machine (PEP 513 for x86, PEP 599 for the others).
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}


def wheel_tags(version: str, abi: Mapping[str, Any]) -> tuple[str, ...]:
    """All tags, the most preferred first, for CPython `version` with the probe's `abi` facts."""
    major, minor = (int(part) for part in version.split(".")[:2])
    suffix = ("t" if abi["free_threaded"] else "") + ("d" if abi["debug"] else "")
    suffix += "m" if (major, minor) < (3, 8) else ""  # pymalloc, PEP 3149; gone with CPython 3.8
    abis = [f"cp{major}{minor}{suffix}"]
    machine = "i686" if abi["bits"] == 32 and abi["machine"] == "x86_64" else abi["machine"]
    platforms = _platforms(abi["libc"], machine)
    tags = [
        *cpython_tags((major, minor), abis, platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    ]
    return tuple(str(tag) for tag in tags)


def _platforms(libc: list[str], machine: str) -> list[str]:
    name, version = libc
    platforms = []
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    if name == "glibc" and len(numbers) == 2 and numbers[0] == 2:
        for minor in range(numbers[1], _OLDEST_GLIBC.get(machine, 17) - 1, -1):
            platforms.append(f"manylinux_2_{minor}_{machine}")
            if minor in _LEGACY and (minor == 17 or machine in _OLDEST_GLIBC):
                platforms.append(f"{_LEGACY[minor]}_{machine}")
    elif name == "musl" and len(numbers) == 2:
        platforms += [f"musllinux_{numbers[0]}_{minor}_{machine}" for minor in range(numbers[1], -1, -1)]
    return [*platforms, f"linux_{machine}"]
