"""HTTP for packages: keep-alive, retries, redirects, proxies, certificates, and failures as sentences.

urllib3 is imported when the first request is made (it takes 70 ms), so that a `lock` that finds everything
in the cache never pays for it. Redirects and retries are done here and not by urllib3: credentials are
chosen anew for each address, and a wait for the next attempt ends at once when the client is closed.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from lumienv.errors import InterruptedByUserError, PackageIndexError
from lumienv.index.credentials import CredentialStore, origin, place, shown, split_credentials
from lumienv.index.settings import PipConfiguration, http_timeout

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager, Timeout

T = TypeVar("T")

ATTEMPTS = 4
_TRY_AGAIN = frozenset((429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 10
_LONGEST_WAIT = 30.0  # seconds; a server may ask for more in Retry-After
_SHORT = 1 << 16  # bytes
_LARGEST_ANSWER = 256 << 20  # bytes once decoded: far more than any page, little enough to hold


@dataclass(frozen=True, slots=True)
class Answer:
    """A response read to its end; `url` is the address that gave it, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Transport:
    """Sends GET requests; safe to use from many threads.

    `connections` is how many are kept open to one host, `backoff` the wait in seconds before the second
    attempt (doubled each time), `stopping` ends such waits. `settings` are the addresses of the indexes, each
    with what names it.
    """

    def __init__(
        self,
        credentials: CredentialStore,
        *,
        connections: int,
        stopping: threading.Event,
        settings: Sequence[tuple[str, str]] = (),
        backoff: float = 0.25,
    ) -> None:
        self.credentials = credentials
        self._connections = connections
        self._stopping = stopping
        self._settings = settings
        self._backoff = backoff
        self._pools: dict[tuple[str, tuple[str, str] | None], PoolManager] = {}
        self._pip = PipConfiguration()
        self._timeout: Timeout | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close idle connections; those in use are closed when their request ends."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def prepare(self, url: str) -> None:
        """Import urllib3 and read the certificates for requests to `url`. Raises PackageIndexError."""
        self._pool(url)

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """The whole answer, decoded. Raises PackageIndexError as `exchange` does."""

        def read(response: BaseHTTPResponse, final: str) -> Answer:
            body = response.read(_LARGEST_ANSWER, decode_content=True)
            if response.read(1, decode_content=True):
                response.close()
                raise PackageIndexError(
                    f"{place(final)} answers with more than {_LARGEST_ANSWER >> 20} MiB",
                    f"while fetching {shown(url)}",
                    hint=f"check {self._setting(url)}",
                )
            return Answer(response.status, response.headers, body, final)

        return self.exchange(url, lambda: headers, read)

    def exchange(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        use: Callable[[BaseHTTPResponse, str], T],
        attempts: int = ATTEMPTS,
    ) -> T:
        """Request `url` and hand the response, its body unread, and its final address to `use`.

        A connection that fails, also while `use` reads, and the statuses 429, 500 and 502 to 504 are tried
        again; `headers` is called before each attempt. `use` sees no other 5xx but 501, and no 401 or 403.
        Raises PackageIndexError for an unreachable host, a refusal (401, 403, 407), and a server's failure.
        """
        from urllib3.exceptions import HTTPError

        from lumienv.index.failures import is_final, unreachable

        attempt = 1
        while True:
            try:
                response, final = self._follow(url, headers())
                try:
                    if response.status in _TRY_AGAIN and attempt < attempts:
                        wait = _retry_after(response.headers.get("Retry-After"))
                    else:
                        _check_status(response.status, url, final, self.credentials)
                        return use(response, final)
                finally:
                    _leave(response)
            except (HTTPError, ssl.SSLError) as error:
                if attempt >= attempts or is_final(error, attempt):
                    raise unreachable(url, error, self._setting(url)) from error
                wait = 0.0
            self._pause(max(wait, self._backoff * 2 ** (attempt - 1)))
            attempt += 1

    def _setting(self, url: str) -> str:
        """What names the host of `url`, for advice; both places for a host that an index led to."""
        found = {setting for address, setting in self._settings if place(address) == place(url)}
        both = "the index-url in pip's or uv's configuration, and [[index]] in lumienv.toml"
        return found.pop() if len(found) == 1 else both

    def _follow(self, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str]:
        asked, authorised = url, True
        for _ in range(_MOST_REDIRECTS):
            response = self._request(url, headers, authorised)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, url
            _leave(response)
            target, _ = split_credentials(urljoin(url, location))
            _check_redirect(asked, url, target)
            # Once the host has changed nothing is sent at all: also not what netrc has for the new one,
            # which may be a store of presigned links that takes a second authorisation for an error.
            authorised = authorised and _same_host(url, target)
            url = target
        raise PackageIndexError(
            f"{place(asked)} redirects in circles",
            f"while fetching {shown(asked)}",
            hint=f"check {self._setting(asked)}",
        )

    def _request(self, url: str, headers: Mapping[str, str], authorised: bool) -> BaseHTTPResponse:
        """One answer; where it is 401, that to a second request with what a keyring knows."""
        credentials = self.credentials.find(url) if authorised else None
        while True:
            sent = {"User-Agent": "lumienv", **headers}
            if credentials is not None:
                sent["Authorization"] = credentials.authorization()
            response = self._pool(url).request(
                "GET",
                url,
                headers=sent,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            if response.status != 401 or not authorised:
                return response
            credentials, authorised = self.credentials.after_refusal(url, credentials), False
            if credentials is None:
                return response
            _leave(response)

    def _pool(self, url: str) -> PoolManager:
        """The connections for this address: through the proxy that is configured for it, or directly."""
        from lumienv.index.proxies import proxy_for

        with self._lock:
            scheme = urlsplit(url).scheme
            key = (scheme, proxy_for(url, self._pip))
            if key not in self._pools:
                self._pools[key] = self._new_pool(*key)
            return self._pools[key]

    def _new_pool(self, scheme: str, proxy: tuple[str, str] | None) -> PoolManager:
        import urllib3

        from lumienv.index.certificates import ssl_context
        from lumienv.index.proxies import connections_through

        self._timeout = urllib3.Timeout(connect=http_timeout(10.0), read=http_timeout(30.0))
        secure = scheme == "https" or (proxy is not None and proxy[0].startswith("https:"))
        context = ssl_context() if secure else None
        if proxy is not None:
            return connections_through(proxy, self._connections, context)
        return urllib3.PoolManager(
            num_pools=32, maxsize=self._connections, ssl_context=context, retries=False
        )

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(min(seconds, _LONGEST_WAIT)):
            raise InterruptedByUserError("interrupted")


def _leave(response: BaseHTTPResponse) -> None:
    """Let go of a response: a short rest of its body (an error page) is read, so that the connection can
    be used again; a long one is cut off by closing it. One that was read to its end is back already."""
    rest = response.length_remaining
    if (rest is not None and rest <= _SHORT) or (rest is None and response.status >= 300):
        response.drain_conn()
    response.close()


def _check_status(status: int, asked: str, final: str, credentials: CredentialStore) -> None:
    fact = f"while fetching {shown(asked)}"
    if status == 407:
        from lumienv.index.failures import proxy_refuses

        raise proxy_refuses(asked)
    if status in (401, 403):
        host = urlsplit(final).hostname or ""
        if credentials.find(final) is not None:
            message = f"the package index {place(final)} does not accept the password"
        elif status == 401:
            message = f"the package index {place(final)} wants a password"
        else:
            message = f"the package index {place(final)} refuses access"
        facts = [f"{fact} (HTTP {status})", *credentials.keyring_facts()]
        raise PackageIndexError(
            message,
            *facts,
            hint=f"give a name and password in ~/.netrc: machine {host} login NAME password PASSWORD\n"
            "or in the index URL of pip's or uv's configuration",
        )
    if status in _TRY_AGAIN or (status >= 500 and status != 501):
        raise PackageIndexError(
            f"the package index {place(final)} does not work at the moment",
            f"{fact} (HTTP {status}, after several attempts)",
            hint="try again later, or `--offline` with what the cache holds",
        )


def _check_redirect(asked: str, here: str, target: str) -> None:
    scheme = urlsplit(target).scheme
    if scheme not in ("http", "https") or (scheme == "http" and here.startswith("https:")):
        raise PackageIndexError(
            f"{place(here)} redirects to an address that is not secure",
            f"while fetching {shown(asked)}",
            f"from https to {scheme}" if scheme in ("http", "https") else f"to {scheme}:",
            hint="tell those who run the index, or use another",
        )


def _same_host(one: str, other: str) -> bool:
    """Whether credentials for one address may go to the other: same origin, or its upgrade to https."""
    a, b = origin(one), origin(other)
    return a == b or (a[0] == "http" and a[2] == 80 and b == ("https", a[1], 443))


def _retry_after(value: str | None) -> float:
    """Seconds to wait; the date form of the header is not worth parsing."""
    return float(value) if value is not None and value.isascii() and value.isdigit() else 0.0
