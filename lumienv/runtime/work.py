"""Marks on what lumienv starts and makes, by which the next lumienv knows what a killed one has left.

SIGKILL gives nobody a chance to end what was started: a container, uv and mksquashfs run on. So all of them
have a variable in their environment, and scratch and staging directories the same words in their names.
"""

import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "LUMIENV_WORK"
_PROC = Path("/proc")
# A killed process is gone within milliseconds, unless it waits for a disk that does not answer.
_PATIENCE = 5.0

_tokens: dict[int, str] = {}


def token() -> str:
    """Of this process: what its children have in `VARIABLE`."""
    return _tokens.setdefault(os.getpid(), secrets.token_hex(8))


def label() -> str:
    """For the name of a directory: this process and its token."""
    return f"{os.getpid()}-{token()}"


def clear_away(label_: str) -> bool:
    """Whether the process of this label, on this node, is gone; ends what it had started and is left.

    A label that is none of ours counts as gone.
    """
    number, mark = (*label_.split("-"), "")[:2]
    if not number.isdigit() or not mark:
        return True
    # This process may have got the number of one that is gone.
    if mark == token() or (int(number) != os.getpid() and (_PROC / number).exists()):
        return False
    _end_all(mark)
    return True


def end_started() -> None:
    """End all that this process has started: it is being ended itself."""
    _end_all(token())


def _end_all(mark: str) -> None:
    """End this user's processes that carry the mark, and those in one session with them.

    A runtime that is setuid root cannot be looked into; it began the session that its container is in.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        sessions = {_session(process) for process in _own() if _is_marked(process, mark)}
        sessions -= {0, os.getsid(0)}
        if not sessions:
            return
        for process in _own():
            if _session(process) in sessions:
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _own() -> list[int]:
    """The numbers of this user's other processes: by the owner of what cannot be looked into, too."""
    found = []
    for entry in _PROC.iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and _user(entry) == os.getuid() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _user(process: Path) -> int:
    """The real user of a process; its directory belongs to root where it is setuid.

    The kernel cuts a process's name at 15 bytes, in the middle of a letter if need be.
    """
    for line in (process / "status").read_text(errors="replace").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return -1


def _is_marked(process: int, mark: str) -> bool:
    with suppress(OSError):
        return f"{VARIABLE}={mark}".encode() in (_PROC / str(process) / "environ").read_bytes().split(b"\0")
    return False


def _session(process: int) -> int:
    """Its session's number; 0 for one that is gone, and for what has ended and waits for its parent."""
    with suppress(OSError):
        fields = (_PROC / str(process) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if fields[0] == "Z" else int(fields[3])
    return 0
