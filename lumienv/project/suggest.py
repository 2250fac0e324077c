"""Which of the known images would satisfy a project's dependencies?"""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lumienv.errors import BrokenReleaseError, ContainerError, ImageError, LockError, ManifestError
from lumienv.files import user_path
from lumienv.image.known import KnownImage, known_images
from lumienv.image.probing import take_snapshot
from lumienv.image.saved import read_snapshot
from lumienv.image.snapshot import Base, Snapshot
from lumienv.index.client import IndexClient
from lumienv.lockfile import read_lock
from lumienv.manifest import Dependency, ImageTable, Manifest
from lumienv.project import Project, Report, base_of, index_client, saved_snapshot, source_builder
from lumienv.project.cacheuse import using_cache
from lumienv.resolve.cuda import for_cuda
from lumienv.resolve.direct import direct_sources
from lumienv.resolve.elsewhere import try_on
from lumienv.resolve.origin import Origin
from lumienv.resolve.policy import policy_of
from lumienv.resolve.requirements import Environment
from lumienv.resolve.search import DeadEnd, SearchTooLongError
from lumienv.resolve.story import Story
from lumienv.runtime.singularity import find

_MOST_SECONDS = 120.0
# The order in which they are shown.
FITS, FOR_CUDA, UNCLEAR = "fits", "for CUDA", "unclear"
DOES_NOT_FIT, NOT_PROBED = "does not fit", "not probed"
_ORDER = (FITS, FOR_CUDA, UNCLEAR, DOES_NOT_FIT, NOT_PROBED)


@dataclass(frozen=True)
class Suggestion:
    """One image, and how the project's dependencies stand to it."""

    image: str
    """file name"""
    path: str
    """of the image, or of the snapshot that was given"""
    selection: str
    """what to write, or to type, to have it"""
    verdict: str
    """`fits`, `for CUDA`, `unclear`, `does not fit` or `not probed`"""
    reason: str = ""
    """why not, in one line"""
    provided: tuple[str, ...] = ()
    """packages that would come from the image: `torch 2.7.1+rocm6.2.4`"""
    added: tuple[str, ...] = ()
    """packages that would be installed on top"""
    current: bool = False
    """it is the project's image now"""


def suggest(
    project: Project, report: Report, files: Sequence[str] = (), *, probe: bool = False
) -> list[Suggestion]:
    """How each known image stands to the dependencies, the best first.

    `files` are saved snapshots; when there are any, only they are compared. Else they are the images in the
    site's folders, those in the cache, and the project's own; `probe` starts those that were never probed.
    Raises ImageError for a file that is no snapshot, ManifestError, PackageIndexError.
    """
    found: list[Suggestion] = []
    locked = _locked_origins(project)
    deadline = time.monotonic() + _MOST_SECONDS
    with using_cache(project.site.cache, report.note), index_client(project) as client:
        for blank, snapshot in _given(files) if files else _known(project, report, probe):
            if snapshot is None:
                found.append(blank)
            elif time.monotonic() > deadline:
                reason = f"not tried, as {_MOST_SECONDS:.0f} seconds have passed"
                found.append(replace(blank, verdict=UNCLEAR, reason=reason))
            else:
                found.append(judged(blank, snapshot, project, client, report, locked))
    # The sort keeps the order of equals: of two that do as well the newer image comes first.
    return sorted(
        found,
        key=lambda one: (
            _ORDER.index(one.verdict),
            len(one.added),
            -len(one.provided),
            not one.current,
        ),
    )


def _locked_origins(project: Project) -> Mapping[str, Origin]:
    """What the direct sources were when they were locked: no need to fetch them again."""
    try:
        old = read_lock(project.lock_path)
    except LockError:
        return {}
    return old.origins() if old is not None else {}


_Tried = tuple[Suggestion, Snapshot | None]


def _given(files: Sequence[str]) -> Iterator[_Tried]:
    for file in files:
        snapshot = read_snapshot(user_path(file))
        words = f"lumienv lock --snapshot {file}"
        yield Suggestion(snapshot.image.name, file, words, NOT_PROBED), snapshot


def _known(project: Project, report: Report, probe: bool) -> Iterator[_Tried]:
    known = list(known_images(project.site))
    saved = saved_snapshot(project)
    own = _own(project)
    if own is not None and own.identity not in [image.base.identity for image in known]:
        words = _words(project.manifest.image)
        if saved is None:
            known.insert(0, KnownImage(own, None, words))
        else:
            yield Suggestion(own.name, "", words, NOT_PROBED, current=True), saved
    for image in known:
        blank = Suggestion(
            image.base.name,
            image.base.path,
            image.selection,
            NOT_PROBED,
            f"see what it provides with: lumienv image show {shlex.quote(image.base.path)}",
            current=own is not None and image.base.identity == own.identity,
        )
        known_snapshot = image.snapshot or (saved if blank.current else None)
        if known_snapshot is None and probe:
            report.note(f"looking into {image.base.name}")
            try:
                snapshot = take_snapshot(image.base, "auto", find(project.environ), project.site.cache)
            except (ImageError, ContainerError) as error:
                yield replace(blank, verdict=DOES_NOT_FIT, reason=error.message), None
            else:
                yield blank, snapshot
        else:
            yield blank, known_snapshot


def _own(project: Project) -> Base | None:
    """The project's image; None for a Python of this machine, and for one that is gone."""
    if project.manifest.image.kind == "host":  # to know where it lies, it would have to be started
        return None
    try:
        base = base_of(project)
    except ImageError:  # a reason to ask for another
        return None
    return base if base.kind != "host" else None


def _words(table: ImageTable) -> str:
    words = {table.kind: table.value, **table.selectors}
    return "[image] " + " and ".join(f'{key} = "{value}"' for key, value in words.items())


def judged(
    blank: Suggestion,
    snapshot: Snapshot,
    project: Project,
    client: IndexClient,
    report: Report,
    locked: Mapping[str, Origin],
) -> Suggestion:
    """`blank` with how the project's dependencies stand to this snapshot. Raises PackageIndexError."""
    manifest = project.manifest
    reader = source_builder(project, snapshot, client, report, start=False)
    groups = (manifest.dependencies, *manifest.groups.values())
    lines = list(dict.fromkeys(entry for group in groups for entry in group))
    blank = replace(blank, reason="")
    try:
        environment = Environment(snapshot.markers)
        policy = policy_of(manifest, environment, {})
        of_image = snapshot.by_name().keys() - policy.replace
        direct = direct_sources(manifest, policy, environment, of_image, reader, locked)
        found = try_on(snapshot, manifest, lines, client, direct, reader)
    except SearchTooLongError as error:
        reason = f"the search was given up after {error.rounds} rounds"
        return replace(blank, verdict=UNCLEAR, reason=reason)
    except ManifestError as error:  # a source or a rule that this image does not allow
        return replace(blank, verdict=DOES_NOT_FIT, reason=error.message)
    except BrokenReleaseError as error:  # a source that would have to be built to know more
        return replace(blank, verdict=UNCLEAR, reason=error.message)
    if isinstance(found, DeadEnd):
        reason = _clash(found, lines, manifest)
        return replace(blank, verdict=DOES_NOT_FIT, reason=reason)
    provided = sorted({str(candidate) for candidate in found.values() if candidate.package is not None})
    added = sorted({str(candidate) for candidate in found.values() if candidate.package is None})
    nvidia = for_cuda(found)
    return replace(
        blank,
        verdict=FITS if nvidia is None else FOR_CUDA,
        reason="" if nvidia is None else f"would install {nvidia}, which is for NVIDIA's GPUs",
        provided=tuple(provided),
        added=tuple(added),
    )


def _clash(end: DeadEnd, lines: Sequence[Dependency], manifest: Manifest) -> str:
    """What stands in the way first: `accel 2.0 needs torch>=2.8, and the image has torch 2.7.1`."""
    story = Story(end, list(lines), manifest.resolve.exclude_newer)
    provider = end.provider
    for want, parent in story.demands:
        if want.name not in provider.image or want.unusable or want.same_as is not None:
            continue
        candidate = provider.image_candidate(want.name)
        if not provider.is_satisfied_by(want, candidate):
            who = f"{parent} needs" if parent is not None else "you ask for"
            return f"{who} {want}, and the image has {candidate}"
    facts = story.facts()
    return facts[-1] if facts else "its requirements contradict one another"
