"""A project folder and the real `lumienv` program, for tests that go through the whole of it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from answers import check_answer

from lumienv.index.config import PipConfiguration

# What a developer's shell may hold and a test must not depend on.
_LEAKS = ("LUMIENV_", "PYTHON", "SINGULARITY", "APPTAINER", "VIRTUAL_ENV", "CONDA", "SLURM_", "NETRC")
_KEPT = ("LUMIENV_LAB", "LUMIENV_TEST", "SLURM_CONF")


@dataclass(frozen=True)
class Said:
    """What a program did and printed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Workspace:
    """A project in `directory`, used with `cache` as lumienv's cache."""

    directory: Path
    cache: Path
    environ: Mapping[str, str]

    @property
    def lock_path(self) -> Path:
        return self.directory / "pylock.lumienv.toml"

    @property
    def current(self) -> Path:
        return self.directory / ".lumienv" / "current"

    def write(self, image: str, dependencies: Sequence[str] = (), more: str = "") -> None:
        """A manifest: `image` is the line in [image], `more` is appended."""
        lines = "".join(f'    "{entry}",\n' for entry in dependencies)
        text = f"dependencies = [\n{lines}]\n\n[image]\n{image}\n{more}"
        (self.directory / "lumienv.toml").write_text(text)

    def start(self, *words: str, **variables: str) -> "subprocess.Popen[str]":
        """The program, running, in a process group of its own."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.directory,
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=interruptible,
        )

    def try_(self, *words: str, **variables: str) -> Said:
        """The program to its end, whatever comes of it."""
        said = self.shell(self.command(*words), **variables)
        check_answer(words, said.out)
        return said

    def lumienv(self, *words: str, **variables: str) -> str:
        """What the program prints; it has to succeed."""
        said = self.try_(*words, **variables)
        assert said.status == 0, f"{words}: exit status {said.status}\n{said.out}\n{said.err}"
        return said.out

    def shell(self, command: Sequence[str], **variables: str) -> Said:
        """Another program in the project's folder and environment."""
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def python(self, code: str, *arguments: str, **variables: str) -> str:
        """What a Python program prints in the environment, through `lumienv run`."""
        return self.lumienv("run", "--", "python", "-c", code, *arguments, **variables).strip()

    @staticmethod
    def command(*words: str) -> list[str]:
        """The words that start the installed program."""
        return [str(Path(sys.executable).parent / "lumienv"), *words]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**self.environ, "PWD": str(self.directory), **variables}


def typing_environment(workspace: Workspace, images: Path) -> dict[str, str]:
    """What somebody has who types commands in the workspace: lumienv on PATH, and `images` as the site's."""
    # What pip is told of an index holds for uvx, too, and in another home.
    index = PipConfiguration(os.environ).get("index-url")
    return workspace.environment(
        {
            "PATH": f"{Path(sys.executable).parent}:{workspace.environ['PATH']}",
            "LUMIENV_IMAGE_PATH": str(images),
            "JUPYTER_DATA_DIR": str(workspace.directory.parent / "jupyter"),
            **({"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index} if index else {}),
        }
    )


def interruptible() -> None:
    """In a child, before its program: jobs in the background ignore SIGINT, and under nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def make_workspace(directory: Path, cache: Path, **variables: str) -> Workspace:
    """A workspace in `directory`, free of what the caller's shell holds."""
    directory.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_KEPT) or not name.startswith(_LEAKS)
    }
    return Workspace(
        directory, cache, {**kept, "LUMIENV_CACHE_DIR": str(cache), "NO_COLOR": "1", **variables}
    )


def locked(workspace: Workspace) -> dict[str, str]:
    """name → version of what the lock would install."""
    text = workspace.lock_path.read_text()
    return dict(re.findall(r'^\[\[packages\]\]\nname = "(.+)"\nversion = "(.+)"$', text, re.MULTILINE))
