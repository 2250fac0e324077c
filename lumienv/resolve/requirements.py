"""Requirements with their origin: each can be traced to a line of the user's file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lumienv.errors import ManifestError
from lumienv.manifest import Dependency


@dataclass(frozen=True, eq=False)
class Want:
    """One requirement on one name, with the extras folded into its key."""

    name: str
    """normalised"""
    extras: frozenset[str]
    requirement: Requirement
    source: Dependency | None = None
    """the user's own line, when it is one"""
    unusable: str | None = None
    """why the candidate that has this requirement cannot be used at all"""

    @property
    def key(self) -> str:
        """`name`, or `name[extra,…]`: what the resolver decides upon."""
        return key_of(self.name, self.extras) if self.unusable is None else f"{self.name} is unusable"

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        return f"{self.name}{extras}{spelled(self.requirement)}"


def spelled(requirement: Requirement) -> str:
    """A requirement's specifier as people write it: sorted, `>=` before `<`."""
    return ",".join(
        sorted((str(specifier) for specifier in requirement.specifier), key=lambda s: (s[0] != ">", s))
    )


def key_of(name: str, extras: frozenset[str]) -> str:
    """The identifier under which the resolver keeps a name with its extras."""
    return f"{name}[{','.join(sorted(extras))}]" if extras else name


def user_wants(entries: Iterable[Dependency], environment: Mapping[str, str]) -> Iterator[Want]:
    """The wants of the user's lines; those whose marker does not hold here are left out.

    Raises ManifestError for a line that is not PEP 508.
    """
    for entry in entries:
        requirement = user_requirement(entry)
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            yield from wants_of(requirement, entry)


def user_requirement(entry: Dependency) -> Requirement:
    """Parse one of the user's lines. Raises ManifestError."""
    try:
        requirement = Requirement(entry.text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(
            f'{entry.where}: "{entry.text}" is not a requirement: {reason}',
            hint='write a name, with extras, versions and a marker as needed: "datasets[audio]>=3"',
        ) from None
    if requirement.url is not None:
        raise ManifestError(
            f"{entry.where}: {requirement.name} comes from an address, which this version cannot lock yet",
            hint="name a release on a package index instead",
        )
    return requirement


def wants_of(requirement: Requirement, source: Dependency | None = None) -> Iterator[Want]:
    """The name itself, and, with extras, the name with them: both have to be the same release."""
    name = canonicalize_name(requirement.name)
    yield Want(name, frozenset(), requirement, source)
    if requirement.extras:
        extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
        yield Want(name, extras, requirement, source)


@cache
def parse(text: str) -> Requirement:
    """A Requires-Dist line. Raises packaging's InvalidRequirement."""
    return Requirement(text)


def applicable(
    lines: Iterable[str], environment: Mapping[str, str], extras: frozenset[str]
) -> Iterator[Requirement]:
    """The requirements among `lines` that hold in `environment` when `extras` are asked for.

    Raises packaging's InvalidRequirement.
    """
    for line in lines:
        requirement = parse(line)
        if requirement.marker is None or _holds(requirement.marker, environment, extras):
            yield requirement


def _holds(marker: Marker, environment: Mapping[str, str], extras: frozenset[str]) -> bool:
    return any(
        marker.evaluate({**environment, "extra": extra}) for extra in (sorted(extras) if extras else ("",))
    )
