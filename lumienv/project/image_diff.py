"""What changes from one image to another, and what a move there would change for the project here."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from lumienv.errors import ManifestError, PackageIndexError
from lumienv.files import user_path
from lumienv.image.names import parse
from lumienv.image.saved import read_snapshot
from lumienv.image.snapshot import Snapshot
from lumienv.image.versions import accepts, same_version
from lumienv.lockfile import Lock, read_lock
from lumienv.manifest import Manifest, find_manifest, start_folder
from lumienv.project import Project, Report, index_client, open_project
from lumienv.project.freeze import snapshot_of_image
from lumienv.project.suggest import NOT_PROBED, UNCLEAR, Suggestion, judged
from lumienv.resolve.requirements import user_requirement

_ROCM = re.compile(r"\+rocm(\d+(?:\.\d+)+)")
_GLIBC = re.compile(r"manylinux_2_(\d+)_")


@dataclass(frozen=True)
class Changed:
    """Something that both have, otherwise: a package or a fact."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Move:
    """What a move to the second image would change for a project."""

    becomes_image: tuple[Changed, ...] = ()
    """locked now, and then the image's: name, locked version, the image's"""
    gone: tuple[Changed, ...] = ()
    """image packages that the lock rests on and the other image has not: `after` is empty"""
    otherwise: tuple[Changed, ...] = ()
    """image packages that the lock rests on and the other image has in another version"""
    clashes: tuple[str, ...] = ()
    """lines of lumienv.toml that the other image's packages do not meet"""
    verdict: str = ""
    """as of `image suggest`: `fits`, `does not fit`, `for CUDA` or `unclear`"""
    reason: str = ""
    provided: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageDiff:
    """From one image to another."""

    before: str
    after: str
    same: bool
    """both are the same bytes"""
    facts: tuple[Changed, ...]
    """Python, ROCm, C library, processor: those that differ"""
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[Changed, ...]
    move: Move | None = None
    """where there is a project"""


def snapshot_called(image: str, environ: Mapping[str, str]) -> Snapshot:
    """Of a saved snapshot's file, or of an image by path or name, which is started if it never was.

    Raises ImageError, ContainerError.
    """
    if image.endswith(".json"):
        return read_snapshot(user_path(image))
    return snapshot_of_image(image, environ)


def image_diff(before: Snapshot, after: Snapshot) -> ImageDiff:
    """What differs between two images."""
    old, new = _versions(before), _versions(after)
    then, now = _facts(before), _facts(after)
    same = bool(before.image.locked_as) and before.image.locked_as == after.image.locked_as
    return ImageDiff(
        before.image.name,
        after.image.name,
        same,
        tuple(Changed(key, then[key], now[key]) for key in then if then[key] != now[key]),
        tuple((name, new[name]) for name in sorted(new.keys() - old.keys())),
        tuple((name, old[name]) for name in sorted(old.keys() - new.keys())),
        tuple(
            Changed(name, old[name], new[name])
            for name in sorted(old.keys() & new.keys())
            if not same_version(old[name], new[name])
        ),
    )


def with_move(
    found: ImageDiff,
    after: Snapshot,
    folder: str | None,
    environ: Mapping[str, str],
    report: Report,
    *,
    offline: bool,
) -> ImageDiff:
    """The same with what a move to `after` would change for the project in `folder`, if there is one.

    Where no index can be asked and the caches do not suffice, it stays unclear whether the dependencies fit.
    Raises ManifestError for a project that cannot be read, LockError for its lock.
    """
    try:
        find_manifest(start_folder(folder, environ))
    except ManifestError:
        if folder is not None:
            raise
        return found
    project = open_project(folder, environ, offline=offline)
    return replace(found, move=_move(project, after, report))


def _move(project: Project, after: Snapshot, report: Report) -> Move:
    have = _versions(after)
    have.update({canonicalize_name(name): text for name, text in project.manifest.image.assume.items()})
    lock = read_lock(project.lock_path)
    kept = {canonicalize_name(name) for name in project.manifest.resolve.replace}
    tried = _tried(project, after, report, lock)
    provided = lock.provided if lock is not None else {}
    return Move(
        tuple(
            Changed(name, label, have[name])
            for name, label in sorted((lock.labels() if lock is not None else {}).items())
            if name in have and name not in kept
        ),
        tuple(Changed(name, old, "") for name, old in sorted(provided.items()) if name not in have),
        tuple(
            Changed(name, old, have[name])
            for name, old in sorted(provided.items())
            if name in have and not same_version(old, have[name])
        ),
        tuple(_clashes(project.manifest, after, have, kept)),
        tried.verdict,
        tried.reason,
        tried.provided,
        tried.added,
    )


def _tried(project: Project, after: Snapshot, report: Report, lock: Lock | None) -> Suggestion:
    blank = Suggestion(after.image.name, "", "", NOT_PROBED)
    with index_client(project) as client:
        try:
            origins = lock.origins() if lock is not None else {}
            return judged(blank, after, project, client, report, origins)
        except PackageIndexError as error:
            return replace(blank, verdict=UNCLEAR, reason=error.message)


def _clashes(
    manifest: Manifest, after: Snapshot, have: Mapping[str, str], kept: Collection[str]
) -> list[str]:
    """The user's lines that the image's own packages do not meet."""
    table = manifest.resolve
    overridden = {canonicalize_name(user_requirement(entry).name) for entry in table.overrides}
    entries = [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]
    found = []
    for entry in dict.fromkeys([*entries, *table.constraints, *table.overrides]):
        requirement = user_requirement(entry)
        name = canonicalize_name(requirement.name)
        if name not in have or name in kept or (name in overridden and entry not in table.overrides):
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({**after.markers, "extra": ""}):
            continue
        if requirement.url or not accepts(requirement.specifier, have[name]):
            found.append(f"{entry.text} ({entry.where}): {after.image.name} has {name} {have[name]}")
    return found


def _versions(snapshot: Snapshot) -> dict[str, str]:
    return {name: package.version for name, package in snapshot.by_name().items()}


def _facts(snapshot: Snapshot) -> dict[str, str]:
    libraries = [int(found[1]) for tag in snapshot.tags if (found := _GLIBC.search(tag))]
    return {
        "Python": snapshot.python.version,
        "ROCm": _rocm(snapshot),
        "C library": f"glibc 2.{max(libraries)}" if libraries else "",
        "processor": snapshot.markers["platform_machine"],
    }


def _rocm(snapshot: Snapshot) -> str:
    """As torch's own build says, or the image's name; empty where neither does."""
    torch = next((package.version for package in snapshot.packages if package.name.lower() == "torch"), "")
    found = _ROCM.search(torch)
    return found[1] if found else parse(snapshot.image.name).rocm
