"""The search that learns: it finds a state for every name if there is one, and what it learns is true."""

import itertools
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.resolve.learning import Exclusion, Knowledge, told

NAMES = ("a", "b", "c", "d", "e")
ALL = 0b1111

terms = st.dictionaries(st.sampled_from(NAMES), st.integers(1, ALL - 1), min_size=1, max_size=3)
problems = st.lists(terms, min_size=1, max_size=30)


def solve(exclusions: Sequence[Exclusion]) -> tuple[Knowledge, Exclusion | None]:
    """Decide name by name, the lowest state first, until all are decided or nothing can hold."""
    knowledge = Knowledge()
    for name in NAMES:
        knowledge.introduce(name, ALL)
    for exclusion in exclusions:
        knowledge.add(exclusion)
    failed = knowledge.settle(exclusions)
    while failed is None:
        waiting = [name for name in NAMES if not knowledge.is_decided(name)]
        if not waiting:
            break
        states = knowledge.states[waiting[0]]
        knowledge.decide(waiting[0], states & -states)
        failed = knowledge.settle((), [waiting[0]])
    return knowledge, failed


def holds(chosen: Mapping[str, int], exclusions: Sequence[Mapping[str, int]]) -> bool:
    return not any(all(chosen[name] & states for name, states in one.items()) for one in exclusions)


def possible(exclusions: Sequence[Mapping[str, int]]) -> bool:
    choices = itertools.product((1, 2, 4, 8), repeat=len(NAMES))
    return any(holds(dict(zip(NAMES, states, strict=True)), exclusions) for states in choices)


@examples(300)
@given(problem=problems)
def test_a_choice_that_breaks_nothing_is_found_whenever_there_is_one(problem: list[dict[str, int]]) -> None:
    knowledge, failed = solve([Exclusion(dict(one)) for one in problem])
    if failed is None:
        assert all(states in (1, 2, 4, 8) for states in knowledge.states.values())
        assert holds(knowledge.states, problem)
    else:
        assert not possible(problem)


@examples(300)
@given(problem=problems)
def test_what_a_failure_is_put_down_to_cannot_hold_together(problem: list[dict[str, int]]) -> None:
    _, failed = solve([Exclusion(dict(one)) for one in problem])
    if failed is not None:
        assert not possible([one.terms for one in told(failed)])


def test_a_conflict_is_met_once() -> None:
    """b and c each exclude all of d in every state of a but its last: known after the first of them."""
    states = [1 << number for number in range(100)]
    everything = sum(states)
    knowledge = Knowledge()
    for name in "abc":
        knowledge.introduce(name, everything)
    apart = [Exclusion({"a": states[i], "b": everything & ~states[99 - i]}) for i in range(99)]
    apart += [Exclusion({"b": states[99 - i], "c": everything & ~states[i]}) for i in range(99)]
    apart += [Exclusion({"a": everything & ~states[99], "c": everything})]
    for exclusion in apart:
        knowledge.add(exclusion)
    assert knowledge.settle(apart) is None
    assert knowledge.states["a"] == states[99]
    assert knowledge.conflicts == 0
