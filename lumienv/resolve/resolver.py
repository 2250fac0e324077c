"""One resolution: from the manifest's requirements and a snapshot to the packages to install."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver
from resolvelib.resolvers import Criterion, Result
from resolvelib.structs import RequirementInformation

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.check import check_resolution
from lumienv.resolve.explain import Failure, explain
from lumienv.resolve.provider import Policy, Provider
from lumienv.resolve.requirements import Want, user_requirement, user_wants

# A bound on the search, not on its size: the largest environments take some hundred rounds.
_MAX_ROUNDS = 200_000


class Tried(BaseReporter[Want, Candidate, str]):
    """Remembers which candidates were given up, and over what: an explanation names them."""

    def __init__(self) -> None:
        self.rejected: dict[str, list[tuple[Candidate, tuple[Failure, ...]]]] = {}

    def rejecting_candidate(self, criterion: Criterion[Want, Candidate], candidate: Candidate) -> None:
        """resolvelib: `candidate` needs something that `criterion` has no candidates for."""
        entries = self.rejected.setdefault(candidate.name, [])
        if all(known.version != candidate.version for known, _ in entries):
            entries.append((candidate, tuple(criterion.information)))


@dataclass(frozen=True)
class Request:
    """All that decides a resolution."""

    manifest: Manifest
    snapshot: Snapshot
    preferred: Mapping[str, Version]


def resolve(request: Request, client: IndexClient) -> Resolution:
    """Resolve, and have the result checked independently.

    Raises ResolutionError when nothing fits, ManifestError for a requirement that cannot be read,
    PackageIndexError when an index fails.
    """
    manifest, environment = request.manifest, request.snapshot.markers
    policy = policy_of(manifest, request.preferred)
    provider = Provider(request.snapshot, client, policy)
    roots = _wants(manifest.dependencies, environment, policy)
    groups = {name: _wants(entries, environment, policy) for name, entries in manifest.groups.items()}
    wants = [*roots, *(want for group in groups.values() for want in group)]
    for want in wants:
        provider.asked.setdefault(want.name, []).append((None, want))
    provider.prefetch(wants)
    tried = Tried()
    try:
        result = Resolver(provider, tried).resolve(wants, max_rounds=_MAX_ROUNDS)
    except ResolutionImpossible as impossible:
        causes: list[RequirementInformation[Want, Candidate]] = list(impossible.causes)
        raise explain(request.snapshot, provider, causes, tried.rejected) from None
    except ResolutionTooDeep as error:
        raise ResolutionError(
            f"no set of packages was found on top of {request.snapshot.image.name} "
            f"within {_MAX_ROUNDS} rounds of search",
            *(f"{name} was tried in {len(entries)} versions" for name, entries in _busiest(tried)),
            hint="give these packages narrower versions",
        ) from error
    resolution = _resolution(result, provider, roots, groups)
    warnings = check_resolution(resolution, manifest, request.snapshot, policy)
    return Resolution(resolution.pins, resolution.provided, tuple(warnings), resolution.versions)


def policy_of(manifest: Manifest, preferred: Mapping[str, Version]) -> Policy:
    """The manifest's policies, parsed. Raises ManifestError."""
    table = manifest.resolve
    return Policy(
        replace=frozenset(canonicalize_name(name) for name in table.replace),
        omit=frozenset(canonicalize_name(name) for name in table.omit),
        constraints=_by_name(table.constraints),
        overrides=_by_name(table.overrides),
        assume={canonicalize_name(name): version for name, version in manifest.image.assume.items()},
        exclude_newer=table.exclude_newer,
        prerelease=table.prerelease,
        lowest=table.resolution == "lowest",
        lowest_names=frozenset(
            canonicalize_name(user_requirement(entry).name) for entry in manifest.dependencies
        )
        if table.resolution == "lowest-direct"
        else frozenset(),
        preferred=preferred,
    )


def _by_name(entries: Iterable[Dependency]) -> dict[str, Want]:
    wants: dict[str, Want] = {}
    for entry in entries:
        requirement = user_requirement(entry)
        name = canonicalize_name(requirement.name)
        wants[name] = Want(name, frozenset(), requirement, entry)
    return wants


def _wants(entries: Iterable[Dependency], environment: Mapping[str, str], policy: Policy) -> list[Want]:
    return [want for want in user_wants(entries, environment) if want.name not in policy.omit]


def _busiest(tried: Tried) -> list[tuple[str, list[tuple[Candidate, tuple[Failure, ...]]]]]:
    return sorted(tried.rejected.items(), key=lambda item: -len(item[1]))[:3]


def _resolution(
    result: Result[Want, Candidate, str],
    provider: Provider,
    roots: list[Want],
    groups: Mapping[str, list[Want]],
) -> Resolution:
    chosen: dict[str, list[Candidate]] = {}
    for candidate in result.mapping.values():
        chosen.setdefault(candidate.name, []).append(candidate)
    always = _reachable(roots, chosen, provider)
    of_group = {name: _reachable(wants, chosen, provider) for name, wants in groups.items()}
    pins, provided = [], []
    for name, candidates in sorted(chosen.items()):
        first = candidates[0]
        if first.package is not None:
            provided.append((name, first.package.version))
            continue
        assert first.file is not None
        metadata = provider.client.metadata(first.file).result()
        needs = {want.name for candidate in candidates for want in provider.get_dependencies(candidate)}
        releases = provider.releases(name)
        assert releases is not None
        pins.append(
            Pin(
                name=name,
                version=first.version,
                file=provider.client.hashed(first.file).result(),
                index=releases.page.index,
                requires_python=metadata.requires_python,
                requires=metadata.requires_dist,
                dependencies=tuple(sorted(needs - {name})),
                extras=frozenset(extra for candidate in candidates for extra in candidate.extras),
                groups=frozenset()
                if name in always
                else frozenset(group for group, names in of_group.items() if name in names),
            )
        )
    return Resolution(tuple(pins), tuple(provided), versions={pin.name: str(pin.version) for pin in pins})


def _reachable(
    wants: Iterable[Want], chosen: Mapping[str, list[Candidate]], provider: Provider
) -> frozenset[str]:
    """The names that these wants lead to, through the chosen candidates."""
    keys = {candidate.key: candidate for candidates in chosen.values() for candidate in candidates}
    seen: set[str] = set()
    waiting = [want.key for want in wants]
    while waiting:
        key = waiting.pop()
        if key not in seen and key in keys:
            seen.add(key)
            waiting += [want.key for want in provider.get_dependencies(keys[key])]
    return frozenset(keys[key].name for key in seen)
