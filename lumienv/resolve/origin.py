"""What a package is made from when it is no wheel of an index, and who can read its metadata.

The resolver knows neither git nor build backends: it asks a `SourceReader`.
"""

from dataclasses import dataclass
from typing import Protocol

from packaging.version import Version

from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File
from lumienv.manifest import Source


@dataclass(frozen=True)
class Origin:
    """Exactly what a direct source is: enough to have the same again."""

    kind: str
    """`archive` (a wheel or source distribution at a URL or path), `git` or `directory`"""
    location: str
    """URL without credentials, or a path: relative to the project, or absolute where it was written so"""
    filename: str = ""
    """of an archive"""
    sha256: str = ""
    """of an archive, in hex"""
    size: int | None = None
    """of an archive, in bytes"""
    revision: str = ""
    """git: what was asked for; empty: the default branch"""
    commit: str = ""
    """git: the commit that it was, in full"""
    subdirectory: str = ""
    editable: bool = False

    def __str__(self) -> str:
        """As messages name it: `https://example.org/mylib at 1a2b3c4d5e6f`, without a query."""
        where = self.location.partition("?")[0] if "://" in self.location else self.location
        return f"{where} at {self.commit[:12]}" if self.commit else where


@dataclass(frozen=True)
class Direct:
    """The one release that a direct source is."""

    name: str
    """normalised"""
    version: Version
    metadata: CoreMetadata
    origin: Origin


class SourceReader(Protocol):
    """Reads what no index tells: metadata of source distributions, and of direct sources."""

    def sdist_metadata(self, file: File) -> CoreMetadata:
        """The core metadata of a source distribution on an index.

        Raises BrokenReleaseError where it cannot be had (no image to build in, a build that fails), and
        PackageIndexError when an index fails.
        """

    def reading_only(self) -> "SourceReader":
        """The same, allowed to read what sources state of themselves, and never to build."""

    def direct(self, name: str, source: Source, locked: Origin | None) -> Direct:
        """Fetch a `git`, `url` or `path` source as far as its metadata needs it.

        `locked` is what the same source was when it was locked: git then stays at that commit. Raises
        ManifestError for a source that is not there or is another package, PackageIndexError for one that
        cannot be fetched.
        """
