"""Make the environment match the lock: fetch, build aside, verify, swap."""

import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv.build.address import local_place
from lumienv.build.folders import folder_state, known_path
from lumienv.errors import LockError, ManifestError, StoreError, UsageError
from lumienv.files import owner_name
from lumienv.image.snapshot import Snapshot
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, LockedSource, LockedWheel, read_lock
from lumienv.manifest import BUILDERS, MODES, Manifest
from lumienv.overlay.generation import MOUNT, Entrance, Generation
from lumienv.overlay.output import check_not_base, check_output, image_is_whole, put_out
from lumienv.overlay.trust import note_down
from lumienv.project import Project, Report, base_of, saved_snapshot, snapshot_of
from lumienv.project.lock import LockOutcome, lock
from lumienv.project.materialise import materialise
from lumienv.resolve.check import missing_from_image
from lumienv.resolve.origin import Origin

# Raised whenever the same lock has to be materialised anew because the tree is laid out differently.
TREE_SCHEMA = 2


@dataclass(frozen=True)
class SyncOutcome:
    """What syncing did."""

    generation: Generation
    built: bool
    installed: int
    image_scripts: tuple[str, ...] = ()
    locked: LockOutcome | None = None
    remark: str = ""
    """on how the image was made, and how it could have been"""
    output: Path | None = None
    """where the user has the image, beside the store"""
    shared_by: str = ""
    """who shares the environment that is used now; empty when it is this user's own"""
    reaches: bool = True
    """where it was shared: whether others can come to it, as far as the folders above tell"""


@dataclass(frozen=True)
class Wanted:
    """What an environment is to be."""

    mode: str
    builder: str
    groups: tuple[str, ...]


def sync(
    project: Project,
    report: Report,
    *,
    mode: str | None = None,
    builder: str | None = None,
    output: Path | None = None,
    groups: Sequence[str] = (),
    no_groups: Sequence[str] = (),
    locked: bool = False,
    frozen: bool = False,
    share: bool = False,
    accept: bool = True,
) -> SyncOutcome:
    """Make the environment match the lock, which is brought up to date first.

    `builder` and `output` are of the mode `sif`: who makes the image, and where it shall be beside the store.
    `groups` are those to have beside `dev`. `locked`: a stale lock is an error; `frozen`: it is used as is.
    `share` lets the project's group use it. In a store of somebody else's, what they share is accepted,
    unless `accept` is false: then what was accepted before is used.
    The old environment stays in place until the new one is whole. Raises LumienvError's children.
    """
    manifest = project.manifest
    wanted = wanted_of(project, mode, builder, groups, no_groups)
    wanted_at = _output(manifest, wanted.mode, output)
    chosen_mode, made_by, selected = wanted.mode, wanted.builder, wanted.groups
    if manifest.image.kind == "snapshot":
        raise _no_image(project)
    if manifest.image.kind == "host" and ":" in str(manifest.store_path):
        raise ManifestError(
            f"the store {manifest.store_path} has a colon in its path, which PATH cannot hold",
            hint="without a container its programs are found by PATH: choose another place with [sync] store",
        )
    note_down(None, project.environ)  # before the work, not after it
    if chosen_mode == "sif" and manifest.image.activate == "live":
        report.note('activate = "live" is for lumienv run; the image itself has the recorded variables')
    outcome = None if frozen else lock(project, report, check=locked)
    current = read_lock(project.lock_path)
    if current is None:
        raise LockError("there is no lock yet", hint="make one: lumienv lock")
    base = base_of(project, current)
    if wanted_at is not None:
        check_not_base(wanted_at, base.path)
    snapshot = snapshot_of(project, base)
    check_guard(current, snapshot)
    chosen = carried(current.selected(snapshot, selected), chosen_mode, report)
    digest = generation_digest(project, current, snapshot, chosen_mode + made_by, selected, chosen)
    store = project.store
    if store.owner is not None:
        adopted = store.adopt(chosen_mode, digest) if accept else store.find(chosen_mode, digest)
        if adopted is None or share:
            raise _not_shared(project, store.owner, adopted is not None, accept)
        if wanted_at is not None:
            put_out(adopted, wanted_at)
        by = owner_name(store.owner)
        return SyncOutcome(adopted, False, len(chosen), locked=outcome, output=wanted_at, shared_by=by)
    with store.writing(report.note):
        whole = image_is_whole if chosen_mode == "sif" else lambda _: True
        known = store.find(chosen_mode, digest, whole)
        if known is not None:
            store.select(known)
            if share:
                known = store.share(known)
            if wanted_at is not None:
                put_out(known, wanted_at)
            return SyncOutcome(
                known, False, len(chosen), locked=outcome, output=wanted_at, reaches=_reaches(project)
            )
        generation = Generation(
            path=project.store.generations,
            digest=digest,
            mode=chosen_mode,
            base_kind=base.kind,
            base_path=base.path,
            base_name=base.name,
            identity=snapshot.image.identity,
            fingerprint=base.fingerprint,
            selection=manifest.image.selection(),
            inputs=current.inputs,
            lock=current.digest,
            runtime=project.runtime().flavour,
            python=snapshot.python.version,
            mount=snapshot.free_mount(MOUNT),
            builder=made_by,
            groups=selected,
            entrance=_entrance(manifest, snapshot),
            editable=tuple(_editable_folders(project, chosen)),
            sources=_built_folders(project, chosen),
        )
        published, scripts, remark = materialise(project, report, generation, snapshot, current, chosen)
        if share:
            published = store.share(published)
        if wanted_at is not None:
            put_out(published, wanted_at)
        return SyncOutcome(
            published,
            True,
            len(chosen),
            tuple(scripts),
            outcome,
            remark,
            wanted_at,
            reaches=_reaches(project),
        )


def wanted_of(
    project: Project,
    mode: str | None,
    builder: str | None,
    groups: Sequence[str],
    no_groups: Sequence[str],
) -> Wanted:
    """What was asked for, by words or by the manifest. Raises UsageError, ManifestError."""
    manifest = project.manifest
    chosen_mode = mode or manifest.mode
    made_by = _builder(manifest, mode, builder)
    if chosen_mode != "venv" and manifest.image.kind == "host":
        kind = UsageError if mode else ManifestError
        raise kind(
            f"the mode {chosen_mode} needs a container, and [image] names a Python of this machine",
            hint="without a container an environment is a directory: --mode venv",
        )
    return Wanted(chosen_mode, made_by, _groups(manifest, groups, no_groups))


def _not_shared(project: Project, owner: int, there: bool, accept: bool) -> StoreError:
    name, store = owner_name(owner), project.store.root
    if there:
        return StoreError(
            f"the store {store} was made by {name}: only they can share what is in it",
            hint='for an environment of your own to share: [sync] store = ".lumienv-$USER"',
        )
    fits = "nothing that they share there fits" if accept else "you have accepted nothing there that fits"
    return StoreError(
        f"the store {store} was made by {name}, and {fits}",
        hint=("" if accept else "to use what they share: lumienv sync\n")
        + f"ask {name} for: lumienv sync --share\n"
        'or use a store of your own: [sync] store = ".lumienv-$USER"',
    )


def _reaches(project: Project) -> bool:
    """Whether the group may pass through the folders in which the store lies."""
    return all(folder.stat().st_mode & 0o011 for folder in project.store.root.absolute().parents)


def _builder(manifest: Manifest, mode: str | None, builder: str | None) -> str:
    """Who makes the image, in the mode `sif`; else nobody. Raises UsageError for what was typed wrongly."""
    for option, value, known in (("--mode", mode, MODES), ("--builder", builder, BUILDERS)):
        if value is not None and value not in known:
            raise UsageError(f"{option} {value} is not known", hint=f"it is one of: {', '.join(known)}")
    if (mode or manifest.mode) != "sif":
        if builder is not None:
            raise UsageError(
                f"--builder {builder} makes an image, and the mode is {mode or manifest.mode}",
                hint=f"lumienv sync --mode sif --builder {builder}",
            )
        return ""
    return builder or manifest.sif.builder


def _output(manifest: Manifest, mode: str, typed: Path | None) -> Path | None:
    """Where the image is wanted beside the store, if anywhere. Raises UsageError, StoreError."""
    if mode != "sif":
        if typed is not None:
            raise UsageError(
                f"--output {typed} is for an image, and the mode is {mode}",
                hint=f"lumienv sync --mode sif --output {shlex.quote(str(typed))}",
            )
        return None
    written = os.path.expanduser(os.path.expandvars(manifest.sif.output))  # noqa: PTH111
    wanted = typed or (manifest.directory / written if written else None)
    if wanted is not None:
        check_output(wanted)
    return wanted


def _no_image(project: Project) -> ManifestError:
    saved = saved_snapshot(project)
    assert saved is not None
    kind, name = saved.image.kind, saved.image.name
    words = f'host = "{name.removeprefix("host ")}"' if kind == "host" else 'name = "…"'
    if kind == "sif":
        words = f'name = "{name.removesuffix(".sif")}"'
    return ManifestError(
        "there is no image to run on: [image] names a saved snapshot, which serves to lock alone",
        hint=f"where the image is, name the image itself: [image] {words}\n"
        "elsewhere that lumienv.toml can be locked too, to the same lock:\n"
        f"lumienv lock --snapshot {project.manifest.image.value}",
    )


def _groups(manifest: Manifest, wanted: Sequence[str], unwanted: Sequence[str]) -> tuple[str, ...]:
    """`dev` where there is one, as in uv, and what was asked for."""
    for name in (*wanted, *unwanted):
        if name not in manifest.groups:
            known = ", ".join(manifest.groups) or "none"
            raise UsageError(f"there is no dependency group {name} in lumienv.toml", f"groups: {known}")
    default = {"dev"} & set(manifest.groups)
    return tuple(sorted((default | set(wanted)) - set(unwanted)))


def check_guard(current: Lock, snapshot: Snapshot) -> None:
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


def generation_digest(
    project: Project,
    current: Lock,
    snapshot: Snapshot,
    mode: str,
    groups: Sequence[str],
    chosen: Sequence[LockedWheel | LockedSource],
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
        _local_states(project, chosen),
    ]
    return "sha256:" + hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def carried(
    chosen: Sequence[LockedWheel | LockedSource], mode: str, report: Report | None
) -> list[LockedWheel | LockedSource]:
    """What is installed in this mode: a file cannot hold a link to a folder, so it takes the code itself."""
    found: list[LockedWheel | LockedSource] = []
    for one in chosen:
        what = one.what if isinstance(one, LockedSource) else None
        if isinstance(one, LockedSource) and isinstance(what, Origin) and what.editable and mode != "venv":
            if report is not None:
                report.note(f"{one.name} is installed as it is now; after changes to it, sync again")
            found.append(replace(one, what=replace(what, editable=False)))
        else:
            found.append(one)
    return found


def folders(project: Project, chosen: Sequence[LockedWheel | LockedSource]) -> Iterator[tuple[Path, Origin]]:
    """The local projects among what is installed."""
    for source in chosen:
        what = source.what if isinstance(source, LockedSource) else None
        if isinstance(what, Origin) and what.kind == "directory":
            yield local_place(project.manifest.directory, source.name, what.location), what


def _built_folders(
    project: Project, chosen: Sequence[LockedWheel | LockedSource]
) -> dict[str, tuple[str, str]]:
    """The local projects whose code is copied, and its state, so that `run` can tell when it is old."""
    return {
        source.name: (
            source.what.location,
            folder_state(local_place(project.manifest.directory, source.name, source.what.location)),
        )
        for source in chosen
        if isinstance(source, LockedSource)
        and isinstance(source.what, Origin)
        and source.what.kind == "directory"
        and not source.what.editable
    }


def _editable_folders(project: Project, chosen: Sequence[LockedWheel | LockedSource]) -> Iterator[str]:
    """The folders that have to be seen when a command runs, as their code is not copied."""
    for folder, origin in folders(project, chosen):
        if origin.editable:
            yield str(known_path(folder))


def _local_states(project: Project, chosen: Sequence[LockedWheel | LockedSource]) -> list[str]:
    """What tells one state of the local projects from another: the lock knows only where they lie."""
    return [
        str(known_path(folder)) if origin.editable else folder_state(folder)
        for folder, origin in folders(project, chosen)
    ]
