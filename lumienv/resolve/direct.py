"""Names that come from one place of their own, not from an index: git, an address, a folder.

Such a name has one release. Which names these are is settled before the search: by `[sources]`, by addresses
in the user's lines, and by addresses in what these sources need in turn. An address that a package from an
index asks for is not followed: whoever can upload a package could then name any place.
"""

from collections.abc import Collection, Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lumienv.errors import ManifestError
from lumienv.manifest import FILE_NAME, Dependency, Manifest, Source
from lumienv.manifest.sources import source_of_url
from lumienv.resolve.origin import Direct, Origin, SourceReader
from lumienv.resolve.policy import Policy
from lumienv.resolve.requirements import Environment, user_requirement


class DirectSources:
    """The direct sources of one resolution, each read once, when it is first asked for."""

    def __init__(
        self,
        declared: Mapping[str, Source] | None = None,
        reader: SourceReader | None = None,
        locked: Mapping[str, Origin] | None = None,
    ) -> None:
        self._declared = dict(declared or {})
        self._reader = reader
        self._locked = locked or {}
        self._read: dict[str, Direct] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._declared

    def source(self, name: str) -> Source | None:
        """Where a name comes from, as declared."""
        return self._declared.get(name)

    def declare(self, name: str, source: Source) -> None:
        """Say where a name comes from."""
        self._declared[name] = source

    def read(self, name: str) -> Direct:
        """The one release of a name. Raises as `SourceReader.direct` does."""
        if name not in self._read:
            assert self._reader is not None
            self._read[name] = self._reader.direct(name, self._declared[name], self._locked.get(name))
        return self._read[name]


def direct_sources(
    manifest: Manifest,
    policy: Policy,
    environment: Environment,
    provided: Collection[str],
    reader: SourceReader | None,
    locked: Mapping[str, Origin],
) -> DirectSources:
    """The direct sources of a manifest, those that its lines ask for read already.

    `provided` are the names of the image that may not be replaced. Raises ManifestError for one of these and
    for two sources of one name, and as `SourceReader.direct` does.
    """
    found = DirectSources(_named(manifest), reader, locked)
    elsewhere = policy.omit | policy.overrides.keys()  # these rules say another thing than the address
    waiting: list[tuple[str, Requirement]] = []
    groups = (manifest.dependencies, *manifest.groups.values())
    for entry in dict.fromkeys(entry for group in groups for entry in group):
        requirement = user_requirement(entry)
        if environment.holds(requirement.marker) and canonicalize_name(requirement.name) not in elsewhere:
            if requirement.url is not None:
                _declare(found, requirement, entry.where, _source(requirement, entry))
            waiting.append((entry.where, requirement))
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        where, requirement = waiting.pop()
        name = str(canonicalize_name(requirement.name))
        extras = frozenset(str(canonicalize_name(extra)) for extra in requirement.extras)
        if name not in found or name in elsewhere or (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name in provided:
            raise ManifestError(
                f"{where}: {name} is to come from {found.source(name).location}, and the image provides it",  # type: ignore[union-attr]
                hint=f'to let it shadow the image\'s: [resolve] replace = ["{name}"]; else remove its source',
            )
        direct = found.read(name)
        for needed in _needs(environment, direct, extras):
            origin = f"{name} {direct.version}"
            if needed.url is not None:
                try:
                    source = source_of_url(needed.url)
                except ValueError:
                    continue  # said by the search, should it get there
                _declare(found, needed, origin, source)
            waiting.append((origin, needed))
    return found


def _named(manifest: Manifest) -> dict[str, Source]:
    return {
        str(canonicalize_name(name)): source
        for name, source in manifest.sources.items()
        if source.kind != "index"
    }


def _source(requirement: Requirement, entry: Dependency) -> Source:
    try:
        return source_of_url(requirement.url or "")
    except ValueError as error:
        raise ManifestError(f"{entry.where}: the address of {requirement.name} {error}") from None


def _declare(found: DirectSources, requirement: Requirement, where: str, source: Source) -> None:
    name = str(canonicalize_name(requirement.name))
    known = found.source(name)
    if known is None:
        found.declare(name, source)
    elif known != source and not _same_place(known, source):
        raise ManifestError(
            f"{where}: {name} is to come from two places",
            f"from {' '.join(known.written()[1:])}",
            f"and from {' '.join(source.written()[1:])}",
            hint=f"say which in {FILE_NAME}: one entry in [sources], and plain {name} in the dependencies",
        )


def _same_place(known: Source, source: Source) -> bool:
    """The user's own entry may say more than the address in what somebody else needs."""
    return (known.kind, known.location.removesuffix(".git").rstrip("/")) == (
        source.kind,
        source.location.removesuffix(".git").rstrip("/"),
    ) and source.revision in ("", known.revision)


def _needs(environment: Environment, direct: Direct, extras: frozenset[str]) -> Iterable[Requirement]:
    try:
        return list(environment.applicable(direct.metadata.requires_dist, extras))
    except InvalidRequirement:
        return []  # said by the search, should it get there
