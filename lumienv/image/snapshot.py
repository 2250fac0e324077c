"""What an image's Python is and provides: the `Snapshot`, its JSON, and what is derived from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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
    compilers: Mapping[str, str] = field(default_factory=dict)
    activation: Activation = Activation()

    def frozen_digest(self) -> str:
        """`sha256:…` over the sorted frozen list, `name==version` a line, both normalised.

        pip lists a version as PEP 440 spells it (`1.0.post1`), the package's metadata may not (`1.0-1`).
        """
        lines = sorted(
            f"{canonicalize_name(package.name)}=={_normalised(package.version)}" for package in self.packages
        )
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def to_json(self) -> str:
        """The snapshot in its file format."""
        data = asdict(self)
        data["image"] = {
            key: data["image"][key] for key in ("kind", "name", "path", "identity", "size", "architecture")
        }
        return json.dumps({"schema": SCHEMA} | data)


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


def snapshot_from_json(text: str, source: str) -> Snapshot:
    """Read a snapshot; `source` names it in messages. Raises ImageError when it is not one."""
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ImageError(
                f"the snapshot {source} has format {data['schema']}, this lumienv reads {SCHEMA}",
                hint="save it again with this lumienv",
            )
        return _snapshot(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else "it is not in the format"
        raise ImageError(f"{source} is not a snapshot of an image: {what}") from error


def _snapshot(data: Mapping[str, Any]) -> Snapshot:
    image = data["image"]
    activation = data.get("activation", {})
    return Snapshot(
        image=Base(
            kind=image.get("kind", "snapshot"),
            path=image.get("path", ""),
            name=image["name"],
            identity=image.get("identity", ""),
            size=image.get("size", 0),
            architecture=image.get("architecture", ""),
        ),
        python=Python(**_only(data["python"], Python)),
        markers=dict(data["markers"]),
        tags=tuple(data["tags"]),
        packages=tuple(ImagePackage(**_only(entry, ImagePackage)) for entry in data["packages"]),
        scripts=tuple(ImageScript(**_only(entry, ImageScript)) for entry in data.get("scripts", ())),
        compilers=dict(data.get("compilers", {})),
        activation=Activation(**_only(activation, Activation)),
    )


def _only(entry: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The keys that `kind` has; lists become tuples, as values are immutable."""
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.items()
        if key in known
    }
