"""What resolvelib asks: which candidates are there, does one satisfy a requirement, what does it need.

Costs: `is_satisfied_by` and `identify` are called for every requirement in every round, so what they need is
remembered.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from packaging.requirements import InvalidRequirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from resolvelib import AbstractProvider
from resolvelib.structs import RequirementInformation

from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Page
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.direct import DirectSources
from lumienv.resolve.offers import Offers
from lumienv.resolve.origin import SourceReader
from lumienv.resolve.policy import Policy
from lumienv.resolve.requirements import Want, parse, with_range
from lumienv.resolve.scout import Needs, Scout


class Provider(Offers, AbstractProvider[Want, Candidate, str]):
    """Candidates for one image and one set of policies; `known` lends what it has already looked at."""

    def __init__(
        self,
        snapshot: Snapshot,
        client: IndexClient,
        policy: Policy,
        known: Offers | None = None,
        *,
        reader: SourceReader | None = None,
        direct: DirectSources | None = None,
    ) -> None:
        super().__init__(snapshot, client, policy, known, reader=reader, direct=direct)
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
    ) -> tuple[bool, bool, str]:
        """Decide first what leaves little choice: names with one release, then names with an upper bound."""
        wants = [entry.requirement for entry in information[identifier]]
        return (
            not any(want.pins or want.same_as is not None for want in wants),
            not any(want.bounded for want in wants),
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
        if any(want.unusable is not None for want in wants):
            return lambda: iter(())
        barred = {candidate.version for candidate in incompatibilities[identifier]}
        # Not from the wants: resolvelib also asks about names that nothing wants any longer.
        name, _, rest = identifier.partition("[")
        extras = frozenset(rest[:-1].split(",")) if rest else frozenset[str]()
        if name in self.image or name in self.direct:
            return lambda: self._one(self.only_candidate(name, extras), wants, barred)
        return lambda: (
            Candidate(name, version, extras, file)
            for version, file in self.matching(name, wants, lenient=bool(extras))
            if version not in barred
        )

    def is_satisfied_by(self, requirement: Want, candidate: Candidate) -> bool:
        """Whether the release is one that the requirement accepts."""
        if requirement.same_as is not None:
            return requirement.same_as == candidate.version
        return self.accepts(requirement.ranges, requirement.requirement.specifier, candidate)

    def get_dependencies(self, candidate: Candidate) -> Iterable[Want]:
        """What the release needs here; of an image package only what its extras add.

        A release with extras first wants itself without them: said before its metadata is asked for, so
        that a release which is not the one chosen for the bare name costs nothing.
        """
        tied = candidate.extras and candidate.package is None
        return self._tied_needs(candidate) if tied else self.needs(candidate)

    def _tied_needs(self, candidate: Candidate) -> Iterator[Want]:
        bare = parse(candidate.name)
        yield Want(candidate.name, frozenset(), bare, same_as=candidate.version)
        yield from self.needs(candidate)

    def _one(
        self, candidate: Candidate | None, wants: Sequence[Want], barred: set[Version]
    ) -> Iterator[Candidate]:
        """The only candidate there is for its name, if it will do."""
        assert candidate is not None
        rule = self.policy.constraints.get(candidate.name)
        if (
            candidate.version not in barred
            and all(self.is_satisfied_by(want, candidate) for want in wants)
            and (rule is None or self.accepts(str(rule.specifier), rule.specifier, candidate))
        ):
            yield candidate

    def needs(self, candidate: Candidate) -> list[Want]:
        """What the release needs, its tie to the bare name aside, asked once. Raises PackageIndexError."""
        key = (candidate.key, candidate.version)
        known = self._needs.get(key)
        if known is None:
            known = self._needs[key] = self.needs_of(candidate)
            self.prefetch(known)
        return known

    # -- running ahead -----------------------------------------------------------------------------------

    def prefetch(self, wants: Iterable[Want]) -> None:
        """Have the pages and metadata that these wants lead to fetched in the background."""
        self._scout.visit(self._remote(wants))

    def _remote(self, wants: Iterable[Want]) -> Needs:
        return [
            (want.name, want.extras, want.requirement.specifier)
            for want in wants
            if want.unusable is None and want.name not in self.image and want.name not in self.direct
        ]

    def _likely(self, name: str, page: Page, specifier: SpecifierSet) -> File | None:
        del page  # `releases` has it, judged
        want = Want(name, frozenset(), with_range(parse(name), specifier))
        file = next((file for _, file in self.matching(name, [want])), None)
        return file if file is not None and file.is_wheel else None  # sources may have to be built

    def _likely_needs(self, metadata: CoreMetadata, extras: frozenset[str]) -> Needs:
        try:
            lines = list(self.environment.applicable(metadata.requires_dist, extras))
        except InvalidRequirement:
            return []
        return self._remote(
            want for requirement in lines if requirement.url is None for want in self.wants(requirement)
        )
