"""What an environment is to be: its mode and groups, what is installed in it, and the digest of all that."""

import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv.build.address import local_place
from lumienv.build.folders import folder_state, known_path
from lumienv.errors import ManifestError, UsageError
from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import Lock, LockedSource, LockedWheel
from lumienv.manifest import Manifest, group_key
from lumienv.overlay.output import check_output
from lumienv.project import Project, Report
from lumienv.resolve.origin import Origin

# Raised whenever the same lock has to be materialised anew because the tree is laid out differently.
TREE_SCHEMA = 3


@dataclass(frozen=True)
class Wanted:
    """What an environment is to be."""

    mode: str
    builder: str
    groups: tuple[str, ...]


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
            hint="without a container an environment is a directory: "
            + ("lumienv sync --mode venv" if mode else '[sync] mode = "venv"'),
        )
    return Wanted(chosen_mode, made_by, groups_of(manifest, groups, no_groups))


def _builder(manifest: Manifest, mode: str | None, builder: str | None) -> str:
    """Who makes the image, in the mode `sif`; else nobody. Raises UsageError where there is none to make."""
    if (mode or manifest.mode) != "sif":
        if builder is not None:
            raise UsageError(
                f"--builder {builder} makes an image, and the mode is {mode or manifest.mode}",
                hint=f"lumienv sync --mode sif --builder {builder}",
            )
        return ""
    return builder or manifest.sif.builder


def output_of(manifest: Manifest, mode: str, typed: Path | None) -> Path | None:
    """Where the image is wanted beside the store, if anywhere. Raises UsageError, StoreError."""
    if mode != "sif":
        if typed is not None:
            raise UsageError(
                f"--output {typed} is for an image, and the mode is {mode}",
                hint=f"lumienv sync --mode sif --output {shlex.quote(str(typed))}",
            )
        return None
    written = manifest.place("[sif] output", manifest.sif.output) if manifest.sif.output else None
    wanted = typed or written
    if wanted is not None:
        check_output(wanted)
    return wanted


def groups_of(manifest: Manifest, wanted: Sequence[str], unwanted: Sequence[str]) -> tuple[str, ...]:
    """`dev` where there is one, as in uv, and what was asked for, called as the file calls it.

    Raises UsageError for a group that is not there.
    """
    default = {manifest.dev_group} if manifest.dev_group is not None else set()
    return tuple(sorted((default | _known(manifest, wanted)) - _known(manifest, unwanted)))


def _known(manifest: Manifest, typed: Sequence[str]) -> set[str]:
    found = set()
    for name in typed:
        known = group_key(manifest.groups, name)
        if known is None:
            groups = ", ".join(manifest.groups) or "none"
            raise UsageError(f"there is no dependency group {name} in lumienv.toml", f"groups: {groups}")
        found.add(known)
    return found


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


def built_folders(
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


def editable_folders(project: Project, chosen: Sequence[LockedWheel | LockedSource]) -> Iterator[str]:
    """The folders that have to be seen when a command runs, as their code is not copied."""
    for folder, origin in folders(project, chosen):
        if origin.editable:
            yield str(known_path(folder))


def _local_states(project: Project, chosen: Sequence[LockedWheel | LockedSource]) -> list[str]:
    """What tells one state of the local projects from another: the lock knows only where they lie.

    Where a copied one lay is in the tree, too, as the place that its code came from. That stays true when
    the project is moved, and those who come to it by another path can share what was made.
    """
    return [
        str(known_path(folder)) if origin.editable else folder_state(folder)
        for folder, origin in folders(project, chosen)
    ]
