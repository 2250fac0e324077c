"""Which generations this user made: a file of seals in their own state directory.

A project's `.lumienv/` may have come with a clone or a copy, and says which programs to start. Each
generation carries a random seal; only one whose seal was noted down when it was made is run.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

from lumienv.errors import StoreError


def seals_path(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/lumienv/generations`, by default below `~/.local/state`."""
    state = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", "/"), ".local/state")  # noqa: PTH118
    return os.path.join(state, "lumienv", "generations")  # noqa: PTH118


def is_known(seal: str, environ: Mapping[str, str]) -> bool:
    """Whether a generation with this seal was made by this user."""
    try:
        with open(seals_path(environ), encoding="ascii") as file:  # noqa: PTH123 - before every job
            return bool(seal) and f"{seal}\n" in file
    except OSError:
        return False


def note_down(seal: str, environ: Mapping[str, str]) -> None:
    """Remember a generation that is about to be published. Raises StoreError."""
    path = seals_path(environ)
    try:
        with suppress(FileExistsError):
            os.makedirs(os.path.dirname(path), mode=0o700)  # noqa: PTH103, PTH120
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="ascii") as file:
            file.write(f"{seal}\n")
    except OSError as error:
        raise StoreError(
            f"cannot note down that this environment was made by you: {error.strerror}",
            f"at {path}",
            hint="lumienv runs only what its user made; XDG_STATE_HOME names another place for its notes",
        ) from error
