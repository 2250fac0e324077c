"""The search itself: resolvelib's resolver with lumienv's provider, and a record of what it went through."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version
from resolvelib import BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Criterion
from resolvelib.structs import RequirementInformation

from lumienv.resolve.backjump import CompleteResolution
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Want

Demand = RequirementInformation[Want, Candidate]
"""a want, and the candidate that has it (None: the user)"""

# A bound on the search, not on its size: the largest environments take some hundred rounds.
MAX_ROUNDS = 200_000


class Record(BaseReporter[Want, Candidate, str]):
    """All demands that came up, and which releases fell over which of them: an explanation needs both."""

    def __init__(self) -> None:
        self.demands: dict[tuple[object, ...], Demand] = {}
        self.fallen: dict[str, dict[Version, Sequence[Demand]]] = {}
        """name → its releases that were given up, each with the demands that met where it fell last"""
        self.rejections: Counter[str] = Counter()

    def adding_requirement(self, requirement: Want, parent: Candidate | None) -> None:
        """resolvelib: `parent` has `requirement`."""
        origin = (parent.name, parent.version) if parent is not None else requirement.source
        key = (origin, requirement.key, requirement.ranges)
        if key not in self.demands:
            self.demands[key] = RequirementInformation(requirement, parent)

    def rejecting_candidate(self, criterion: Criterion[Want, Candidate], candidate: Candidate) -> None:
        """resolvelib: `candidate` needs something that `criterion` has no candidates for."""
        self.rejections[candidate.name] += 1
        self.fallen.setdefault(candidate.name, {})[candidate.version] = tuple(criterion.information)


@dataclass(frozen=True)
class DeadEnd:
    """A search that found nothing."""

    provider: Provider
    causes: Sequence[Demand]
    """the demands that met in the end: nothing satisfies all of them"""
    record: Record


Chosen = Mapping[str, Candidate]
"""key (a name with its extras) → what was chosen for it"""


def search(provider: Provider, wants: Sequence[Want], max_rounds: int = MAX_ROUNDS) -> Chosen | DeadEnd:
    """Find candidates for all wants and for what they need, and nothing else.

    Raises SearchTooLongError, and PackageIndexError.
    """
    provider.prefetch(wants)
    record = Record()
    try:
        # Not `Resolver`, which adds a graph: making it recurses endlessly where names that are wanted no
        # longer want each other (resolvelib 1.2.1, `_has_route_to_root`).
        state = CompleteResolution(provider, record).resolve(wants, max_rounds=max_rounds)
        return {key: state.mapping[key] for key in reachable(wants, state.mapping, provider)}
    except ResolutionImpossible as impossible:
        return DeadEnd(provider, tuple(impossible.causes), record)
    except ResolutionTooDeep:
        raise SearchTooLongError(max_rounds, record) from None


def reachable(wants: Iterable[Want], chosen: Chosen, provider: Provider) -> list[str]:
    """The keys that these wants lead to, through what was chosen; sorted."""
    seen: set[str] = set()
    waiting = [want.key for want in wants]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += [want.key for want in provider.get_dependencies(chosen[key])]
    return sorted(seen)


class SearchTooLongError(Exception):
    """A search was given up after `rounds`; `record` counts the releases given up, by name."""

    def __init__(self, rounds: int, record: Record) -> None:
        super().__init__(rounds)
        self.rounds = rounds
        self.record = record
