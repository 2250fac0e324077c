"""What a shell may offer for the words typed so far: `lumienv __complete SHELL WORD…`, asked on every TAB.

Imports no click and no command: what there is to type stands in `words.json`, which is made from the commands
and held against them in a test. Nothing is started, no network is used, and what cannot be read offers
nothing: a TAB is no place for messages.

The answer's first line says what the shell adds by itself where no line follows: `files`, `folders` or
`nothing`. Each further line is a word, a TAB, and what it is for. fish, whose functions for that differ from
one version to the next, gets the files as words, and no first line.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from lumienv.paths import Path
from lumienv.plainjson import loads
from lumienv.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILES, FOLDERS, NOTHING = "files", "folders", "nothing"

# Behind their options stands a command of the user's; before `--` Slurm's options may stand, too.
_SLURM = ("srun", "sbatch")
_STARTING = ("run", *_SLURM)


@dataclass(frozen=True)
class Reply:
    """What is offered in place of the word under the cursor."""

    words: Mapping[str, str]
    """each with what it is for, or an empty text"""
    otherwise: str = NOTHING
    """what the shell adds by itself where there are no words"""


@dataclass(frozen=True)
class Typed:
    """What stands before the word under the cursor."""

    command: str
    values: Mapping[str, Sequence[str]]
    """of the options that were given: long name → what followed"""
    arguments: Sequence[str]
    environ: Mapping[str, str]

    @property
    def project(self) -> str | None:
        """What `-C` says."""
        return next(iter(reversed(self.values.get("--project", ()))), self.environ.get("LUMIENV_PROJECT"))


def complete(words: Sequence[str]) -> int:
    """Print what may be offered to the shell that is named first. Never fails, and never complains."""
    with suppress(Exception):
        shell, *typed = words
        text = shown(shell, typed, os.environ)
        sys.stdout.buffer.write(os.fsencode(text))
        sys.stdout.flush()
    return 0


def shown(shell: str, typed: Sequence[str], environ: Mapping[str, str]) -> str:
    """The answer to one shell, in the form that its script reads."""
    split = False
    if shell == "bash":
        typed, split = _joined(typed)
    *before, current = [_unquoted(word) for word in typed] if shell != "fish" else typed
    try:
        found = reply(before, current, environ)
    except Exception:  # a lumienv.toml that says nothing, a folder that is closed
        found = Reply({})
    head = current[: current.index("=") + 1] if split else ""
    if shell == "fish" and not found.words and found.otherwise != NOTHING:
        found = Reply(dict.fromkeys(_paths(current, found.otherwise), ""))
    lines = [found.otherwise] if shell != "fish" else []
    for word, help_ in found.words.items():
        # What a file says may be anything, and goes to a terminal and into a command line.
        if word.isprintable() and word.startswith(head):
            told = _for_bash(word[len(head) :]) if shell == "bash" else word
            lines.append(f"{told}\t{''.join(c for c in help_ if c.isprintable())}")
    return "".join(f"{line}\n" for line in lines)


def reply(before: Sequence[str], current: str, environ: Mapping[str, str]) -> Reply:
    """What fits in place of `current`, behind `before` (the words behind `lumienv`)."""
    node = loads((Path(__file__).parent / "words.json").read_bytes())
    names: list[str] = []
    waiting = list(before)
    while "commands" in node:
        while waiting and waiting[0].startswith("-"):
            waiting.pop(0)
        if not waiting:
            found = {name: one["help"] for name, one in node["commands"].items()}
            return Reply(_fitting(_options(node, ()) if current.startswith("-") else found, current))
        names.append(waiting.pop(0))
        node = node["commands"].get(names[-1])
        if node is None:
            return Reply({})
    return _behind_command(" ".join(names), node, waiting, current, environ)


def _behind_command(
    name: str, node: "Mapping[str, Any]", waiting: list[str], current: str, environ: Mapping[str, str]
) -> Reply:
    """What fits behind a command that does something."""
    by_name = {word: option for option in node["options"] for word in option["names"]}
    values: dict[str, list[str]] = {}
    arguments: list[str] = []
    wants: Mapping[str, Any] | None = None
    ended = False
    for word in waiting:
        option = by_name.get(word.partition("=")[0]) if not ended else None
        if wants is not None and not (wants["optional"] and word.startswith("-")):
            values.setdefault(wants["names"][-1], []).append(word)
            wants = None
        elif option is not None:
            long = option["names"][-1]
            if "=" in word or not option["value"]:
                values.setdefault(long, []).append(word.partition("=")[2])
            else:
                wants = option
        elif word == "--" and not ended:
            ended = True
        elif ended or not word.startswith("-"):
            if name in _STARTING and (ended or name not in _SLURM):
                ended = True
            arguments.append(word)
    typed = Typed(name, values, arguments, environ)
    if wants is not None and not (wants["optional"] and current.startswith("-")):
        return _value(typed, wants, current)
    if not ended and current.startswith("--") and "=" in current:
        long, _, text = current.partition("=")
        option = by_name.get(long)
        if option is None or not option["value"]:
            return Reply({}, FILES if name in _SLURM else NOTHING)
        found = _value(typed, option, text)
        return Reply({f"{long}={word}": help_ for word, help_ in found.words.items()}, found.otherwise)
    if name in _STARTING and (ended or (name not in _SLURM and not current.startswith("-"))):
        return _started(typed, current)
    if not ended and (current.startswith("-") or not node["arguments"]):
        return Reply(_fitting({**_options(node, values), **_slurms(name, current)}, current))
    return _argument(typed, node["arguments"], current)


def _options(node: "Mapping[str, Any]", given: "Sequence[str] | Mapping[str, object]") -> dict[str, str]:
    """The options by their long names; those already given only where they may be repeated."""
    return {
        option["names"][-1]: option["help"]
        for option in node["options"]
        if option["repeated"] or option["names"][-1] not in given
    }


def _slurms(name: str, current: str) -> dict[str, str]:
    if name not in _SLURM or not current.startswith("--"):
        return {}
    from lumienv.launch.slurm_options import BATCH, SRUN

    program = SRUN if name == "srun" else BATCH
    return {f"--{one}": "" for one in sorted((*program.valued, *program.optional, *program.flags))}


def _value(typed: Typed, option: "Mapping[str, Any]", current: str) -> Reply:
    """What fits as the value of an option."""
    metavar = option["value"]
    choices = metavar.split("|")
    if len(choices) > 1 and metavar == metavar.lower():
        return Reply(_fitting(dict.fromkeys(choices, ""), current))
    from lumienv.cli.complete_values import values_of

    found = values_of(typed, option["names"][-1])
    return Reply(_fitting(found, current), _place(metavar))


def _place(metavar: str) -> str:
    """What of the file system fits where this is asked for."""
    if metavar == "DIR":
        return FOLDERS
    return FILES if any(part in metavar for part in ("FILE", "PATH", "SRC", "SNAPSHOT")) else NOTHING


def _argument(typed: Typed, wanted: "Sequence[Mapping[str, Any]]", current: str) -> Reply:
    """What fits as the next argument."""
    place = min(len(typed.arguments), len(wanted) - 1)
    if not wanted or (len(typed.arguments) > place and not wanted[place]["repeated"]):
        return Reply({})
    if wanted[place]["choices"]:
        return Reply(_fitting(dict.fromkeys(wanted[place]["choices"], ""), current))
    from lumienv.cli.complete_values import arguments_of

    found = arguments_of(typed)
    if found is None:
        return Reply({}, FOLDERS if "DIR" in wanted[place]["name"] else FILES)
    return Reply(_fitting(found, current), NOTHING if typed.command in ("remove", "why") else FILES)


def _started(typed: Typed, current: str) -> Reply:
    """The command to run: a task's name, else a program of the environment's; then files."""
    if typed.arguments or "/" in current:
        return Reply({}, FILES)
    from lumienv.cli.complete_values import programs, tasks

    found = _fitting(tasks(typed), current)
    if not found or current:
        found = {**_fitting(programs(typed), current), **found}
    return Reply(found, FILES)


def _fitting(words: Mapping[str, str], current: str) -> dict[str, str]:
    return {word: help_ for word, help_ in words.items() if word.startswith(current)}


# -- what the shells hand over ---------------------------------------------------------------------------


def _joined(words: Sequence[str]) -> tuple[list[str], bool]:
    """bash takes words apart at `=` and `:`; put together again, and whether the last one was at its `=`."""
    whole: list[str] = []
    split = glue = False
    for word in words:
        if word in ("=", ":") and whole:
            whole[-1] += word
            glue, split = True, word == "="
        elif glue:
            whole[-1] += word
            glue = False
        else:
            whole.append(word)
            split = False
    return whole, split


def _unquoted(word: str) -> str:
    """A word as the shell would hand it over; one that is not finished, as far as it goes."""
    if word.startswith("~"):
        return os.path.expanduser(word)  # noqa: PTH111 - as text
    if not any(c in word for c in "'\"\\"):
        return word
    import shlex

    for end in ("", "'", '"'):
        with suppress(ValueError):
            return "".join(shlex.split(word + end))
    return word


def _paths(current: str, what: str) -> list[str]:
    """The files, or the folders alone, that the word under the cursor may become; behind its `--option=`."""
    at = current.index("=") + 1 if current.startswith("--") and "=" in current else 0
    folder, slash, begun = current[at:].rpartition("/")
    head = current[:at] + folder + slash
    found = []
    with suppress(OSError), os.scandir(os.path.expanduser(folder + slash) or ".") as entries:  # noqa: PTH111
        for entry in entries:
            if entry.name.startswith(begun) and (begun or not entry.name.startswith(".")):
                if entry.is_dir():
                    found.append(f"{head}{entry.name}/")
                elif what == FILES:
                    found.append(head + entry.name)
    return sorted(found)


def _for_bash(word: str) -> str:
    """What bash puts into the line as it is: it must not mean anything there."""
    from lumienv.shell import quote

    return quote(word)
