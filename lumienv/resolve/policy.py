"""`[resolve]` and `[image.assume]`, parsed: what the resolver may and may not do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import ManifestError
from lumienv.manifest import FILE_NAME, Dependency, Manifest
from lumienv.resolve.candidates import as_version
from lumienv.resolve.requirements import Environment, user_requirement


@dataclass(frozen=True)
class Rule:
    """All that the lines of `constraints`, or those of `overrides`, say about one name."""

    specifier: SpecifierSet
    entries: tuple[Dependency, ...]


@dataclass(frozen=True)
class Policy:
    """The policies of one resolution, with names normalised."""

    replace: frozenset[str] = frozenset()
    omit: frozenset[str] = frozenset()
    constraints: Mapping[str, Rule] = field(default_factory=dict)
    overrides: Mapping[str, Rule] = field(default_factory=dict)
    assume: Mapping[str, str] = field(default_factory=dict)
    exclude_newer: str | None = None
    """`2026-11-01T00:00:00`, in UTC: files uploaded then or later do not exist"""
    prerelease: str = "if-necessary"
    prereleases: frozenset[str] = frozenset()
    """the names of which one of the user's own lines names a prerelease"""
    build: bool = True
    """whether source distributions are candidates"""
    lowest: bool = False
    lowest_names: frozenset[str] = frozenset()
    """the names for which the lowest release is taken: `lowest-direct`"""
    judge_stand_ins: bool = True
    """whether an image package that stands for another has to lie in the range that was asked for"""
    preferred: Mapping[str, Version] = field(default_factory=dict)
    """versions of the previous lock: kept while they fit"""


def policy_of(manifest: Manifest, environment: Environment, preferred: Mapping[str, Version]) -> Policy:
    """The manifest's policies, parsed. Raises ManifestError."""
    table = manifest.resolve
    assume = {str(canonicalize_name(name)): version for name, version in manifest.image.assume.items()}
    for name, version in assume.items():
        if as_version(version) is None:
            raise ManifestError(
                f"{FILE_NAME}: [image.assume] reads {name} as {version}, which is no version",
                hint=f'write one such as {name} = "2.8.0"',
            )
    constraints = _rules(table.constraints, environment)
    direct = [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]
    lines = _rules(direct, environment)
    overrides = _rules(table.overrides, environment)
    return Policy(
        replace=frozenset(canonicalize_name(name) for name in table.replace),
        omit=frozenset(canonicalize_name(name) for name in table.omit),
        constraints=constraints,
        overrides=overrides,
        build=table.build == "allow",
        assume=assume,
        exclude_newer=_moment(table.exclude_newer) if table.exclude_newer is not None else None,
        prerelease=table.prerelease,
        prereleases=frozenset(
            name
            for rules in (lines, constraints, overrides)
            for name, rule in rules.items()
            if rule.specifier.prereleases
        ),
        lowest=table.resolution == "lowest",
        lowest_names=frozenset(lines) if table.resolution == "lowest-direct" else frozenset(),
        preferred=preferred,
    )


def _rules(entries: Iterable[Dependency], environment: Environment) -> dict[str, Rule]:
    """Name → what all its lines together say; lines whose marker does not hold here say nothing."""
    rules: dict[str, Rule] = {}
    for entry in entries:
        requirement = user_requirement(entry)
        if requirement.url is not None and entry.key.startswith("resolve."):
            raise ManifestError(
                f"{entry.where}: [{entry.key.replace('.', '] ')} takes versions, not addresses",
                hint=f"say where {requirement.name} comes from in [sources]",
            )
        if environment.holds(requirement.marker):
            name = str(canonicalize_name(requirement.name))
            known = rules.get(name, Rule(SpecifierSet(), ()))
            rules[name] = Rule(known.specifier & requirement.specifier, (*known.entries, entry))
    return rules


def _moment(text: str) -> str:
    """A date or time as index pages spell it, to be compared as text; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # in UTC, a day of the first year may be of none
        raise ManifestError(
            f'{FILE_NAME}: [resolve] exclude-newer is "{text}", which is no date',
            hint='write a date, or a time in UTC: exclude-newer = "2026-11-01"',
        ) from None
    return moment.isoformat(timespec="seconds")
