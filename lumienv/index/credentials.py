"""Who lumienv is to a package index: user names and passwords, kept apart from the URLs they came with.

A URL is taken apart here once; from then on the bare URL and a `Credentials` travel separately, so that no
lock, cache, log or message can show a password. Sent are only those that belong to the address asked.
"""

import base64
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user name and a password; printing it shows neither."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(hidden)"

    def authorization(self) -> str:
        """The value of an HTTP Basic `Authorization` header (RFC 7617, UTF-8)."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """The URL without its userinfo, and what the userinfo said (percent-decoded).

    Raises ValueError for something that is no URL.
    """
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    username, _, password = userinfo.partition(":")
    bare = urlunsplit(parts._replace(netloc=host))
    return bare, Credentials(unquote(username), unquote(password))


_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (the scheme's own where none is written): what credentials belong to."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), _port(parts)


def place(url: str) -> str:
    """Host and port as a message shows them: no userinfo, no path, no query."""
    parts = urlsplit(url)
    port = _port(parts)
    return f"{parts.hostname or url}:{port}" if port is not None else (parts.hostname or "")


def shown(url: str) -> str:
    """A URL as a message shows it: no userinfo, query (some carry a signature) or fragment."""
    bare, _ = split_credentials(url)
    return urlunsplit(urlsplit(bare)._replace(query="", fragment=""))


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None


class CredentialStore:
    """Finds the credentials for an address: those configured with an index, else netrc's.

    `configured` holds pairs of an index URL (bare) and its credentials. Those of the index whose path is the
    longest prefix of the address win, else those of any index with the same scheme, host and port: files
    often lie beside the index, not below it.
    """

    def __init__(self, configured: Iterable[tuple[str, Credentials]] = ()) -> None:
        self._configured = [(origin(url), urlsplit(url).path.rstrip("/") + "/", c) for url, c in configured]
        self._netrc: dict[str, Credentials] | None = None
        self._lock = threading.Lock()

    def find(self, url: str) -> Credentials | None:
        """The credentials to send with a request for `url`, or None."""
        here = origin(url)
        path = urlsplit(url).path + "/"
        matching = [(prefix, c) for other, prefix, c in self._configured if other == here]
        if matching:
            return max(matching, key=lambda entry: (path.startswith(entry[0]), len(entry[0])))[1]
        # A keyring would be asked here, before netrc, as pip and uv do.
        return self._from_netrc(here[1])

    def _from_netrc(self, host: str) -> Credentials | None:
        with self._lock:
            if self._netrc is None:
                self._netrc = read_netrc()
        return self._netrc.get(host)


def read_netrc() -> dict[str, Credentials]:
    """The machines of `$NETRC`, else `~/.netrc`, else `~/_netrc`, by host name.

    The `default` entry is left out: it would hand a password to every host that serves files. A file that
    cannot be read or parsed counts as none, as it does for pip: it may be there for other programs.
    """
    named = os.environ.get("NETRC")
    places = [Path(named)] if named else [Path("~/.netrc").expanduser(), Path("~/_netrc").expanduser()]
    for path in places:
        try:
            parsed = netrc(os.fspath(path))
        except FileNotFoundError:
            continue
        except (NetrcParseError, OSError, UnicodeDecodeError):
            return {}
        return {
            host.lower(): Credentials(login or "", password or "")
            for host, (login, _account, password) in parsed.hosts.items()
            if host != "default"
        }
    return {}
