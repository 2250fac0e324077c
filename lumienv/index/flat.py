"""Flat indexes: one page of links, or one folder, with the files of any number of projects.

pip and uv call them find-links. Here such a page is an index among the others: it has its place in their
order, and a project that it has a file of is believed to be there and nowhere else.
"""

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lumienv.index.pages import Files, NotAnIndexError, Page, collect


class FlatIndex:
    """What a flat index has, read with `read` when it is first asked for, once for all threads."""

    def __init__(self, label: str, read: Callable[[], Page]) -> None:
        self._label = label
        self._read = read
        self._lock = threading.Lock()
        self._links: Page | None = None
        self._failure: Exception | None = None
        self._places: dict[str, list[int]] = {}

    def page(self, project: str) -> Page | None:
        """The files of one project as its page, or None when there are none. Raises what reading raises."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._links is None:
                try:
                    self._links = self._read()
                except Exception as error:
                    self._failure = error
                    raise
                for place, filename in enumerate(self._links.files.names):
                    for name in projects_of(filename):
                        self._places.setdefault(name, []).append(place)
            links = self._links
        places = self._places.get(project)
        if places is None:
            return None
        skipped = tuple(link for link in links.skipped if project in projects_of(link.filename))
        return Page(project, self._label, links.files.at(places), skipped)


def projects_of(filename: str) -> list[str]:
    """The normalised names of the projects that a file may belong to.

    One for a wheel; for a source distribution each part that is followed by a version, as old ones have
    hyphens in both (`foo-2-1.tar.gz`).
    """
    if filename.endswith(".whl"):
        parts = filename.split("-")
        return [canonicalize_name(parts[0])] if len(parts) in (5, 6) else []
    stem = filename.removesuffix(".zip").removesuffix(".tar.gz")
    cuts = [place for place, letter in enumerate(stem) if letter == "-" and place > 0]
    return [canonicalize_name(stem[:cut]) for cut in cuts if _is_version(stem[cut + 1 :])]


@cache
def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def local_links(url: str, label: str) -> Page:
    """All files of a local flat index: those in a folder (not below it), or linked from an HTML file.

    Raises NotAnIndexError when there is none, OSError when it cannot be read.
    """
    from lumienv.index.html import listed, parse_html

    path = Path(unquote(urlsplit(url).path))
    if path.is_dir():
        rows, skipped = listed(path)
    elif path.is_file():
        rows, skipped = collect(*parse_html(path.read_bytes(), url))
    else:
        raise NotAnIndexError("nothing: there is no such folder or file")
    return Page("", label, Files.of_rows(rows), skipped)
