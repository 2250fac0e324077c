"""Which modules of the image would the wheels hide? Asked before anything is built, from their file lists."""

import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from lumienv.errors import StoreError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.lockfile import LockedWheel
from lumienv.overlay.wheel_contents import opened_wheel

# Folders that many wheels install at top level by mistake; nobody imports them from elsewhere.
NOBODYS = frozenset({"tests", "test", "testing", "docs", "doc", "examples", "benchmarks", "scripts", "tools"})

# A package that lets others add to it (pkgutil, pkg_resources): having it twice hides nothing.
_SHARED = (b"extend_path", b"declare_namespace")


def check_modules(
    wheels: Sequence[LockedWheel], files: Mapping[str, Path], snapshot: Snapshot, replace: Collection[str]
) -> None:
    """Hold the modules that each wheel would bring against those that the image's packages own.

    `files` has the path of each wheel by its sha256. Names count, not layouts: `x.py` hides `x/` as well.
    Raises StoreError, with both distributions and the ways out; BrokenReleaseError for what is no wheel.
    """
    owners: dict[str, ImagePackage] = {}
    for package in snapshot.packages:
        if canonicalize_name(package.name) not in replace:
            for module in package.modules:
                owners.setdefault(module, package)
    hidden = [
        (wheel, module, owners[module])
        for wheel in wheels
        if wheel.name not in replace
        for module in modules_of(files[wheel.sha256])
        if module in owners and module not in NOBODYS
    ]
    if hidden:
        raise StoreError(
            f"the environment would hide modules of {snapshot.image.name}, so it was not made",
            *(
                f"{wheel.name} {wheel.version} would hide {owner.name} {owner.version} of the image: "
                f"both have the module {module}"
                for wheel, module, owner in hidden
            ),
            hint=_ways_out(hidden),
        )


def _ways_out(hidden: Sequence[tuple[LockedWheel, str, ImagePackage]]) -> str:
    omitted = ", ".join(f'"{name}"' for name in dict.fromkeys(wheel.name for wheel, _, _ in hidden))
    shadowed = ", ".join(f'"{name}"' for name in dict.fromkeys(owner.name for _, _, owner in hidden))
    return (
        f"to use the image's: [resolve] omit = [{omitted}]\n"
        f"to let the overlay hide it: [resolve] replace = [{shadowed}]"
    )


def modules_of(wheel: Path) -> list[str]:
    """The top-level modules that imports would find in a wheel's files: regular packages and plain modules.

    A folder without `__init__` is a namespace: it adds to others of its name and hides none.
    """
    found: set[str] = set()
    with opened_wheel(wheel) as archive:
        for name in archive.namelist():
            parts = _site_parts(name)
            if not parts or not parts[-1].endswith((".py", ".so")):
                continue
            stem = parts[-1].split(".")[0]
            if len(parts) == 1:
                found.add(stem)
            elif len(parts) == 2 and stem == "__init__" and not _shared(archive, name):
                found.add(parts[0])
    return sorted(module for module in found if module.isidentifier())


def _site_parts(name: str) -> list[str]:
    """A member's path below site-packages: `x-1.0.data/purelib/` is unpacked there too."""
    parts = name.split("/")
    if parts[0].endswith(".data"):
        return parts[2:] if len(parts) > 2 and parts[1] in ("purelib", "platlib") else []
    return [] if parts[0].endswith(".dist-info") else parts


def _shared(archive: zipfile.ZipFile, name: str) -> bool:
    return name.endswith(".py") and any(mark in archive.read(name) for mark in _SHARED)
