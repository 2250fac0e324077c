"""Reading parts of a wheel on a server, with as few requests as the server allows.

Servers differ: most answer `bytes=a-b`, many also `bytes=-n`, some ignore `Range` and send everything. What
arrives is kept, wherever it lies in the file; only gaps are asked for.
"""

from __future__ import annotations

import mmap
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lumienv.errors import BrokenReleaseError
from lumienv.files import disk_errors
from lumienv.index.archive import TAIL
from lumienv.index.credentials import place, shown

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from lumienv.index.transport import Transport

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LARGEST_IN_MEMORY = 64 << 20  # bytes
_CHUNK = 1 << 20  # bytes


class NoRangesError(Exception):
    """The server does not serve parts of this file in a usable way."""


class RemoteWheel:
    """The parts of a remote file that are at hand; `size` in bytes is known once the tail was read.

    `whole` is its content when the server sent all of it.
    """

    def __init__(self, transport: Transport, url: str, size: int | None) -> None:
        self._transport = transport
        self._url = url
        self._announced = size
        self._spans: list[tuple[int, bytes | mmap.mmap]] = []
        self.size: int | None = None
        self.whole: bytes | mmap.mmap | None = None

    def read_tail(self) -> int:
        """Fetch the end of the file, and return the file's size.

        Raises PackageIndexError; NoRangesError when there is no telling what the server sends.
        """
        if self._announced:
            # More servers know this form than the next, and the page already gave the size.
            self._fetch(f"bytes={max(0, self._announced - TAIL)}-{self._announced - 1}")
        if self.size is None:
            self._fetch(f"bytes=-{TAIL}")
        if self.size is None:
            self._fetch("bytes=0-0")
        if self.size is None:
            raise NoRangesError
        self.read(max(0, self.size - TAIL), min(self.size, TAIL))
        return self.size

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the file's end. Raises as `read_tail` does."""
        if self.size is not None:
            length = max(0, min(length, self.size - start))
        for attempt in range(2):
            for begin, content in self._spans:
                if begin <= start and start + length <= begin + len(content):
                    return content[start - begin : start - begin + length]
            if attempt == 0:
                self._fill(start, start + length)
        raise NoRangesError

    def _fill(self, start: int, end: int) -> None:
        """Fetch what is missing of a stretch; a part at its end that is at hand is not fetched again."""
        for begin, content in self._spans:
            if start < begin < end <= begin + len(content):
                count = len(self._spans)
                self._fetch(f"bytes={start}-{begin - 1}")
                if self.whole is None and len(self._spans) > count:
                    first, head = self._spans[-1]
                    if first + len(head) == begin:
                        self._spans.append((first, head[:] + content[:]))
                return
        self._fetch(f"bytes={start}-{end - 1}")

    def fetch_whole(self) -> None:
        """Fetch all of the file. Raises PackageIndexError."""
        self._transport.exchange(self._url, lambda: {"Accept-Encoding": "identity"}, self._take)

    def _fetch(self, stretch: str) -> None:
        headers = {"Range": stretch, "Accept-Encoding": "identity"}
        self._transport.exchange(self._url, lambda: headers, self._take)

    def _take(self, response: BaseHTTPResponse, _final: str) -> None:
        if response.status == 206:
            found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if found is None:
                return
            first, last, size = (int(number) for number in found.groups())
            if last - first >= 256 << 20 or (self.size is not None and self.size != size):
                return
            content = response.read(decode_content=False)
            if len(content) == last - first + 1:
                self.size = size
                self._spans.append((first, content))
        elif response.status == 200:
            # Ranges are ignored here, and the whole file is on its way: better this than asking again.
            self.whole = _read_whole(response)
            self.size = len(self.whole)
            self._spans = [(0, self.whole)]
        elif response.status in (404, 410):
            raise gone(self._url, response.status)
        # Anything else (416, 501, 400) refuses this form of range; the caller tries the next.


def _read_whole(response: BaseHTTPResponse) -> bytes | mmap.mmap:
    """A whole wheel: in memory, or when it is large in a file that is gone when the mapping is.

    Raises StoreError when TMPDIR is full.
    """
    length = response.length_remaining
    if length is not None and length <= _LARGEST_IN_MEMORY:
        return response.read(decode_content=False)
    doing = "read a wheel whose server sends no parts"
    with disk_errors(doing, Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        while chunk := response.read(_CHUNK, decode_content=False):
            file.write(chunk)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""


def gone(url: str, status: int) -> BrokenReleaseError:
    """A file that a page lists and that is not there."""
    return BrokenReleaseError(
        f"{place(url)} does not have {shown(url).rpartition('/')[2]}, although the index lists it",
        f"while fetching {shown(url)} (HTTP {status})",
        hint="try again later with `lumienv lock -U`: the index may be in the middle of an update",
    )
