"""For any small universe and image: what is found satisfies everything, and what can be found is found."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version
from properties import examples
from universe import MemoryClient, manifest, snapshot

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.resolve import Resolution, resolver
from lumienv.resolve.resolver import Request, resolve
from lumienv.resolve.search import Record, search

NAMES = ("a", "b", "c", "d", "e")
VERSIONS = ("1.0", "2.0", "3.0")
EXTRAS = ("", "", "", "[x]", "[y]", "[x,y]")

_LINE = re.compile(r'"[^"]*" \(lumienv.toml:\d+\)')

Universe = Mapping[str, Mapping[str, Sequence[str]]]

ranges = st.sampled_from(
    ("", "", ">=2.0", ">=3.0", "<3.0", "<2.0", "==2.0", "!=2.0", "!=3.0", "~=1.0", "==2.0+rocm")
)
lines = st.builds("{}{}{}".format, st.sampled_from(NAMES), st.sampled_from(EXTRAS), ranges)
needs = st.builds("{}{}".format, lines, st.sampled_from(("", "", '; extra == "x"', '; extra == "y"')))
releases = st.dictionaries(st.sampled_from(VERSIONS), st.lists(needs, max_size=3), min_size=1)
universes = st.dictionaries(st.sampled_from(NAMES), releases, min_size=2)
images = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from(("1.0", "2.0", "2.0+rocm", "3.0")), st.lists(needs, max_size=2)),
    max_size=3,
)


class Try:
    """One choice of a version for every name, and what the user's lines reach with it."""

    def __init__(self, universe: Universe, image: Mapping[str, tuple[str, list[str]]]) -> None:
        self.universe = universe
        self.image = image

    def choices(self) -> Iterator[dict[str, str]]:
        names = sorted({*self.universe, *self.image})
        offers = [[self.image[n][0]] if n in self.image else list(self.universe[n]) for n in names]
        for versions in itertools.product(*offers):
            yield dict(zip(names, versions, strict=True))

    def needs(self, name: str, version: str, extra: str) -> Iterator[Requirement]:
        """What a release needs with an extra; of the image what the extra adds."""
        written = self.image[name][1] if name in self.image else self.universe[name][version]
        for line in written:
            requirement = Requirement(line)
            plain = requirement.marker is None
            if extra and not plain and requirement.marker.evaluate({"extra": extra}):  # type: ignore[union-attr]
                yield requirement
            if not extra and plain and name not in self.image:
                yield requirement

    def reached(self, asked: Sequence[str], chosen: Mapping[str, str]) -> set[str] | None:
        """The names that are needed; None when a requirement is not met."""
        waiting = [Requirement(line) for line in asked]
        seen: set[tuple[str, str]] = set()
        while waiting:
            requirement = waiting.pop()
            name = requirement.name
            if name not in chosen or not requirement.specifier.contains(Version(chosen[name])):
                return None
            for extra in ("", *requirement.extras):
                if (name, extra) not in seen:
                    seen.add((name, extra))
                    waiting += self.needs(name, chosen[name], extra)
        return {name for name, _ in seen}


def _outcome(universe: Universe, base: Snapshot, asked: Sequence[str]) -> Resolution | ResolutionError:
    try:
        client = MemoryClient(universe)
        return resolve(Request(manifest(asked), base, {}), client)  # type: ignore[arg-type]
    except ResolutionError as error:
        return error


def _check_message(error: ResolutionError, universe: Universe, base: Snapshot, asked: Sequence[str]) -> None:
    """Facts from a line of the user's on, and other ranges that are proposed really would do."""
    assert error.facts[0].startswith("you ask for ")
    assert len(set(error.facts)) == len(error.facts)
    assert error.hint
    for line in error.hint.replace(",\n  and", ", and").splitlines():
        written = re.findall(r'"([^"]*)" instead of "([^"]*)"', line)
        if "write " in line and "the image provides it" not in line:
            changes = {old: new for new, old in written}
            # Lines that fail for reasons of their own are told of apart, with a way out of their own.
            apart = {text for fact in error.facts if "not fit either" in fact for text in _LINE.findall(fact)}
            if line.startswith("and for "):
                first = {fact for fact in error.facts if fact.startswith("you ask for ")}
                apart |= {f'"{text[12:].replace("  (", chr(34) + " (")}' for text in first}
                apart -= set(_LINE.findall(line.partition(": ")[0]))
            changed = [
                changes.get(entry, entry)
                for number, entry in enumerate(asked, 2)
                if f'"{entry}" (lumienv.toml:{number})' not in apart
            ]
            assert isinstance(_outcome(universe, base, changed), Resolution), line


@examples(250)
@given(universe=universes, image=images, asked=st.lists(lines, min_size=1, max_size=4))
def test_the_result_satisfies_everything_and_is_found_whenever_there_is_one(
    universe: dict[str, dict[str, list[str]]],
    image: dict[str, tuple[str, list[str]]],
    asked: list[str],
) -> None:
    base = snapshot(*(ImagePackage(name, version, tuple(lines)) for name, (version, lines) in image.items()))
    result = _outcome(universe, base, asked)
    if isinstance(result, ResolutionError):
        _check_message(result, universe, base, asked)
    _check_result(result, Try(universe, image), asked)


@examples(250)
@given(universe=universes, image=images, asked=st.lists(lines, min_size=1, max_size=4))
def test_so_it_is_where_a_search_learns_from_the_start(
    universe: dict[str, dict[str, list[str]]],
    image: dict[str, tuple[str, list[str]]],
    asked: list[str],
) -> None:
    base = snapshot(*(ImagePackage(name, version, tuple(lines)) for name, (version, lines) in image.items()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resolver, "search", partial(search, record=Record(easy=0)))
        result = _outcome(universe, base, asked)
    _check_result(result, Try(universe, image), asked)


def _check_result(result: Resolution | ResolutionError, tries: Try, asked: Sequence[str]) -> None:
    """All that is asked for holds, and nothing else is there; or nothing could hold."""
    if isinstance(result, ResolutionError):
        note(str(result))
        assert "does not hold" not in result.message
        assert all(tries.reached(asked, chosen) is None for chosen in tries.choices())
        return
    image = tries.image
    assert not result.versions.keys() & image.keys()
    chosen = {**result.versions, **{name: version for name, (version, _) in image.items()}}
    reached = tries.reached(asked, chosen)
    assert reached is not None
    assert {*result.versions, *dict(result.provided)} == reached


@examples(50)
@given(universe=universes, image=images, asked=st.lists(lines, min_size=2, max_size=4), data=st.data())
def test_the_result_does_not_depend_on_the_order_in_which_it_is_asked_for(
    universe: dict[str, dict[str, list[str]]],
    image: dict[str, tuple[str, list[str]]],
    asked: list[str],
    data: st.DataObject,
) -> None:
    base = snapshot(*(ImagePackage(name, version, tuple(lines)) for name, (version, lines) in image.items()))

    def versions(order: list[str]) -> dict[str, str] | None:
        result = _outcome(universe, base, order)
        return None if isinstance(result, ResolutionError) else dict(result.versions)

    assert versions(asked) == versions(data.draw(st.permutations(asked)))
