"""A real shell at a real terminal, in which words are typed and TAB is pressed."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PATIENCE = 60  # seconds until a shell that says nothing has failed the test
_SHOW = "\x18p"  # Ctrl-X p: each shell is told to show its line on that, and to throw it away
_SHOWN = re.compile(r"<<(.*?)>>", re.DOTALL)
_READY = re.compile("ready> ")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>]|[\r\x07\x0f]")
_MOVES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x08+")

_BASH = """\
PS1='ready> '
bind 'set show-all-if-ambiguous on'
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind 'set completion-query-items 0'
bind 'set page-completions off'
show() { printf '<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE= READLINE_POINT=0; }
bind -x '"\\C-xp": show'
"""
_ZSH = """\
PS1='ready> '
autoload -Uz compinit && compinit -u -D
unsetopt beep prompt_sp
bindkey -e
show() { zle -I; print -r -- "<<$BUFFER>>"; BUFFER= }
zle -N show
bindkey '^Xp' show
"""
_FISH = """\
function fish_prompt; echo 'ready> '; end
function fish_greeting; end
set -g fish_autosuggestion_enabled 0
bind \\cxp 'printf "<<%s>>\\n" (commandline | string collect); commandline ""; commandline -f repaint'
"""


@dataclass(frozen=True)
class Line:
    """What became of a line when TAB was pressed."""

    text: str
    """the line, as it would be entered"""
    offered: str
    """what was shown beside it"""


class Prompt:
    """An interactive bash, zsh or fish that has read nothing but what is needed here, and `setup`."""

    def __init__(self, shell: str, home: Path, setup: str, cwd: Path, env: Mapping[str, str]) -> None:
        settings = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell] + setup + "\n"
        home.mkdir(parents=True, exist_ok=True)
        if shell == "bash":
            (home / "rc").write_text(settings)
            words = ["bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"]
        elif shell == "zsh":
            (home / ".zshrc").write_text(settings)
            words = ["zsh", "-d", "-i"]
        else:
            (home / "fish").mkdir()
            (home / "fish" / "config.fish").write_text(settings)
            words = ["fish", "-i"]
        own = {"HOME": str(home), "ZDOTDIR": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm"}
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 120, 200, 0, 0))

        def take_the_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**env, **own, "INPUTRC": "/dev/null"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_the_terminal,
        )
        os.close(theirs)
        self._waiting = ""
        self._until(_READY)

    def tab(self, typed: str) -> Line:
        """Type `typed`, press TAB, and see what stands there then."""
        os.write(self._ours, typed.encode() + b"\t" + _SHOW.encode())
        before, found = self._until(_SHOWN)
        self._until(_READY)  # while a shell shows its line, the terminal is as programs want it
        return Line(found[1], before.replace(typed, ""))

    def enter(self, line: str) -> str:
        """What a command prints."""
        os.write(self._ours, line.encode() + b"; echo '<<'done'>>'\n")
        said, _ = self._until(re.compile("^<<done>>", re.MULTILINE))
        self._until(_READY)
        return said

    def _until(self, wanted: re.Pattern[str]) -> tuple[str, re.Match[str]]:
        """What is shown before `wanted`, without what only moves the cursor or colours."""
        while True:
            plain = _MOVES.sub("\n", _COLOURS.sub("", self._waiting))
            found = wanted.search(plain)
            if found is not None:
                self._waiting = plain[found.end() :]
                return plain[: found.start()], found
            ready, _, _ = select.select([self._ours], [], [], PATIENCE)
            assert ready, f"{wanted.pattern} is not shown: {plain!r}"
            self._waiting += os.read(self._ours, 65536).decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)  # the terminal is gone: the shell ends
        self._process.wait(PATIENCE)
