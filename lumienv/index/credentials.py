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
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from lumienv.index.keyring import Keyring


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user name and a password (None: not given, so that another source may have it); printing it shows
    neither."""

    username: str
    password: str | None

    def __repr__(self) -> str:
        return "Credentials(hidden)"

    def authorization(self) -> str:
        """The value of an HTTP Basic `Authorization` header (RFC 7617, UTF-8)."""
        pair = f"{self.username}:{self.password or ''}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """The URL without its userinfo, and what the userinfo said (percent-decoded).

    Raises ValueError for something that is no URL.
    """
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    username, colon, password = userinfo.partition(":")
    bare = urlunsplit(parts._replace(netloc=host))
    return bare, Credentials(unquote(username), unquote(password) if colon else None)


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
    """Finds the credentials for an address: those of the index, then netrc's, then the keyring's.

    That is the order of pip (`_get_new_credentials` in `pip/_internal/network/auth.py`: URL, index URL,
    netrc, and the keyring only after a refusal) and of uv (uv documentation, "HTTP credentials"). With an
    index come what its URL says and `UV_INDEX_<NAME>_USERNAME`, `_PASSWORD`. A user name without a password,
    as in `https://name@host/simple`, is completed by netrc or the keyring before anything is sent, as uv
    does; where neither knows it, it is sent alone, as some indexes take a token for a name.

    `configured` holds an index URL (bare) with its credentials, or None, for each index. Those of the index
    whose path is the longest prefix of the address win, else those of any index with the same scheme, host
    and port: files often lie beside the index, not below it. The keyring is asked for hosts of indexes only.
    """

    def __init__(
        self, configured: Iterable[tuple[str, Credentials | None]] = (), keyring: "Keyring | None" = None
    ) -> None:
        self._configured = [
            (origin(url), urlsplit(url).path.rstrip("/") + "/", url, found) for url, found in configured
        ]
        self.keyring = keyring
        self._netrc: dict[str, Credentials] | None = None
        self._lock = threading.Lock()

    def find(self, url: str) -> Credentials | None:
        """The credentials to send with a request for `url`, or None."""
        index, given = self._index_of(url)
        if given is not None and given.password is not None:
            return given
        told = self.keyring.told(index) if self.keyring is not None and index is not None else None
        if told is not None:  # netrc's were refused
            return told
        known = self._from_netrc((urlsplit(url).hostname or "").lower())
        if known is not None and (given is None or given.username == known.username):
            return known
        if given is not None and self.keyring is not None and index is not None:
            return self.keyring.ask(index, given.username) or given
        return given

    def after_refusal(self, url: str, sent: Credentials | None) -> Credentials | None:
        """What the keyring knows for `url` after `sent` was answered with 401; None: nothing else."""
        index, given = self._index_of(url)
        if self.keyring is None or index is None or (given is not None and given.password is not None):
            return None
        known = given or sent
        found = self.keyring.ask(index, known.username if known is not None else None)
        return None if found == sent else found

    def keyring_facts(self) -> list[str]:
        """What to say of the keyring where no password was right; nothing where none is configured."""
        if self.keyring is None:
            return []
        said = self.keyring.problem or "the keyring has no password that is accepted"
        return [f"{said}: asked because of {self.keyring.provider.setting}"]

    def _index_of(self, url: str) -> tuple[str | None, Credentials | None]:
        """The index that an address belongs to, and what is configured with it."""
        here, path = origin(url), urlsplit(url).path + "/"
        matching = [
            (path.startswith(prefix), found is not None, len(prefix), number)
            for number, (other, prefix, _, found) in enumerate(self._configured)
            if other == here
        ]
        if not matching:
            return None, None
        _, _, index, found = self._configured[max(matching)[3]]
        return index, found

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
