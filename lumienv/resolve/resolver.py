"""One resolution: from the manifest's requirements and a snapshot to the packages to install."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import BrokenReleaseError, ResolutionError
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.check import check_resolution
from lumienv.resolve.cuda import for_cuda, replaced_by_cuda
from lumienv.resolve.direct import direct_sources
from lumienv.resolve.elsewhere import Others, no_others
from lumienv.resolve.explain import explain, given_up
from lumienv.resolve.idle import idle_names
from lumienv.resolve.nearmiss import of_import
from lumienv.resolve.origin import Origin, SourceReader
from lumienv.resolve.policy import policy_of
from lumienv.resolve.proposals import quoted
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Environment, Want, user_requirement
from lumienv.resolve.search import Chosen, DeadEnd, SearchTooLongError, reachable, search
from lumienv.resolve.standins import remarks, stood_for
from lumienv.resolve.story import listed


@dataclass(frozen=True)
class Request:
    """All that decides a resolution."""

    manifest: Manifest
    snapshot: Snapshot
    preferred: Mapping[str, Version]
    """versions of the previous lock, kept while they fit"""
    locked: Mapping[str, Origin] = field(default_factory=dict)
    """what direct sources were when they were locked"""
    others: Others = no_others
    """the images that a failure may point to"""


def resolve(
    request: Request, client: IndexClient, reader: SourceReader | None = None, *, explained: bool = True
) -> Resolution:
    """Resolve, and have the result checked independently.

    Without a `reader` source distributions are no candidates, and direct sources cannot be asked for. A
    failure is `explained` with what was found by trying, unless it will be tried again anyway.
    Raises ResolutionError when nothing fits, ManifestError for a requirement that cannot be read,
    PackageIndexError when an index fails.
    """
    manifest, snapshot = request.manifest, request.snapshot
    environment = Environment(snapshot.markers)
    policy = policy_of(manifest, environment, request.preferred)
    of_image = snapshot.by_name().keys() - policy.replace
    direct = direct_sources(manifest, policy, environment, of_image, reader, request.locked)
    provider = Provider(snapshot, client, policy, reader=reader, direct=direct)
    chosen = _search(provider, manifest)
    if isinstance(chosen, DeadEnd) and any(want.stands_for for want, _ in chosen.record.demands.values()):
        # What stands for another need not have its version; better so than not at all, and it is said. The
        # user's own lines hold.
        provider = Provider(snapshot, client, replace(policy, judge_stand_ins=False), known=provider)
        chosen = _search(provider, manifest)
    if isinstance(chosen, DeadEnd):
        if explained:
            raise explain(chosen, manifest, request.others)
        raise ResolutionError(f"no set of packages fits on top of {snapshot.image.name}")
    roots = provider.roots(manifest.dependencies)
    groups = {name: provider.roots(entries) for name, entries in manifest.groups.items()}
    pins, provided, of_extras = _pins(chosen, provider, roots, groups)
    _refuse_cuda(pins, snapshot, policy.replace)
    wants = [*roots, *(want for group in groups.values() for want in group)]
    wants += [want for candidate in chosen.values() for want in provider.needs(candidate)]
    stood = stood_for(chosen.values(), wants)
    versions = {pin.name: str(pin.version) for pin in pins}
    found = Resolution(pins, provided, stand_ins=stood, versions=versions, of_extras=of_extras)
    warnings = [
        *_passed_over(provider.unreadable),
        *_names_of_modules(pins, _lines(manifest), provider),
        *_unknown_extras(chosen, provider),
        *_for_nvidia(chosen, snapshot),
        *idle_names(manifest, snapshot, versions),
        *remarks(stood, pins, _lines(manifest)),
        *check_resolution(found, manifest, snapshot),
    ]
    return replace(found, warnings=tuple(warnings))


def _lines(manifest: Manifest) -> list[Dependency]:
    return [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]


def _search(provider: Provider, manifest: Manifest) -> Chosen | DeadEnd:
    """Search for all of the user's lines. Raises ResolutionError when it takes too long."""
    try:
        return search(provider, provider.roots(_lines(manifest)))
    except SearchTooLongError as error:
        raise given_up(provider, manifest, error) from None


def _refuse_cuda(pins: Iterable[Pin], snapshot: Snapshot, replaced: Collection[str]) -> None:
    """An image's own build, known by its local version, is not replaced by a build for other GPUs.

    Not even where the user names it in `replace`: no index has a build for LUMI's GPUs under that name, and
    what it has installs gigabytes of CUDA libraries first. Raises ResolutionError.
    """
    for pin in pins:
        found = replaced_by_cuda(pin.name, pin.requires, snapshot, replaced)
        if found is not None:
            have, cuda = found
            new = f"{pin.name} {pin.version}"
            raise ResolutionError(
                f"{new} is a build for CUDA, and would replace the image's {pin.name} {have}",
                f"{new} needs {cuda}",
                hint=f'take "{pin.name}" out of [resolve] replace, and choose an image with the\n'
                f"{pin.name} that you need: `lumienv image suggest --probe` tells whether there is one",
            )


def _pins(
    chosen: Chosen,
    provider: Provider,
    roots: Iterable[Want],
    groups: Mapping[str, Iterable[Want]],
) -> tuple[tuple[Pin, ...], tuple[tuple[str, str], ...], Mapping[str, tuple[str, ...]]]:
    """What is to be installed, what of the image it rests on, and what the extras of that add."""
    by_name: dict[str, list[Candidate]] = {}
    for candidate in chosen.values():
        by_name.setdefault(candidate.name, []).append(candidate)
    always = {chosen[key].name for key in reachable(roots, chosen, provider)}
    of_group = {
        group: {chosen[key].name for key in reachable(wants, chosen, provider)}
        for group, wants in groups.items()
    }
    pins, provided = [], []
    of_extras: dict[str, tuple[str, ...]] = {}
    for name, candidates in sorted(by_name.items()):
        first = candidates[0]
        needs = {want.name for candidate in candidates for want in provider.needs(candidate)}
        if first.package is not None:
            provided.append((name, first.package.version))
            if needs - {name}:
                of_extras[name] = tuple(sorted(needs - {name}))
            continue
        metadata = provider.metadata_of(first)
        pins.append(
            Pin(
                name=name,
                version=first.version,
                file=provider.client.hashed(first.file).result() if first.file is not None else None,
                index=provider.index_of(name) if first.file is not None else "",
                requires_python=_readable(metadata.requires_python),
                requires=metadata.requires_dist,
                dependencies=tuple(sorted(needs - {name})),
                extras=frozenset(extra for candidate in candidates for extra in candidate.extras),
                groups=frozenset(group for group, names in of_group.items() if name in names)
                if name not in always
                else frozenset(),
                origin=first.direct.origin if first.direct is not None else None,
            )
        )
    return tuple(pins), tuple(provided), of_extras


def _readable(requires_python: str | None) -> str | None:
    """A Requires-Python that says something; old releases have some that cannot be read (`>=3.6.*`)."""
    try:
        return requires_python if requires_python and SpecifierSet(requires_python) else None
    except InvalidSpecifier:
        return None


def _passed_over(unreadable: Mapping[str, BrokenReleaseError]) -> Iterable[str]:
    """Releases that cannot be used; those of one package that fail for the same reason in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for label, error in sorted(unreadable.items()):
        alike.setdefault((label.rpartition(" ")[0], error.message.replace(label, "")), []).append(label)
    for (name, _), labels in alike.items():
        versions = listed([Version(label.rpartition(" ")[2]) for label in labels])
        which = f"{name} {versions} were" if len(labels) > 1 else f"{labels[0]} was"
        newest = max(labels, key=lambda label: Version(label.rpartition(" ")[2]))
        yield f"{which} passed over: {unreadable[newest].message}"


def _for_nvidia(chosen: Chosen, snapshot: Snapshot) -> Iterable[str]:
    """On a container image: gigabytes for GPUs that LUMI has not, which `torch` from an index brings along.

    A Python of this machine may well be beside an NVIDIA GPU.
    """
    first = for_cuda(chosen)
    if first is not None and snapshot.image.kind != "host":
        yield (
            f"{first} is for NVIDIA's GPUs, which LUMI has not: `lumienv image suggest` tells on which image "
            "nothing of the kind is needed"
        )


def _names_of_modules(pins: Iterable[Pin], lines: Iterable[Dependency], provider: Provider) -> Iterable[str]:
    """Lines with the name of a well-known module, for which the index has sources of another project only."""
    built = {pin.name for pin in pins if pin.file is not None and not pin.file.is_wheel}
    for entry in lines:
        written = user_requirement(entry).name
        if canonicalize_name(written) in built:
            for miss in islice(of_import(written, provider), 1):
                yield f'{quoted([entry], "")} may not be what you mean: write "{miss.name}", as {miss.why}'


def _unknown_extras(chosen: Chosen, provider: Provider) -> Iterable[str]:
    """Extras that were asked for and that the release does not have: mostly a slip of the pen."""
    for candidate in chosen.values():
        if not candidate.extras:
            continue
        if candidate.package is None:
            offered = provider.metadata_of(candidate).provides_extra
        else:
            offered = candidate.package.extras
            if not candidate.package.requires:
                continue  # a list of names and versions does not say
        known = {str(canonicalize_name(extra)) for extra in offered}
        for extra in sorted(candidate.extras - known):
            has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            yield f"{candidate} has no extra called {extra} ({has})"
