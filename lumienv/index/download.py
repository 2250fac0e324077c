"""Bringing one file here, its hash computed while it streams, going on where a connection broke off."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from lumienv.errors import PackageIndexError
from lumienv.index.credentials import place, shown
from lumienv.index.remote_wheel import gone

if TYPE_CHECKING:
    import mmap

    from urllib3 import BaseHTTPResponse

    from lumienv.index.transport import Transport

_CHUNK = 1 << 18  # bytes
# More than for a page: each attempt of a large wheel goes on where the one before ended.
_ATTEMPTS = 6
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/")


class _Arriving:
    """What has arrived of a file, and what to ask for next."""

    def __init__(self, url: str, sink: BinaryIO | None, tell: Callable[[int, int | None], None]) -> None:
        self.url = url
        self.sink = sink
        self.tell = tell
        self.digest = hashlib.sha256()
        self.received = 0
        self.validator: str | None = None

    def headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if self.received and self.sink is not None and self.validator is not None:
            headers["Range"] = f"bytes={self.received}-"
            headers["If-Range"] = self.validator
        elif self.received and self.sink is not None:
            # No validator: should another file stand there now, the hash will tell.
            headers["Range"] = f"bytes={self.received}-"
        return headers

    def take(self, response: BaseHTTPResponse, _final: str) -> None:
        if response.status == 206:
            found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != self.received:
                self.start_again()
                raise _not_resumable()
        elif response.status == 416:
            self.start_again()
            raise _not_resumable()
        elif response.status == 200:
            self.start_again()
        elif response.status in (404, 410):
            raise gone(self.url, response.status)
        else:
            raise PackageIndexError(
                f"{place(self.url)} does not serve {shown(self.url).rpartition('/')[2]}",
                f"while fetching {shown(self.url)} (HTTP {response.status})",
                hint="try again later, or ask those who run the index",
            )
        etag = response.headers.get("ETag", "")
        self.validator = etag if etag.startswith('"') else None  # a weak one does not vouch for bytes
        rest = response.length_remaining
        total = None if rest is None else self.received + rest
        while chunk := response.read(_CHUNK, decode_content=False):
            self.digest.update(chunk)
            if self.sink is not None:
                self.sink.write(chunk)
            self.received += len(chunk)
            self.tell(self.received, total)

    def start_again(self) -> None:
        self.received = 0
        self.digest = hashlib.sha256()
        if self.sink is not None:
            self.sink.seek(0)
            self.sink.truncate()


def _not_resumable() -> Exception:
    """Ends an attempt so that the next one asks for the whole file."""
    from urllib3.exceptions import ProtocolError

    return ProtocolError("another part was sent than was asked for")


def download(
    transport: Transport, url: str, sink: BinaryIO | None, tell: Callable[[int, int | None], None]
) -> tuple[str, int]:
    """Write the file at `url` (http, https or file) to `sink`; returns its sha256 in hex and its size.

    `tell` is called with the bytes received so far and their total, if the server says it.
    Raises PackageIndexError, and OSError when `sink` cannot be written.
    """
    arriving = _Arriving(url, sink, tell)
    if url.startswith("file:"):
        _copy(arriving)
    else:
        transport.exchange(url, arriving.headers, arriving.take, attempts=_ATTEMPTS)
    return arriving.digest.hexdigest(), arriving.received


def digest_of(transport: Transport, url: str) -> tuple[str, int]:
    """sha256 in hex and size in bytes of the file at `url`, which is kept nowhere."""
    return download(transport, url, None, lambda _received, _total: None)


def _copy(arriving: _Arriving) -> None:
    path = local_path(arriving.url)
    try:
        source = path.open("rb")
    except OSError as error:
        raise PackageIndexError(
            f"cannot read {path}", (error.strerror or "").lower(), hint="check the local package index"
        ) from error
    with source:
        while chunk := source.read(_CHUNK):
            arriving.digest.update(chunk)
            if arriving.sink is not None:
                arriving.sink.write(chunk)
            arriving.received += len(chunk)
            arriving.tell(arriving.received, None)


def local_path(url: str) -> Path:
    """The path that a file: URL means."""
    return Path(unquote(urlsplit(url).path))


def check_hash(what: str, content: bytes | mmap.mmap, expected: str | None, url: str) -> None:
    """Compare a sha256 with the promised one; nothing promised is fine here.

    Raises PackageIndexError for another one.
    """
    if expected:
        check_digest(what, hashlib.sha256(content).hexdigest(), expected, url)


def check_digest(what: str, got: str, expected: str, url: str) -> None:
    """Raises PackageIndexError when two digests (hex) differ."""
    if got != expected:
        raise PackageIndexError(
            f"{what} is not what the index promised: its hash is wrong",
            f"expected sha256 {expected}",
            f"received sha256 {got} from {place(url)}",
            hint="try again, as a proxy may have damaged it; if it stays so, tell those who run the index:\n"
            "somebody may have exchanged the file",
        )
