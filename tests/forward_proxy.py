"""A forward proxy on loopback for tests: CONNECT for https, absolute addresses for http, a password."""

import base64
import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class ForwardProxy:
    """The proxy; a context manager. `asked` lists the targets, in the order of arrival."""

    def __init__(self, password: tuple[str, str] | None = None) -> None:
        self.asked: list[str] = []
        self.password = password
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def url(self, userinfo: str = "") -> str:
        """Its address, with a name and password where they are given (`name:word`)."""
        return f"http://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self.port}"

    def __enter__(self) -> "ForwardProxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: ForwardProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def admitted(self) -> bool:
        self.server.proxy.asked.append(self.path)
        wanted = self.server.proxy.password
        if wanted is None:
            return True
        token = base64.b64encode(":".join(wanted).encode()).decode()
        if self.headers.get("Proxy-Authorization") == f"Basic {token}":
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_GET(self) -> None:
        if not self.admitted():
            return
        parts = urlsplit(self.path)
        onward = http.client.HTTPConnection(parts.netloc)
        headers = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
        onward.request("GET", parts.path, headers=headers)
        answer = onward.getresponse()
        body = answer.read()
        onward.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        if not self.admitted():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pass_on, args=(onward, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, onward)
            back.join()
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass  # `ForwardProxy.asked` is the log


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side has gone
