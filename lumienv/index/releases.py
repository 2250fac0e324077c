"""Which files of a page make up which release: told from their names, with as little work a file as can be.

A page may list thousands of files, of which a resolution looks at a handful of releases.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import overload

from packaging.version import InvalidVersion, Version


def grouped(project: str, names: Sequence[str]) -> dict[Version, list[int]]:
    """Version → where in `names` its files stand, in their order; the newest version first.

    `project` is the normalised name. What is named as another project's, or has no version that PEP 440
    knows, belongs to no release.
    """
    found: dict[Version, list[int]] = {}
    for (name, text), places in _by_text(project, names).items():
        version = as_version(text)
        if version is not None and _normalised(name) == project:
            known = found.setdefault(version, places)
            if known is not places:  # one version, spelled in two ways
                known += places
                known.sort()
    # Pages are mostly sorted already, which costs Python's sort next to nothing.
    return {version: found[version] for version in sorted(found, reverse=True)}


def _by_text(project: str, names: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """(name, version) as the files spell them → the places of the files."""
    found: dict[tuple[str, str], list[int]] = {}
    length = len(project)
    start, places = "\0", list[int]()
    for place, filename in enumerate(names):
        if filename[-4:] == ".whl":
            # The wheels of a release mostly stand together: the first of them is taken apart.
            if not filename.startswith(start):
                name, _, rest = filename.partition("-")
                version = rest.partition("-")[0]
                start = f"{name}-{version}-"
                places = found.setdefault((name, version), [])
            places.append(place)
        else:
            # Its name may hold "-", so that only its length tells where the version begins.
            stem = filename.removesuffix(".tar.gz").removesuffix(".zip")
            found.setdefault((stem[:length], stem[length + 1 :]), []).append(place)
    return found


@cache
def _normalised(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


@cache
def as_version(text: str) -> Version | None:
    """A version, or None for what PEP 440 does not know."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


class Versions(Sequence[Version]):
    """Versions in their order, each parsed when it is first looked at: mostly the first few are enough.

    `texts` are versions that PEP 440 knows, each once.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._places: dict[Version, int] = {}

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> Version: ...
    @overload
    def __getitem__(self, place: slice) -> "Versions": ...
    def __getitem__(self, place: int | slice) -> "Version | Versions":
        if isinstance(place, slice):
            return Versions(self._texts[place])
        version = as_version(self._texts[place])
        assert version is not None
        return version

    def place(self, version: Version) -> int | None:
        """Where a version stands; None when it is not there."""
        while version not in self._places and len(self._places) < len(self._texts):
            self._places[self[len(self._places)]] = len(self._places)
        return self._places.get(version)

    def __contains__(self, version: object) -> bool:
        return isinstance(version, Version) and self.place(version) is not None
