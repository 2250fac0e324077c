"""A package index on loopback, the same for every tool: recorded once, then served from memory.

    with Mirror(store, latency=20) as mirror:
        mirror.url  # http://127.0.0.1:PORT/simple

What is asked for the first time is fetched from the machine's default index and kept in `store`; later runs
need no network. Pages say what PyPI's say (`ETag`, `max-age=600`), files take `Range`; whether wheels offer
their metadata (PEP 658) is the caller's choice, as PyPI does and many mirrors do not.

The server is a process of its own, so that it shares no interpreter with what is measured; answers are
prebuilt bytes. It ends when its standard input does: it cannot be left behind.
"""

import argparse
import asyncio
import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urljoin

from lumienv.index.archive import metadata_in_wheel
from lumienv.index.config import default_index
from lumienv.index.credentials import CredentialStore
from lumienv.index.pages import ACCEPT, parse_page
from lumienv.index.transport import Answer, Transport

_JSON, _HTML = "application/vnd.pypi.simple.v1+json", "text/html"
_PAGE_CACHING = "Cache-Control: max-age=600, public\r\n"
_FILE_CACHING = "Cache-Control: max-age=365000000, immutable, public\r\nAccept-Ranges: bytes\r\n"
_OFFERS = ("core-metadata", "data-dist-info-metadata", "data-core-metadata")


@dataclass(frozen=True)
class Served:
    """What the mirror did since it was last asked: requests, bytes sent, seconds of processor time."""

    requests: int
    sent: int
    cpu: float


class Mirror:
    """The mirror as a context manager; `latency` in milliseconds before each answer."""

    def __init__(self, store: Path, *, latency: float = 0, sidecars: bool = False) -> None:
        self._words = [sys.executable, "-P", "-m", "benchmarks.mirror", str(store), f"--latency={latency}"]
        self._words += ["--sidecars"] if sidecars else []
        self.port = 0

    @property
    def url(self) -> str:
        """The index URL."""
        return f"http://127.0.0.1:{self.port}/simple"

    def __enter__(self) -> "Mirror":
        self._process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or "0")
        if not self.port:
            raise RuntimeError("the mirror did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def served(self) -> Served:
        """What it did since the last call."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/-/served") as answer:
            return Served(*json.load(answer))


class Upstream:
    """The machine's default index and what of it has been recorded; blocking, for threads."""

    def __init__(self, store: Path) -> None:
        self.store = store
        source = default_index()
        self._index = source.url
        known = [(source.url, source.credentials)] if source.credentials is not None else []
        self._transport = Transport(CredentialStore(known), connections=8, stopping=threading.Event())

    def page(self, project: str) -> dict[str, Any] | None:
        """The page of a project as the index gave it, file URLs absolute; None when it has none."""
        path = self.store / "pages" / f"{project}.json"
        if not path.exists():
            _write(path, json.dumps(self._fetch_page(project)).encode())
        page: dict[str, Any] | None = json.loads(path.read_bytes())
        return page

    def _fetch_page(self, project: str) -> dict[str, Any] | None:
        answer = self._transport.get(f"{self._index}/{project}/", {"Accept": ACCEPT})
        if answer.status in (404, 410):
            return None
        kind = answer.headers.get("Content-Type", "")
        page = json.loads(answer.body) if "json" in kind else self._from_html(project, kind, answer)
        for entry in page["files"]:
            entry["url"] = urljoin(answer.url, entry["url"])
        return dict(page)

    def _from_html(self, project: str, kind: str, answer: Answer) -> dict[str, Any]:
        files = parse_page(project, self._index, answer.url, kind, answer.body).files
        entries = [
            {
                "filename": file.filename,
                "url": file.url,
                "hashes": {"sha256": file.sha256} if file.sha256 else {},
                "requires-python": file.requires_python,
                "yanked": file.yanked is not None and (file.yanked or True),
            }
            for file in files
        ]
        return {"meta": {"api-version": "1.0"}, "name": project, "files": entries}

    def file(self, project: str, name: str) -> Path | None:
        """A file of a page, fetched whole; None when the page does not list it."""
        path = self.store / "files" / project / name
        if not path.exists():
            page = self.page(project)
            entry = next((e for e in (page or {"files": []})["files"] if e["filename"] == name), None)
            if entry is None:
                return None
            answer = self._transport.get(entry["url"], {"Accept-Encoding": "identity"})
            if answer.status != 200:
                return None
            wanted = entry["hashes"].get("sha256")
            if wanted and hashlib.sha256(answer.body).hexdigest() != wanted:
                raise RuntimeError(f"{name} does not have the hash that its page gives")
            _write(path, answer.body)
        return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(name).rename(path)


@dataclass(frozen=True)
class Content:
    """Something to serve; `head` holds the header lines that go with it."""

    head: str
    body: bytes | mmap.mmap
    etag: str


class Site:
    """All that is served, each prebuilt when it is first asked for."""

    def __init__(self, upstream: Upstream, latency: float, sidecars: bool) -> None:
        self.latency = latency / 1000
        self.requests = self.sent = 0
        self.reported = 0.0
        self.root = ""
        self._upstream = upstream
        self._sidecars = sidecars
        self._contents: dict[tuple[str, str], asyncio.Future[Content | None]] = {}

    def find(self, path: str, kind: str) -> "asyncio.Future[Content | None]":
        """The content at `path`; for pages `kind` is the content type asked for."""
        key = (path, kind if path.startswith("/simple/") else "")
        if key not in self._contents:
            loop = asyncio.get_running_loop()
            self._contents[key] = loop.run_in_executor(None, partial(self._make, *key))
        return self._contents[key]

    def _make(self, path: str, kind: str) -> Content | None:
        _, room, project, *rest = [*unquote(path).split("/"), ""]
        if room == "simple" and project:
            page = self._upstream.page(project)
            return None if page is None else self._page(project, page, kind)
        name = rest[0] if rest else ""
        if room != "files" or not name or "/" in name:
            return None
        found = self._upstream.file(project, name.removesuffix(".metadata"))
        if found is None:
            return None
        head = f"Content-Type: application/octet-stream\r\n{_FILE_CACHING}"
        if name.endswith(".metadata"):
            content = found.read_bytes()
            metadata = metadata_in_wheel(
                lambda start, n: content[start : start + n], len(content), found.name
            )
            return Content(head, metadata, _etag(metadata)) if self._sidecars else None
        with found.open("rb") as file:
            return Content(head, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), _etag(name.encode()))

    def _page(self, project: str, page: dict[str, Any], kind: str) -> Content:
        for entry in page["files"]:
            # Absolute, as PyPI's are: a link that has to be joined costs a client more.
            entry["url"] = f"{self.root}/files/{project}/{quote(entry['filename'])}"
            for offer in _OFFERS:
                entry.pop(offer, None)
            if self._sidecars and entry["filename"].endswith(".whl"):
                entry["core-metadata"] = True
        body = json.dumps(page).encode() if kind == _JSON else _html(page)
        return Content(f"Content-Type: {kind}\r\n{_PAGE_CACHING}", body, _etag(body))


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def _html(page: dict[str, Any]) -> bytes:
    lines = []
    for entry in page["files"]:
        python = (entry.get("requires-python") or "").replace("<", "&lt;").replace(">", "&gt;")
        attributes = f' data-requires-python="{python}"' if python else ""
        attributes += ' data-yanked=""' if entry.get("yanked") else ""
        attributes += ' data-core-metadata="true"' if entry.get("core-metadata") else ""
        fragment = f"#sha256={entry['hashes']['sha256']}" if "sha256" in entry["hashes"] else ""
        lines.append(f'<a href="{entry["url"]}{fragment}"{attributes}>{entry["filename"]}</a><br>')
    return ("<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "\n</body></html>\n").encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as package tools speak: GET and HEAD, one after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            request, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = request.decode("latin-1").split("\r\n")
            method, path, *_ = first.split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            if path == "/-/served":
                self._report()
                continue
            kind = _JSON if "json" in headers.get("accept", "") else _HTML
            self._site.requests += 1
            found = self._site.find(path, kind)
            found.add_done_callback(partial(self._found, method == "HEAD", headers))

    def _found(self, bare: bool, headers: dict[str, str], found: "asyncio.Future[Content | None]") -> None:
        if found.exception() is not None:
            print(f"mirror: {found.exception()}", file=sys.stderr)
        failed = found.exception() is not None
        answer = self._answer(bare, headers, None if failed else found.result(), failed)
        asyncio.get_running_loop().call_later(self._site.latency, self._send, *answer)

    def _answer(
        self, bare: bool, headers: dict[str, str], content: Content | None, failed: bool
    ) -> tuple[bytes, bytes]:
        if content is None:
            return _head(502 if failed else 404, 0), b""
        head = f"{content.head}ETag: {content.etag}\r\n"
        size = len(content.body)
        if headers.get("if-none-match") == content.etag:
            return _head(304, 0, head), b""
        wanted = headers.get("range", "")
        if not wanted.startswith("bytes=") or "," in wanted:
            return _head(200, size, head), b"" if bare else content.body[:]
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start >= end:
            return _head(416, 0, f"Content-Range: bytes */{size}\r\n"), b""
        head += f"Content-Range: bytes {start}-{end - 1}/{size}\r\n"
        return _head(206, end - start, head), b"" if bare else content.body[start:end]

    def _send(self, head: bytes, body: bytes) -> None:
        self._site.sent += len(head) + len(body)
        self._transport.write(head)
        if body:
            self._transport.write(body)

    def _report(self) -> None:
        site, cpu = self._site, time.process_time()
        body = json.dumps([site.requests, site.sent, cpu - site.reported]).encode()
        site.requests, site.sent, site.reported = 0, 0, cpu
        self._transport.write(_head(200, len(body)) + body)


def _head(status: int, length: int, more: str = "") -> bytes:
    size = "" if status == 304 else f"Content-Length: {length}\r\n"
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{size}{more}\r\n".encode()


async def serve(site: Site) -> None:
    """Serve on a free port, which is printed, until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    site.root = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """`python -m benchmarks.mirror STORE`"""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--sidecars", action="store_true")
    given = parser.parse_args()
    asyncio.run(serve(Site(Upstream(given.store), given.latency, given.sidecars)))
    os._exit(0)  # what still waits for the index upstream is of no use to anybody


if __name__ == "__main__":
    main()
