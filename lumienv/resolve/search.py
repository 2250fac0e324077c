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
from lumienv.resolve.deepsearch import DeepSearch, TooManyTriesError
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Want

Demand = RequirementInformation[Want, Candidate]
"""a want, and the candidate that has it (None: the user)"""

# Candidates that a search may look at, in place of a time: the hardest sets known take 3,000
# (benchmarks/backtracking.toml), and so many are looked at within a minute.
MAX_ROUNDS = 10_000
# Releases that come to nothing before a search is made that learns from each of them. Most searches end with
# a handful; they are quicker without, and tell how they fail in fewer steps.
EASY = 50
_QUICK = 2_000  # rounds; the largest environments take some hundred


class Record(BaseReporter[Want, Candidate, str]):
    """All demands that came up, and which releases fell over which of them: an explanation needs both."""

    def __init__(self, easy: int = EASY) -> None:
        self.easy = easy
        """releases that may come to nothing before the search learns from them; with 0 it does so at once"""
        self.demands: dict[tuple[object, ...], Demand] = {}
        self.fallen: dict[str, dict[Version, Sequence[Demand]]] = {}
        """name → its releases that were given up, each with the demands that met where it fell last"""
        self.rejections: Counter[str] = Counter()
        self.rounds = 0
        """candidates that were looked at"""

    def pinning(self, candidate: Candidate) -> None:  # noqa: ARG002
        """resolvelib: `candidate` is chosen for now."""
        self.rounds += 1

    def adding_requirement(self, requirement: Want, parent: Candidate | None) -> None:
        """resolvelib: `parent` has `requirement`."""
        origin = (parent.name, parent.version) if parent is not None else requirement.source
        key = (origin, requirement.key, requirement.ranges)
        if key not in self.demands:
            self.demands[key] = RequirementInformation(requirement, parent)

    def rejecting_candidate(self, criterion: Criterion[Want, Candidate], candidate: Candidate) -> None:
        """resolvelib: `candidate` needs something that `criterion` has no candidates for."""
        self.rejections[candidate.name] += 1
        self.rounds += 1
        if self.rejections.total() > self.easy:
            raise _HardError
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


class _HardError(Exception):
    """resolvelib finds no quick way through."""


def search(
    provider: Provider, wants: Sequence[Want], max_rounds: int = MAX_ROUNDS, record: Record | None = None
) -> Chosen | DeadEnd:
    """Find candidates for all wants and for what they need, and nothing else.

    Looks at `max_rounds` candidates at most. Once a few came to nothing it begins anew and learns from each.
    Raises SearchTooLongError, and PackageIndexError.
    """
    provider.prefetch(wants)
    record = record or Record()
    if not record.easy:
        return _search_deep(provider, wants, record, max_rounds)
    try:
        # Not `Resolver`, which adds a graph: making it recurses endlessly where names that are wanted no
        # longer want each other (resolvelib 1.2.1, `_has_route_to_root`).
        state = CompleteResolution(provider, record).resolve(wants, max_rounds=min(max_rounds, _QUICK))
        return {key: state.mapping[key] for key in reachable(wants, state.mapping, provider)}
    except ResolutionImpossible as impossible:
        return DeadEnd(provider, tuple(impossible.causes), record)
    except (_HardError, ResolutionTooDeep):
        return _search_deep(provider, wants, record, max_rounds)


def _search_deep(
    provider: Provider, wants: Sequence[Want], record: Record, max_rounds: int
) -> Chosen | DeadEnd:
    deep = DeepSearch(provider, wants, max_rounds)
    try:
        found = deep.run()
    except TooManyTriesError:
        raise SearchTooLongError(max_rounds, record) from None
    finally:
        record.rounds += deep.tries
        record.rejections.update(deep.rejections())
        for demand in deep.demands:
            record.adding_requirement(*demand)
        for name, fallen in deep.fallen.items():
            record.fallen.setdefault(name, {}).update(fallen)
    if isinstance(found, dict):
        return {key: found[key] for key in reachable(wants, found, provider)}
    return DeadEnd(provider, tuple(found), record)


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
    """A search was given up after `rounds`; `record` counts those given up, by name."""

    def __init__(self, rounds: int, record: Record) -> None:
        super().__init__(rounds)
        self.rounds = rounds
        self.record = record
