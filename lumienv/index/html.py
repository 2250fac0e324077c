"""Project pages in HTML (PEP 503), and local directories that stand for an index."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from lumienv.index.pages import (
    Files,
    NotAnIndexError,
    Page,
    Row,
    Skipped,
    check_api_version,
    collect,
    html_row,
)

# What an index, or a web server that lists a directory, writes above an empty list.
_EMPTY_LIST = re.compile(r"links for|index of|directory listing", re.IGNORECASE)
_ANY_DISTRIBUTION = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".zip", ".egg", ".exe", ".rpm", ".msi")


class _Links(HTMLParser):
    """Collects the anchors, `<base href>` and the API version."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, dict[str, str | None], str]] = []
        self.base: str | None = None
        self.version: str | None = None
        self._anchor: tuple[str, dict[str, str | None]] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "a" and attributes.get("href"):
            self._anchor, self._text = (attributes["href"] or "", attributes), []
        elif tag == "base" and self.base is None:
            self.base = attributes.get("href")
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.version = attributes.get("content")

    def handle_data(self, data: str) -> None:
        if self._anchor is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._anchor is not None:
            self.links.append((*self._anchor, "".join(self._text).strip()))
            self._anchor = None


def parse_html(body: bytes, base: str) -> tuple[list[Row], str]:
    """The files linked on an HTML page, and the URL that its links are relative to.

    Raises NotAnIndexError for a page that is not one of an index (a login page, say).
    """
    text = body.decode("utf-8", "replace")
    parser = _Links()
    parser.feed(text)
    parser.close()
    check_api_version(parser.version)
    known = parser.version is not None or any(
        urlsplit(href.partition("#")[0]).path.endswith(_ANY_DISTRIBUTION) for href, _, _ in parser.links
    )
    if not known and not _EMPTY_LIST.search(text):
        raise NotAnIndexError("an HTML page that links to no packages")
    rows = [html_row(*link) for link in parser.links]
    return [row for row in rows if row is not None], urljoin(base, parser.base or "")


def local_page(name: str, index: str, label: str) -> Page | None:
    """The page of a project in a local index (`file:///directory`), or None.

    `directory/<name>/index.html` is read where it exists, else the files in `directory/<name>/` are listed.
    Raises NotAnIndexError when `directory` does not exist or is a flat list, OSError when it cannot be read.
    """
    root = Path(unquote(urlsplit(index).path))
    if not root.is_dir():
        raise NotAnIndexError("nothing: the directory does not exist")
    directory = root / name
    if not directory.is_dir():
        if next(root.glob("*.whl"), None) is not None and not (root / "index.html").exists():
            raise NotAnIndexError("files, where folders of projects were expected")
        return None
    base = directory.as_uri() + "/"
    try:
        body = (directory / "index.html").read_bytes()
    except FileNotFoundError:
        rows, skipped = listed(directory)
    else:
        rows, skipped = collect(*parse_html(body, base))
    return Page(name, label, Files.of_rows(rows), skipped)


def listed(directory: Path) -> tuple[list[Row], tuple[Skipped, ...]]:
    """The distributions in a folder, by name, with their sizes. Raises OSError."""
    entries = sorted(path for path in directory.iterdir() if path.is_file())
    found = [(html_row(path.as_uri(), {}, path.name), path.stat().st_size) for path in entries]
    rows = [(*row[:6], size, None) for row, size in found if row is not None]
    return collect(rows, directory.as_uri() + "/")
