"""`pylock.lumienv.toml`: a PEP 751 lock for one environment, the image's.

What is installed stands in standard keys, so that pip and uv can read the file. `[tool.lumienv]` holds
guards only: which inputs and which image the lock was made for, and the image's packages it rests on.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import tomlkit
from packaging.markers import Environment, Marker
from packaging.pylock import (
    Package,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version
from tomlkit.items import AoT, Array, InlineTable, Table

from lumienv.errors import LockError
from lumienv.image.snapshot import Snapshot
from lumienv.lockdigest import bytes_digest
from lumienv.resolve import Pin, Resolution

SCHEMA = 1


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
    digest: str = ""
    """`sha256:…` over the file's bytes"""

    def versions(self) -> dict[str, Version]:
        """name → version of all that is locked, whatever group needs it."""
        return {package.name: package.version for package in self.pylock.packages if package.version}

    def selected(self, snapshot: Snapshot, groups: Collection[str]) -> tuple[LockedWheel, ...]:
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
        for package, file in chosen:
            if not isinstance(file, PackageWheel):
                raise LockError(
                    f"{package.name} is locked without a wheel, and this version installs wheels only",
                    hint="run `lumienv lock` to write the lock anew",
                )
        return tuple(_locked(package, file) for package, file in chosen if isinstance(file, PackageWheel))


def lock_text(resolution: Resolution, snapshot: Snapshot, inputs: str, groups: tuple[str, ...]) -> str:
    """The lock file of a resolution: the same bytes for the same resolution, image and inputs."""
    pylock = Pylock(
        lock_version=Version("1.0"),
        environments=[_environment(snapshot)],
        requires_python=SpecifierSet(f"=={_minor(snapshot)}.*"),
        extras=[],
        dependency_groups=list(groups),
        default_groups=[],
        created_by="lumienv",
        packages=[_package(pin) for pin in resolution.pins],
        tool={
            "lumienv": {
                "schema": SCHEMA,
                "inputs": inputs,
                "image": {
                    "name": snapshot.image.name,
                    "identity": snapshot.image.identity,
                    "frozen": snapshot.frozen_digest(),
                },
                "provided": [{"name": name, "version": version} for name, version in resolution.provided],
            }
        },
    )
    pylock.validate()
    header = "# Written by lumienv: edit lumienv.toml and run `lumienv lock` instead of editing this file.\n"
    return header + tomlkit.dumps(_document(pylock.to_dict()))


def _minor(snapshot: Snapshot) -> str:
    return ".".join(snapshot.python.version.split(".")[:2])


def _environment(snapshot: Snapshot) -> Marker:
    """What identifies the image's platform, without what changes from node to node (its kernel)."""
    markers = snapshot.markers
    keys = ("implementation_name", "platform_machine", "sys_platform")
    parts = [f'{key} == "{markers[key]}"' for key in keys if key in markers]
    return Marker(" and ".join([f'python_full_version == "{snapshot.python.version}"', *parts]))


def _package(pin: Pin) -> Package:
    marker = None
    if pin.groups:
        marker = Marker(" or ".join(f"'{group}' in dependency_groups" for group in sorted(pin.groups)))
    assert pin.file.sha256 is not None
    return Package(
        name=NormalizedName(pin.name),
        version=pin.version,
        marker=marker,
        requires_python=SpecifierSet(pin.requires_python) if pin.requires_python else None,
        dependencies=[{"name": name} for name in pin.dependencies],
        index=pin.index,
        wheels=[
            PackageWheel(
                name=pin.file.filename,
                url=pin.file.url,
                size=pin.file.size,
                upload_time=_time(pin.file.upload_time),
                hashes={"sha256": pin.file.sha256},
            )
        ],
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _document(data: Mapping[str, Any]) -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    for key, value in data.items():
        if key == "packages":
            tables = AoT([])
            for package in value:
                tables.append(_table(package))
            document.append(key, tables)
        elif key == "tool":
            document.append(key, _tool(value["lumienv"]))
        else:
            document.append(key, tomlkit.item(value))
    return document


def _table(package: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in package.items():
        table.append(key, _lines(value) if isinstance(value, list) else tomlkit.item(value))
    return table


def _lines(entries: list[Mapping[str, Any]]) -> Array:
    """An array of inline tables, one a line, so that a diff shows what changed."""
    array = tomlkit.array()
    for entry in entries:
        array.append(_inline(entry))
    return array.multiline(multiline=bool(entries))


def _inline(entry: Mapping[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    for key, value in entry.items():
        table.append(key, _inline(value) if isinstance(value, Mapping) else value)
    return table


def _tool(guard: Mapping[str, Any]) -> Table:
    tool, table = tomlkit.table(is_super_table=True), tomlkit.table()
    for key, value in guard.items():
        table.append(key, _lines(value) if isinstance(value, list) else tomlkit.item(value))
    tool.append("lumienv", table)
    return tool


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`; None when there is none. Raises LockError when it cannot be understood."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}") from None
    hint = f"`lumienv lock` writes it anew (git may have the old one: git checkout {path.name})"
    try:
        data = tomllib.loads(raw.decode("utf-8"))
        pylock = Pylock.from_dict(data)
        guard = data["tool"]["lumienv"]
        if guard["schema"] != SCHEMA:
            raise LockError(
                f"{path} has lumienv's lock format {guard['schema']}, this lumienv reads {SCHEMA}",
                hint="use the lumienv that wrote it, or run `lumienv lock`",
            )
        for package in pylock.packages:
            if not all("sha256" in wheel.hashes for wheel in package.wheels or ()):
                raise LockError(f"{path} is damaged: a wheel of {package.name} has no sha256", hint=hint)
        return Lock(
            pylock=pylock,
            inputs=_text(guard["inputs"]),
            image=_text(guard["image"]["name"]),
            identity=_text(guard["image"].get("identity", "")),
            frozen=_text(guard["image"]["frozen"]),
            provided={entry["name"]: entry["version"] for entry in guard.get("provided", [])},
            digest=bytes_digest(raw),
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, PylockValidationError) as error:
        raise LockError(f"{path} is damaged: {error}", hint=hint) from None
    except (KeyError, TypeError, IndexError):
        raise LockError(
            f"{path} was not written by lumienv, or is damaged: its guard is missing", hint=hint
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _locked(package: Package, wheel: PackageWheel) -> LockedWheel:
    return LockedWheel(
        name=canonicalize_name(package.name),
        version=str(package.version),
        filename=wheel.filename,
        url=wheel.url or "",
        sha256=wheel.hashes["sha256"],
        size=wheel.size,
    )


def staleness(lock: Lock, inputs: str, snapshot: Snapshot) -> str | None:
    """Why a lock no longer belongs to its manifest or to its image, in one line; None when it does."""
    if lock.inputs != inputs:
        return "lumienv.toml has changed since it was locked"
    # A lock made from a saved snapshot has no identity yet: the frozen list decides.
    if lock.identity and lock.identity != snapshot.image.identity:
        if lock.image != snapshot.image.name:
            return f"it was made for the image {lock.image}, and {snapshot.image.name} is selected now"
        return f"the image {lock.image} has changed since it was locked"
    if lock.frozen != snapshot.frozen_digest():
        return f"the packages in {lock.image} have changed since it was locked"
    return None
