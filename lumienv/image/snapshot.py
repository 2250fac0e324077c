"""What an image's Python is and provides: the `Snapshot`, its JSON, and what is derived from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, get_origin

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lumienv.errors import ImageError

SCHEMA = 1


@dataclass(frozen=True)
class Base:
    """The base that was chosen: a SIF, or an interpreter of this machine."""

    kind: str
    """`sif` or `host`"""
    path: str
    name: str
    identity: str
    size: int = 0
    """bytes"""
    architecture: str = ""
    fingerprint: str = ""
    """changes whenever the base may have changed, and costs no process: of a SIF, its identity"""
    pulled: str = ""
    """of a SIF that a registry's image was made into, `oci:` and the digest there"""

    @property
    def locked_as(self) -> str:
        """What a lock is bound to. Whoever pulls an image makes a SIF of their own, with an identity of its
        own, of the same content: there it is the registry's digest, elsewhere the identity."""
        return self.pulled or self.identity


@dataclass(frozen=True)
class Python:
    """The image's interpreter."""

    version: str
    executable: str = ""
    prefix: str = ""
    base_prefix: str = ""
    implementation: str = "cpython"
    site_packages: tuple[str, ...] = ()
    bin: str = ""


@dataclass(frozen=True)
class ImagePackage:
    """One distribution that the image provides."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    location: str = ""
    installer: str = ""


@dataclass(frozen=True)
class ImageScript:
    """A console or GUI script of the image: an entry point, or a file whose shebang is its Python."""

    name: str
    entry: str = ""
    file: str = ""


@dataclass(frozen=True)
class Activation:
    """What entering the image's environment changes."""

    kind: str = "none"
    """`none`, `with-conda`, `command` or `found`"""
    command: str = ""
    set: Mapping[str, str] = field(default_factory=dict)
    prepend_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """All that a resolution, a build and a launch need to know of a base."""

    image: Base
    python: Python
    markers: Mapping[str, str]
    tags: tuple[str, ...]
    packages: tuple[ImagePackage, ...]
    scripts: tuple[ImageScript, ...] = ()
    overlays: tuple[str, ...] = ()
    """where the image has overlay trees of lumienv's inside"""
    compilers: Mapping[str, str] = field(default_factory=dict)
    activation: Activation = Activation()

    def free_mount(self, usual: str) -> str:
        """Where a tree on top of this image is seen: `usual`, or the next free one (`…-2`)."""
        number = 1
        mount = usual
        while mount in self.overlays:
            number += 1
            mount = f"{usual}-{number}"
        return mount

    def by_name(self) -> dict[str, ImagePackage]:
        """Normalised name → package; of two with one name the first, as imports find that one."""
        found: dict[str, ImagePackage] = {}
        for package in self.packages:
            found.setdefault(str(canonicalize_name(package.name)), package)
        return found

    def frozen_digest(self) -> str:
        """`sha256:…` over the sorted frozen list, `name==version` a line, both normalised.

        pip lists a version as PEP 440 spells it (`1.0.post1`), the package's metadata may not (`1.0-1`).
        """
        lines = sorted(
            f"{canonicalize_name(package.name)}=={_normalised(package.version)}" for package in self.packages
        )
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def to_json(self) -> str:
        """The snapshot in its file format, as the cache keeps it: with the image's place on this machine."""
        return json.dumps({"schema": SCHEMA} | self._tables("path"))

    def saved(self) -> str:
        """The snapshot in its file format, as a project keeps it: to be committed, shared and compared.

        Says nothing of where the image lies here. What is empty is left out, and each package has a line.
        """
        lines = [f'"schema": {SCHEMA}']
        for key, value in self._tables().items():
            if key == "overlays" and not value:
                continue
            if key in ("packages", "scripts"):
                entries = ",\n  ".join(_line(_filled(entry)) for entry in value)
                lines.append(f'"{key}": [\n  {entries}]')
            else:
                lines.append(f'"{key}": {_line(_filled(value) if key in ("image", "python") else value)}')
        return "{" + ",\n ".join(lines) + "}\n"

    def _tables(self, *more: str) -> dict[str, Any]:
        data = asdict(self)
        data["image"] = {
            key: data["image"][key] for key in ("kind", "name", *more, "identity", "size", "architecture")
        }
        if not more:
            data["image"]["identity"] = self.image.locked_as
        return data


def _filled(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value}


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def whole_markers(given: Mapping[str, str], python: str, machine: str) -> dict[str, str]:
    """Every variable of PEP 508 for CPython `python` on Linux; those in `given` as they are there.

    A variable that is left out would be read from the machine that evaluates a marker. The kernel's are
    empty: they are those of a node, and a lock holds on all.
    """
    short = ".".join(python.split(".")[:2])
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": short,
        "sys_platform": "linux",
        **given,
    }


def _normalised(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        return version


class _UnreadableError(Exception):
    """What is wrong with the text of a snapshot: completes "it is not a snapshot of an image: "."""


def snapshot_from_json(text: str, source: str) -> Snapshot:
    """Read a snapshot; `source` names it in messages. Raises ImageError when it is not one."""
    try:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise _UnreadableError("it is not JSON") from None
        schema = _of(data, "schema", int, "")
        if schema != SCHEMA:
            raise ImageError(
                f"the snapshot {source} has format {schema}, this lumienv reads {SCHEMA}",
                hint="save it again with this lumienv: lumienv image freeze",
            )
        return _snapshot(data)
    except _UnreadableError as error:
        raise ImageError(
            f"{source} is not a snapshot of an image: {error}",
            hint="save one where the image is, with: lumienv image freeze",
        ) from None


def _snapshot(data: Mapping[str, Any]) -> Snapshot:
    image = _of(data, "image", dict, "")
    _of(image, "name", str, "image.")
    python = _fields(_of(data, "python", dict, ""), Python, "python.")
    try:
        Version(python["version"])
    except InvalidVersion:
        raise _UnreadableError(f'python.version is "{python["version"]}", which is no version') from None
    machine = _of(image, "architecture", str, "image.", "") or "x86_64"
    return Snapshot(
        image=Base(**{"kind": "snapshot", "path": "", "identity": ""} | _fields(image, Base, "image.")),
        python=Python(**python),
        markers=whole_markers(_texts(_of(data, "markers", dict, ""), "markers"), python["version"], machine),
        tags=_tags(data),
        packages=tuple(
            ImagePackage(**_fields(entry, ImagePackage, f"packages[{number}]."))
            for number, entry in enumerate(_of(data, "packages", list, ""))
        ),
        scripts=tuple(
            ImageScript(**_fields(entry, ImageScript, f"scripts[{number}]."))
            for number, entry in enumerate(_of(data, "scripts", list, "", []))
        ),
        overlays=_texts_of(data, "overlays", "") if "overlays" in data else (),
        compilers=_texts(_of(data, "compilers", dict, "", {}), "compilers"),
        activation=Activation(**_fields(_of(data, "activation", dict, "", {}), Activation, "activation.")),
    )


def _tags(data: Mapping[str, Any]) -> tuple[str, ...]:
    tags = _texts_of(data, "tags", "")
    for tag in tags:
        if tag.count("-") != 2 or not all(tag.split("-")):
            raise _UnreadableError(f'tags has "{tag}", which is no wheel tag')
    return tags


_JSON_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a number"}
# What a file may leave out although the value has no default: it comes from where the file was read.
_GIVEN = {"kind", "path", "identity"}


def _of(table: Any, key: str, kind: type, where: str, default: Any = None) -> Any:
    """`table[key]`, which must be of this kind; `where` it stands (`image.`) is for the message."""
    if not isinstance(table, dict):
        raise _UnreadableError(f"{where.rstrip('.') or 'it'} is not an object")
    if key not in table and default is None:
        raise _UnreadableError(f"{where}{key} is missing")
    value = table.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _UnreadableError(f"{where}{key} is not {_JSON_NAMES[kind]}")
    return value


def _texts(table: Mapping[str, Any], where: str) -> dict[str, str]:
    return {key: _of(table, key, str, f"{where}.") for key in table}


def _texts_of(table: Any, key: str, where: str) -> tuple[str, ...]:
    values = _of(table, key, list, where)
    if not all(isinstance(value, str) for value in values):
        raise _UnreadableError(f"{where}{key} has something else than text in it")
    return tuple(values)


def _fields(table: Any, kind: type, where: str) -> dict[str, Any]:
    """What a table says about the fields of `kind`; keys that a later lumienv added are passed over."""
    found: dict[str, Any] = {}
    for field_ in fields(kind):
        needed = field_.default is MISSING and field_.default_factory is MISSING
        if isinstance(table, dict) and field_.name not in table and (not needed or field_.name in _GIVEN):
            continue
        if get_origin(field_.type) is tuple:
            found[field_.name] = _texts_of(table, field_.name, where)
        elif get_origin(field_.type) is Mapping:
            found[field_.name] = _texts(_of(table, field_.name, dict, where), where + field_.name)
        else:
            found[field_.name] = _of(table, field_.name, int if field_.type is int else str, where)
    return found
