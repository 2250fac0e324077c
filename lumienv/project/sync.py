"""Make the environment match the lock: fetch, build aside, verify, swap."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import LockError, ManifestError, StoreError
from lumienv.files import owner_name
from lumienv.image.snapshot import Base, Snapshot
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, LockedSource, LockedWheel, read_lock
from lumienv.manifest import Manifest
from lumienv.overlay.generation import MOUNT, Entrance, Generation, all_generations, current_mode
from lumienv.overlay.output import check_not_base, image_is_whole, put_out
from lumienv.overlay.trust import note_down
from lumienv.project import Project, Report, base_of, saved_snapshot, snapshot_of
from lumienv.project.launchers import bring_up_launchers
from lumienv.project.lock import LockOutcome, lock
from lumienv.project.materialise import Made, materialise
from lumienv.project.wanted import (
    Wanted,
    built_folders,
    carried,
    editable_folders,
    generation_digest,
    output_of,
    wanted_of,
)
from lumienv.resolve.check import missing_from_image


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
    launchers: int = 0
    """how many launchers there are, if there were none before"""
    reaches: bool = True
    """where it was shared: whether others can come to it, as far as the folders above tell"""
    was: str | None = None
    """the mode of what was current before; None where nothing was"""
    older: int = 0
    """how many other environments lie in the store"""


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
    wanted_at = output_of(manifest, wanted.mode, output)
    if manifest.image.kind == "snapshot":
        raise _no_image(project)
    if manifest.image.kind == "host" and ":" in str(manifest.store_path):
        raise ManifestError(
            f"the store {manifest.store_path} has a colon in its path, which PATH cannot hold",
            hint="without a container its programs are found by PATH: choose another place with [sync] store",
        )
    note_down(None, project.environ)  # before the work, not after it
    if wanted.mode == "sif" and manifest.image.activate == "live":
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
    chosen = carried(current.selected(snapshot, wanted.groups), wanted.mode, report)
    digest = generation_digest(
        project, current, snapshot, wanted.mode + wanted.builder, wanted.groups, chosen
    )
    store = project.store
    was = current_mode(store.root)
    if store.owner is not None:
        adopted = store.adopt(wanted.mode, digest) if accept else store.find(wanted.mode, digest)
        if adopted is None or share:
            raise _not_shared(project, store.owner, adopted is not None, accept)
        if wanted_at is not None:
            put_out(adopted, wanted_at)
        by = owner_name(store.owner)
        return SyncOutcome(adopted, False, len(chosen), locked=outcome, output=wanted_at, shared_by=by)
    with store.writing(report.note):
        whole = image_is_whole if wanted.mode == "sif" else lambda _: True
        known = store.find(wanted.mode, digest, whole)
        if known is not None:
            store.select(known)
            made = Made(known)
        else:
            generation = _to_be_made(project, wanted, base, snapshot, current, chosen, digest)
            made = materialise(project, report, generation, snapshot, current, chosen)
        if wanted_at is not None:
            put_out(made.generation, wanted_at)
        used = store.share(made.generation) if share else made.generation
        return SyncOutcome(
            used,
            known is None,
            len(chosen),
            made.image_scripts,
            outcome,
            made.remark,
            wanted_at,
            launchers=bring_up_launchers(project, report, used),
            reaches=_reaches(project),
            was=was,
            older=len(all_generations(store.root)) - 1,
        )


def _to_be_made(
    project: Project,
    wanted: Wanted,
    base: Base,
    snapshot: Snapshot,
    current: Lock,
    chosen: Sequence[LockedWheel | LockedSource],
    digest: str,
) -> Generation:
    """What a generation that is not there yet is going to be."""
    manifest = project.manifest
    return Generation(
        path=project.store.generations,
        digest=digest,
        mode=wanted.mode,
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
        image_prefix=snapshot.python.prefix,
        mount=snapshot.free_mount(MOUNT),
        builder=wanted.builder,
        groups=wanted.groups,
        entrance=_entrance(manifest, snapshot),
        editable=tuple(editable_folders(project, chosen)),
        sources=built_folders(project, chosen),
    )


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


def check_guard(current: Lock, snapshot: Snapshot) -> None:
    """The image is the one that was locked for: by identity, else by its frozen list."""
    if current.identity in ("", snapshot.image.locked_as) and current.frozen == snapshot.frozen_digest():
        return
    raise LockError(
        f"the image {snapshot.image.name} is not the one that {LOCK_NAME} was made for",
        *(f"the lock rests on {text}" for text in missing_from_image(current.provided, snapshot)),
        hint="resolve again for this image: lumienv lock",
    )


def _entrance(manifest: Manifest, snapshot: Snapshot) -> Entrance:
    activation = snapshot.activation
    # What was found by looking has no command: its `command` is the folder that goes in front of PATH.
    if manifest.image.activate == "live" and activation.command and activation.kind != "found":
        return Entrance(live=activation.command)
    return Entrance(activation.set, activation.prepend_path)
