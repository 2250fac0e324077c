"""Start the real `lumienv` so that its steps are listed, or that it ends at one of them by a signal.

    python steps.py list FILE -- sync --mode venv
    python steps.py SIGKILL 'os.rename lumienv/overlay/store.py:102 publish 1' -- sync --mode venv

A step is what changes something on disk, or starts, or reaches something: Python tells of each before it is
done (`sys.addaudithook`). It is named by the event, by the innermost line of lumienv that led to it, and by
how often that has come so far, so that the name means the same in another run, whatever the threads do.
"""

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import lumienv

_EVENTS = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.symlink", "os.link"),
    *("os.truncate", "os.utime", "os.setxattr", "shutil.rmtree", "shutil.copyfile", "shutil.move"),
    *("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg"),
    *("fcntl.flock", "fcntl.lockf", "socket.connect", "tempfile.mkstemp", "tempfile.mkdtemp"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PACKAGE = str(Path(lumienv.__file__).parent)


def _name(event: str, frame: FrameType | None) -> str:
    """`event file:line function`, of the innermost frame that is lumienv's."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_PACKAGE):
            place = os.path.relpath(code.co_filename, Path(_PACKAGE).parent)
            return f"{event} {place}:{frame.f_lineno} {code.co_name}"
        frame = frame.f_back
    return f"{event} elsewhere"


def _watch(wanted: str | None, ending: signal.Signals, listed: int | None) -> None:
    seen: Counter[str] = Counter()
    busy = threading.Lock()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & _WRITING or arguments[0] == os.devnull:
                return
        elif event not in _EVENTS:
            return
        name = _name(event, sys._getframe(1))
        with busy:
            seen[name] += 1
            step = f"{name} {seen[name]}"
            if listed is not None:
                os.write(listed, f"{step}\n".encode())
        if step == wanted:
            os.kill(os.getpid(), ending)  # itself a step, so not while the others wait

    sys.addaudithook(hook)


def _begin() -> None:
    what, name, _, *words = sys.argv[1:]
    if what == "list":
        listed = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        _watch(None, signal.SIGKILL, listed)
    else:
        _watch(name, signal.Signals[what], None)
    sys.argv = ["lumienv", *words]


if __name__ == "__main__":
    _begin()
    from lumienv.__main__ import main

    main()
