"""A project on this machine: its manifest, its image, its indexes; `lock` and `sync` are the steps on it.

Each step takes a `Project` and a `Report`, calls the rooms in order, and returns a value that `cli` renders.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lumienv.errors import ContainerError
from lumienv.files import private_directory, user_path
from lumienv.image.base import find_base
from lumienv.image.probing import take_snapshot
from lumienv.image.saved import read_snapshot
from lumienv.image.snapshot import Base, Snapshot
from lumienv.index.config import IndexSource, default_index, index_source
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock
from lumienv.manifest import Manifest, find_manifest, start_folder
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.store import Store
from lumienv.runtime.host import Host
from lumienv.runtime.protocol import Runtime
from lumienv.runtime.singularity import find
from lumienv.site import Site, load_site

if TYPE_CHECKING:  # a lock that is up to date needs none of these
    from lumienv.build.builder import SourceBuilder
    from lumienv.index.client import IndexClient


class Report(Protocol):
    """Whom to tell what is going on."""

    def note(self, line: str) -> None:
        """Something worth knowing."""

    def warn(self, line: str) -> None:
        """Something that may go wrong later."""

    def detail(self, line: str) -> None:
        """Something for those who look closer."""

    def step(self, text: str, detail: Callable[[], str] | None = None) -> AbstractContextManager[None]:
        """Called around something long; `detail` tells what is being done just now."""

    def waiting(self, text: str) -> AbstractContextManager[None]:
        """Called around what may take a while, and in which nobody else draws."""

    def downloads(self, sizes: Mapping[str, int | None]) -> "AbstractContextManager[DownloadProgress]":
        """Called around downloads: name → size in bytes, None where it is not known."""


class DownloadProgress(Protocol):
    """Called with a file's name, the bytes that have arrived, and their total."""

    def __call__(self, name: str, done: int, total: int | None) -> None: ...


@dataclass(frozen=True)
class Project:
    """A manifest, and the machine it is used on."""

    manifest: Manifest
    site: Site
    environ: Mapping[str, str]
    offline: bool = False
    snapshot: Path | None = None
    """a saved snapshot to lock for, instead of the image that the manifest names"""

    @property
    def lock_path(self) -> Path:
        """Where the lock lies: beside the manifest."""
        return self.manifest.directory / LOCK_NAME

    @property
    def store(self) -> Store:
        """Where the generations lie."""
        return Store(self.manifest.store_path)

    def runtime(self) -> Runtime:
        """The runtime of this project's base. Raises ContainerError when there is none."""
        return Host() if self.manifest.image.kind == "host" else find(self.environ)


def open_project(
    folder: str | None,
    environ: Mapping[str, str],
    *,
    offline: bool = False,
    snapshot: str | None = None,
) -> Project:
    """The project in `folder`, by default the current one, or above it. Raises ManifestError.

    `snapshot` is a saved snapshot to lock for, whatever image the manifest names.
    """
    manifest = read_manifest(Path(find_manifest(start_folder(folder, environ))))
    site = load_site(environ, manifest.directory)
    with suppress(OSError):  # a cache that cannot be made costs time; one that is somebody else's is refused
        private_directory(site.cache)
    return Project(manifest, site, environ, offline, Path(snapshot).absolute() if snapshot else None)


def saved_snapshot(project: Project) -> Snapshot | None:
    """The saved snapshot that stands for the image, if one is to. Raises ImageError."""
    table = project.manifest.image
    if project.snapshot is not None:
        return read_snapshot(project.snapshot)
    if table.kind == "snapshot":
        return read_snapshot(project.manifest.directory / user_path(table.value))
    return None


def base_of(project: Project, lock: Lock | None = None) -> Base:
    """The base that the manifest names; of several that fit, the one that was locked. Raises ImageError."""
    saved = saved_snapshot(project)
    if saved is not None:
        return saved.image
    manifest = project.manifest
    preferred = lock.image if lock is not None else None
    return find_base(manifest.image, manifest.directory, project.site, preferred)


def snapshot_of(project: Project, base: Base) -> Snapshot:
    """What the base provides: from the cache, or by starting it once. Raises ImageError, ContainerError."""
    saved = saved_snapshot(project)
    if saved is not None:
        return saved
    activate = project.manifest.image.activate
    recorded = "auto" if activate == "live" else activate
    return take_snapshot(base, recorded, project.runtime(), project.site.cache)


def index_client(project: Project, *, refresh: bool = False) -> "IndexClient":
    """A client for the project's indexes; `refresh` asks them whether cached pages still hold."""
    from lumienv.index.client import IndexClient, import_early

    cache = project.site.cache / "index"
    cold = not cache.exists()
    if cold and not project.offline:
        import_early()  # meanwhile uv is asked for the default index
    client = IndexClient(
        index_sources(project.manifest, cache, project.environ),
        cache=cache,
        offline=project.offline,
        refresh=refresh,
    )
    if cold and not project.offline:
        client.prepare()  # importing the HTTP library takes longer than a page: meanwhile the image is probed
    return client


def source_builder(
    project: Project,
    snapshot: Snapshot,
    client: "IndexClient",
    report: Report,
    *,
    start: bool = True,
) -> "SourceBuilder":
    """Who makes metadata and wheels of sources; without a runtime only what needs no build.

    `start` is False where no container is to be started.
    """
    from lumienv.build.builder import SourceBuilder
    from lumienv.build.requirements import direct_names
    from lumienv.index.wheelhouse import Wheelhouse

    runtime: Runtime | None = None
    saved = project.snapshot is not None or project.manifest.image.kind == "snapshot"
    if start and not saved:
        with suppress(ContainerError):
            runtime = project.runtime()
    return SourceBuilder(
        snapshot,
        client,
        Wheelhouse(project.site.cache / "wheels", client),
        project=project.manifest.directory,
        cache=project.site.cache,
        scratch=project.site.scratch,
        runtime=runtime,
        exclude_newer=project.manifest.resolve.exclude_newer,
        allowed=project.manifest.resolve.build == "allow",
        sources=direct_names(project.manifest),
        lines=[
            *project.manifest.dependencies,
            *(entry for group in project.manifest.groups.values() for entry in group),
            *project.manifest.resolve.constraints,
        ],
        say=report.note,
    )


def index_sources(manifest: Manifest, cache: Path, environ: Mapping[str, str]) -> list[IndexSource]:
    """The manifest's indexes in their order, then the one that pip or uv use on this machine."""
    pinned: dict[str, set[str]] = {}
    for package, source in manifest.sources.items():
        if source.kind == "index":
            pinned.setdefault(source.location, set()).add(package)
    named = [
        index_source(
            table.url,
            name=table.name,
            explicit=table.explicit,
            flat=table.format == "flat",
            folder=manifest.directory,
            in_manifest=True,
            packages=frozenset(pinned.get(table.name or "", ())),
            environ=environ,
        )
        for table in manifest.indexes
    ]
    return [*named, default_index(cache, environ)]
