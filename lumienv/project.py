"""What the commands do: the steps from a project's manifest to its lock and its environment.

Each function takes a `Project` and a `Report`, calls the rooms in order, and returns a value that `cli`
renders.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import LockError, ManifestError, StoreError, UsageError
from lumienv.files import disk_errors, remove_tree, write_atomically
from lumienv.image.base import find_base
from lumienv.image.probing import take_snapshot
from lumienv.image.snapshot import Base, Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.config import IndexSource, default_index, index_source
from lumienv.index.wheelhouse import Wheelhouse, WheelRequest
from lumienv.launch.plan import surroundings_of
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, LockedWheel, lock_text, read_lock, staleness
from lumienv.manifest import Manifest, find_manifest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import Entrance, Generation
from lumienv.overlay.store import Store
from lumienv.overlay.tree import build_tree
from lumienv.overlay.verify import Expectation, verify_tree
from lumienv.resolve.check import missing_from_image
from lumienv.resolve.resolver import Request, resolve
from lumienv.runtime import Runtime
from lumienv.runtime.host import Host
from lumienv.runtime.singularity import find
from lumienv.site import Site, load_site

# Raised whenever the same lock has to be materialised anew because the tree is laid out differently.
TREE_SCHEMA = 1


class Report(Protocol):
    """Whom to tell what is going on."""

    def note(self, line: str) -> None:
        """Something worth knowing."""

    def warn(self, line: str) -> None:
        """Something that may go wrong later."""

    def detail(self, line: str) -> None:
        """Something for those who look closer."""

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


def open_project(start: Path, environ: Mapping[str, str], *, offline: bool = False) -> Project:
    """The project in `start` or above. Raises ManifestError."""
    manifest = read_manifest(find_manifest(start))
    return Project(manifest, load_site(environ), environ, offline)


# -- the image -------------------------------------------------------------------------------------------


def base_of(project: Project, lock: Lock | None = None) -> Base:
    """The base that the manifest names; of several that fit, the one that was locked. Raises ImageError."""
    manifest = project.manifest
    preferred = lock.image if lock is not None else None
    return find_base(manifest.image, manifest.directory, project.site, preferred)


def snapshot_of(project: Project, base: Base) -> Snapshot:
    """What the base provides: from the cache, or by starting it once. Raises ImageError, ContainerError."""
    activate = project.manifest.image.activate
    recorded = "auto" if activate == "live" else activate
    return take_snapshot(base, recorded, project.runtime(), project.site.cache)


# -- lock ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LockOutcome:
    """What locking did."""

    path: Path
    fresh: bool
    """nothing had to be done"""
    written: bool
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    provided: tuple[str, ...] = ()
    total: int = 0
    reason: str = ""
    """why the lock was stale"""


def lock(
    project: Project,
    report: Report,
    *,
    check: bool = False,
    upgrade: bool = False,
    upgrade_packages: Collection[str] = (),
    dry_run: bool = False,
) -> LockOutcome:
    """Bring the lock up to date; without need nothing is asked of the network, and no container started.

    `check` only finds out whether that is needed; `upgrade` forgets the locked versions, all of them or
    those of `upgrade_packages`. Raises LockError when `check` finds it stale; ResolutionError, ImageError,
    PackageIndexError, ManifestError; the old lock then stays as it was.
    """
    old, damaged = _old_lock(project)
    inputs = project.manifest.inputs_digest()
    base = base_of(project, old)
    reason = damaged or why_stale(project, old, base, inputs)
    if check and reason:
        raise LockError(f"{LOCK_NAME} is not up to date: {reason}", hint="bring it up to date: lumienv lock")
    if old is not None and not reason and not upgrade and not upgrade_packages:
        return LockOutcome(project.lock_path, fresh=True, written=False, total=len(old.versions()))
    snapshot = snapshot_of(project, base)
    report.detail(f"image {base.path}: Python {snapshot.python.version}, {len(snapshot.packages)} packages")
    kept = _kept_versions(old, upgrade, upgrade_packages)
    cache = project.site.cache / "index"
    with _client(project, refresh=upgrade or bool(upgrade_packages)) as client:
        resolution = resolve(Request(project.manifest, snapshot, kept), client)
    report.detail(f"index cache: {cache}")
    for warning in resolution.warnings:
        report.warn(warning)
    text = lock_text(resolution, snapshot, inputs, tuple(project.manifest.groups))
    before = old.versions() if old is not None else {}
    after = {pin.name: pin.version for pin in resolution.pins}
    if not dry_run:
        with disk_errors("write the lock", project.lock_path):
            write_atomically(project.lock_path, text.encode())
    return LockOutcome(
        project.lock_path,
        fresh=False,
        written=not dry_run,
        added=tuple(f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())),
        removed=tuple(f"{name} {before[name]}" for name in sorted(before.keys() - after.keys())),
        changed=tuple(
            f"{name} {before[name]} → {after[name]}"
            for name in sorted(after.keys() & before.keys())
            if after[name] != before[name]
        ),
        provided=tuple(f"{name} {version}" for name, version in resolution.provided),
        total=len(after),
        reason=reason or "",
    )


def why_stale(project: Project, old: Lock | None, base: Base, inputs: str) -> str | None:
    """Why the lock has to be made anew, in one line; None when it does not.

    An identity that is the locked one needs no snapshot: the same bytes provide the same packages.
    """
    if old is None:
        return "there is none yet"
    if old.inputs == inputs and old.identity and old.identity == base.identity:
        return None
    return staleness(old, inputs, snapshot_of(project, base))


def _old_lock(project: Project) -> tuple[Lock | None, str | None]:
    """The lock on disk; one that cannot be read is made anew, and said to be damaged."""
    try:
        return read_lock(project.lock_path), None
    except LockError as error:
        return None, error.message


def _kept_versions(old: Lock | None, upgrade: bool, names: Collection[str]) -> dict[str, Version]:
    if old is None or upgrade:
        return {}
    dropped = {canonicalize_name(name) for name in names}
    return {name: version for name, version in old.versions().items() if name not in dropped}


def _client(project: Project, *, refresh: bool = False) -> IndexClient:
    cache = project.site.cache / "index"
    return IndexClient(
        index_sources(project.manifest, cache, project.environ),
        cache=cache,
        offline=project.offline,
        refresh=refresh,
    )


def index_sources(manifest: Manifest, cache: Path, environ: Mapping[str, str]) -> list[IndexSource]:
    """The manifest's indexes in their order, then the one that pip or uv use on this machine."""
    pinned: dict[str, set[str]] = {}
    for package, index in manifest.sources.items():
        pinned.setdefault(index, set()).add(package)
    named = [
        index_source(
            table.url,
            name=table.name,
            explicit=table.explicit,
            packages=frozenset(pinned.get(table.name or "", ())),
            environ=environ,
        )
        for table in manifest.indexes
    ]
    return [*named, default_index(cache, environ)]


# -- sync ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SyncOutcome:
    """What syncing did."""

    generation: Generation
    built: bool
    installed: int
    image_scripts: tuple[str, ...] = ()
    locked: LockOutcome | None = None


def sync(
    project: Project,
    report: Report,
    *,
    mode: str | None = None,
    groups: Sequence[str] = (),
    no_groups: Sequence[str] = (),
    locked: bool = False,
    frozen: bool = False,
) -> SyncOutcome:
    """Make the environment match the lock, which is brought up to date first.

    `locked`: a stale lock is an error; `frozen`: it is used as it is. The old environment stays in place
    until the new one is whole. Raises LumienvError's children.
    """
    manifest = project.manifest
    chosen_mode = mode or manifest.mode
    if chosen_mode != "venv":
        raise UsageError(
            f"the mode {chosen_mode} is not supported by this version of lumienv", hint="use --mode venv"
        )
    selected = _groups(manifest, groups, no_groups)
    outcome = None if frozen else lock(project, report, check=locked)
    current = read_lock(project.lock_path)
    if current is None:
        raise LockError("there is no lock yet", hint="make one: lumienv lock")
    base = base_of(project, current)
    snapshot = snapshot_of(project, base)
    _check_guard(current, snapshot)
    wheels = current.selected(snapshot, selected)
    digest = _generation_digest(project, current, snapshot, chosen_mode, selected)
    with project.store.writing(report.note):
        known = project.store.find(chosen_mode, digest)
        if known is not None:
            project.store.select(known)
            return SyncOutcome(known, built=False, installed=len(wheels), locked=outcome)
        generation = Generation(
            path=project.store.generations,
            digest=digest,
            mode=chosen_mode,
            base_kind=base.kind,
            base_path=base.path,
            base_name=base.name,
            identity=base.identity,
            selection=manifest.image.selection(),
            inputs=current.inputs,
            lock=current.digest,
            runtime=project.runtime().flavour,
            python=snapshot.python.version,
            groups=selected,
            entrance=_entrance(manifest, snapshot),
        )
        return _materialise(project, report, generation, snapshot, current, wheels, outcome)


def _materialise(
    project: Project,
    report: Report,
    generation: Generation,
    snapshot: Snapshot,
    lock_: Lock,
    wheels: Sequence[LockedWheel],
    outcome: LockOutcome | None,
) -> SyncOutcome:
    requests = [WheelRequest(wheel.filename, wheel.url, wheel.sha256, wheel.size) for wheel in wheels]
    with _client(project) as client:
        wheelhouse = Wheelhouse(project.site.cache / "wheels", client)
        missing = {
            request.filename: request.size
            for request in requests
            if not wheelhouse.path(request.sha256, request.filename).exists()
        }
        with report.downloads(missing) as progress:
            files = wheelhouse.fetch(requests, progress)
    _check_room(project.store, files.values())
    direct = _direct_names(project.manifest, generation.groups)
    replace = [canonicalize_name(name) for name in project.manifest.resolve.replace]
    by_hash = {wheel.sha256: files[wheel.filename] for wheel in wheels}
    with project.store.staging() as staged, scratch_directory(project.site) as scratch:
        tree = staged / "tree"
        tree.mkdir(mode=0o755)
        scripts = build_tree(tree, snapshot, wheels, by_hash, wheelhouse.root, project.runtime(), scratch)
        built = generation.at(staged)
        expectation = Expectation(wheels, direct, lock_.provided, replace)
        warnings = verify_tree(built.prefix, snapshot, expectation, project.runtime(), surroundings_of(built))
        published = project.store.publish(staged, generation)
    for warning in warnings:
        report.warn(warning)
    return SyncOutcome(published, True, len(wheels), tuple(scripts), outcome)


def _groups(manifest: Manifest, wanted: Sequence[str], unwanted: Sequence[str]) -> tuple[str, ...]:
    """`dev` where there is one, as in uv, and what was asked for."""
    for name in (*wanted, *unwanted):
        if name not in manifest.groups:
            known = ", ".join(manifest.groups) or "none"
            raise UsageError(f"there is no dependency group {name} in lumienv.toml", f"groups: {known}")
    default = {"dev"} & set(manifest.groups)
    return tuple(sorted((default | set(wanted)) - set(unwanted)))


def _check_guard(current: Lock, snapshot: Snapshot) -> None:
    """The image is the one that was locked for: by identity, else by its frozen list."""
    if current.identity in ("", snapshot.image.identity) and current.frozen == snapshot.frozen_digest():
        return
    raise LockError(
        f"the image {snapshot.image.name} is not the one that {LOCK_NAME} was made for",
        *(f"the lock rests on {text}" for text in missing_from_image(current.provided, snapshot)),
        hint="resolve again for this image: lumienv lock",
    )


def _entrance(manifest: Manifest, snapshot: Snapshot) -> Entrance:
    activation = snapshot.activation
    if manifest.image.activate == "live" and activation.command:
        return Entrance(live=activation.command)
    return Entrance(activation.set, activation.prepend_path)


def _generation_digest(
    project: Project, current: Lock, snapshot: Snapshot, mode: str, groups: Sequence[str]
) -> str:
    """Equal exactly when the environment would be the same."""
    decisive = [
        TREE_SCHEMA,
        mode,
        current.digest,
        snapshot.image.identity,
        snapshot.image.path,
        project.manifest.image.selection(),
        list(groups),
        project.runtime().flavour,
    ]
    return "sha256:" + hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _direct_names(manifest: Manifest, groups: Sequence[str]) -> frozenset[str]:
    entries = [*manifest.dependencies, *(entry for name in groups for entry in manifest.groups[name])]
    names = set()
    for entry in entries:
        with suppress(InvalidRequirement):
            names.add(canonicalize_name(Requirement(entry.text).name))
    return frozenset(names)


def _check_room(store: Store, wheels: Collection[Path]) -> None:
    """Raises StoreError when the unpacked wheels cannot fit on the store's file system."""
    needed = 0
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            needed += sum(member.file_size for member in wheel.infolist())
    free = shutil.disk_usage(store.generations).free
    if needed > free:
        raise StoreError(
            "there is not enough room for the environment",
            f"it needs {needed / 1e6:.0f} MB, and {store.root} has {free / 1e6:.0f} MB left",
            hint="free some space, or choose another place with [sync] store; nothing was changed",
        )


@contextmanager
def scratch_directory(site: Site) -> Iterator[Path]:
    """An empty node-local directory of this user's, removed at the end."""
    with disk_errors("make a scratch directory", site.scratch):
        path = Path(tempfile.mkdtemp(prefix="lumienv-", dir=site.scratch))
    try:
        yield path
    finally:
        remove_tree(path)


def working_directory(environ: Mapping[str, str], given: str | None) -> Path:
    """Where to look for the manifest: `--project`, else the current folder. Raises ManifestError."""
    path = Path(given) if given else Path(environ.get("PWD") or os.getcwd())  # noqa: PTH109
    if not path.is_dir():
        raise ManifestError(f"{path} is not a directory")
    return path.absolute()
