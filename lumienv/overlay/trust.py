"""Which generations this user made or accepted: noted down in their own state directory.

A project's `.lumienv/` may have come with a clone or a copy, and it says which programs to start. So a
generation is run only when the digest of its description, together with the inode of its directory, stands
in this user's notes: a copy has another inode, a changed description another digest, while moving the
project keeps both. For one that somebody else shares, their user id stands behind the seal: the generation
has to belong to them still.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from lumienv.digest import sha256
from lumienv.errors import StoreError
from lumienv.paths import Path
from lumienv.shell import quote
from lumienv.toml import state_folder


def seal_of(description: bytes, inode: int) -> str:
    """What is noted down about a generation: hex."""
    return str(sha256(b"%d\0%b" % (inode, description)).hexdigest())


def notes_path(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/lumienv/generations`, by default below `~/.local/state`."""
    return os.path.join(state_folder(environ), "generations")  # noqa: PTH118 - before every job


def noted_owner(seal: str, environ: Mapping[str, str]) -> int | None:
    """The user who made the generation: this one, one whose shared generation they accepted, or None.

    Raises StoreError when the notes cannot be read.
    """
    words = _last_note(seal, environ).split()
    if not words or words[0] != seal:
        return None
    return int(words[1]) if len(words) > 1 else os.geteuid()


def is_revoked(seal: str, environ: Mapping[str, str]) -> bool:
    """Whether the generation was found damaged. Raises StoreError when the notes cannot be read."""
    return _last_note(seal, environ).startswith("-")


def _last_note(seal: str, environ: Mapping[str, str]) -> str:
    path = notes_path(environ)
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - before every job
            said = [line for line in file if line.startswith((seal, f"-{seal}"))]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot see which environments are yours: {error}", hint=f"make {path} readable again"
        ) from None
    return said[-1] if said else ""


def revoke(seal: str, environ: Mapping[str, str]) -> None:
    """Run a generation no more, as it is damaged: the next sync makes it anew. Raises StoreError."""
    note_down(f"-{seal}", environ)


def check_untouchable(paths: Iterable[Path], owners: Collection[int]) -> None:
    """Refuse what none of `owners` (user ids) made, or what somebody else could exchange.

    Raises StoreError; OSError for what is missing.
    """
    for path in paths:
        status = path.stat()
        if status.st_uid not in owners:
            from lumienv.files import owner_name

            raise StoreError(
                f"{path} was made by {owner_name(status.st_uid)}, so lumienv does not run what is in it",
                hint='give each of you a store of their own: [sync] store = ".lumienv-$USER"\n'
                f"or ask {owner_name(status.st_uid)} to share: lumienv sync --share",
            )
        if status.st_mode & 0o022:
            raise StoreError(
                f"{path} could have been changed by others: it is writable for its group or for everybody",
                hint=f"run `lumienv sync` to make it anew, or: chmod go-w {quote(str(path))}",
            )


def note_down(seal: str | None, environ: Mapping[str, str], owner: int | None = None) -> None:
    """Remember a generation that is about to be published; None only tries whether that is possible.

    `owner` is the user id of somebody else who shares it, and whose it has to stay.

    Raises StoreError.
    """
    path = notes_path(environ)
    try:
        with suppress(FileExistsError):
            os.makedirs(os.path.dirname(path), mode=0o700)  # noqa: PTH103, PTH120
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            size = os.fstat(descriptor).st_size
            # A full disk may have cut off the last line: the next must not be taken for the rest of it.
            whole = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
            line = "" if seal is None else f"{seal}\n" if owner is None else f"{seal} {owner}\n"
            file.write((line if whole else f"\n{line}").encode("ascii"))
    except OSError as error:
        raise StoreError(
            f"cannot note down that this environment was made by you: {error.strerror}",
            f"at {path}",
            hint="lumienv runs only what its user made; XDG_STATE_HOME names another place for its notes",
        ) from error
