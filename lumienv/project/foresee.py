"""What `sync` would do: found out without writing, and without a container where that can be."""

from collections.abc import Sequence
from dataclasses import dataclass

from lumienv.errors import ContainerError, LockError
from lumienv.image.probing import cached_snapshot
from lumienv.image.snapshot import Base
from lumienv.launch.run import chosen_generation, why_stale
from lumienv.lockfile import read_lock
from lumienv.overlay.generation import Generation
from lumienv.project import Project, Report, base_of, snapshot_of
from lumienv.project.lock import LockOutcome, lock
from lumienv.project.sync import check_guard
from lumienv.project.wanted import Wanted, carried, folders, generation_digest, wanted_of


@dataclass(frozen=True)
class Foreseen:
    """What syncing would do."""

    wanted: Wanted
    locked: LockOutcome | None
    """None: the lock is used as it is"""
    install: tuple[str, ...] | None
    """name and version of what would be installed; None where locking comes first"""
    known: bool
    """the environment has been made before: it would only be switched to"""
    base_name: str


def check(
    project: Project,
    *,
    mode: str | None = None,
    builder: str | None = None,
    groups: Sequence[str] = (),
    no_groups: Sequence[str] = (),
) -> str | None:
    """Why `sync` would change the environment, in one line; None when it would not.

    Writes nothing, asks no network, and starts no container. Raises UsageError, ManifestError.
    """
    manifest = project.manifest
    wanted = wanted_of(project, mode, builder, groups, no_groups)
    reason = why_stale(manifest)
    if reason is not None:
        return reason
    have = chosen_generation(manifest, None, project.environ)
    if have.mode != wanted.mode:
        return f"the current environment is of the mode {have.mode}, and {wanted.mode} is asked for"
    if have.builder != wanted.builder:
        return f"the current image was made by {have.builder}, and {wanted.builder} is asked for"
    if have.groups != wanted.groups:
        return (
            f"the current environment has {_named(have.groups)}, and {_named(wanted.groups)} "
            f"{'is' if len(wanted.groups) == 1 else 'are'} asked for"
        )
    return _other_sources(project, have)


def would_sync(
    project: Project,
    report: Report,
    *,
    mode: str | None = None,
    builder: str | None = None,
    groups: Sequence[str] = (),
    no_groups: Sequence[str] = (),
    locked: bool = False,
    frozen: bool = False,
) -> Foreseen:
    """What `sync` would do; writes nothing into the project. Raises LumienvError's children."""
    wanted = wanted_of(project, mode, builder, groups, no_groups)
    outcome = None if frozen else lock(project, report, check=locked, dry_run=True)
    current = read_lock(project.lock_path)
    if current is None and frozen:
        raise LockError("there is no lock yet", hint="make one: lumienv lock")
    base = base_of(project, current)
    if current is None or (outcome is not None and not outcome.fresh):
        return Foreseen(wanted, outcome, None, known=False, base_name=base.name)
    snapshot = snapshot_of(project, base)
    check_guard(current, snapshot)
    chosen = carried(current.selected(snapshot, wanted.groups), wanted.mode, report)
    digest = generation_digest(
        project, current, snapshot, wanted.mode + wanted.builder, wanted.groups, chosen
    )
    names = tuple(f"{one.name} {one.version}" if one.version else one.name for one in chosen)
    known = project.store.find(wanted.mode, digest) is not None
    return Foreseen(wanted, outcome, names, known, base.name)


def _named(groups: Sequence[str]) -> str:
    if not groups:
        return "no dependency group"
    return f"the group{'s' if len(groups) > 1 else ''} {', '.join(groups)}"


def _other_sources(project: Project, have: Generation) -> str | None:
    """Whether local projects have changed since they were installed; None where that costs too much."""
    current = read_lock(project.lock_path)
    base = Base(have.base_kind, have.base_path, have.base_name, have.identity, fingerprint=have.fingerprint)
    activate = project.manifest.image.activate
    snapshot = cached_snapshot(base, project.site.cache, "auto" if activate == "live" else activate)
    if current is None or snapshot is None:
        return None
    chosen = current.selected(snapshot, have.groups)
    if not any(True for _ in folders(project, chosen)):
        return None
    as_carried = carried(chosen, have.mode, None)
    try:
        digest = generation_digest(
            project, current, snapshot, have.mode + have.builder, have.groups, as_carried
        )
    except ContainerError as error:
        return error.message
    return None if digest == have.digest else "the code of a local project has changed since it was installed"
