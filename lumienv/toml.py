"""TOML, parsed once: what a text says is kept under the text's digest.

The standard library's parser takes longer to import than Python to start, and `lumienv run` reads the same
texts before every job. What is kept decides what a job does, so it lies in this user's state folder, beside
the notes on which environments are theirs (`overlay.trust`), and only what they wrote themselves is believed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from lumienv.digest import sha256
from lumienv.plainjson import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 100  # entries: a project has two or three texts at a time


def state_folder(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/lumienv`, by default below `~/.local/state`: what is noted down for this user."""
    state = environ.get("XDG_STATE_HOME")
    if not state:
        state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/state")
    return os.path.join(state, "lumienv")


def parse_toml(text: str) -> dict[str, Any]:
    """What `text` says, without keeping it. Raises ValueError where it is no TOML that can be read."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:  # a few hundred levels: nobody's mistake, but perhaps somebody's doing
        raise ValueError("it is nested too deeply") from None


def in_toml(text: str) -> str:
    """A text as a value in TOML; with single quotes where it has double ones, as people write markers."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    import json

    return json.dumps(text, ensure_ascii=False)


def read_toml(text: str) -> dict[str, Any]:
    """What `text` says. Raises ValueError as `parse_toml`."""
    digest = str(sha256(text.encode()).hexdigest())
    path = os.path.join(state_folder(os.environ), "toml", digest)
    data = _kept(path, digest)
    if data is None:
        data = parse_toml(text)
        _keep(path, digest, data)
    return data


def _kept(path: str, digest: str) -> dict[str, Any] | None:
    """What an entry says; None unless it is whole, of the text of this digest, and written by this user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022 or not stat.S_ISREG(status.st_mode):
                return None
            seal, _, content = file.read().partition(b"\n")
        return dict(loads(content)) if seal == _seal(digest, content) else None
    except (OSError, ValueError, RecursionError):
        return None


def _keep(path: str, digest: str, data: dict[str, Any]) -> None:
    """Write an entry, and remove the oldest of too many. What cannot be kept is parsed the next time."""
    import json
    from pathlib import Path

    from lumienv.files import write_atomically

    with suppress(OSError, TypeError, RecursionError):  # TOML has dates, which JSON has not
        content = json.dumps(data).encode()
        folder = Path(path).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(Path(path), b"%b\n%b" % (_seal(digest, content), content), mode=0o600)
        entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)
        for entry in entries[:-_MOST]:
            entry.unlink()


def _seal(digest: str, content: bytes) -> bytes:
    return str(sha256(digest.encode() + content).hexdigest()).encode()
