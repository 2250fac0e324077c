"""What could be chosen for a name: the image's one package, or the releases that an index offers.

A release that is left out says why, as data: failures are explained with it.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, cached_property

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from lumienv.image.snapshot import ImagePackage
from lumienv.index.pages import File, Page
from lumienv.index.releases import as_version as as_version
from lumienv.resolve.origin import Direct
from lumienv.resolve.requirements import key_of


@dataclass(frozen=True)
class Candidate:
    """A release of a name with some extras: an index's file, the image's package, or a direct source."""

    name: str
    version: Version
    extras: frozenset[str] = frozenset()
    file: File | None = None
    package: ImagePackage | None = None
    direct: Direct | None = None

    @cached_property
    def key(self) -> str:
        """The identifier that it is a candidate for."""
        return key_of(self.name, self.extras)

    def __str__(self) -> str:
        shown = self.package.version if self.package is not None else str(self.version)
        return f"{self.name} {shown}"


@dataclass(frozen=True)
class Platform:
    """What a file must fit: the image's Python and its wheel tags."""

    python: Version
    ranks: Mapping[str, int]
    """wheel tag → its place in the order of preference"""

    @staticmethod
    def of(python: str, tags: Sequence[str]) -> "Platform":
        """From a snapshot's version and tags."""
        return Platform(Version(python), {tag: rank for rank, tag in enumerate(tags)})

    def rank(self, filename: str) -> int | None:
        """The place of a wheel's best tag, None when it does not run here."""
        pythons, abis, platforms = filename[:-4].rsplit("-", 3)[1:]
        found = [
            rank
            for python in pythons.split(".")
            for abi in abis.split(".")
            for platform in platforms.split(".")
            if (rank := self.ranks.get(f"{python}-{abi}-{platform}")) is not None
        ]
        return min(found, default=None)


class Kind(Enum):
    """Why a release cannot be used here."""

    SOURCES_ONLY = "offers only its sources"
    MISNAMED = "has only files that are not named as packages are"
    OTHER_PLATFORM = "has no wheel for this platform"
    OTHER_PYTHON = "needs another Python"
    TOO_NEW = "is newer than exclude-newer"


@dataclass(frozen=True)
class Refusal:
    """Why a release cannot be used here, and the particulars: tags, Requires-Python, a date, a file."""

    kind: Kind
    detail: str = ""


@dataclass
class Releases:
    """The releases on one project's page, each judged once, when it is asked for."""

    page: Page
    platform: Platform
    exclude_newer: str | None = None
    sources: bool = False
    """whether a source distribution will do where no wheel does"""
    _judged: dict[Version, File | Refusal] = field(default_factory=dict, init=False)

    @property
    def versions(self) -> Sequence[Version]:
        """Newest first, source-only ones included."""
        return self.page.releases.versions

    def best(self, version: Version) -> File | Refusal:
        """The file to use for `version`, a wheel where one runs here; or why there is none."""
        found = self._judged.get(version)
        if found is None:
            found = self._judged[version] = self._judge(version)
        return found

    def _judge(self, version: Version) -> File | Refusal:
        files = self.page.releases.files(version)
        names = files.names
        wheels = [i for i, name in enumerate(names) if name.endswith(".whl") and _is_wheel_name(name)]
        ranked = [(rank, i) for i in wheels if (rank := self.platform.rank(names[i])) is not None]
        indexes = [i for _, _, i in sorted((rank, -_build(names[i]), i) for rank, i in ranked)]
        if self.sources:
            # PEP 625 has sources in .tar.gz; old releases often have a .zip beside it.
            sdists = [i for i, name in enumerate(names) if not name.endswith(".whl")]
            indexes += sorted(sdists, key=lambda i: names[i].endswith(".zip"))
        if not indexes:
            if self.exclude_newer is not None and wheels and all(self._is_too_new(files[i]) for i in wheels):
                return Refusal(Kind.TOO_NEW, (files[wheels[0]].upload_time or "")[:10])
            if wheels:
                return Refusal(Kind.OTHER_PLATFORM, _tags([names[i] for i in wheels]))
            if names and all(name.endswith(".whl") for name in names):
                return Refusal(Kind.MISNAMED, names[0])
            return Refusal(Kind.SOURCES_ONLY)
        refusals: list[Refusal] = []
        yanked: list[File] = []
        for index in indexes:
            file = _named(files[index], self.page.name, version)
            if file is None:
                continue
            refusal = self._refusal(file)
            if refusal is not None:
                refusals.append(refusal)
            elif file.yanked is not None:
                yanked.append(file)
            else:
                return file
        if yanked:
            return yanked[0]
        return refusals[0] if refusals else Refusal(Kind.MISNAMED, names[indexes[0]])

    def _refusal(self, file: File) -> Refusal | None:
        if self._is_too_new(file):  # first: on no Python and no image would it be taken
            return Refusal(Kind.TOO_NEW, (file.upload_time or "")[:10])
        if file.requires_python and not python_fits(file.requires_python, self.platform.python):
            return Refusal(Kind.OTHER_PYTHON, file.requires_python)
        return None

    def _is_too_new(self, file: File) -> bool:
        return self.exclude_newer is not None and (file.upload_time or "9999")[:19] >= self.exclude_newer

    def usable(self, version: Version) -> bool:
        """Whether the release runs here and was not withdrawn by its authors (PEP 592)."""
        file = self.best(version)
        return isinstance(file, File) and file.yanked is None


def _build(filename: str) -> int:
    """A wheel's build number: of two builds of one release the higher counts (wheel specification)."""
    parts = filename.split("-")
    found = re.match(r"\d+", parts[2]) if len(parts) == 6 else None
    return int(found[0]) if found else -1


def _tags(filenames: Sequence[str]) -> str:
    """Which wheels there are, shortly: `cp310, cp311 on macosx_11_0_arm64, win_amd64; cp312 on win_arm64`."""
    by_platform: dict[str, set[str]] = {}
    for filename in filenames:
        python, abi, platform = filename[:-4].rsplit("-", 3)[1:]
        pythons = (f"{one} (abi3)" if abi == "abi3" else one for one in python.split("."))
        by_platform.setdefault(platform.split(".")[0], set()).update(pythons)
    if len(by_platform) > 6:
        shorter: dict[str, set[str]] = {}
        for platform, found in by_platform.items():
            shorter.setdefault(re.split(r"_?\d", platform, maxsplit=1)[0], set()).update(found)
        by_platform = shorter
    alike: dict[str, list[str]] = {}
    for platform, found in sorted(by_platform.items()):
        alike.setdefault(", ".join(sorted(found)), []).append(platform)
    return "; ".join(f"{pythons} on {', '.join(platforms)}" for pythons, platforms in sorted(alike.items()))


def _is_wheel_name(filename: str) -> bool:
    """Five parts, or six with a build number, which starts with a digit (wheel specification).

    As much as is needed to judge its tags; `_named` judges all of it, of the one that would be taken.
    """
    parts = filename.split("-")
    return len(parts) == 5 or (len(parts) == 6 and parts[2][:1].isdigit())


def _named(file: File, project: str, version: Version) -> File | None:
    """The file, under a name that says what it is; None for one that no lock could name.

    `foo-1.0-1.tar.gz` is 1.0.post1 of foo (PEP 440, "Implicit post releases"), and read without knowing that
    it is 1 of foo-1-0: it gets the name that it would have today (PEP 625).
    """
    filename = file.filename
    if file.is_wheel:
        try:
            parse_wheel_filename(filename)
        except InvalidWheelFilename:
            return None
        return file
    if filename[len(project)] != "-":
        return None
    with suppress(InvalidSdistFilename):
        if parse_sdist_filename(filename) == (project, version):
            return file
    ending = ".zip" if filename.endswith(".zip") else ".tar.gz"
    return replace(file, filename=f"{project.replace('-', '_')}-{version}{ending}")


@cache
def python_fits(requires_python: str, python: Version) -> bool:
    """Whether `python` satisfies a Requires-Python; one that cannot be read excludes nothing (as in pip)."""
    try:
        return SpecifierSet(requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True
