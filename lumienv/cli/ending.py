"""Told to end, by Ctrl-C or a signal: what was begun is cleaned up first, whatever else comes meanwhile."""

import os
import signal
import sys
import threading
from typing import NoReturn

# A job's end on LUMI comes as SIGTERM, that of a terminal as SIGHUP.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

INTERRUPTED = "interrupted: what was there before still works"


class EndedError(KeyboardInterrupt):
    """Told to end; `status` is the exit status that says by which signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def clean_up_first() -> None:
    """Have each of these signals raise EndedError, once; those that are ignored (nohup, `&`) stay so."""
    for end in _ENDS:
        if signal.getsignal(end) != signal.SIG_IGN:
            signal.signal(end, _interrupt)


def status_of(error: BaseException) -> int:
    """The exit status for whatever interrupted."""
    return error.status if isinstance(error, EndedError) else 130


def leave_threads(status: int) -> None:
    """Where threads are left behind (lumienv/index/workers.py), end here and now with this exit status.

    Python 3.11 may crash if it comes to its own end while one of them loads a library.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed before the start
            try:
                stream.flush()
            except BrokenPipeError:  # whoever read it has gone
                pass
            except (OSError, ValueError):
                status = status or 1
        os._exit(status)


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    for end in _ENDS:
        # Another often follows (Ctrl-C twice, SIGHUP behind SIGTERM), and would cut the cleaning up short.
        # Not SIG_IGN: Python complains of one that came in between.
        if signal.getsignal(end) != signal.SIG_IGN:
            signal.signal(end, _cleaning_up)
    raise EndedError(number)


def _cleaning_up(number: int, frame: object) -> None:
    """It is being done."""
