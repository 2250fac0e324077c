"""Images and packages made up for tests of the resolver: a snapshot by hand, and an index in memory."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import BrokenReleaseError
from lumienv.image.snapshot import Base, ImagePackage, Python, Snapshot
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Files, Page
from lumienv.manifest import Dependency, ImageTable, Manifest, ResolveTable, Source
from lumienv.resolve.origin import Direct, Origin

IMAGE = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(31, 16, -1)] + ["manylinux2014_x86_64"]


def snapshot(
    *packages: str | ImagePackage, python: str = "3.12.9", platforms: Sequence[str] = _PLATFORMS
) -> Snapshot:
    """An image with these packages (`torch==2.7.1+rocm6.2.4`), whatever machine the tests run on."""
    major, minor, _ = python.split(".")
    version, interpreter = (int(major), int(minor)), f"cp{major}{minor}"
    tags = [
        *cpython_tags(version, [interpreter], platforms),
        *compatible_tags(version, interpreter, platforms),
    ]
    markers = {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "5.14.21",
        "platform_system": "Linux",
        "platform_version": "#1 SMP",
        "python_full_version": python,
        "python_version": f"{major}.{minor}",
        "sys_platform": "linux",
    }
    return Snapshot(
        image=Base("sif", "", IMAGE, "sif:0"),
        python=Python(python),
        markers=markers,
        tags=tuple(str(tag) for tag in tags),
        packages=tuple(
            ImagePackage(*one.split("==", 1)) if isinstance(one, str) else one for one in packages
        ),
    )


def manifest(
    dependencies: Iterable[str],
    groups: Mapping[str, Iterable[str]] | None = None,
    assume: Mapping[str, str] | None = None,
    **resolve: Any,
) -> Manifest:
    """A manifest without a file."""

    def entries(lines: Iterable[str], key: str) -> tuple[Dependency, ...]:
        return tuple(Dependency(line, key, number) for number, line in enumerate(lines, 2))

    table = {
        key: entries(value, f"resolve.{key}") if key in ("constraints", "overrides") else value
        for key, value in resolve.items()
    }
    return Manifest(
        Path("lumienv.toml"),
        ImageTable("path", IMAGE, assume=assume or {}),
        entries(dependencies, "dependencies"),
        {name: entries(lines, f"dependency-groups.{name}") for name, lines in (groups or {}).items()},
        ResolveTable(**table),
    )


class MemoryClient:
    """What the resolver asks of an `IndexClient`, answered at once: name → version → needs."""

    sources = ()

    def __init__(self, universe: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._pages: dict[str, Page] = {}
        self._metadata: dict[str, CoreMetadata] = {}
        self.asked: set[str] = set()
        """the files whose metadata was asked for"""
        for name, releases in universe.items():
            files = [f"{name.replace('-', '_')}-{version}-py3-none-any.whl" for version in releases]
            rows = [(file, f"memory:{file}", "0" * 64, None, None, None, 1, None) for file in files]
            self._pages[name] = Page(name, "memory:", Files.of_rows(rows))
            for file, (version, needs) in zip(files, releases.items(), strict=True):
                self._metadata[file] = CoreMetadata(name, version, tuple(needs))

    def page(self, name: str) -> "Future[Page | None]":
        return _done(self._pages.get(canonicalize_name(name)))

    def seen_projects(self) -> set[str]:
        return set()

    def metadata(self, file: File) -> "Future[CoreMetadata]":
        self.asked.add(file.filename)
        return _done(self._metadata[file.filename])

    def hashed(self, file: File) -> "Future[File]":
        return _done(file)


class MemoryReader:
    """What the resolver asks of a `SourceReader`: sdist → metadata, location → release."""

    def __init__(
        self,
        sdists: Mapping[str, CoreMetadata | str] | None = None,
        places: Mapping[str, CoreMetadata] | None = None,
    ) -> None:
        self._sdists = sdists or {}
        self._places = places or {}
        self.asked: list[str] = []

    def sdist_metadata(self, file: File) -> CoreMetadata:
        self.asked.append(file.filename)
        found = self._sdists[file.filename]
        if isinstance(found, str):
            raise BrokenReleaseError(found)
        return found

    def reading_only(self) -> "MemoryReader":
        return self

    def direct(self, name: str, source: Source, locked: Origin | None) -> Direct:
        self.asked.append(source.location)
        metadata = self._places[source.location]
        commit = locked.commit if locked is not None else "a" * 40
        origin = (
            Origin("git", source.location, revision=source.revision, commit=commit)
            if source.kind == "git"
            else Origin("directory", source.location, editable=source.editable)
        )
        return Direct(name, Version(metadata.version), metadata, origin)


def _done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future
