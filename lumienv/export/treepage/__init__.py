"""What needs what, as one page of HTML that a browser shows without any network (docs/looking.md).

`write` puts it together, `picture` draws the graph that `layers` and `placing` have laid out, `tables` has
all that is words. The page's own HTML, style and script stand beside them, each readable by itself. What the
page tells is in it without the script too, which only moves, marks and sorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MARK = '<meta name="generator" content="lumienv tree">'
"""stands in every page that is written, so that it may be replaced"""


@dataclass(frozen=True)
class UserLine:
    """One of the user's own lines."""

    text: str
    where: str
    """`lumienv.toml:3`"""
    package: str
    """the name of the package that it leads to"""
    group: str = ""
    stands_for: str = ""
    """what was asked for, where an image package stands for it"""


@dataclass(frozen=True)
class Chain:
    """From a line to a package, by as few steps as there are."""

    line: int
    """the number of the line"""
    names: Sequence[str]
    """the package of the line first"""


@dataclass(frozen=True)
class PagePackage:
    """One package, of the overlay or of the image."""

    name: str
    version: str
    image: bool
    needs: Sequence[str]
    """names of packages of the page"""
    groups: Sequence[str] = ()
    """the dependency groups that alone need it"""
    replaces: str = ""
    """the version of the image's package that it shadows"""
    size: int | None = None
    """bytes of the file to download, where that is known"""
    latest: str = ""
    """a newer release that runs on the image, where that was asked for"""
    source: str = ""
    """an index, an address or a folder"""
    installer: str = ""
    """of the image: what installed it there"""
    chains: Sequence[Chain] = ()
    """some of those that lead to it"""
    ways: int = 0
    """how many such chains there are"""


@dataclass(frozen=True)
class Installed:
    """The environment that was made of the lock."""

    mode: str
    size: int
    """bytes"""
    files: int
    """0 where it is not known"""


@dataclass(frozen=True)
class TreePage:
    """All that the page shows. Names are unique, and those that are mentioned are there."""

    image: str
    python: str
    lines: Sequence[UserLine]
    packages: Sequence[PagePackage]
    notes: Sequence[str] = ()
    """what a reader has to know, such as that the lock is stale"""
    installed: Installed | None = None
    outdated: bool = False
    """whether it was asked for newer releases"""
