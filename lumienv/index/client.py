"""Asking package indexes: pages and core metadata, fetched in parallel, remembered in the cache.

Every question gets a `Future` at once, and the same one when it is asked again, so that asking early is a
prefetch. The order of indexes decides: the first that has a project is the only one that is believed for it.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from lumienv.errors import PackageIndexError
from lumienv.index.cache import IndexCache
from lumienv.index.config import IndexSource
from lumienv.index.credentials import CredentialStore, shown
from lumienv.index.metadata import CoreMetadata, from_json, parse_metadata, to_json
from lumienv.index.page_entry import PageEntry, fetched, from_bytes, may_be_kept, to_bytes
from lumienv.index.pages import ACCEPT, File, NotAnIndexError, Page, parse_page
from lumienv.index.workers import Workers

if TYPE_CHECKING:
    from lumienv.index.transport import Answer, Transport

_CACHE_WRITING = 10.0  # seconds that leaving the client may take for what is still to be written


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
                from lumienv.index.keyring import Keyring, keyring_provider
                from lumienv.index.transport import Transport

                configured = [(s.url, s.credentials) for s in self.sources if not s.url.startswith("file:")]
                provider = keyring_provider()
                self._transport = Transport(
                    CredentialStore(configured, Keyring(provider) if provider is not None else None),
                    connections=self._connections,
                    stopping=self._stopping,
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
            if project not in self._pages:
                self._pages[project] = self.workers.submit(lambda: self._find_page(project))
            return self._pages[project]

    def metadata(self, file: File) -> "Future[CoreMetadata]":
        """The core metadata of a wheel; the future raises PackageIndexError."""
        if not file.is_wheel:
            raise ValueError(f"{file.filename} is no wheel")
        with self._lock:
            if file.url not in self._metadata:
                self._metadata[file.url] = self.workers.submit(lambda: self._find_metadata(file))
            return self._metadata[file.url]

    def hashed(self, file: File) -> "Future[File]":
        """The file with its `sha256` and `size`, read from the whole file where the page gives no hash.

        The future raises PackageIndexError.
        """
        with self._lock:
            if file.url not in self._hashed:
                self._hashed[file.url] = self.workers.submit(lambda: self._hash(file))
            return self._hashed[file.url]

    def _find_page(self, project: str) -> Page | None:
        pinned = [source for source in self.sources if project in source.packages]
        for source in pinned or [source for source in self.sources if not source.explicit]:
            if source.url.startswith("file:"):
                page = self._local_page(source, project)
            else:
                page = self._page_of(source, project)
            if page is not None:
                return page
        return None

    def _local_page(self, source: IndexSource, project: str) -> Page | None:
        from lumienv.index.html import local_page

        try:
            return local_page(project, source.url)
        except (NotAnIndexError, OSError) as error:
            raise PackageIndexError(
                f"cannot read the package index {source.url}",
                str(error) if isinstance(error, NotAnIndexError) else (error.strerror or "").lower(),
                hint="check the index-url in pip's or uv's configuration, and [[index]] in lumienv.toml",
            ) from error

    def _page_of(self, source: IndexSource, project: str) -> Page | None:
        kept = self._cache.page(source.url, project)
        entry = from_bytes(kept) if kept is not None else None
        if self.offline:
            if entry is None:
                raise _missing_offline(f"the page of {project} on {shown(source.url)}")
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
        answer = self.transport.get(f"{source.url}/{project}/", headers)
        if answer.status == 304 and entry is not None:
            self._keep(source, project, entry.confirmed(answer.headers))
            return entry.page
        if answer.status in (404, 410):
            if len(self.sources) > 1:  # offline, the next index must be known to be the one to ask
                self._keep(source, project, PageEntry(None))
            return None
        page = _page(source, project, answer)
        if may_be_kept(answer.headers):
            self._keep(source, project, fetched(page, answer.headers))
        return page

    def _keep(self, source: IndexSource, project: str, entry: PageEntry) -> None:
        self.workers.later(lambda: self._cache.keep_page(source.url, project, to_bytes(entry)))

    def _find_metadata(self, file: File) -> CoreMetadata:
        if file.sha256 is not None:
            kept = self._cache.metadata(file.sha256, file.url)
            if kept is not None:
                try:
                    return from_json(kept)
                except (ValueError, TypeError):
                    pass
        from lumienv.index.wheel_metadata import local_metadata, remote_metadata

        if file.url.startswith("file:"):
            return parse_metadata(local_metadata(file), file.filename)
        if self.offline:
            raise _missing_offline(f"the metadata of {file.filename}")
        metadata = parse_metadata(remote_metadata(self.transport, file), file.filename)
        if file.sha256 is not None:
            sha256, content = file.sha256, to_json(metadata)
            self.workers.later(lambda: self._cache.keep_metadata(sha256, file.url, content))
        return metadata

    def _hash(self, file: File) -> File:
        if file.sha256 is not None:
            return file
        if self.offline and not file.url.startswith("file:"):
            raise _missing_offline(f"the hash of {file.filename}")
        from lumienv.index.download import digest_of

        digest, size = digest_of(self.transport, file.url)
        return replace(file, sha256=digest, size=size)


def _page(source: IndexSource, project: str, answer: "Answer") -> Page:
    try:
        if answer.status != 200:
            raise NotAnIndexError(f"HTTP {answer.status}")  # noqa: TRY301 - one way out
        content_type = answer.headers.get("Content-Type", "")
        return parse_page(project, source.url, answer.url, content_type, answer.body)
    except NotAnIndexError as error:
        raise PackageIndexError(
            f"{shown(source.url)} is not a package index",
            f"{shown(answer.url)} answers with {error}",
            hint="check the index-url in pip's or uv's configuration, and [[index]] in lumienv.toml;\n"
            "it mostly ends in /simple",
        ) from error


def _missing_offline(what: str) -> PackageIndexError:
    return PackageIndexError(
        f"{what} is not in the cache, and lumienv is offline",
        hint="run the command once without `--offline`, where there is a network",
    )
