"""An independent check of a resolution, before anything is written.

It shares no code with the resolver's provider: every requirement is read anew and held against what the
image and the pins provide. A problem found here is a bug of lumienv, not of the user.
"""

from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import Snapshot
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve import Resolution
from lumienv.resolve.provider import Policy


def check_resolution(
    resolution: Resolution, manifest: Manifest, snapshot: Snapshot, policy: Policy
) -> list[str]:
    """Hold every requirement against image and pins; returns warnings about replaced image packages.

    Raises ResolutionError, with every requirement that is not met, as an error of lumienv's own.
    """
    checker = _Checker(resolution, snapshot, policy)
    problems = list(checker.image_untouched())
    problems += checker.files_fit(snapshot)
    entries = [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]
    problems += checker.user_lines(entries)
    for pin in resolution.pins:
        origin = f"{pin.name} {pin.version}"
        problems += checker.lines(origin, pin.requires, pin.extras)
    if problems:
        raise ResolutionError(
            "lumienv found a set of packages that does not hold: this is an error in lumienv",
            *problems,
            hint="nothing was changed; please report this with your lumienv.toml",
        )
    return [
        problem
        for package in snapshot.packages
        if canonicalize_name(package.name) not in policy.replace
        for problem in checker.lines(
            f"the image's {package.name} {package.version}",
            package.requires,
            frozenset(),
            only=policy.replace & checker.pinned,
        )
    ]


class _Checker:
    def __init__(self, resolution: Resolution, snapshot: Snapshot, policy: Policy) -> None:
        self.resolution = resolution
        self.policy = policy
        self.environment = dict(snapshot.markers)
        self.pinned = frozenset(pin.name for pin in resolution.pins)
        self.versions: dict[str, str] = {}
        for package in snapshot.packages:
            name = canonicalize_name(package.name)
            self.versions[name] = policy.assume.get(name, package.version)
        self.of_image = frozenset(self.versions) - policy.replace
        self.versions.update({pin.name: str(pin.version) for pin in resolution.pins})

    def image_untouched(self) -> Iterable[str]:
        for name in sorted(self.pinned & self.of_image):
            yield f"{name} is of the image, and would be shadowed"
        for name in sorted(self.pinned & self.policy.omit):
            yield f"{name} is to be omitted, and would be installed"

    def files_fit(self, snapshot: Snapshot) -> Iterable[str]:
        supported = frozenset(tag for text in snapshot.tags for tag in parse_tag(text))
        for pin in self.resolution.pins:
            name, version, _, tags = parse_wheel_filename(pin.file.filename)
            if (name, version) != (pin.name, pin.version):
                yield f"{pin.file.filename} is not {pin.name} {pin.version}"
            if not tags & supported:
                yield f"{pin.file.filename} does not run on this image"

    def user_lines(self, entries: Iterable[Dependency]) -> Iterable[str]:
        for entry in entries:
            yield from self.lines(entry.where, [entry.text], frozenset())
        for constraint in self.policy.constraints.values():
            if constraint.name in self.pinned and constraint.source is not None:
                yield from self.lines(constraint.source.where, [constraint.source.text], frozenset())

    def lines(
        self, origin: str, lines: Iterable[str], extras: frozenset[str], only: frozenset[str] | None = None
    ) -> Iterable[str]:
        for line in lines:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            if name in self.policy.omit or (only is not None and name not in only):
                continue
            if requirement.marker is not None and not any(
                requirement.marker.evaluate({**self.environment, "extra": extra}) for extra in extras or {""}
            ):
                continue
            override = self.policy.overrides.get(name)
            specifier = (override.requirement if override is not None else requirement).specifier
            have = self.versions.get(name)
            if have is None:
                yield f"{origin} needs {requirement}, and nothing provides {name}"
            elif not _accepts(specifier, have):
                yield f"{origin} needs {requirement}, and {name} is {have}"


def _accepts(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not str(specifier)


def missing_from_image(provided: Mapping[str, str], snapshot: Snapshot) -> list[str]:
    """The image packages that a lock rests on and that `snapshot` has no longer, or in another version."""
    have: dict[str, str] = {canonicalize_name(package.name): package.version for package in snapshot.packages}
    return [
        f"{name} {version} (the image has {have.get(name, 'none')})"
        for name, version in sorted(provided.items())
        if have.get(name) != version
    ]
