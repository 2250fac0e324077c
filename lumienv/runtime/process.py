"""The one seam through which lumienv starts other programs and waits for them.

`lumienv run` does not come here: it replaces itself with the command.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ContainerError


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

    `env` is the whole environment, None for this process's own. Ctrl-C reaches the program too (it is in
    the same process group) and is raised here once it has ended.
    Raises ContainerError when the program cannot be started or does not end in time.
    """
    try:
        done = subprocess.run(
            list(argv),
            env=None if env is None else dict(env),
            input=stdin if stdin is not None else None,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise ContainerError(f"cannot start {argv[0]}: there is no such program") from error
    except OSError as error:
        raise ContainerError(f"cannot start {argv[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ContainerError(
            f"{argv[0]} did not end within {timeout:.0f} seconds", hint="try again, or on another node"
        ) from error
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
