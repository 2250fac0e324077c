"""Who the user is to a registry: what the runtimes and Docker know, read where they keep it.

Variables first (`SINGULARITY_DOCKER_USERNAME`: documentation of both runtimes, "Authentication"), then the
files in which logins are kept: those of the runtimes, then Docker's own. Nothing is written there.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lumienv.errors import ContainerError
from lumienv.index.credentials import Credentials
from lumienv.runtime.process import capture

# In logins that Docker has kept, its own registry is called so.
_HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_PATIENCE = 30.0  # seconds, for a program that may ask a keyring


def credentials_for(host: str, environ: Mapping[str, str], *, variables: bool = True) -> Credentials | None:
    """The name and password for a registry; None where nobody knows any.

    The variables say them for whichever registry is asked; `variables` is False where the user did not name
    it.
    """
    for prefix in ("APPTAINER_", "SINGULARITY_", "") if variables else ():
        name = environ.get(f"{prefix}DOCKER_USERNAME")
        if name:
            return Credentials(name, environ.get(f"{prefix}DOCKER_PASSWORD", ""))
    for path in _files(environ):
        with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            found = _in_file(json.loads(path.read_text(encoding="utf-8")), host, environ)
            if found is not None:
                return found
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    yield from (home / name / "docker-config.json" for name in (".apptainer", ".singularity"))
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def _in_file(data: Any, host: str, environ: Mapping[str, str]) -> Credentials | None:
    names = _HUB_NAMES if host == "docker.io" else (host, f"https://{host}", f"http://{host}")
    helper = next((data.get("credHelpers", {}).get(name) for name in names), None) or data.get("credsStore")
    for name in names:
        entry = data.get("auths", {}).get(name) or data.get("auths", {}).get(f"{name.rstrip('/')}/")
        if entry and entry.get("auth"):
            user, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
            if colon:
                return Credentials(user, password.rstrip("\0"))
        if entry and entry.get("username"):
            return Credentials(str(entry["username"]), str(entry.get("password", "")))
    return _from_helper(helper, names[0], environ) if helper else None


def _from_helper(helper: str, host: str, environ: Mapping[str, str]) -> Credentials | None:
    """What one of Docker's own programs for keyrings says (docker-credential-helpers, its README)."""
    if os.path.basename(helper) != helper:  # noqa: PTH119 - a name on PATH, not a path
        return None
    with suppress(ContainerError):
        words = [f"docker-credential-{helper}", "get"]
        done = capture(words, env=environ, stdin=host, timeout=_PATIENCE)
        if done.returncode == 0:
            said = json.loads(done.stdout)
            name, secret = said.get("Username"), said.get("Secret")
            if isinstance(name, str) and isinstance(secret, str) and name != "<token>":
                return Credentials(name, secret)
    return None
