"""A bash on a terminal, where a page's commands are typed one after the other and its questions answered."""

import codecs
import os
import pty
import re
import select
import signal
import termios
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from console import Shown
from workspace import Said

# What bash, and each bash that is started in it, writes when a command has ended.
_MARK = re.compile(r"\x1d(\d+)\x1d")
_AFTER_EACH = {"PROMPT_COMMAND": r"printf '\035%s\035' $?; PS1= PS2=", "PS1": "", "PS2": ""}
# No editing of lines, which would write what is typed once more, and no colours.
_PLAIN = {"TERM": "dumb", "INSIDE_EMACS": "1", "NO_COLOR": "1", "LUMIENV_NO_PROGRESS": "1"}
# What Slurm says now and then: whether there is room depends on who else uses the cluster.
_PASSING = re.compile(
    r"^(?:srun|salloc): (?:Pending job allocation|job \d+ (?:queued and waiting|has been allocated)"
    r"|Job allocation \d+ has been revoked).*\n",
    re.MULTILINE,
)
_SILENCE = 300  # seconds: longer than anything that a page shows takes


class Terminal:
    """A context manager: `type_` commands, each in the shell and folder in which the last one ended."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**environment, **_PLAIN, **_AFTER_EACH}
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def __enter__(self) -> "Terminal":
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(self._directory)
            words = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
            os.execve("/bin/bash", words, self._environment)  # noqa: S606
        termios.tcsetwinsize(self._terminal, (50, 110))
        self._until_it_ended(Shown("", ()))
        self.type_(Shown("stty -echo", ()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # As if the window were closed: an allocation that was left open is given back.
        os.close(self._terminal)
        os.kill(self._process, signal.SIGHUP)
        os.waitpid(self._process, 0)

    def folder(self) -> Path:
        """Where the shell is."""
        return Path(self.type_(Shown("pwd -P", ())).out.strip())

    def type_(self, shown: Shown) -> Said:
        """What the command prints (`out`, standard error among it) and its exit status.

        A question is answered by what the page shows behind it.
        """
        os.write(self._terminal, f"{shown.command}\n".encode())
        return self._until_it_ended(shown)

    def _until_it_ended(self, shown: Shown) -> Said:
        printed = ""
        while not (mark := _MARK.search(printed)):
            printed += self._read(f"$ {shown.command}\n{printed}")
            answer = _answer(printed.rpartition("\n")[2], shown)
            if answer is not None:
                printed += f"{answer}\n"
                os.write(self._terminal, f"{answer}\n".encode())
        return Said(int(mark[1]), _PASSING.sub("", printed[: mark.start()]), "")

    def _read(self, so_far: str) -> str:
        assert select.select([self._terminal], [], [], _SILENCE)[0], f"nothing more comes after\n{so_far}"
        try:
            read = os.read(self._terminal, 4096)
        except OSError as error:  # nobody is at the other end any more
            raise AssertionError(f"the shell has ended after\n{so_far}") from error
        return self._decoder.decode(read).replace("\r", "")


def _answer(line: str, shown: Shown) -> str | None:
    """What the page shows behind the question that `line`, the last one on the terminal, asks."""
    if not line.endswith((": ", "? ")):
        return None
    question = line.rstrip()
    behind = (one.removeprefix(question) for one in shown.lines if one.startswith(question))
    return next((text.strip() for text in behind), None)
