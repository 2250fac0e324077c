"""Asking package indexes: pages and core metadata, fetched in parallel, remembered in the cache.

Every question gets a `Future` at once, and the same one when it is asked again, so that asking early is a
prefetch. The order of indexes decides: the first that has a project is the only one that is believed for it.
"""

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from lumienv.errors import PackageIndexError
from lumienv.index.cache import IndexCache
from lumienv.index.config import IndexSource
from lumienv.index.credentials import CredentialStore, shown
from lumienv.index.flat import FlatIndex, local_links
from lumienv.index.metadata import CoreMetadata, from_json, parse_metadata, to_json
from lumienv.index.page_entry import PageEntry, fetched, from_bytes, may_be_kept, to_bytes
from lumienv.index.pages import ACCEPT, File, Files, NotAnIndexError, Page, parse_page
from lumienv.index.workers import Workers

if TYPE_CHECKING:
    from lumienv.index.transport import Answer, Transport

_CACHE_WRITING = 10.0  # seconds that leaving the client may take for what is still to be written
_UNHASHED = "unhashed"  # stands for the hash of a file that has none on its page


class IndexClient:
    """The indexes in `sources`, in their order; a context manager that owns threads and connections.

    `cache` is a directory or None; `offline` answers from the cache alone, whatever its age; `refresh` asks
    the index whether each cached page still holds. `workers` is the number of requests at a time.
    """

    def __init__(
        self,
        sources: Sequence[IndexSource],
        *,
        cache: Path | None,
        offline: bool = False,
        refresh: bool = False,
        workers: int = 20,
        backoff: float = 0.25,
    ) -> None:
        self.sources = tuple(sources)
        self.offline = offline
        self._refresh = refresh
        self._cache = IndexCache(cache)
        self._stopping = threading.Event()
        self._backoff = backoff
        self._connections = workers
        self._transport: Transport | None = None
        self.workers = Workers(workers)
        self._lock = threading.Lock()
        self._pages: dict[str, Future[Page | None]] = {}
        self._metadata: dict[str, Future[CoreMetadata]] = {}
        self._hashed: dict[str, Future[File]] = {}
        self._flat = {
            source.url: FlatIndex(source.label, partial(self._flat_links, source))
            for source in self.sources
            if source.flat
        }

    def __enter__(self) -> "IndexClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, Exception):  # not for Ctrl-C, which wants an end
            self.workers.finish_later(_CACHE_WRITING)
        self.close()

    def close(self) -> None:
        """Cancel what has not begun, and leave what runs to end by itself; returns at once."""
        self._stopping.set()
        self.workers.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def transport(self) -> "Transport":
        """The HTTP client, made when it is first needed: with everything cached it never is."""
        with self._lock:
            if self._transport is None:
                from lumienv.index.keyring import keyring_of, keyring_provider
                from lumienv.index.transport import Transport

                configured = [(s.url, s.credentials) for s in self.sources if not s.url.startswith("file:")]
                provider = keyring_provider()
                self._transport = Transport(
                    CredentialStore(configured, keyring_of(provider) if provider is not None else None),
                    connections=self._connections,
                    stopping=self._stopping,
                    settings=[(s.url, s.setting) for s in self.sources],
                    backoff=self._backoff,
                )
            return self._transport

    def prepare(self) -> None:
        """Import and set up, in a thread, what the first request will need (0.1 s of imports and
        certificates); worth calling where a fetch is sure to come and something else is done before it."""
        first = next((s.url for s in self.sources if not s.url.startswith("file:")), None)
        if first is not None and not self.offline:
            self.workers.submit(lambda: self.transport.prepare(first))

    def page(self, name: str) -> "Future[Page | None]":
        """The page of a project from the first index that has it; None when none does.

        The future raises PackageIndexError.
        """
        project = str(canonicalize_name(name))
        with self._lock:
            known = self._pages.get(project)
            if known is not None:
                return known
            future = self._pages[project] = Future()
        page = self._page_at_hand(project)
        if page is not None:
            future.set_result(page)
            return future
        return self.workers.submit(lambda: self._find_page(project), future)

    def seen_projects(self) -> set[str]:
        """Names whose pages the cache has; whether a project is there, its page tells."""
        return {name for source in self.sources for name in self._cache.projects(source.url)}

    def metadata(self, file: File) -> "Future[CoreMetadata]":
        """The core metadata of a wheel; the future raises PackageIndexError."""
        if not file.is_wheel:
            raise ValueError(f"{file.filename} is no wheel")
        with self._lock:
            known = self._metadata.get(file.url)
            if known is not None:
                return known
            future = self._metadata[file.url] = Future()
        metadata = None if self._cache.slow else self._kept_metadata(file)
        if metadata is not None:
            future.set_result(metadata)
            return future
        return self.workers.submit(lambda: self._find_metadata(file), future)

    def hashed(self, file: File) -> "Future[File]":
        """The file with its `sha256` and `size`, read from the whole file where the page gives no hash.

        The future raises PackageIndexError.
        """
        with self._lock:
            if file.url not in self._hashed:
                self._hashed[file.url] = self.workers.submit(lambda: self._hash(file))
            return self._hashed[file.url]

    def _page_at_hand(self, project: str) -> Page | None:
        """The page where the cache alone answers, and soon: handing the question to a thread takes longer."""
        source = next(iter(self._sources_of(project)), None)
        if source is None or source.flat or source.url.startswith("file:"):
            return None
        if self._refresh or self._cache.slow:
            return None
        kept = self._cache.page(source.url, project)
        entry = from_bytes(kept) if kept is not None else None
        return entry.page if entry is not None and (self.offline or entry.is_fresh(time.time())) else None

    def _sources_of(self, project: str) -> Sequence[IndexSource]:
        """Whom to ask for a project, in order."""
        pinned = [source for source in self.sources if project in source.packages]
        return pinned or [source for source in self.sources if not source.explicit]

    def _find_page(self, project: str) -> Page | None:
        for source in self._sources_of(project):
            if source.flat:
                page = self._flat[source.url].page(project)
            elif source.url.startswith("file:"):
                page = _local(source, project)
            else:
                page = self._page_of(source, project)
            if page is not None:
                return page
        return None

    def _flat_links(self, source: IndexSource) -> Page:
        """All that a flat index has. Raises PackageIndexError."""
        if source.url.startswith("file:"):
            return _local_links(source)
        page = self._page_of(source, "")
        if page is None:
            raise _no_index(source, source.url, NotAnIndexError("HTTP 404"))
        return page

    def _page_of(self, source: IndexSource, project: str) -> Page | None:
        """A page over HTTP or from the cache: of a project, or of all links of a flat index (project "")."""
        place = (f"flat {source.url}", "links") if source.flat else (source.url, project)
        kept = self._cache.page(*place)
        entry = from_bytes(kept) if kept is not None else None
        if self.offline:
            if entry is None:
                what = f"the page of {project} on" if project else "the list of files"
                raise _missing_offline(f"{what} {shown(source.url)}")
            return entry.page
        if entry is not None and entry.page is None:
            entry = None  # that a project is missing is only believed offline: it may appear any time
        if entry is not None and not self._refresh and entry.is_fresh(time.time()):
            return entry.page
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        if self._refresh:
            headers["Cache-Control"] = "max-age=0"  # for the proxies in between
        if entry is not None:
            headers |= entry.validators()
        answer = self.transport.get(source.url if source.flat else f"{source.url}/{project}/", headers)
        if answer.status == 304 and entry is not None:
            self._keep(place, entry.confirmed(answer.headers))
            return entry.page
        if answer.status == 404:
            if len(self.sources) > 1 and not source.flat:  # offline, the next one must be known to be asked
                self._keep(place, PageEntry(None))
            return None
        if answer.status == 410 and not source.flat:
            # The index had the project and has withdrawn it: no reason to take another's of the same name.
            page = Page(project, source.url, Files.of_rows([]))
        else:
            page = _page(source, project, answer)
        if may_be_kept(answer.headers):
            self._keep(place, fetched(page, answer.headers))
        return page

    def _keep(self, place: tuple[str, str], entry: PageEntry) -> None:
        self.workers.later(lambda: self._cache.keep_page(*place, to_bytes(entry)))

    def _find_metadata(self, file: File) -> CoreMetadata:
        if file.url.startswith("file:"):
            from lumienv.index.wheel_metadata import local_metadata

            return parse_metadata(local_metadata(file), file.filename)
        kept = self._kept_metadata(file)
        if kept is not None:
            return kept
        if self.offline:
            raise _missing_offline(f"the metadata of {file.filename}")
        from lumienv.index.wheel_metadata import remote_metadata

        metadata = parse_metadata(remote_metadata(self.transport, file), file.filename)
        content = to_json(metadata)
        self.workers.later(lambda: self._cache.keep_metadata(file.sha256 or _UNHASHED, file.url, content))
        return metadata

    def _kept_metadata(self, file: File) -> CoreMetadata | None:
        # Without a hash on its page a file may be another one by now: what is kept of it counts offline only.
        if file.url.startswith("file:") or (file.sha256 is None and not self.offline):
            return None
        kept = self._cache.metadata(file.sha256 or _UNHASHED, file.url)
        if kept is not None:
            with suppress(ValueError, TypeError):
                return from_json(kept)
        return None

    def _hash(self, file: File) -> File:
        if file.sha256 is not None:
            return file
        known = self.remembered_hash(file.url)
        if known is None:
            if self.offline and not file.url.startswith("file:"):
                raise _missing_offline(f"the hash of {file.filename}")
            from lumienv.index.download import digest_of

            known = digest_of(self.transport, file.url)
            self.remember_hash(file.url, *known)
        return replace(file, sha256=known[0], size=known[1])

    def remember_hash(self, url: str, sha256: str, size: int) -> None:
        """Note down what a file was whose hash nobody tells, for when lumienv is offline."""
        if not url.startswith("file:"):
            content = json.dumps([sha256, size]).encode()
            self.workers.later(lambda: self._cache.keep_metadata("hash", url, content))

    def remembered_hash(self, url: str) -> tuple[str, int] | None:
        """The sha256 and size that the file at `url` had when it was last fetched.

        None unless offline, as it may be another one by now.
        """
        kept = self._cache.metadata("hash", url) if self.offline else None
        if kept is not None:
            with suppress(ValueError, TypeError):
                sha256, size = json.loads(kept)
                return str(sha256), int(size)
        return None


def import_early() -> None:
    """Import in a thread what requests and their answers will need: 0.1 s, while others are awaited.

    No daemon, other than the workers: Python 3.11 may crash where it ends while a thread loads a library.
    """
    threading.Thread(target=_import, name="lumienv-import").start()


def _import() -> None:
    import urllib3  # noqa: F401

    import lumienv.index.failures
    import lumienv.index.json_page
    import lumienv.index.keyring
    import lumienv.index.transport
    import lumienv.index.wheel_metadata  # noqa: F401


def _page(source: IndexSource, project: str, answer: "Answer") -> Page:
    try:
        if answer.status != 200:
            raise NotAnIndexError(f"HTTP {answer.status}")  # noqa: TRY301 - one way out
        content_type = answer.headers.get("Content-Type", "")
        return parse_page(project, source.url, answer.url, content_type, answer.body)
    except NotAnIndexError as error:
        raise _no_index(source, answer.url, error) from error


def _no_index(source: IndexSource, asked: str, reason: NotAnIndexError) -> PackageIndexError:
    if source.flat:
        hint = "check [[index]] in lumienv.toml: a flat index is a page that links to wheels"
    else:
        hint = (
            "check the index-url in pip's or uv's configuration, and [[index]] in lumienv.toml;\n"
            "it mostly ends in /simple"
        )
    return PackageIndexError(
        f"{shown(source.url)} is not a package index", f"{shown(asked)} answers with {reason}", hint=hint
    )


def _local(source: IndexSource, project: str) -> Page | None:
    from lumienv.index.html import local_page

    try:
        return local_page(project, source.url, source.label)
    except (NotAnIndexError, OSError) as error:
        raise _unreadable(source, error, 'a folder of files is read with format = "flat"') from error


def _local_links(source: IndexSource) -> Page:
    try:
        return local_links(source.url, source.label)
    except (NotAnIndexError, OSError) as error:
        expected = "a flat index is a folder of files, or an HTML file that links to them"
        raise _unreadable(source, error, expected) from error


def _unreadable(source: IndexSource, error: NotAnIndexError | OSError, expected: str) -> PackageIndexError:
    return PackageIndexError(
        f"cannot read the package index {source.label}",
        str(error) if isinstance(error, NotAnIndexError) else (error.strerror or "").lower(),
        hint="check the index-url in pip's or uv's configuration, and [[index]] in lumienv.toml;\n"
        f"{expected}",
    )


def _missing_offline(what: str) -> PackageIndexError:
    return PackageIndexError(
        f"{what} is not in the cache, and lumienv is offline",
        hint="run the command once without `--offline`, where there is a network",
    )
