"""What resolvelib asks: which candidates are there, does one satisfy a requirement, what does it need.

Costs: `is_satisfied_by` and the marker evaluations are called for every requirement in every round, so
their answers are remembered; pages and metadata come from `IndexClient`, which remembers them too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider
from resolvelib.structs import RequirementInformation

from lumienv.errors import PackageIndexError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Page
from lumienv.resolve.candidates import Candidate, Platform, Releases, as_version
from lumienv.resolve.requirements import Want, applicable, parse, wants_of
from lumienv.resolve.scout import Needs, Scout


@dataclass(frozen=True)
class Policy:
    """`[resolve]` and `[image.assume]`, with names normalised."""

    replace: frozenset[str] = frozenset()
    omit: frozenset[str] = frozenset()
    constraints: Mapping[str, Want] = field(default_factory=dict)
    overrides: Mapping[str, Want] = field(default_factory=dict)
    assume: Mapping[str, str] = field(default_factory=dict)
    exclude_newer: str | None = None
    prerelease: str = "if-necessary"
    lowest: bool = False
    lowest_names: frozenset[str] = frozenset()
    """the names for which the lowest release is taken: `lowest-direct`"""
    preferred: Mapping[str, Version] = field(default_factory=dict)
    """versions of the previous lock: kept while they fit"""


class Provider(AbstractProvider[Want, Candidate, str]):
    """Candidates for one image and one set of policies."""

    def __init__(self, snapshot: Snapshot, client: IndexClient, policy: Policy) -> None:
        self.policy = policy
        self.environment = dict(snapshot.markers)
        self.platform = Platform.of(snapshot.python.version, snapshot.tags)
        self.image: dict[str, ImagePackage] = {
            name: package
            for package in snapshot.packages
            if (name := canonicalize_name(package.name)) not in policy.replace
        }
        self.client = client
        self.asked: dict[str, list[tuple[Candidate | None, Want]]] = {}
        """who asked for a name, for explanations"""
        self._releases: dict[str, Releases | None] = {}
        self._fits: dict[tuple[str, Version], bool] = {}
        self._needs: dict[tuple[str, Version], list[Want]] = {}
        self._scout = Scout(client.page, client.metadata, self._likely, self._likely_needs)

    # -- resolvelib's questions --------------------------------------------------------------------------

    def identify(self, requirement_or_candidate: Want | Candidate) -> str:
        """The name with its extras."""
        return requirement_or_candidate.key

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],  # noqa: ARG002
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002
        information: Mapping[str, Iterator[RequirementInformation[Want, Candidate]]],
        backtrack_causes: Sequence[RequirementInformation[Want, Candidate]],  # noqa: ARG002
    ) -> tuple[bool, bool, bool, str]:
        """Decide first what leaves no choice: the image's packages, pinned names, bounded names."""
        name = identifier.partition("[")[0]
        operators = {
            specifier.operator
            for entry in information[identifier]
            for specifier in entry.requirement.requirement.specifier
        }
        return (
            name not in self.image,
            not operators & {"==", "==="},
            not operators & {"<", "<=", "~="},
            identifier,
        )

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[str],
        resolutions: Mapping[str, Candidate],  # noqa: ARG002
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002
        information: Mapping[str, Iterator[RequirementInformation[Want, Candidate]]],  # noqa: ARG002
        backtrack_causes: Sequence[RequirementInformation[Want, Candidate]],
    ) -> Iterable[str]:
        """Image packages have one candidate each: settle them first. Then whatever conflicted last."""
        waiting = list(identifiers)
        of_image = [key for key in waiting if key.partition("[")[0] in self.image]
        if of_image:
            return of_image
        causes = {entry.requirement.key for entry in backtrack_causes}
        causes |= {entry.parent.key for entry in backtrack_causes if entry.parent is not None}
        return [key for key in waiting if key in causes] or waiting

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Want]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> Callable[[], Iterator[Candidate]]:
        """The candidates that satisfy all requirements, the preferred one first, made as they are needed."""
        wants = list(requirements[identifier])
        barred = {candidate.version for candidate in incompatibilities[identifier]}
        if any(want.unusable is not None for want in wants):
            return lambda: iter(())
        name, extras = wants[0].name, wants[0].extras
        package = self.image.get(name)
        if package is not None:
            candidate = self.image_candidate(package, extras)
            fits = candidate.version not in barred and all(
                self.is_satisfied_by(want, candidate) for want in wants
            )
            return lambda: iter((candidate,) if fits else ())
        return lambda: (
            Candidate(name, version, extras, file)
            for version, file in self.matching(name, wants)
            if version not in barred
        )

    def is_satisfied_by(self, requirement: Want, candidate: Candidate) -> bool:
        """Whether the release is one that the requirement accepts."""
        wanted = self._in_force(requirement)
        if candidate.package is not None and as_version(candidate.package.version) is None:
            # An image may carry versions that PEP 440 does not know: no range can be judged.
            if not wanted.specifier or candidate.name in self.policy.assume:
                return self.contains(wanted.specifier, candidate.version)
            return False
        return self.contains(wanted.specifier, candidate.version)

    def get_dependencies(self, candidate: Candidate) -> list[Want]:
        """What the release needs here; of an image package only what its extras add."""
        known = self._needs.get((candidate.key, candidate.version))
        if known is None:
            known = self._dependencies(candidate)
            self._needs[candidate.key, candidate.version] = known
            for want in known:
                self.asked.setdefault(want.name, []).append((candidate, want))
            self.prefetch(known)
        return known

    # -- candidates --------------------------------------------------------------------------------------

    def image_candidate(self, package: ImagePackage, extras: frozenset[str] = frozenset()) -> Candidate:
        """The image's package, under the version that it is to be read as."""
        name = canonicalize_name(package.name)
        shown = self.policy.assume.get(name, package.version)
        return Candidate(name, as_version(shown) or Version("0"), extras, package=package)

    def releases(self, name: str) -> Releases | None:
        """The project's releases; None when no index has the project. Raises PackageIndexError."""
        if name not in self._releases:
            page = self.client.page(name).result()
            self._releases[name] = (
                None if page is None else Releases(page, self.platform, self.policy.exclude_newer)
            )
        return self._releases[name]

    def matching(self, name: str, wants: Sequence[Want]) -> Iterator[tuple[Version, File]]:
        """Versions that every want accepts and that can be installed, in the order of preference."""
        releases = self.releases(name)
        if releases is None:
            return
        constraint = self.policy.constraints.get(name)
        specifiers = [
            self._in_force(want).specifier for want in (*wants, *([constraint] if constraint else []))
        ]
        pinned = any(one.operator in ("==", "===") for specifier in specifiers for one in specifier)
        named_pre = any(specifier.prereleases for specifier in specifiers)
        fallback: list[tuple[Version, File]] = []
        found = False
        for version in self._ordered(name, releases.versions):
            if not all(self.contains(specifier, version) for specifier in specifiers):
                continue
            if version.is_prerelease and self.policy.prerelease == "disallow":
                continue
            file = releases.best(version)
            if isinstance(file, str) or (file.yanked is not None and not pinned):
                continue
            if version.is_prerelease and self.policy.prerelease != "allow" and not named_pre:
                fallback.append((version, file))
                continue
            found = True
            yield version, file
        if not found:
            yield from fallback

    def _ordered(self, name: str, versions: Sequence[Version]) -> Iterable[Version]:
        lowest = self.policy.lowest or name in self.policy.lowest_names
        ordered = list(reversed(versions)) if lowest else list(versions)
        kept = self.policy.preferred.get(name)
        if kept in ordered:
            ordered.remove(kept)
            ordered.insert(0, kept)
        return ordered

    def contains(self, specifier: SpecifierSet, version: Version) -> bool:
        """Whether a version lies in a range; prereleases count, as policy has been applied elsewhere."""
        key = (str(specifier), version)
        answer = self._fits.get(key)
        if answer is None:
            answer = self._fits[key] = specifier.contains(version, prereleases=True)
        return answer

    def _in_force(self, want: Want) -> Requirement:
        override = self.policy.overrides.get(want.name)
        return want.requirement if override is None else override.requirement

    # -- dependencies ------------------------------------------------------------------------------------

    def _dependencies(self, candidate: Candidate) -> list[Want]:
        wants: list[Want] = []
        try:
            if candidate.package is not None:
                plain = set(applicable(candidate.package.requires, self.environment, frozenset()))
                lines: Iterable[Requirement] = [
                    requirement
                    for requirement in applicable(
                        candidate.package.requires, self.environment, candidate.extras
                    )
                    if candidate.extras and requirement not in plain
                ]
            else:
                assert candidate.file is not None
                metadata = self.client.metadata(candidate.file).result()
                lines = list(applicable(metadata.requires_dist, self.environment, candidate.extras))
                if candidate.extras:
                    same = parse(f"{candidate.name}==={candidate.version}")
                    wants.append(Want(candidate.name, frozenset(), same))
            for requirement in lines:
                wants += self._wants(requirement)
        except (PackageIndexError, InvalidRequirement) as error:
            reason = str(error).splitlines()[0]
            return [Want(str(candidate), frozenset(), parse(candidate.name), unusable=reason)]
        return wants

    def _wants(self, requirement: Requirement) -> list[Want]:
        name = canonicalize_name(requirement.name)
        if name in self.policy.omit:
            return []
        if requirement.url is not None:
            return [Want(name, frozenset(), requirement, unusable=f"{name} comes from an address")]
        return list(wants_of(requirement))

    # -- running ahead -----------------------------------------------------------------------------------

    def prefetch(self, wants: Iterable[Want]) -> None:
        """Have the pages and metadata that these wants lead to fetched in the background."""
        self._scout.visit(self._remote(wants))

    def _remote(self, wants: Iterable[Want]) -> Needs:
        return [
            (want.name, want.extras, self._in_force(want).specifier)
            for want in wants
            if want.unusable is None and want.name not in self.image
        ]

    def _likely(self, name: str, page: Page, specifier: SpecifierSet) -> File | None:
        del page  # `releases` has it, judged
        requirement = Requirement(name)
        requirement.specifier = specifier
        return next((file for _, file in self.matching(name, [Want(name, frozenset(), requirement)])), None)

    def _likely_needs(self, metadata: CoreMetadata, extras: frozenset[str]) -> Needs:
        try:
            lines = list(applicable(metadata.requires_dist, self.environment, extras))
        except InvalidRequirement:
            return []
        return self._remote(want for requirement in lines for want in self._wants(requirement))
