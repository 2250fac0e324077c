"""Passwords out of the user's keyring: the program `keyring`, asked as pip and uv ask it.

Both do it only when told to: pip with `keyring-provider` (`PIP_KEYRING_PROVIDER`: auto, disabled, import,
subprocess), uv with its own `keyring-provider` (`UV_KEYRING_PROVIDER`: disabled, subprocess). pip's `auto`,
its default, means "if somebody sits there to unlock it" (pip documentation, "Authentication"); lumienv never
prompts, so that it means disabled here, as with pip's `--no-input`. `import` is the keyring package beside
lumienv, which is run as a program too: it may hang on a desktop's bus, and only a program can be ended.

Asked are, as services, the index's URL in pip's spelling (ending in "/") and in the user's, then its host:
`keyring get SERVICE NAME`, or `keyring get SERVICE --mode creds` where no name is known, as uv does
(`uv-auth/src/keyring.rs`). An index that answers strangers with 404 instead of 401 never gets that far: it
needs the user name, in its URL or in `UV_INDEX_<NAME>_USERNAME`.
"""

import os
import shutil
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from lumienv.errors import ContainerError, PackageIndexError
from lumienv.index.credentials import Credentials
from lumienv.index.settings import PipConfiguration, UvConfiguration, http_timeout

_PATIENCE = 30.0  # seconds for one answer; somebody may have to unlock it first


@dataclass(frozen=True, slots=True)
class KeyringProvider:
    """How the keyring is asked, and the setting that says so."""

    kind: str
    """`subprocess` or `import`"""
    setting: str


def keyring_provider(environ: Mapping[str, str] = os.environ) -> KeyringProvider | None:
    """The keyring that pip is configured with, else uv's; None where neither names one.

    Raises PackageIndexError for a word that neither knows.
    """
    chosen = [
        ("PIP_KEYRING_PROVIDER", environ.get("PIP_KEYRING_PROVIDER")),
        ("`keyring-provider` in pip's configuration", PipConfiguration(environ).get("keyring-provider")),
        ("UV_KEYRING_PROVIDER", environ.get("UV_KEYRING_PROVIDER")),
        ("`keyring-provider` in uv's configuration", UvConfiguration(environ).get("keyring-provider")),
    ]
    for setting, kind in chosen:
        if kind in ("subprocess", "import"):
            return KeyringProvider(kind, setting)
        if kind == "disabled":
            return None
        if kind and kind not in ("auto", "native"):
            raise PackageIndexError(
                f"{setting} is {kind}, which names no keyring",
                hint="it can be subprocess, import or disabled",
            )
    return None


@cache
def keyring_of(provider: KeyringProvider) -> "Keyring":
    """The keyring, one for all of this process's clients: a sync has one to lock and one to download."""
    return Keyring(provider)


class Keyring:
    """Asks once for each service and name, however many threads want to know; prints and keeps nothing."""

    def __init__(self, provider: KeyringProvider, environ: Mapping[str, str] = os.environ) -> None:
        self.provider = provider
        self._environ = environ
        self._answers: dict[tuple[str, str | None], Credentials | None] = {}
        self._told: dict[str, Credentials] = {}
        self._lock = threading.Lock()
        self.problem: str | None = None
        """why it cannot be asked, for a message"""

    def told(self, index: str) -> Credentials | None:
        """What was found for an index so far."""
        return self._told.get(index)

    def ask(self, index: str, username: str | None) -> Credentials | None:
        """The credentials for the index with this URL; None when the keyring has none."""
        with self._lock:
            bare = index.rstrip("/")
            for service in (f"{bare}/", bare, urlsplit(index).netloc):
                key = (service, username)
                if key not in self._answers:
                    self._answers[key] = self._get(service, username) if self.problem is None else None
                found = self._answers[key]
                if found is not None:
                    self._told[index] = found
                    return found
        return None

    def _get(self, service: str, username: str | None) -> Credentials | None:
        from lumienv.runtime.process import capture

        program = self._program()
        if program is None:
            self.problem = "the program `keyring` is not on PATH"
            return None
        named = [username] if username is not None else ["--mode", "creds"]
        limit = http_timeout(_PATIENCE)
        try:
            done = capture(
                [*program, "get", service, *named],
                env={**self._environ, "PYTHONIOENCODING": "utf-8"},
                timeout=limit,
            )
        except ContainerError as error:
            late = f"the keyring did not answer within {limit:g} seconds (LUMIENV_HTTP_TIMEOUT)"
            self.problem = error.message if error.message.startswith("cannot start") else late
            return None
        if done.returncode != 0:
            return None
        lines = done.stdout.splitlines()
        if username is None:
            return Credentials(lines[0], lines[1]) if len(lines) >= 2 else None
        return Credentials(username, lines[0]) if lines and lines[0] else None

    def _program(self) -> list[str] | None:
        if self.provider.kind == "import":
            return [sys.executable, "-m", "keyring"]
        found = shutil.which("keyring", path=self._environ.get("PATH"))
        return None if found is None else [found]
