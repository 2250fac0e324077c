"""The same with rules: for any `[resolve]`, what is found obeys it, and what can be found is found."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, note
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from properties import examples
from universe import MemoryClient, manifest, snapshot

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import ImagePackage
from lumienv.resolve import Resolution
from lumienv.resolve.resolver import Request, resolve

NAMES = ("a", "b", "c", "d")
VERSIONS = ("1.0", "2.0", "3.0a1", "3.0")

names = st.sampled_from(NAMES)
ranges = st.sampled_from(("", "", ">=2.0", "<3.0a0", "<2.0", "==2.0", "!=2.0", ">=3.0a1", "~=1.0"))
lines = st.builds("{}{}".format, names, ranges)
releases = st.dictionaries(st.sampled_from(VERSIONS), st.lists(lines, max_size=2), min_size=1)
universes = st.dictionaries(names, releases, min_size=2)
images = st.dictionaries(names, st.sampled_from(("1.0", "2.0", "2.0+rocm")), max_size=2)


@dataclass(frozen=True)
class Rules:
    """A `[resolve]` table."""

    replace: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    prerelease: str = "if-necessary"


rules = st.builds(
    Rules,
    replace=st.lists(names, max_size=2, unique=True).map(tuple),
    omit=st.lists(names, max_size=1).map(tuple),
    constraints=st.lists(lines, max_size=2).map(tuple),
    overrides=st.lists(lines, max_size=1).map(tuple),
    prerelease=st.sampled_from(("disallow", "if-necessary", "allow")),
)
universes_of_the_index = Mapping[str, Mapping[str, Sequence[str]]]


def ranges_of(entries: Sequence[str]) -> dict[str, SpecifierSet]:
    found: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, entries):
        found[requirement.name] = found.get(requirement.name, SpecifierSet()) & requirement.specifier
    return found


@dataclass(frozen=True)
class Possible:
    """Everything that the rules allow, tried one after the other."""

    universe: universes_of_the_index
    image: Mapping[str, str]
    rules: Rules

    def choices(self) -> Iterator[dict[str, str]]:
        kept = {name: version for name, version in self.image.items() if name not in self.rules.replace}
        offers = {name: [kept[name]] if name in kept else self.offered(name) for name in NAMES}
        known = [name for name in NAMES if offers[name]]
        for versions in itertools.product(*(offers[name] for name in known)):
            yield dict(zip(known, versions, strict=True))

    def offered(self, name: str) -> list[str]:
        versions = list(self.universe.get(name, ()))
        if self.rules.prerelease == "disallow":
            versions = [version for version in versions if not Version(version).is_prerelease]
        return versions

    def reached(self, asked: Sequence[str], chosen: Mapping[str, str]) -> set[str] | None:
        """The names that are needed; None when a requirement or a rule is not kept."""
        constraints, overrides = ranges_of(self.rules.constraints), ranges_of(self.rules.overrides)
        waiting, seen = [Requirement(line) for line in asked], set[str]()
        while waiting:
            requirement = waiting.pop()
            name = requirement.name
            if name in self.rules.omit:
                continue
            allowed = overrides.get(name, requirement.specifier) & constraints.get(name, SpecifierSet())
            if name not in chosen or not allowed.contains(Version(chosen[name]), prereleases=True):
                return None
            if name not in seen:
                seen.add(name)
                if name not in self.image or name in self.rules.replace:
                    waiting += [Requirement(line) for line in self.universe[name][chosen[name]]]
        return seen


def outcome(request: Request, client: MemoryClient) -> Resolution | ResolutionError:
    try:
        return resolve(request, client)  # type: ignore[arg-type]
    except ResolutionError as error:
        return error


@examples(500)
@given(universe=universes, image=images, asked=st.lists(lines, min_size=1, max_size=3), rules=rules)
def test_the_rules_are_kept_and_a_solution_is_found_whenever_they_allow_one(
    universe: dict[str, dict[str, list[str]]], image: dict[str, str], asked: list[str], rules: Rules
) -> None:
    # "if-necessary" looks at one name at a time: at least what needs no prerelease has to be found.
    strict = replace(rules, prerelease="disallow") if rules.prerelease == "if-necessary" else rules
    possible = Possible(universe, image, strict)
    base = snapshot(*(ImagePackage(name, version) for name, version in image.items()))
    declared = manifest(asked, **vars(rules))
    found = outcome(Request(declared, base, {}), MemoryClient(universe))
    if isinstance(found, ResolutionError):
        note(str(found))
        assert "does not hold" not in found.message
        assert all(possible.reached(asked, chosen) is None for chosen in possible.choices())
        return
    untouched = image.keys() - set(rules.replace)
    assert not found.versions.keys() & untouched
    assert not found.versions.keys() & set(rules.omit)
    reached = possible.reached(asked, {**image, **found.versions})
    assert reached == {*found.versions, *dict(found.provided)}
