"""Searches that learn from what comes to nothing: the same rules as in all searches, and far fewer rounds."""

from collections.abc import Mapping, Sequence
from functools import partial

import pytest
from universe import MemoryClient, manifest, snapshot
from world import World

from lumienv.image.snapshot import Snapshot
from lumienv.resolve import resolver
from lumienv.resolve.policy import policy_of
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Environment
from lumienv.resolve.search import DeadEnd, Record, SearchTooLongError, search

Universe = Mapping[str, Mapping[str, Sequence[str]]]


def found(
    universe: Universe,
    *asked: str,
    base: Snapshot | None = None,
    easy: int = 0,
    max_rounds: int = 20_000,
    **policy: object,
) -> dict[str, str] | DeadEnd:
    """Name → version of what is chosen, those of the image included."""
    base = base or snapshot()
    asked_for = manifest(asked, **policy)
    provider = Provider(
        base,
        MemoryClient(universe),  # type: ignore[arg-type]
        policy_of(asked_for, Environment(base.markers), {}),
    )
    result = search(provider, provider.roots(asked_for.dependencies), max_rounds, Record(easy))
    if isinstance(result, DeadEnd):
        return result
    return {candidate.name: str(candidate).split()[1] for candidate in result.values()}


def both_pin_a_third(count: int) -> dict[str, dict[str, list[str]]]:
    """As boto3 and another client of botocore: both pin it, and agree in their oldest releases only."""
    left = {f"1.{i}": [f"core=={i}"] for i in range(count)}
    right = {f"1.{i}": [f"core=={i + count if i else 0}"] for i in range(count)}
    return {"left": left, "right": right, "core": {str(i): [] for i in range(2 * count)}}


def test_two_packages_that_agree_on_the_oldest_of_200_releases_only() -> None:
    result = found(both_pin_a_third(200), "left", "right", easy=50, max_rounds=1000)
    assert result == {"left": "1.0", "right": "1.0", "core": "0"}


def test_a_search_is_given_up_after_so_many_rounds_and_names_what_it_was_busy_with() -> None:
    with pytest.raises(SearchTooLongError) as given_up:
        found(both_pin_a_third(200), "left", "right", easy=50, max_rounds=100)
    assert given_up.value.record.rejections.most_common(1)[0][0] in ("left", "right")


def test_a_prerelease_is_taken_only_where_no_final_release_is_in_range() -> None:
    universe = {"a": {"1.0": [], "2.0": ["b"], "3.0rc1": []}, "b": {"1.0b1": []}}
    assert found(universe, "a") == {"a": "2.0", "b": "1.0b1"}
    assert found(universe, "a", prerelease="disallow") == {"a": "1.0"}
    assert found(universe, "a", prerelease="allow") == {"a": "3.0rc1"}


def test_a_prerelease_that_was_named_only_on_a_way_not_taken_is_not_taken() -> None:
    universe: Universe = {
        "a": {"2.0": ["b>=2.0rc1", "c==9"], "1.0": ["b"]},
        "b": {"2.0rc1": [], "1.0": []},
        "c": {"1.0": []},
    }
    assert found(universe, "a", "c") == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_a_prerelease_that_is_named_is_taken() -> None:
    universe = {"a": {"1.0": ["b>=2.0rc1"]}, "b": {"2.0rc1": [], "1.0": []}}
    assert found(universe, "a", "b") == {"a": "1.0", "b": "2.0rc1"}
    assert found(universe, "b", constraints=["b>=2.0rc1"]) == {"b": "2.0rc1"}


def test_constraints_and_the_image_bind_as_in_all_searches() -> None:
    universe = {"a": {"2.0": ["core>=2"], "1.0": ["core"]}, "core": {"2.0": []}, "b": {"2": [], "1": []}}
    base = snapshot("core==1.5+rocm")
    assert found(universe, "a", "b", base=base, constraints=["b<2"]) == {
        "a": "1.0",
        "core": "1.5+rocm",
        "b": "1",
    }


def test_the_lowest_release_is_taken_where_that_is_asked_for() -> None:
    universe = {"a": {"3": ["b>=2"], "2": ["b>=2"], "1": ["b<1"]}, "b": {"3": [], "2": []}}
    assert found(universe, "a", resolution="lowest") == {"a": "2", "b": "2"}


def test_a_withdrawn_release_is_taken_only_where_it_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "search", partial(search, record=Record(easy=0)))
    world.offer("a", "2.0", yanked="broken")
    world.offer("a", "1.0")
    world.offer("b", "1.0", ["a==2.0"])
    assert world.resolve("a").versions == {"a": "1.0"}
    assert world.resolve("a", "b").versions == {"a": "2.0", "b": "1.0"}
    world.offer("c", "2.0", ["a==2.0", "missing"])
    world.offer("c", "1.0", ["a"])
    assert world.resolve("a", "c").versions == {"a": "1.0", "c": "1.0"}
