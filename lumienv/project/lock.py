"""Bring the lock up to date."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import LockError, ResolutionError, SearchGivenUpError
from lumienv.files import disk_errors, write_atomically
from lumienv.image.snapshot import Base, Snapshot
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, label_of, lock_text, read_lock, with_identity
from lumienv.project import Project, Report, base_of, index_client, snapshot_of, source_builder
from lumienv.project.cacheuse import using_cache
from lumienv.project.pair import finish, written_at
from lumienv.resolve import Resolution
from lumienv.resolve.origin import Origin
from lumienv.staleness import staleness


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
    stand_ins: tuple[str, ...] = ()
    """what is needed and not installed, as an image package of another name stands for it"""
    total: int = 0
    seconds: float = 0.0
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
    publish: Callable[[bytes], None] | None = None,
) -> LockOutcome:
    """Bring the lock up to date; without need nothing is asked of the network, and no container started.

    `check` only finds out whether that is needed; `upgrade` forgets the locked versions, all of them or
    those of `upgrade_packages`. A new lock is handed to `publish`, if given, in place of being written.
    Raises LockError when `check` finds it stale; ResolutionError, ImageError,
    PackageIndexError, ManifestError; the old lock then stays as it was.
    """
    began = time.monotonic()
    if not (check or dry_run):
        finish(project.manifest, project.lock_path)
    old, damaged = _old_lock(project)
    base = base_of(project, old)
    reason = damaged or why_stale(project, old, base)
    if check and reason:
        raise LockError(f"{LOCK_NAME} is not up to date: {reason}", hint="bring it up to date: lumienv lock")
    if old is not None and not reason and not upgrade and not upgrade_packages:
        written = not (check or dry_run) and _add_identity(project, report, old, base)
        return LockOutcome(project.lock_path, fresh=True, written=written, total=len(old.labels()))
    with using_cache(project.site.cache, report.note), report.waiting(f"resolving on top of {base.name}"):
        snapshot, resolution = _resolve(
            project,
            report,
            base,
            _kept(old, upgrade, upgrade_packages),
            bool(upgrade or upgrade_packages),
        )
    for warning in resolution.warnings:
        report.warn(warning)
    if old is not None:
        for filename in _exchanged(old, resolution):
            report.warn(
                f"{filename} is another file than the one of that name that was locked: an index should "
                "never exchange a file; see what those who run it say"
            )
    text = lock_text(resolution, snapshot, project.manifest)
    before = old.labels() if old is not None else {}
    after = {
        pin.name: label_of(str(pin.version), pin.origin, built=pin.file is not None and not pin.file.is_wheel)
        for pin in resolution.pins
    }
    for name in upgrade_packages:
        if canonicalize_name(name) not in after:
            of_image = canonicalize_name(name) in dict(resolution.provided)
            where = "is the image's" if of_image else "is not in the lock"
            report.warn(f"-P {name} changes nothing: {name} {where}")
    if not dry_run:
        with disk_errors("write the lock", project.lock_path):
            if publish is not None:
                publish(text.encode())
            else:
                write_atomically(written_at(project.lock_path), text.encode())
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
        stand_ins=tuple(
            f"{name}: the image's {other} {version} stands for it"
            for name, other, version in resolution.stand_ins
        ),
        total=len(after),
        seconds=time.monotonic() - began,
        reason=reason or "",
    )


@dataclass(frozen=True)
class _Kept:
    """What of the old lock stays while it fits."""

    versions: Mapping[str, Version]
    origins: Mapping[str, Origin]


def _resolve(
    project: Project, report: Report, base: Base, kept: _Kept, refresh: bool
) -> tuple[Snapshot, Resolution]:
    """Resolve; where cached pages allow no solution, once more with the indexes asked again.

    A page is believed for minutes after it was fetched, so a release may have come since.
    """
    # Imported late: finding that a lock is up to date needs neither.
    from lumienv.image.known import known_images
    from lumienv.resolve.resolver import Request, resolve

    with index_client(project, refresh=refresh) as client:
        snapshot = snapshot_of(project, base)
        others = partial(known_images, project.site)
        where = base.path or base.name
        report.detail(f"image {where}: Python {snapshot.python.version}, {len(snapshot.packages)} packages")
        request = Request(project.manifest, snapshot, kept.versions, kept.origins, others)
        last = refresh or project.offline
        builder = source_builder(project, snapshot, client, report)
        try:
            return snapshot, resolve(request, client, builder, explained=last)
        except SearchGivenUpError:
            raise  # a few releases more make no search shorter
        except ResolutionError:
            if last:
                raise
    with index_client(project, refresh=True) as client:
        return snapshot, resolve(request, client, builder.asking(client))


def why_stale(project: Project, old: Lock | None, base: Base) -> str | None:
    """Why the lock has to be made anew, in one line; None when it does not.

    An identity that is the locked one needs no snapshot: the same bytes provide the same packages.
    """
    if old is None:
        return "there is none yet"
    unchanged = old.inputs == project.manifest.inputs_digest()
    if unchanged and old.identity and old.identity == base.locked_as:
        return None
    return staleness(old, project.manifest, snapshot_of(project, base))


def _add_identity(project: Project, report: Report, old: Lock, base: Base) -> bool:
    """Bind a lock that was made for a snapshot by hand to the image that it was now found to fit."""
    image = snapshot_of(project, base).image if not old.identity else base
    if old.identity or not image.locked_as:
        return False
    with disk_errors("write the lock", project.lock_path):
        text = project.lock_path.read_text(encoding="utf-8")
        write_atomically(written_at(project.lock_path), with_identity(text, image).encode())
    report.note(f"{LOCK_NAME} fits {image.name}, and names it from now on")
    return True


def _old_lock(project: Project) -> tuple[Lock | None, str | None]:
    """The lock on disk; one that cannot be read is made anew, and said to be damaged."""
    try:
        return read_lock(project.lock_path), None
    except LockError as error:
        return None, error.message


def _exchanged(old: Lock, resolution: Resolution) -> list[str]:
    """The files that have kept their name and not their hash."""
    before = old.hashes()
    files = [pin.file for pin in resolution.pins if pin.file is not None]
    return sorted(
        file.filename
        for file in files
        if before.get(file.filename, file.sha256 or "").lower() != (file.sha256 or "").lower()
    )


def _kept(old: Lock | None, upgrade: bool, names: Collection[str]) -> _Kept:
    if old is None or upgrade:
        return _Kept({}, {})
    dropped = {canonicalize_name(name) for name in names}
    return _Kept(
        {name: version for name, version in old.versions().items() if name not in dropped},
        {name: origin for name, origin in old.origins().items() if name not in dropped},
    )
