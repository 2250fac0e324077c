"""resolvelib's search, made complete: what can be found is found.

resolvelib 1.2 may give up although there is a solution (about once in 3,000 dense little universes of
`tests/resolve/test_property.py`): it jumps back over the decision at fault when a name on the way there runs
out of releases, and it goes on with too few releases of a name after what narrowed them was taken back. Here
every decision that has a part in a failure is remembered until it was itself changed (conflict-directed
backjumping: Prosser, "Hybrid algorithms for the constraint satisfaction problem", 1993).
"""

from collections.abc import Collection, Iterable
from operator import attrgetter, methodcaller

from resolvelib import BaseReporter
from resolvelib.resolvers import Criterion, Resolution
from resolvelib.structs import IteratorMapping, RequirementInformation, build_iter_view

from lumienv.resolve.candidates import Candidate
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Want

Criteria = dict[str, Criterion[Want, Candidate]]


class CompleteResolution(Resolution[Want, Candidate, str]):
    """A resolution that steps back to the latest decision that has a part in the failure, and no further."""

    def __init__(self, provider: Provider, reporter: BaseReporter[Want, Candidate, str]) -> None:
        super().__init__(provider, reporter)
        self._optimistic_backjumping_ratio = 0.0
        self._blame: dict[str, set[str]] = {}
        """key → the keys whose choices had a part in ruling out some of its candidates"""
        self._satisfied: dict[str, tuple[Criterion[Want, Candidate], Candidate]] = {}

    def _is_current_pin_satisfying(self, name: str, criterion: Criterion[Want, Candidate]) -> bool:
        """Whether what is chosen for `name` satisfies all that is wanted of it.

        Asked of every name twice a round, though most have not changed: criteria are replaced, never altered.
        """
        chosen = self._states[-1].mapping.get(name)
        if chosen is None:
            return False
        known = self._satisfied.get(name)
        if known is not None and known[0] is criterion and known[1] is chosen:
            return True
        if not super()._is_current_pin_satisfying(name, criterion):
            return False
        self._satisfied[name] = criterion, chosen
        return True

    def _backjump(self, causes: list[RequirementInformation[Want, Candidate]]) -> bool:
        """Take back the latest choice at fault, and rule it out; False when there is none left."""
        failed = {cause.requirement.key for cause in causes}
        failed |= {cause.parent.key for cause in causes if cause.parent is not None}
        blamed = self._at_fault(failed, self.state.criteria)
        while len(self._states) >= 3:
            del self._states[-1]
            broken = self._states.pop()
            key, candidate = broken.mapping.popitem()
            if key not in blamed:
                self._push_new_state()  # the same as the one before it: the choice is simply forgotten
                continue
            self._blame.setdefault(key, set()).update(blamed - {key})
            ruled_out = [(k, list(criterion.incompatibilities)) for k, criterion in broken.criteria.items()]
            ruled_out.append((key, [candidate]))
            self._push_new_state()
            if self._patch_criteria(ruled_out):
                return True
            blamed = self._at_fault({k for k, barred in ruled_out if barred}, self.state.criteria)
        return False

    def _at_fault(self, failed: Iterable[str], criteria: Criteria) -> set[str]:
        """The keys whose choices leave one of the `failed` without a candidate; rather too many than few."""
        found: set[str] = set()
        for key in failed:
            found.add(key)
            found |= self._blame.get(key, set())
            if key in criteria:
                found |= {parent.key for parent in criteria[key].iter_parent() if parent is not None}
        return found

    def _remove_information_from_criteria(self, criteria: Criteria, parents: Collection[str]) -> None:
        """Take back what these parents wanted, and offer again what they had ruled out."""
        if not parents:
            return
        before = {key: len(criterion.information) for key, criterion in criteria.items()}
        super()._remove_information_from_criteria(criteria, parents)
        for key, criterion in criteria.items():
            if len(criterion.information) < before[key]:
                matches = self._p.find_matches(
                    identifier=key,
                    requirements=IteratorMapping(criteria, methodcaller("iter_requirement")),
                    incompatibilities=IteratorMapping(criteria, attrgetter("incompatibilities")),
                )
                criteria[key] = Criterion(
                    build_iter_view(matches), criterion.information, criterion.incompatibilities
                )
