"""A project page as the cache keeps it, and how long it may be believed.

The first line says when and under which conditions the page was fetched, the second which releases it has,
the newest first, and how long the line of each is. Of thousands of files only those of the releases that a
resolution looks at are ever decoded. (The seal, which the cache adds, is over all of it.)
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from packaging.version import Version

from lumienv.index.pages import ByVersion, Files, Grouped, Page, Row, Skipped, from_fields, from_link
from lumienv.index.releases import Versions

_SCHEMA = 2
# Seconds that a page is believed where its server says nothing at all: what the public index declares for
# its own pages (`cache-control: max-age=600`). Mirrors that strip the header are copies of it.
_DEFAULT_MAX_AGE = 600
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page (None: the index does not have the project) with its validators.

    `fetched_at` in seconds since the epoch, `max_age` in seconds.
    """

    page: Page | None
    etag: str | None = None
    last_modified: str | None = None
    fetched_at: float = 0.0
    max_age: int = _DEFAULT_MAX_AGE

    def is_fresh(self, now: float) -> bool:
        """Whether the index need not be asked; an entry from the future (a wrong clock) is not fresh."""
        return 0 <= now - self.fetched_at < self.max_age

    def validators(self) -> dict[str, str]:
        """The headers that let a server answer "not modified"."""
        headers = {}
        if self.etag:
            headers["If-None-Match"] = self.etag
        if self.last_modified:
            headers["If-Modified-Since"] = self.last_modified
        return headers

    def confirmed(self, headers: Mapping[str, str]) -> "PageEntry":
        """This entry after the server said that it has not changed."""
        if _says_nothing(headers):
            return replace(self, fetched_at=time.time())
        return replace(self, fetched_at=time.time(), max_age=_max_age(headers))


def fetched(page: Page, headers: Mapping[str, str]) -> PageEntry:
    """The entry for a page that came with these headers."""
    return PageEntry(page, headers.get("ETag"), headers.get("Last-Modified"), time.time(), _max_age(headers))


def may_be_kept(headers: Mapping[str, str]) -> bool:
    """Whether the server allows to keep its answer (it says so by not forbidding it)."""
    return "no-store" not in headers.get("Cache-Control", "").lower()


def _says_nothing(headers: Mapping[str, str]) -> bool:
    return not any(name in headers for name in ("Cache-Control", "ETag", "Last-Modified"))


def _max_age(headers: Mapping[str, str]) -> int:
    if _says_nothing(headers):
        return _DEFAULT_MAX_AGE
    control = headers.get("Cache-Control", "")
    found = _MAX_AGE.search(control)
    if found is None or "no-cache" in control.lower():
        return 0 if found or "no-cache" in control.lower() or _validated(headers) else _DEFAULT_MAX_AGE
    return int(found[1])


def _validated(headers: Mapping[str, str]) -> bool:
    return "ETag" in headers or "Last-Modified" in headers


def to_bytes(entry: PageEntry) -> bytes:
    """For the cache."""
    page = entry.page
    head = {
        "schema": _SCHEMA,
        "fetched_at": entry.fetched_at,
        "max_age": entry.max_age,
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "page": page and [page.name, page.index, [[s.filename, s.reason] for s in page.skipped]],
    }
    packed = _packed(page) if page is not None else b""
    return json.dumps(head).encode() + b"\n" + packed


def from_bytes(content: bytes) -> PageEntry | None:
    """From the cache; None for what another version of lumienv wrote. The files stand release by release."""
    try:
        head = json.loads(content[: content.index(b"\n")])
        if head["schema"] != _SCHEMA:
            return None
        page = None
        if head["page"] is not None:
            name, index, skipped = head["page"]
            files = PackedFiles(content, content.index(b"\n") + 1)
            page = Page(name, index, files, tuple(Skipped(*link) for link in skipped))
        return PageEntry(page, head["etag"], head["last_modified"], head["fetched_at"], head["max_age"])
    except (ValueError, KeyError, TypeError):
        return None


def _packed(page: Page) -> bytes:
    """The releases of a page, a line each; in the last line the files that belong to none."""
    files = page.files
    if isinstance(files, PackedFiles):
        return files.packed
    from msgspec.json import Encoder

    encode = Encoder().encode
    assert isinstance(page.releases, Grouped)
    places, rows = page.releases.places, files.rows
    alone = sorted(set(range(len(rows))).difference(*places.values()))
    lines = [encode([rows[place] for place in some]) + b"\n" for some in (*places.values(), alone)]
    kind = "fields" if files.make is from_fields else "links"
    head = [kind, [str(version) for version in places], [len(line) for line in lines]]
    return b"".join((encode(head), b"\n", *lines))


class PackedFiles(Files):
    """Files in the form of the cache, from `start` in `content` on. Raises ValueError when it is another."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self._start = start
        begin = content.index(b"\n", start) + 1
        kind, self._versions, lengths = json.loads(content[start:begin])
        self._ends = list(accumulate(lengths, initial=begin))
        super().__init__((), from_fields if kind == "fields" else from_link)

    @property
    def packed(self) -> bytes:
        """What it was made of."""
        return self._content[self._start :]

    @property
    def rows(self) -> Sequence[Row]:
        """All files, release by release."""
        if not self._rows:
            self._rows = [row for line in range(len(self._ends) - 1) for row in self._line(line)]
        return self._rows

    def _by_version(self, project: str) -> ByVersion:  # noqa: ARG002 - they were told apart for their page
        return _Packed(self, Versions(self._versions))

    def release(self, line: int | None) -> Files:
        """The files of one line."""
        return Files(self._line(line) if line is not None else (), self.make)

    def _line(self, line: int) -> list[Any]:
        return list(json.loads(self._content[self._ends[line] : self._ends[line + 1]]))


class _Packed:
    def __init__(self, packed: PackedFiles, versions: Versions) -> None:
        self._packed = packed
        self.versions = versions

    def files(self, version: Version) -> Files:
        return self._packed.release(self.versions.place(version))
