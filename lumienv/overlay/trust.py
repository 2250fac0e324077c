"""Which generations this user made: noted down in their own state directory.

A project's `.lumienv/` may have come with a clone or a copy, and it says which programs to start. So a
generation is run only when the digest of its description, together with the inode of its directory, stands
in this user's notes: a copy has another inode, a changed description another digest, while moving the
project keeps both.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lumienv.errors import StoreError


def seal_of(description: bytes, inode: int) -> str:
    """What is noted down about a generation: hex."""
    return hashlib.sha256(b"%d\0%b" % (inode, description)).hexdigest()


def notes_path(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/lumienv/generations`, by default below `~/.local/state`."""
    state = environ.get("XDG_STATE_HOME")
    if not state:
        home = environ.get("HOME") or str(Path.home())
        state = os.path.join(home, ".local/state")  # noqa: PTH118 - before every job
    return os.path.join(state, "lumienv", "generations")  # noqa: PTH118


def is_noted(seal: str, environ: Mapping[str, str]) -> bool:
    """Whether this user made the generation. Raises StoreError when the notes cannot be read."""
    path = notes_path(environ)
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - before every job
            return f"{seal}\n" in file
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot see which environments are yours: {error}", hint=f"make {path} readable again"
        ) from None


def note_down(seal: str | None, environ: Mapping[str, str]) -> None:
    """Remember a generation that is about to be published; None only tries whether that is possible.

    Raises StoreError.
    """
    path = notes_path(environ)
    try:
        with suppress(FileExistsError):
            os.makedirs(os.path.dirname(path), mode=0o700)  # noqa: PTH103, PTH120
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="ascii") as file:
            file.write("" if seal is None else f"{seal}\n")
    except OSError as error:
        raise StoreError(
            f"cannot note down that this environment was made by you: {error.strerror}",
            f"at {path}",
            hint="lumienv runs only what its user made; XDG_STATE_HOME names another place for its notes",
        ) from error
