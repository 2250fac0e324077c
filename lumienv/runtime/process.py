"""The one seam through which lumienv starts other programs and waits for them.

`lumienv run` does not come here: it replaces itself with the command.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumienv.errors import ContainerError
from lumienv.runtime import work


@dataclass(frozen=True)
class Completed:
    """What a program did: its exit status and all it printed."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def capture(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to its end and return what it printed; `timeout` in seconds.

    `env` is the whole environment, None for this process's own; the mark of `runtime.work` is added. When
    this process is interrupted, the program and what it has started are ended, and the interruption goes on.
    Raises ContainerError when the program cannot be started or does not end in time.
    """
    try:
        return _run(argv, env, stdin, timeout, cwd)
    except KeyboardInterrupt:
        work.end_started()  # a signal may come while a program is being started, before it can be named
        raise


def _run(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    stdin: str | None,
    timeout: float | None,
    cwd: Path | None,
) -> Completed:
    try:
        started = subprocess.Popen(
            list(argv),
            env={**(os.environ if env is None else env), work.VARIABLE: work.token()},
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ContainerError(f"cannot start {argv[0]}: there is no such program") from error
    except OSError as error:
        raise ContainerError(f"cannot start {argv[0]}: {error.strerror}") from error
    with started:
        try:
            out, err = started.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            _end(started)
            raise ContainerError(
                f"{argv[0]} did not end within {timeout:.0f} seconds", hint="try again, or on another node"
            ) from error
        except BaseException:
            _end(started)
            raise
    return Completed(tuple(argv), started.returncode, out, err)


def _end(started: "subprocess.Popen[str]") -> None:
    """End a program and all that it has started; a container's processes hang on to its runtime."""
    for how, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(started.pid, how)
        with suppress(subprocess.TimeoutExpired):
            started.wait(patience)
            break
    # What it started may be slower than itself, and write into what is then removed.
    with suppress(ProcessLookupError):
        for _ in range(200):
            os.killpg(started.pid, signal.SIGKILL)
            time.sleep(0.005)


def answered(mark: str, printed: str) -> dict[str, Any] | None:
    """What one of lumienv's own programs answered in the container: JSON behind its mark, the last such line.

    Packages may print more while they are imported, also what looks like an answer. None where there is none.
    """
    for line in reversed(printed.splitlines()):
        if line.startswith(mark):
            try:
                answer = json.loads(line.removeprefix(mark))
            except (ValueError, RecursionError):
                return None
            return answer if isinstance(answer, dict) else None
    return None
