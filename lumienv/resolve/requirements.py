"""Requirements with their origin: each can be traced to a line of the user's file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import ManifestError
from lumienv.manifest import Dependency

_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, eq=False)
class Want:
    """One requirement on one name, with the extras folded into its key."""

    name: str
    """normalised"""
    extras: frozenset[str]
    requirement: Requirement
    source: Dependency | None = None
    """the user's own line, when it is one"""
    override: Dependency | None = None
    """the line of `[resolve] overrides` that says another range than was asked for"""
    stands_for: str = ""
    """the name that was really asked for, where an image package of another name stands for it"""
    same_as: Version | None = None
    """set on what a name with extras wants of the bare name: to be the same release"""
    unusable: str | None = None
    """why the candidate that has this requirement cannot be used at all"""

    @cached_property
    def key(self) -> str:
        """`name`, or `name[extra,…]`: what the resolver decides upon."""
        return key_of(self.name, self.extras) if self.unusable is None else f"{self.name} is unusable"

    @cached_property
    def ranges(self) -> str:
        """The specifier as text: the same for all wants that accept the same versions."""
        return str(self.requirement.specifier)

    @cached_property
    def pins(self) -> bool:
        """Whether it names one release (`==1.0`, not `==1.*`)."""
        return pins(self.requirement.specifier)

    @cached_property
    def bounded(self) -> bool:
        """Whether it leaves the newest releases out."""
        return any(specifier.operator in ("<", "<=", "~=", "==") for specifier in self.requirement.specifier)

    @cached_property
    def prerelease(self) -> bool:
        """Whether it names a prerelease."""
        return bool(self.requirement.specifier.prereleases)

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        return f"{self.stands_for or self.name}{extras}{spelled(self.requirement.specifier)}"


def pins(specifier: SpecifierSet) -> bool:
    """Whether a range holds one release by naming it, which PEP 592 asks for before taking a yanked one."""
    return any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in specifier)


def spelled(specifier: SpecifierSet) -> str:
    """A range as people write it: `>=` before `<`."""
    return ",".join(sorted((str(one) for one in specifier), key=lambda text: (text[0] != ">", text)))


def key_of(name: str, extras: frozenset[str]) -> str:
    """The identifier under which the resolver keeps a name with its extras."""
    return f"{name}[{','.join(sorted(extras))}]" if extras else name


def user_requirement(entry: Dependency) -> Requirement:
    """Parse one of the user's lines. Raises ManifestError."""
    try:
        requirement = Requirement(entry.text)
    except InvalidRequirement as error:
        meant = _meant(entry)
        reason = "a version is named with ==" if meant else str(error).splitlines()[0]
        raise ManifestError(
            f'{entry.where}: "{entry.text}" is not a requirement: {reason}',
            hint=meant or 'write a name, with extras, versions and a marker as needed: "datasets[audio]>=3"',
        ) from None
    if requirement.marker is not None:
        try:
            marker_holds(requirement.marker)
        except InvalidRequirement:
            raise ManifestError(
                f'{entry.where}: "{entry.text}" has a marker that no machine can answer',
                hint="a marker compares what PEP 508 names, versions with whole ones: "
                f"\"{requirement.name}; python_version >= '3.11'\"",
            ) from None
    return requirement


def marker_holds(marker: Marker, environment: Mapping[str, str] | None = None) -> bool:
    """Whether it holds, by default in this Python. Raises InvalidRequirement for what cannot be compared.

    `python_version ~= '3'` can be parsed, and evaluated nowhere.
    """
    try:
        return marker.evaluate(environment)
    except (UndefinedComparison, UndefinedEnvironmentName):
        text = str(marker).replace('"', "'")  # as messages put it between double ones
        raise InvalidRequirement(f"the marker cannot be evaluated\n    {text}") from None


def _meant(entry: Dependency) -> str | None:
    """What a line that is no requirement was most likely meant to say: `h5py=3.1` is how conda has it."""
    found = re.fullmatch(
        r"\s*([A-Za-z0-9][\w.-]*(?:\[[^]]*\])?)(?:\s*=\s*|\s+)v?(\d[\w.*+!-]*)\s*", entry.text
    )
    if found is None:
        return None
    text = f"{found[1]}=={found[2]}"
    try:
        Requirement(text)
    except InvalidRequirement:
        return None
    return f'write "{text}" instead of "{entry.text}" ({entry.where})'


def with_range(requirement: Requirement, specifier: SpecifierSet) -> Requirement:
    """The same requirement with another range."""
    changed = copy(requirement)
    changed.specifier = specifier
    changed.url = None
    return changed


def wants_of(
    requirement: Requirement, source: Dependency | None = None, override: Dependency | None = None
) -> Iterator[Want]:
    """The name itself, and, with extras, the name with them: both have to be the same release."""
    name = canonicalize_name(requirement.name)
    yield Want(name, frozenset(), requirement, source, override)
    if requirement.extras:
        extras = frozenset(str(canonicalize_name(extra)) for extra in requirement.extras)
        yield Want(name, extras, requirement, source, override)


@cache
def parse(text: str) -> Requirement:
    """A Requires-Dist line. Raises packaging's InvalidRequirement."""
    return Requirement(text)


class Environment:
    """The image's markers, each answer remembered: thousands of lines share a few dozen markers."""

    def __init__(self, markers: Mapping[str, str]) -> None:
        self._markers = dict(markers)
        self._answers: dict[tuple[str, str], bool] = {}

    def applicable(self, lines: Iterable[str], extras: frozenset[str]) -> Iterator[Requirement]:
        """The requirements among `lines` that hold here when `extras` are asked for.

        Only those are parsed: transformers has 600 lines, of which 10 hold. A line whose marker does not hold
        may therefore be broken. Raises packaging's InvalidRequirement for the others.
        """
        for line in lines:
            if "@" in line:  # an address may hold a semicolon
                requirement = parse(line)
                if requirement.marker is None or self._holds(str(requirement.marker), extras):
                    yield requirement
            else:
                marker = line.partition(";")[2].strip()
                if not marker or self._holds(marker, extras):
                    yield parse(line)

    def readable(self, lines: Iterable[str], extras: frozenset[str]) -> Iterator[Requirement]:
        """The same of an image package; a line of it that cannot be read is the image's own affair."""
        for line in lines:
            try:
                found = list(self.applicable([line], extras))
            except InvalidRequirement:
                continue
            yield from found

    def holds(self, marker: Marker | None) -> bool:
        """Whether the marker of a user's line holds."""
        return marker is None or self._holds(str(marker), frozenset())

    def _holds(self, marker: str, extras: frozenset[str]) -> bool:
        if "extra" not in marker:
            return self._evaluate(marker, "")
        if " or " not in marker:
            # Without an alternative all parts have to hold: an extra that was not asked for settles it,
            # which spares parsing most markers there are.
            named = _EXTRA.findall(marker)
            if any(canonicalize_name(extra) not in extras for extra in named):
                return False
        return any(self._evaluate(marker, extra) for extra in extras or ("",))

    def _evaluate(self, marker: str, extra: str) -> bool:
        answer = self._answers.get((marker, extra))
        if answer is None:
            try:
                answer = marker_holds(Marker(marker), {**self._markers, "extra": extra})
            except InvalidMarker as error:
                raise InvalidRequirement(str(error)) from error
            self._answers[marker, extra] = answer
        return answer
