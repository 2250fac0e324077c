"""A package index on loopback for tests and benchmarks: real HTTP, with the faults that one asks for.

    with IndexServer(directory) as server:
        server.url  # http://127.0.0.1:PORT/simple

Serves every wheel and sdist in a directory over PEP 691 and PEP 503 below /simple/, the files below /files/.
"""

import base64
import hashlib
import json
import re
import ssl
import threading
import time
import zipfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it; header names in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass
class Behaviour:
    """What the server does; may be changed while it runs."""

    formats: Literal["both", "json", "html"] = "both"
    sidecars: bool = False  # PEP 658
    sidecar_hashes: bool = True
    # The last two are servers, or proxies before them, that get ranges wrong.
    ranges: Literal["all", "no-suffix", "no-explicit", "none", "unnamed", "too-short"] = "all"
    lengths: bool = True  # else a file ends where the connection does
    sizes: bool = True
    hashes: bool = True
    password: tuple[str, str] | None = None
    latency: float = 0.0  # milliseconds before each answer
    wrong_hash: set[str] = field(default_factory=set)  # file names whose hash on the page is wrong
    wrong_sidecar: set[str] = field(default_factory=set)  # file names whose sidecar's hash is wrong
    yanked: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # added to every page
    etags: bool = False
    statuses: dict[str, deque[int]] = field(default_factory=dict)  # path → statuses to answer first
    cut: dict[str, deque[int]] = field(default_factory=dict)  # path → bytes after which it goes away
    stall: dict[str, int] = field(default_factory=dict)  # path → bytes after which it falls silent
    redirects: dict[str, str] = field(default_factory=dict)  # path → URL
    tls: ssl.SSLContext | None = None  # https with this certificate
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # path → content type, body


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class IndexServer(Behaviour):
    """The index; a context manager. `requests` lists what was asked, in the order of arrival."""

    def __init__(self, directory: Path, **behaviour: Any) -> None:
        super().__init__(**behaviour)
        self.directory = directory
        self.requests: list[Seen] = []
        self.closing = threading.Event()
        self._digests: dict[tuple[str, int], str] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.index = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def root(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The index URL."""
        return f"{self.root}/simple"

    def url_with(self, username: str, password: str) -> str:
        return self.url.replace("://", f"://{quote(username, '')}:{quote(password, '')}@")

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def __enter__(self) -> "IndexServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; connections to the port are refused from now on."""
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def files(self, project: str) -> list[Path]:
        """The project's files, sorted by name."""
        return sorted(
            path
            for path in self.directory.iterdir()
            if path.name.endswith((".whl", ".tar.gz", ".zip")) and self._project(path) == project
        )

    @staticmethod
    def _project(path: Path) -> str:
        if path.name.endswith(".whl"):
            return normalised(path.name.partition("-")[0])
        return normalised(path.name.rpartition("-")[0])

    def digest(self, path: Path) -> str:
        key = (path.name, path.stat().st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._digests[key]

    def entry(self, path: Path) -> dict[str, Any]:
        """A file as a PEP 691 page lists it."""
        entry: dict[str, Any] = {
            "filename": path.name,
            "url": f"../../files/{quote(path.name)}",
            "hashes": {},
            "yanked": self.yanked.get(path.name, False),
            "upload-time": "2025-06-01T12:00:00.000000Z",
        }
        if self.hashes:
            wrong = path.name in self.wrong_hash
            entry["hashes"] = {"sha256": "0" * 64 if wrong else self.digest(path)}
        if self.sizes:
            entry["size"] = path.stat().st_size
        if path.suffix == ".whl":
            metadata = wheel_metadata(path)
            found = re.search(rb"^Requires-Python: (.*)$", metadata, re.MULTILINE)
            entry["requires-python"] = found[1].decode() if found else None
            if self.sidecars:
                digest = hashlib.sha256(metadata).hexdigest()
                digest = "0" * 64 if path.name in self.wrong_sidecar else digest
                entry["core-metadata"] = {"sha256": digest} if self.sidecar_hashes else True
        return entry


def wheel_metadata(path: Path) -> bytes:
    """METADATA of a wheel, b"" for a broken one."""
    try:
        with zipfile.ZipFile(path) as wheel:
            return next((wheel.read(n) for n in wheel.namelist() if n.endswith("dist-info/METADATA")), b"")
    except zipfile.BadZipFile:
        return b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    index: IndexServer

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.index.tls is not None:  # in the connection's own thread: a handshake may fail or hang
            request = self.index.tls.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            if self.index.tls is not None:
                request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        index = self.server.index
        path = urlsplit(self.path).path
        index.requests.append(Seen(self.path, {k.lower(): v for k, v in self.headers.items()}))
        if index.latency:
            time.sleep(index.latency / 1000)
        planned = index.statuses.get(path)
        if planned:
            self.answer(planned.popleft(), b"planned", "text/plain")
        elif path in index.redirects:
            self.answer(302, b"", "text/plain", {"Location": index.redirects[path]})
        elif not self.authorised():
            self.answer(401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="index"'})
        elif path in index.pages:
            content_type, body = index.pages[path]
            self.answer(200, body, content_type)
        elif path.startswith("/simple/"):
            self.page(path.removeprefix("/simple/").strip("/"))
        elif path.startswith("/files/"):
            self.file(unquote(path.removeprefix("/files/")))
        else:
            self.answer(404, b"not here", "text/plain")

    def authorised(self) -> bool:
        wanted = self.server.index.password
        if wanted is None:
            return True
        token = base64.b64encode(":".join(wanted).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {token}"

    def page(self, project: str) -> None:
        index = self.server.index
        files = index.files(project)
        if not files:
            self.answer(404, b"", "text/plain")
            return
        entries = [index.entry(path) for path in files]
        as_json = "json" in self.headers.get("Accept", "") and index.formats != "html"
        if as_json or index.formats == "json":
            content_type = "application/vnd.pypi.simple.v1+json"
            page = {"meta": {"api-version": "1.1"}, "name": project, "files": entries}
            body = json.dumps(page).encode()
        else:
            content_type = "text/html"
            body = html_page(project, entries).encode()
        headers = dict(index.headers)
        if index.etags:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                self.answer(304, None, content_type, headers)
                return
        self.answer(200, body, content_type, headers)

    def file(self, name: str) -> None:
        index = self.server.index
        sidecar = name.endswith(".metadata")
        path = index.directory / name.removesuffix(".metadata")
        if path.parent != index.directory or not path.is_file() or (sidecar and not index.sidecars):
            self.answer(404, b"", "text/plain")
        elif sidecar:
            self.answer(200, wheel_metadata(path), "application/octet-stream")
        else:
            self.content(path.read_bytes())

    def content(self, body: bytes) -> None:
        """The file, or the part of it that is asked for and served."""
        index = self.server.index
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        suffix = wanted is not None and not wanted[1]
        if wanted is None or index.ranges == "none":
            self.answer(200, body, "application/octet-stream")
            return
        if (suffix and index.ranges == "no-suffix") or (not suffix and index.ranges == "no-explicit"):
            self.answer(416, b"", "text/plain", {"Content-Range": f"bytes */{len(body)}"})
            return
        start = max(0, len(body) - int(wanted[2])) if suffix else int(wanted[1])
        end = len(body) if suffix or not wanted[2] else min(len(body), int(wanted[2]) + 1)
        if start >= end:
            self.answer(416, b"", "text/plain", {"Content-Range": f"bytes */{len(body)}"})
            return
        stretch = {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
        if index.ranges == "unnamed":
            stretch = {"Content-Range": "bytes */*"}
        if index.ranges == "too-short":
            end = (start + end) // 2
        self.answer(206, body[start:end], "application/octet-stream", stretch)

    def answer(
        self, status: int, body: bytes | None, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if body is not None and self.server.index.lengths:
            self.send_header("Content-Length", str(len(body)))
        elif body is not None:
            self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        cuts = self.server.index.cut.get(urlsplit(self.path).path)
        silent = self.server.index.stall.get(urlsplit(self.path).path)
        if body and silent is not None:
            self.wfile.write(body[:silent])
            self.server.index.closing.wait()
            self.close_connection = True
        elif body and cuts:
            self.wfile.write(body[: cuts.popleft()])
            self.close_connection = True
        elif body:
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass  # `IndexServer.requests` is the log


def html_page(project: str, entries: list[dict[str, Any]]) -> str:
    """A PEP 503 page, with the attributes of PEP 592, 658 and 714."""
    links = []
    for entry in entries:
        digest = entry["hashes"].get("sha256")
        attributes = f'href="{entry["url"]}{f"#sha256={digest}" if digest else ""}"'
        if entry.get("requires-python"):
            escaped = entry["requires-python"].replace("<", "&lt;").replace(">", "&gt;")
            attributes += f' data-requires-python="{escaped}"'
        if entry["yanked"] is not False:
            attributes += f' data-yanked="{entry["yanked"]}"'
        offer = entry.get("core-metadata")
        if offer:
            value = f"sha256={offer['sha256']}" if isinstance(offer, dict) else "true"
            attributes += f' data-core-metadata="{value}"'
        links.append(f"<a {attributes}>{entry['filename']}</a><br/>")
    return f"<!DOCTYPE html><html><body><h1>Links for {project}</h1>{''.join(links)}</body></html>"
