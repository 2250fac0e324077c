"""Run the real `lumienv` program, in an environment that holds nothing of the caller's."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import recording
from answers import check_answer

_SCRIPT = Path(sysconfig.get_path("scripts")) / "lumienv"
PROGRAM = (str(_SCRIPT),) if _SCRIPT.is_file() else (sys.executable, "-m", "lumienv")


def clean_environment(home: Path) -> dict[str, str]:
    """PATH and a home of its own: no LUMIENV_, SLURM_, SINGULARITY_ or pip variables, no PWD."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(home),
        "LUMIENV_SITE": "generic",
        "LUMIENV_CACHE_DIR": str(home / "cache"),
        # Any access to an index would fail, and show.
        "UV_DEFAULT_INDEX": "https://packages.example.org/simple",
    }


def lumienv(
    *words: str, cwd: Path, env: Mapping[str, str], stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """What `lumienv words…` does in the folder `cwd`."""
    done = subprocess.run(
        [*PROGRAM, *words], cwd=cwd, env=dict(env), input=stdin, capture_output=True, text=True, check=False
    )
    check_answer(words, done.stdout)
    return done


def on_terminal(*words: str, cwd: Path, env: Mapping[str, str], columns: int, lines: int) -> str:
    """What `lumienv words…` writes on a terminal of this size, with `\\n` as the end of a line."""
    terminal = {**env, "TERM": "xterm"}
    terminal.pop("NO_COLOR", None)
    return recording.on_terminal([*PROGRAM, *words], cwd, terminal, width=columns, height=lines)[1]
