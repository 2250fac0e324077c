"""`pylock.lumienv.toml`: a PEP 751 lock for one environment, the image's.

What is installed stands in standard keys, so that pip and uv can read the file. `[tool.lumienv]` holds
guards only: which inputs and which image the lock was made for, and the image's packages it rests on.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import tomli_w
from packaging.markers import Environment, Marker
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from lumienv.errors import LockError
from lumienv.image.snapshot import Base, Snapshot
from lumienv.index.config import path_as_url, path_in_lock
from lumienv.index.pages import File
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest import Manifest
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.origin import Origin
from lumienv.toml import parse_toml

SCHEMA = 1
_NAMED = re.compile(r"^(\[tool\.lumienv\.image\]\n)name = .*\n(?:identity = .*\n)?", re.MULTILINE)

_Chosen = PackageWheel | PackageSdist | PackageArchive | PackageVcs | PackageDirectory


@dataclass(frozen=True)
class LockedWheel:
    """One file to install."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int | None = None
    """bytes"""


@dataclass(frozen=True)
class LockedSource:
    """Something to make a wheel of, and to install that."""

    name: str
    version: str
    """empty where only its code says it: a git repository, a folder"""
    what: File | Origin
    """a source distribution on an index, or a direct source"""


@dataclass(frozen=True)
class Lock:
    """A lock file's content."""

    pylock: Pylock
    inputs: str
    image: str
    """the image's file name"""
    identity: str
    frozen: str
    provided: Mapping[str, str] = field(default_factory=dict)
    """image packages relied upon: name → version"""
    of_extras: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """image package → the names that its extras add, as far as these were asked for"""
    declared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """what decided the resolution, as `Manifest.declared` gave it"""
    digest: str = ""
    """`sha256:…` over the file's bytes"""
    folder: Path = Path()
    """where it lies: relative paths in it start there (PEP 751)"""

    def versions(self) -> dict[str, Version]:
        """name → version of all that is locked, whatever group needs it."""
        return {package.name: package.version for package in self.pylock.packages if package.version}

    def labels(self) -> dict[str, str]:
        """name → what tells one state of it from another: its version, its commit, or where it lies."""
        return {
            str(package.name): label_of(
                str(package.version or ""), _origin(package), built=package.sdist is not None
            )
            for package in self.pylock.packages
        }

    def hashes(self) -> dict[str, str]:
        """file name → sha256, in hex, of all that comes from an index."""
        files = [
            file for package in self.pylock.packages for file in (*(package.wheels or ()), package.sdist)
        ]
        return {file.filename: file.hashes["sha256"].lower() for file in files if file is not None}

    def origins(self) -> dict[str, Origin]:
        """name → the direct source that it was locked to."""
        found = {str(package.name): _origin(package) for package in self.pylock.packages}
        return {name: origin for name, origin in found.items() if origin is not None}

    def markers(self) -> dict[str, str]:
        """What the lock says of the image's Python and platform, as PEP 508's variables."""
        return dict(re.findall(r'(\w+) == "([^"]*)"', " ".join(map(str, self.pylock.environments or ()))))

    def python(self) -> str:
        """The image's Python, as `3.12.9`; empty where a lock does not say."""
        return self.markers().get("python_full_version", "")

    def needs(self) -> dict[str, tuple[str, ...]]:
        """name → the names that it needs here; of an image package, those that its extras add."""
        found = {
            str(package.name): tuple(
                str(entry["name"]) for entry in package.dependencies or () if "name" in entry
            )
            for package in self.pylock.packages
        }
        return {**found, **{name: tuple(names) for name, names in self.of_extras.items()}}

    def selected(self, snapshot: Snapshot, groups: Collection[str]) -> tuple[LockedWheel | LockedSource, ...]:
        """What an environment on this image with these dependency groups holds, by PEP 751's own rules.

        Raises LockError when the lock was made for another Python or platform.
        """
        tags = [tag for text in snapshot.tags for tag in parse_tag(text)]
        environment = cast("Environment", dict(snapshot.markers))
        try:
            chosen = list(self.pylock.select(environment=environment, tags=tags, dependency_groups=groups))
        except PylockSelectError as error:
            raise LockError(
                f"the lock does not fit {snapshot.image.name}: {error}", hint="run `lumienv lock`"
            ) from None
        return tuple(_locked(package, file, self.folder) for package, file in chosen)


def lock_text(resolution: Resolution, snapshot: Snapshot, manifest: Manifest) -> str:
    """The lock file of a resolution: the same bytes for the same resolution, image and manifest."""
    pylock = Pylock(
        lock_version=Version("1.0"),
        environments=[_environment(snapshot)],
        requires_python=SpecifierSet(f"=={_minor(snapshot)}.*"),
        extras=[],
        dependency_groups=list(manifest.groups),
        default_groups=[],
        created_by="lumienv",
        packages=[_package(pin, manifest.directory) for pin in resolution.pins],
        tool={
            "lumienv": {
                "schema": SCHEMA,
                "inputs": manifest.inputs_digest(),
                "declared": manifest.declared(),
                "image": {
                    "name": snapshot.image.name,
                    **({"identity": snapshot.image.locked_as} if snapshot.image.locked_as else {}),
                    "frozen": snapshot.frozen_digest(),
                },
                "provided": [
                    {"name": name, "version": version, **_added(resolution.of_extras.get(name, ()))}
                    for name, version in resolution.provided
                ],
            }
        },
    )
    data = pylock.to_dict()
    Pylock.from_dict(data)  # what `validate` does, which would make the dictionary once more
    header = "# Written by lumienv: edit lumienv.toml and run `lumienv lock` instead of editing this file.\n"
    return header + tomli_w.dumps(data)


def _added(names: Sequence[str]) -> dict[str, object]:
    """What extras of an image package add, in the form of `packages.dependencies` (PEP 751)."""
    return {"dependencies": [{"name": name} for name in names]} if names else {}


def _minor(snapshot: Snapshot) -> str:
    return ".".join(snapshot.python.version.split(".")[:2])


def _environment(snapshot: Snapshot) -> Marker:
    """What identifies the image's platform, without what changes from node to node (its kernel)."""
    markers = snapshot.markers
    keys = ("implementation_name", "platform_machine", "sys_platform")
    parts = [f'{key} == "{markers[key]}"' for key in keys if key in markers]
    return Marker(" and ".join([f'python_full_version == "{snapshot.python.version}"', *parts]))


def _package(pin: Pin, folder: Path) -> Package:
    marker = None
    if pin.groups:
        marker = Marker(" or ".join(f"'{group}' in dependency_groups" for group in sorted(pin.groups)))
    return Package(
        name=NormalizedName(pin.name),
        # "MUST NOT be included when it cannot be guaranteed to be consistent with the code used" (PEP 751).
        version=pin.version if pin.origin is None or pin.origin.kind == "archive" else None,
        marker=marker,
        requires_python=SpecifierSet(pin.requires_python) if pin.requires_python else None,
        dependencies=[{"name": name} for name in pin.dependencies],
        index=pin.index if pin.index and "://" in pin.index else None,
        **(_file(pin.file, pin.index, folder) if pin.file is not None else _artifact(pin.origin)),
    )


def _file(file: File, index: str | None, folder: Path) -> dict[str, Any]:
    """The key of PEP 751 for a file of an index, and its table; by its path where the index is a path."""
    assert file.sha256 is not None
    path = path_in_lock(file.url, index, folder)
    table: dict[str, Any] = {
        "name": file.filename,
        "path": path,
        "url": file.url if path is None else None,
        "size": file.size,
        "upload_time": _time(file.upload_time),
        "hashes": {"sha256": file.sha256},
    }
    return {"wheels": [PackageWheel(**table)]} if file.is_wheel else {"sdist": PackageSdist(**table)}


def _artifact(what: Origin | None) -> dict[str, Any]:
    """The key of PEP 751 for a direct source, and its table."""
    assert what is not None
    place: dict[str, Any] = {"url" if "://" in what.location else "path": what.location}
    inside: dict[str, Any] = {"subdirectory": what.subdirectory or None}
    if what.kind == "git":
        revision: dict[str, Any] = {"requested_revision": what.revision or None, "commit_id": what.commit}
        return {"vcs": PackageVcs(type="git", **place, **revision, **inside)}
    if what.kind == "archive":
        hashes = {"sha256": what.sha256}
        return {"archive": PackageArchive(**place, size=what.size, hashes=hashes, **inside)}
    return {"directory": PackageDirectory(path=what.location, editable=what.editable or None, **inside)}


def _origin(package: Package) -> Origin | None:
    """The direct source of a locked package; None for one of an index."""
    if package.vcs is not None:
        vcs = package.vcs
        return Origin(
            "git",
            vcs.url or vcs.path or "",
            revision=vcs.requested_revision or "",
            commit=vcs.commit_id,
            subdirectory=vcs.subdirectory or "",
        )
    if package.archive is not None:
        archive = package.archive
        location = archive.url or archive.path or ""
        return Origin(
            "archive",
            location,
            filename=unquote(urlsplit(location).path.rpartition("/")[2]),
            sha256=archive.hashes["sha256"],
            size=archive.size,
            subdirectory=archive.subdirectory or "",
        )
    if package.directory is not None:
        folder = package.directory
        return Origin(
            "directory",
            folder.path,
            subdirectory=folder.subdirectory or "",
            editable=bool(folder.editable),
        )
    return None


def label_of(version: str, origin: Origin | None, *, built: bool) -> str:
    """What tells one state of a package from another; `built` says that it is made of an index's sources."""
    if origin is None or origin.kind == "archive":
        return f"{version} (to be built)" if built else version
    return f"({'editable, ' if origin.editable else ''}{origin})"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`; None when there is none. Raises LockError when it cannot be understood."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}") from None
    return parse_lock(raw, path)


def parse_lock(raw: bytes, path: Path) -> Lock:
    """The lock in these bytes, which are those of `path` or were once. Raises LockError."""
    hint = f"`lumienv lock` writes it anew (git may have the old one: git checkout {path.name})"
    if path.name != LOCK_NAME:  # one to compare with: a file, or what git has of a revision
        hint = "name another one: lumienv diff OLD_LOCK, or lumienv diff --rev REV"
    try:
        data = parse_toml(raw.decode("utf-8"))
        pylock = Pylock.from_dict(data)
        guard = data["tool"]["lumienv"]
        if guard["schema"] != SCHEMA:
            raise LockError(
                f"{path} has lumienv's lock format {guard['schema']}, this lumienv reads {SCHEMA}",
                hint="use the lumienv that wrote it, or run `lumienv lock`",
            )
        for package in pylock.packages:
            hashes = [wheel.hashes for wheel in package.wheels or ()]
            hashes += [file.hashes for file in (package.sdist, package.archive) if file is not None]
            if not all("sha256" in one for one in hashes):
                raise LockError(f"{path} is damaged: a file of {package.name} has no sha256", hint=hint)
        return Lock(
            pylock=pylock,
            inputs=_text(guard["inputs"]),
            image=_text(guard["image"]["name"]),
            identity=_text(guard["image"].get("identity", "")),
            frozen=_text(guard["image"]["frozen"]),
            provided={entry["name"]: entry["version"] for entry in guard.get("provided", [])},
            of_extras={
                entry["name"]: [_text(needed["name"]) for needed in entry["dependencies"]]
                for entry in guard.get("provided", [])
                if "dependencies" in entry
            },
            declared=guard.get("declared", {}),
            digest=bytes_digest(raw),
            folder=path.parent,
        )
    except (ValueError, PylockValidationError) as error:
        raise LockError(f"{path} is damaged: {error}", hint=hint) from None
    except (KeyError, TypeError, IndexError):
        raise LockError(
            f"{path} was not written by lumienv, or is damaged: its guard is missing", hint=hint
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _locked(package: Package, chosen: _Chosen, folder: Path) -> LockedWheel | LockedSource:
    name, version = str(canonicalize_name(package.name)), str(package.version or "")
    if isinstance(chosen, PackageWheel | PackageSdist):
        url = path_as_url(chosen.path, folder) if chosen.path is not None else chosen.url or ""
        sha256 = chosen.hashes["sha256"]
        if isinstance(chosen, PackageWheel):
            return LockedWheel(name, version, chosen.filename, url, sha256, chosen.size)
        # Sources that fail with the build tools of today are built with those of their day.
        uploaded = chosen.upload_time.isoformat() if chosen.upload_time is not None else None
        file = File(chosen.filename, url, sha256, size=chosen.size, upload_time=uploaded)
        return LockedSource(name, version, file)
    origin = _origin(package)
    assert origin is not None
    return LockedSource(name, version, origin)


def with_identity(text: str, image: Base) -> str:
    """A lock's text that names this image, with its identity: what a lock made on the image says there."""
    lines = tomli_w.dumps({"name": image.name, "identity": image.locked_as})
    return _NAMED.sub(lambda found: found[1] + lines, text, count=1)
