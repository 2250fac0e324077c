"""Project pages of the simple repository API, turned into values.

HTML (PEP 503) and JSON (PEP 691) say the same: files with their hashes, `requires-python`, yanked marks
(PEP 592), core metadata offers (PEP 658, 714), sizes and upload times (PEP 700). A page may list thousands
of files of which a resolver looks at a handful, so a `File` is made when one is asked for.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime
from typing import Any, Protocol, overload
from urllib.parse import unquote, urljoin, urlsplit

from packaging.version import Version

from lumienv.index.credentials import split_credentials
from lumienv.index.releases import grouped
from lumienv.manifest import DISTRIBUTIONS

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.1, text/html;q=0.01"
# As PEP 700 has it, or the day alone.
_UTC = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?Z)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# A filename becomes a path in the wheelhouse, so it must not be able to leave it.
SAFE_NAME = re.compile(r"[^./\x00-\x1f\x7f\\][^/\x00-\x1f\x7f\\]*")


@dataclass(frozen=True, slots=True)
class File:
    """One file that a page lists.

    `url` is absolute, without credentials or fragment; `yanked` is None, or the reason ("" when none is
    given); `core_metadata` is None when not offered, else its sha256 in hex ("" when offered without one);
    `size` in bytes; `upload_time` in ISO 8601, UTC.
    """

    filename: str
    url: str
    sha256: str | None = None
    requires_python: str | None = None
    yanked: str | None = None
    core_metadata: str | None = None
    size: int | None = None
    upload_time: str | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether this is a wheel; else it is a source distribution."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A link of a page that is not used, and why."""

    filename: str
    reason: str


Row = tuple[Any, ...]
"""What a page says about a file: its name, its link, and more, as whoever made the row knows"""


class Files(Sequence[File]):
    """The files of a page; a `File` is made on access, so a long page costs little.

    `names` is the cheap way to look through them all: `files[i]` has the name `names[i]`. `make` turns a row
    into a `File`.
    """

    def __init__(self, rows: Sequence[Row], make: Callable[[Row], File]) -> None:
        self._rows = rows
        self.make = make
        # No cached_property for these: before Python 3.12 it lets one thread at a time through.
        self._names: Sequence[str] | None = None
        self._releases: ByVersion | None = None

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> "Files":
        """From rows that have the fields of `File` in their order."""
        return cls(rows, from_fields)

    @property
    def rows(self) -> Sequence[Row]:
        """One tuple a file."""
        return self._rows

    @property
    def names(self) -> Sequence[str]:
        """The file names."""
        if self._names is None:
            self._names = [row[0] for row in self.rows]
        return self._names

    def releases(self, project: str) -> "ByVersion":
        """The files by their releases; `project` is the normalised name of the page."""
        if self._releases is None:
            self._releases = self._by_version(project)
        return self._releases

    def _by_version(self, project: str) -> "ByVersion":
        return Grouped(self, grouped(project, self.names))

    def at(self, places: Sequence[int]) -> "Files":
        """Some of the files."""
        rows = self.rows
        return Files([rows[place] for place in places], self.make)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> File: ...
    @overload
    def __getitem__(self, index: slice) -> "Files": ...
    def __getitem__(self, index: int | slice) -> "File | Files":
        if isinstance(index, slice):
            return Files(self.rows[index], self.make)
        return self.make(self.rows[index])

    def __iter__(self) -> Iterator[File]:
        return map(self.make, self.rows)

    def __repr__(self) -> str:
        return f"Files({len(self)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Files) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self.names))


def from_fields(row: Row) -> File:
    """The file that has these fields."""
    return File(*row)


def from_link(row: Row) -> File:
    """The file that a JSON page describes with these values, some of which may be rubbish."""
    filename, url, hashes, requires_python, yanked, offer, old_offer, size, upload_time = row
    # PEP 714: the key was renamed; the old one counts only where the new one is missing.
    offer = old_offer if offer is None else offer
    return File(
        filename,
        url,
        sha256_of(hashes.get("sha256")) if isinstance(hashes, dict) else None,
        _text(requires_python),
        (yanked if isinstance(yanked, str) else "") if yanked or yanked == "" else None,
        (sha256_of(offer.get("sha256")) or "" if isinstance(offer, dict) else "") if offer else None,
        size if type(size) is int and size >= 0 else None,
        _time(upload_time),
    )


class ByVersion(Protocol):
    """A page's files, by release."""

    @property
    def versions(self) -> Sequence[Version]:
        """The newest first."""

    def files(self, version: Version) -> Files:
        """The files of a release, in the page's order; none for a version that the page does not have."""


class Grouped:
    """The files by their releases; `places` says for each where in `files` its files stand."""

    def __init__(self, files: Files, places: Mapping[Version, Sequence[int]]) -> None:
        self._files = files
        self.places = places
        self.versions = tuple(places)

    def files(self, version: Version) -> Files:
        """The files of a release."""
        return self._files.at(self.places.get(version, ()))


@dataclass(frozen=True, slots=True)
class Page:
    """A project's page on one index.

    `name` is normalised, `index` the index's URL without credentials; `files` holds wheels and source
    distributions (.tar.gz, .zip) only; `skipped` the links that were refused.
    """

    name: str
    index: str
    files: Files
    skipped: tuple[Skipped, ...] = ()

    @property
    def releases(self) -> ByVersion:
        """The files by their releases."""
        return self.files.releases(self.name)


class NotAnIndexError(ValueError):
    """What was served is no project page; the text completes "it answers with …"."""


def parse_page(name: str, index: str, base: str, content_type: str, body: bytes) -> Page:
    """The page in `body`; `base` is the URL that it was finally read from, for relative links.

    Raises NotAnIndexError.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        from lumienv.index.json_page import parse_json

        files, skipped = parse_json(body, base)
        return Page(name, index, files, skipped)
    if kind in ("text/html", "application/xhtml+xml") or kind.endswith("+html"):
        from lumienv.index.html import parse_html

        links, page_base = parse_html(body, base)
        rows, skipped = collect(links, page_base)
        return Page(name, index, Files.of_rows(rows), skipped)
    raise NotAnIndexError(f"the content type {kind!s}" if kind else "no content type")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: object) -> str | None:
    """The value as a time in UTC that can be compared as text, or None when it is no time."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        if time.year == MAXYEAR:
            return None  # who reckons with it asks for the day after
        if _UTC.fullmatch(value):
            return value
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def sha256_of(value: object) -> str | None:
    """The value as a sha256 in lower-case hex, or None when it is none."""
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def check_api_version(version: object) -> None:
    """Raises NotAnIndexError for a major version of the API that PEP 629 says not to guess at."""
    if isinstance(version, str) and version.partition(".")[0] not in ("", "1"):
        raise NotAnIndexError(f"version {version} of the simple API, of which lumienv knows 1.x")


def collect(links: Sequence[Row], base: str) -> tuple[list[Row], tuple[Skipped, ...]]:
    """The links that may be used, their URLs made absolute, and the refused ones."""
    rows: list[Row] = []
    skipped: list[Skipped] = []
    local = base.startswith("file:")
    for row in links:
        filename, url = row[0], row[1]
        if not url.startswith(("https://", "http://")) or "@" in url or "#" in url:
            try:
                url, _ = split_credentials(urljoin(base, url).partition("#")[0])
            except ValueError:
                skipped.append(Skipped(filename, "its link is no URL"))
                continue
        reason = _refusal(filename, url, local)
        if reason is None:
            rows.append((filename, url, *row[2:]))
        else:
            skipped.append(Skipped(filename, reason))
    return rows, tuple(skipped)


def _refusal(filename: str, url: str, local: bool) -> str | None:
    if not SAFE_NAME.fullmatch(filename):
        return "its name is a path"
    if url.startswith(("https://", "http://")):
        return None
    if not url.startswith("file:"):
        return f"its link is not http but {urlsplit(url).scheme or 'unknown'}"
    if not local:
        return "its link points into this machine's file system"
    return None


def html_row(href: str, attributes: dict[str, str | None], text: str) -> Row | None:
    """What an `<a>` element of an HTML page says about a file, or None when it leads to no distribution."""
    link, _, fragment = href.partition("#")
    # The link decides, as in pip: the text is what a person sees, and some indexes shorten it.
    filename = unquote(urlsplit(link).path.rpartition("/")[2]) or text
    if not filename.endswith(DISTRIBUTIONS):
        return None
    offer = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if "data-yanked" in attributes:
        yanked: str | None = attributes["data-yanked"] or ""
    else:
        yanked = None
    return (
        filename,
        link,
        sha256_of(fragment.removeprefix("sha256=").partition("&")[0]),
        attributes.get("data-requires-python") or None,
        yanked,
        None if offer is None or offer == "false" else sha256_of(offer.removeprefix("sha256=")) or "",
        None,
        None,
    )
