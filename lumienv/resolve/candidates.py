"""What could be chosen for a name: the image's one package, or the releases that an index offers.

A release that is left out says why in words a user can read: failures are explained with them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from lumienv.image.snapshot import ImagePackage
from lumienv.index.pages import File, Page
from lumienv.resolve.requirements import key_of


@dataclass(frozen=True)
class Candidate:
    """A release of a name with some extras; of the image when it has no file."""

    name: str
    version: Version
    extras: frozenset[str] = frozenset()
    file: File | None = None
    package: ImagePackage | None = None

    @property
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


@dataclass
class Releases:
    """The releases on one project's page, each judged once, when it is asked for."""

    page: Page
    platform: Platform
    exclude_newer: str | None = None
    _files: dict[Version, list[int]] = field(default_factory=dict, init=False)
    _sdists: set[Version] = field(default_factory=set, init=False)
    _judged: dict[Version, File | str] = field(default_factory=dict, init=False)
    versions: list[Version] = field(default_factory=list, init=False)
    """newest first, source-only ones included"""

    def __post_init__(self) -> None:
        project = re.sub("[-_.]+", "-", self.page.name)
        for index, filename in enumerate(self.page.files.names):
            if filename.endswith(".whl"):
                parts = filename.split("-")
                version = as_version(parts[1]) if len(parts) in (5, 6) else None
                if version is not None:
                    self._files.setdefault(version, []).append(index)
            elif (version := _sdist_version(filename, project)) is not None:
                self._sdists.add(version)
        self.versions = sorted(self._files.keys() | self._sdists, reverse=True)

    def best(self, version: Version) -> File | str:
        """The wheel to use for `version`, or why there is none."""
        if version not in self._judged:
            self._judged[version] = self._judge(version)
        return self._judged[version]

    def _judge(self, version: Version) -> File | str:
        indexes = self._files.get(version)
        if not indexes:
            return "offers only its sources, which this version of lumienv does not build"
        names = self.page.files.names
        ranked = [(rank, i) for i in indexes if (rank := self.platform.rank(names[i])) is not None]
        if not ranked:
            return f"has no wheel for this image's Python (it has {_tags(names[i] for i in indexes)})"
        reason = ""
        for _, index in sorted(ranked):
            file = self.page.files[index]
            reason = self._refusal(file)
            if not reason:
                return file
        return reason

    def _refusal(self, file: File) -> str:
        if file.requires_python and not python_fits(file.requires_python, self.platform.python):
            return f"needs Python {file.requires_python}"
        if self.exclude_newer is not None and (file.upload_time or "9999") >= self.exclude_newer:
            when = f"was uploaded on {file.upload_time[:10]}" if file.upload_time else "has no upload date"
            return f"{when} (exclude-newer is {self.exclude_newer})"
        return ""

    def yanked(self, version: Version) -> bool:
        """Whether the release's wheel was withdrawn by its authors (PEP 592)."""
        file = self.best(version)
        return isinstance(file, File) and file.yanked is not None


def _tags(filenames: Iterator[str]) -> str:
    """Which wheels there are, shortly: `cp310, cp311 for manylinux, macosx`."""
    pythons: set[str] = set()
    platforms: set[str] = set()
    for filename in filenames:
        python, _, platform = filename[:-4].rsplit("-", 3)[1:]
        pythons.update(python.split("."))
        platforms.update(re.split(r"[\d_]", part, maxsplit=1)[0] for part in platform.split("."))
    return f"{', '.join(sorted(pythons))} for {', '.join(sorted(platforms))}"


def _sdist_version(filename: str, project: str) -> Version | None:
    stem = filename.removesuffix(".tar.gz").removesuffix(".zip")
    head, tail = stem[: len(project)], stem[len(project) :]
    if re.sub("[-_.]+", "-", head).lower() != project or not tail.startswith("-"):
        return None
    return as_version(tail[1:])


@cache
def as_version(text: str) -> Version | None:
    """A version, or None for what PEP 440 does not know."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


@cache
def python_fits(requires_python: str, python: Version) -> bool:
    """Whether `python` satisfies a Requires-Python; one that cannot be read excludes nothing (as in pip)."""
    try:
        return SpecifierSet(requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True
