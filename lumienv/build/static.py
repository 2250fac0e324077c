"""Core metadata that a project states where nothing has to be run to read it.

An sdist's PKG-INFO may be believed from Metadata-Version 2.2 on, for the fields that are not `Dynamic`
(PEP 643); `[project]` in pyproject.toml for those that `dynamic` does not name (PEP 621).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lumienv.errors import BrokenReleaseError
from lumienv.index.metadata import CoreMetadata
from lumienv.toml import parse_toml

_DECISIVE = {"name", "version", "requires-dist", "requires-python", "provides-extra"}
_DECISIVE_KEYS = ("version", "dependencies", "optional-dependencies", "requires-python")
_LARGEST = 16 << 20  # bytes


@dataclass(frozen=True)
class BuildSystem:
    """`[build-system]`: what builds the project (PEP 517, PEP 518)."""

    requires: tuple[str, ...] = ("setuptools>=40.8.0",)
    backend: str = "setuptools.build_meta:__legacy__"
    backend_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stated:
    """What a project's files say without being run."""

    metadata: CoreMetadata | None
    """None when a build backend has to say it"""
    build: BuildSystem = field(default_factory=BuildSystem)


def stated(pyproject: bytes | None, pkg_info: bytes | None, label: str) -> Stated:
    """What `pyproject.toml` and `PKG-INFO` say; None for one that is not there.

    Raises BrokenReleaseError for a pyproject.toml that is none; `label` names the project in it.
    """
    table = _parsed(pyproject, label)
    metadata = from_pkg_info(pkg_info) if pkg_info is not None else None
    return Stated(metadata or from_pyproject(table), _build_system(table, label))


def stated_in(folder: Path, label: str, *, sdist: bool) -> Stated:
    """As `stated`, from a project's folder; the PKG-INFO of one that is no sdist may be of long ago."""
    return stated(
        _content(folder / "pyproject.toml"), _content(folder / "PKG-INFO") if sdist else None, label
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size < _LARGEST else None
    except OSError:
        return None


def from_pkg_info(content: bytes) -> CoreMetadata | None:
    """The metadata in PKG-INFO, or None when a build may change a field that decides."""
    raw, _ = parse_email(content)
    try:
        if Version(raw.get("metadata_version", "0")) < Version("2.2"):
            return None
    except InvalidVersion:
        return None
    if not raw.get("name") or not raw.get("version"):
        return None
    if _DECISIVE & {entry.lower() for entry in raw.get("dynamic", [])}:
        return None
    return from_metadata_file(content, "")


def from_metadata_file(content: bytes, label: str) -> CoreMetadata:
    """The METADATA that a backend wrote. Raises BrokenReleaseError when it has no name or version."""
    raw, _ = parse_email(content)
    name, version = raw.get("name"), raw.get("version")
    if not name or not version:
        raise BrokenReleaseError(
            f"the metadata that was prepared for {label} has no name or no version",
            hint="choose another version, and tell those who made it",
        )
    return CoreMetadata(
        name,
        version,
        tuple(raw.get("requires_dist", [])),
        raw.get("requires_python") or None,
        tuple(raw.get("provides_extra", [])),
    )


def from_pyproject(table: Mapping[str, Any]) -> CoreMetadata | None:
    """The metadata in `[project]`, or None when it is not all there."""
    project = table.get("project")
    if not isinstance(project, dict):
        return None
    dynamic = project.get("dynamic", [])
    name, version = project.get("name"), project.get("version")
    requires_python = project.get("requires-python")
    if not isinstance(name, str) or not isinstance(version, str) or not isinstance(dynamic, list):
        return None
    if any(key in dynamic for key in _DECISIVE_KEYS) or not isinstance(requires_python, str | None):
        return None
    dependencies = _texts(project.get("dependencies", []))
    extras = project.get("optional-dependencies", {})
    if dependencies is None or not isinstance(extras, dict) or None in map(_texts, extras.values()):
        return None
    try:
        Version(version)
        requires = [str(Requirement(line)) for line in dependencies]
        for extra, lines in extras.items():
            requires += [_of_extra(line, str(canonicalize_name(extra))) for line in lines]
    except (InvalidVersion, InvalidRequirement):
        return None
    if any("{" in line for line in requires):  # a backend's own placeholder, such as hatchling's {root:uri}
        return None
    return CoreMetadata(
        name, version, tuple(requires), requires_python, tuple(str(canonicalize_name(one)) for one in extras)
    )


def _of_extra(line: str, extra: str) -> str:
    requirement = Requirement(line)
    marker = f'extra == "{extra}"'
    if requirement.marker is not None:
        marker = f"({requirement.marker}) and {marker}"
    requirement.marker = Marker(marker)
    return str(requirement)


def _parsed(pyproject: bytes | None, label: str) -> Mapping[str, Any]:
    if pyproject is None:
        return {}
    try:
        return parse_toml(pyproject.decode())
    except ValueError as error:
        reason = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise BrokenReleaseError(
            f"the pyproject.toml of {label} cannot be read",
            reason,
            hint="mend it, if the project is yours; else choose another version",
        ) from error


def _build_system(table: Mapping[str, Any], label: str) -> BuildSystem:
    section = table.get("build-system")
    if section is None:
        return BuildSystem()
    requires = _texts(section.get("requires")) if isinstance(section, dict) else None
    if requires is None:
        raise BrokenReleaseError(
            f"the pyproject.toml of {label} does not say what builds it",
            "[build-system] has no list of requires (PEP 518)",
            hint="mend it, if the project is yours; else choose another version",
        )
    backend = section.get("build-backend")
    if not isinstance(backend, str) or not backend:
        return BuildSystem(requires)
    return BuildSystem(requires, backend, _texts(section.get("backend-path")) or ())


def _texts(value: object) -> tuple[str, ...] | None:
    """A list of texts, None for anything else."""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None
