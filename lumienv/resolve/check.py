"""An independent check of a resolution, before anything is written.

It shares nothing with the resolver but packaging's parser and what that was asked before: the user's lines
and every package's requirements are read anew, followed from the user's lines on, and held against what the
image and the pins provide. A problem found here is a bug of lumienv, not of the user.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.image.versions import accepts
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.requirements import marker_holds, parse
from lumienv.site.modules import module_groups


def check_resolution(resolution: Resolution, manifest: Manifest, snapshot: Snapshot) -> list[str]:
    """Hold every requirement against image and pins; returns warnings about what holds with a flaw.

    That is image packages which a replaced one breaks, and stand-ins of another version than asked for.

    Raises ResolutionError, with every requirement that is not met, as an error of lumienv's own.
    """
    checker = _Checker(resolution, manifest, snapshot)
    problems = [*checker.pins_fit(snapshot), *checker.requirements_met(), *checker.rules_kept()]
    if problems:
        raise ResolutionError(
            "lumienv found a set of packages that does not hold: this is an error in lumienv",
            *dict.fromkeys(problems),
            hint="nothing was changed; please report this with your lumienv.toml",
        )
    return [*broken_by(snapshot, checker.replaced, checker.versions), *checker.mismatches]


def broken_by(snapshot: Snapshot, replaced: Iterable[str], versions: Mapping[str, str]) -> list[str]:
    """The image packages whose requirements on the `replaced` ones no longer hold with these `versions`."""
    found = []
    for package, requirement in _broken(snapshot, frozenset(replaced), versions):
        name = canonicalize_name(requirement.name)
        where = f" ({package.location})" if package.location else ""
        found.append(
            f"the image's {package.name} {package.version}{where} needs "
            f"{name}{requirement.specifier}, and will find {name} {versions[name]}"
        )
    return found


def broken_packages(snapshot: Snapshot, replaced: Iterable[str], versions: Mapping[str, str]) -> set[str]:
    """The names of these image packages."""
    broken = _broken(snapshot, frozenset(replaced), versions)
    return {str(canonicalize_name(package.name)) for package, _ in broken}


def _broken(
    snapshot: Snapshot, names: frozenset[str], versions: Mapping[str, str]
) -> Iterator[tuple[ImagePackage, Requirement]]:
    for package in snapshot.packages:
        if canonicalize_name(package.name) in names:
            continue
        for line in package.requires:
            if not any(name[:1].lower() == line[:1].lower() for name in names):
                continue  # spares parsing thousands of lines
            try:
                requirement = Requirement(line)
                holds = _holds(requirement, snapshot.markers, {""})
            except InvalidRequirement:
                continue  # the image's own affair
            name = canonicalize_name(requirement.name)
            if name not in names or name not in versions or not holds:
                continue
            if not accepts(requirement.specifier, versions[name]):
                yield package, requirement


class _Checker:
    def __init__(self, resolution: Resolution, manifest: Manifest, snapshot: Snapshot) -> None:
        self.manifest = manifest
        self.markers = dict(snapshot.markers)
        self.omit = frozenset(canonicalize_name(name) for name in manifest.resolve.omit)
        self.replace = frozenset(canonicalize_name(name) for name in manifest.resolve.replace)
        self.pins: dict[str, Pin] = {pin.name: pin for pin in resolution.pins}
        self.resolution = resolution
        self.answers: dict[tuple[str, frozenset[str]], bool] = {}
        self.image: dict[str, ImagePackage] = snapshot.by_name()
        self.replaced = self.replace & self.pins.keys() & self.image.keys()
        assume = {canonicalize_name(name): text for name, text in manifest.image.assume.items()}
        self.versions: dict[str, str] = {
            name: assume.get(canonicalize_name(name), package.version)
            for name, package in self.image.items()
            if name not in self.replace
        }
        self.versions.update({name: str(pin.version) for name, pin in self.pins.items()})
        direct = {pin.name for pin in resolution.pins if pin.origin is not None}
        self.stands: dict[str, str] = {}
        """name → the image's package that owns the same module, and so stands for it"""
        self.unlike: set[str] = set()
        """the names among them whose versions cannot be compared with those of their stand-in"""
        kept = self.image.keys() - self.replace
        for group in module_groups():
            of_image = sorted(group.members & kept, key=lambda name: (name in group.own_versions, name))
            for name in group.members - kept - self.replace - direct if of_image else ():
                self.stands[name] = of_image[0]
                if {name, of_image[0]} & group.own_versions:
                    self.unlike.add(name)
        self.mismatches: dict[str, None] = {}
        """where a stand-in has another version than what is asked for: allowed, and said"""
        self.constraints = self.ranges(manifest.resolve.constraints)
        self.overrides = self.ranges(manifest.resolve.overrides)

    def ranges(self, entries: Sequence[Dependency]) -> dict[str, SpecifierSet]:
        found: dict[str, SpecifierSet] = {}
        for entry in entries:
            requirement = Requirement(entry.text)
            if _holds(requirement, self.markers, {""}):
                name = canonicalize_name(requirement.name)
                found[name] = found.get(name, SpecifierSet()) & requirement.specifier
        return found

    def pins_fit(self, snapshot: Snapshot) -> Iterator[str]:
        """Whether each pin may be installed on this image at all."""
        supported = frozenset(tag for text in snapshot.tags for tag in _single(text))
        python = Version(snapshot.python.version)
        if len(self.pins) != len(self.resolution.pins):
            yield "a package is pinned twice"
        for name, pin in self.pins.items():
            if name in self.image and name not in self.replace:
                yield f"{name} is of the image, and would be shadowed"
            if name in self.stands:
                yield f"{name} would hide the module of the image's {self.stands[name]}"
            if name in self.omit:
                yield f"{name} is to be omitted, and would be installed"
            if pin.file is not None:
                yield from self.file_fits(pin, pin.file.filename, supported)
            elif pin.origin is None:
                yield f"{name} {pin.version} comes from nowhere"
            wanted = pin.requires_python
            if wanted and not SpecifierSet(wanted).contains(python, prereleases=True):
                yield f"{name} {pin.version} needs Python {wanted}"

    def file_fits(self, pin: Pin, filename: str, supported: frozenset[str]) -> Iterator[str]:
        """Whether the file is of the pinned release, and one that may be used here."""
        try:
            if filename.endswith(".whl"):
                name, version, _, tags = parse_wheel_filename(filename)
                if not supported.intersection(map(str, tags)):
                    yield f"{filename} does not run on this image"
            else:
                name, version = parse_sdist_filename(filename)
                if self.manifest.resolve.build == "never":
                    yield f"{filename} would have to be built"
        except (InvalidWheelFilename, InvalidSdistFilename):
            yield f"{filename} is neither a wheel nor a source distribution"
            return
        if (name, version) != (pin.name, pin.version):
            yield f"{filename} is not {pin.name} {pin.version}"

    def requirements_met(self) -> Iterator[str]:
        """Follow the user's lines to their ends; nothing else may be pinned, or counted as provided."""
        problems: list[str] = []
        always = self.follow(self.manifest.dependencies, problems)
        groups = {name: self.follow(entries, problems) for name, entries in self.manifest.groups.items()}
        yield from problems
        reached = always.union(*groups.values())
        for name, pin in self.pins.items():
            asking = {group for group, names in groups.items() if name in names}
            if name not in reached:
                yield f"{name} is pinned, and nothing needs it"
            elif pin.groups != (frozenset() if name in always else asking):
                yield f"{name} is not marked for the groups that need it"
        image = {
            name: self.image[name].version for name in sorted(reached & self.image.keys() - self.replace)
        }
        if dict(self.resolution.provided) != image:
            yield "the image packages that the result rests on are not those that it names"

    def follow(self, entries: Iterable[Dependency], problems: list[str]) -> frozenset[str]:
        """The names that these lines lead to; appends a sentence for each requirement that is not met."""
        reached: set[tuple[str, frozenset[str]]] = set()
        waiting = [(entry.where, Requirement(entry.text), frozenset({""})) for entry in entries]
        while waiting:
            origin, requirement, of_extras = waiting.pop()
            name = canonicalize_name(requirement.name)
            if name in self.omit or not _holds(requirement, self.markers, of_extras):
                continue
            specifier = self.overrides.get(name, requirement.specifier)
            if name in self.stands:
                stand_in = self.stands[name]
                reached.add((stand_in, frozenset()))
                if name not in self.unlike and not accepts(specifier, self.versions[stand_in]):
                    self.mismatches[
                        f"{origin} needs {name}{specifier}, and the image's {stand_in} "
                        f"{self.versions[stand_in]} stands for it"
                    ] = None
                continue
            have = self.versions.get(name)
            if have is None:
                problems.append(f"{origin} needs {requirement}, and nothing provides {name}")
                continue
            pin = self.pins.get(name)
            if requirement.url and name not in self.overrides and (pin is None or pin.origin is None):
                problems.append(f"{origin} needs {name} from an address, and an index has it")
            if not accepts(specifier, have):
                problems.append(f"{origin} needs {requirement}, and {name} is {have}")
            extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
            for asked in (frozenset[str](), extras):
                if (name, asked) not in reached:
                    reached.add((name, asked))
                    waiting += self.needs(name, have, asked)
        return frozenset(name for name, _ in reached)

    def needs(
        self, name: str, version: str, extras: frozenset[str]
    ) -> list[tuple[str, Requirement, frozenset[str]]]:
        """A pin's requirements; of an image package those that its extras add."""
        pin = self.pins.get(name)
        lines = pin.requires if pin is not None else self.image[name].requires if extras else ()
        asked = extras or frozenset({""})
        found = []
        for line in lines:
            try:
                if not self.may_hold(line, asked):
                    continue
                requirement = parse(line)
                if pin is None and _holds(requirement, self.markers, {""}):
                    continue  # the image's own affair
            except InvalidRequirement:
                if pin is not None:
                    raise
                continue  # the same
            found.append((f"{name} {version}", requirement, asked))
        return found

    def may_hold(self, line: str, extras: frozenset[str]) -> bool:
        """False for a Requires-Dist line whose marker does not hold: thousands need not be parsed."""
        marker = line.partition(";")[2].strip()
        if not marker or "@" in line:
            return True
        key = (marker, extras)
        if key not in self.answers:
            self.answers[key] = _holds(Requirement(f"any;{marker}"), self.markers, extras)
        return self.answers[key]

    def rules_kept(self) -> Iterator[str]:
        """Whether what is taken obeys `[resolve] constraints`."""
        taken = self.pins.keys() | dict(self.resolution.provided).keys()
        for name, specifier in self.constraints.items():
            if name in taken and not accepts(specifier, self.versions[name]):
                yield f"[resolve] constraints has {name}{specifier}, and {name} is {self.versions[name]}"


def _single(tags: str) -> Iterable[str]:
    """Each tag of a compressed set; few are one, and an image has a thousand."""
    return map(str, parse_tag(tags)) if "." in tags else (tags.lower(),)


def _holds(requirement: Requirement, markers: Mapping[str, str], extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker_holds(marker, {**markers, "extra": extra}) for extra in extras)


def missing_from_image(provided: Mapping[str, str], snapshot: Snapshot) -> list[str]:
    """The image packages that a lock rests on and that `snapshot` has no longer, or in another version."""
    have = {name: package.version for name, package in snapshot.by_name().items()}
    return [
        f"{name} {version} (the image has {have.get(name, 'none')})"
        for name, version in sorted(provided.items())
        if have.get(name) != version
    ]
