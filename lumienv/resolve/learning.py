"""A search that learns: what cannot hold together is worked out from each conflict and never tried again.

Every name has one state, a release or absence, and what is known excludes combinations of states: a release
that needs `b<2` excludes itself together with every state of b but the older releases. From two exclusions
that meet in a conflict a third follows, often about whole ranges of releases, and the search goes back to
where that one would have decided otherwise (conflict-driven clause learning, as in Weizenbaum, "PubGrub:
Next-Generation Version Solving", 2018, with sets of states in place of terms).

Sets of states are integers, a bit a state. This module knows nothing about packages.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

ABSENT = 1
"""the state of a name that is not needed: the lowest bit"""


@dataclass(eq=False, slots=True)
class Exclusion:
    """States that cannot all hold: name → set of states. With no name in it, nothing can hold."""

    terms: dict[str, int]
    causes: tuple["Exclusion", ...] = ()
    """the exclusions that this one follows from; none when it was told"""


@dataclass(frozen=True, slots=True)
class _Step:
    """One narrowing of one name's states."""

    name: str
    before: int
    after: int
    level: int
    cause: Exclusion | None
    """None for a decision"""


class Knowledge:
    """What is excluded, and the states that each name still has under the decisions made so far."""

    def __init__(self) -> None:
        self.level = 0
        """how many decisions stand"""
        self.conflicts = 0
        self.states: dict[str, int] = {}
        self.involved: Counter[str] = Counter()
        """name → in how many conflicts it had a part"""
        self._universe: dict[str, int] = {}
        self._about: dict[str, list[Exclusion]] = {}
        self._steps: list[_Step] = []
        self._steps_of: dict[str, list[int]] = {}

    def introduce(self, name: str, states: int) -> None:
        """A name with all of its states."""
        self._universe[name] = self.states[name] = states
        self._about[name] = []
        self._steps_of[name] = []

    def __contains__(self, name: str) -> bool:
        return name in self._universe

    def add(self, exclusion: Exclusion) -> None:
        """Tell something that always holds; `settle` draws the conclusions."""
        for name in exclusion.terms:
            self._about[name].append(exclusion)

    def holds(self, exclusion: Exclusion, name: str, state: int) -> bool:
        """Whether an exclusion would be broken if `name` were in `state`."""
        return all(
            not (state if other == name else self.states[other]) & ~states
            for other, states in exclusion.terms.items()
        )

    def decide(self, name: str, state: int) -> None:
        """Choose one of a name's states; taken back when it has a part in a conflict."""
        self.level += 1
        self._narrow(name, state, None)

    def settle(self, changed: Iterable[Exclusion], names: Iterable[str] = ()) -> Exclusion | None:
        """Draw all conclusions from these exclusions and from the states of these names.

        Conflicts are resolved by taking back decisions. Returns None, or why nothing can hold at all.
        """
        fresh, waiting = list(changed), dict.fromkeys(names)
        while fresh or waiting:
            if fresh:
                exclusions = fresh
                fresh = []
            else:
                name = next(iter(waiting))
                del waiting[name]
                exclusions = self._about[name][::-1]  # what was learned last says most
            for exclusion in exclusions:
                open_term = self._open_term(exclusion)
                if open_term is None:
                    continue
                if open_term:
                    self._narrow(open_term, self.states[open_term] & ~exclusion.terms[open_term], exclusion)
                    waiting[open_term] = None
                    continue
                learned = self._learn(exclusion)
                if not learned.terms:
                    return learned
                self.add(learned)
                fresh, waiting = [learned], {}
                break
        return None

    def _open_term(self, exclusion: Exclusion) -> str | None:
        """The one name that is not yet in its excluded states; "" when all are, None when it says nothing."""
        found = ""
        states = self.states
        for name, excluded in exclusion.terms.items():
            have = states[name]
            if have & ~excluded:
                if found or not have & excluded:
                    return None
                found = name
        return found

    def _narrow(self, name: str, states: int, cause: Exclusion | None) -> None:
        self._steps_of[name].append(len(self._steps))
        self._steps.append(_Step(name, self.states[name], states, self.level, cause))
        self.states[name] = states

    def _learn(self, broken: Exclusion) -> Exclusion:
        """What follows from a broken exclusion and would have had an effect earlier; goes back to there.

        The result has no terms when the exclusion is broken without any decision.
        """
        self.conflicts += 1
        causes = [broken]
        terms = dict(broken.terms)
        while True:
            reached = sorted((self._reached(name, excluded), name) for name, excluded in terms.items())
            last, name = reached[-1] if reached else (-1, "")
            step = self._steps[last] if last >= 0 else None
            if step is None or step.level == 0:
                causes += self._grounds(terms)
                return Exclusion({}, tuple(causes))
            self.involved[name] += 1
            second = reached[-2][0] if len(reached) > 1 else -1
            before = self._steps[second].level if second >= 0 else 0
            if step.cause is None or before < step.level:
                self._go_back(before)
                return Exclusion(terms, tuple(causes))
            causes.append(step.cause)
            terms = self._combined(terms, step.cause.terms, name)

    def _combined(self, left: Mapping[str, int], right: Mapping[str, int], on: str) -> dict[str, int]:
        """What cannot hold when neither `left` nor `right` can, whichever of the two states `on` is in."""
        combined = dict(left)
        for name, states in right.items():
            combined[name] = combined[name] & states if name in combined else states
        combined[on] = left[on] | right[on]
        if combined[on] == self._universe[on]:
            del combined[on]
        return combined

    def _reached(self, name: str, excluded: int) -> int:
        """The number of the step from which on a name is in these states."""
        for number in self._steps_of[name]:
            if not self._steps[number].after & ~excluded:
                return number
        return -1

    def _go_back(self, level: int) -> None:
        while self._steps and self._steps[-1].level > level:
            step = self._steps.pop()
            self._steps_of[step.name].pop()
            self.states[step.name] = step.before
        self.level = level

    def _grounds(self, terms: Mapping[str, int]) -> list[Exclusion]:
        """The exclusions that brought names into these states without any decision."""
        found: dict[int, Exclusion] = {}
        waiting = [(name, excluded) for name, excluded in terms.items()]
        while waiting:
            name, excluded = waiting.pop()
            number = self._reached(name, excluded)
            for earlier in self._steps_of[name]:
                step = self._steps[earlier]
                if earlier <= number and step.cause is not None and id(step.cause) not in found:
                    found[id(step.cause)] = step.cause
                    waiting += [item for item in step.cause.terms.items() if item[0] != name]
        return list(found.values())

    def is_decided(self, name: str) -> bool:
        """Whether a state was chosen for a name and stands."""
        return any(self._steps[number].cause is None for number in self._steps_of[name])


def told(exclusion: Exclusion) -> Iterator[Exclusion]:
    """What was told of all that an exclusion follows from, each once."""
    seen: set[int] = set()
    waiting = [exclusion]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if not one.causes:
            yield one
        waiting += one.causes
