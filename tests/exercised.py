"""Which commands and options the tests have really given to the installed program.

`exercised.py start VENV` has VENV's `lumienv` note down each call, in a line, before it does anything else:
its words, and the LUMIENV_ variables it was given. What starts it does not matter: a test, a shell line of an
example, a batch job. `exercised.py report VENV` reads them as the program does, and fails with
a list of what no call has used. Words that are wrong usage, and those with `--help`, count for nothing.
`tests/run.sh` does the one before its tests and the other behind them.
"""

import ast
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import click
from reference import leaves, options_of

from lumienv.cli.srun import asks_for_help
from lumienv.cli.srun_command import SlurmCommand
from lumienv.errors import LumienvError
from lumienv.launch.slurm_arguments import parse_slurm
from lumienv.launch.slurm_options import BATCH, SRUN

# (command, option) → why no test uses it.
LEFT_OUT: Mapping[tuple[str, str], str] = {}

_MARK = "# notes down each call: tests/exercised.py"
_END = "# so far tests/exercised.py"
# `lumienv run` counts its imports: these two are Python's own in any case.
_NOTE = f"""\
import os, sys {_MARK}
try:
    _notes = os.open({{notes!r}}, os.O_WRONLY | os.O_APPEND)
    _own = {{{{name: os.environ[name] for name in os.environ if name.startswith("LUMIENV_")}}}}
    os.write(_notes, (ascii((sys.argv[1:], _own)) + "\\n").encode())
    os.close(_notes)
except OSError:  # a test without files, or where this cannot be seen
    pass
{_END}
"""

Used = tuple[str, str]
"""a command as it is typed, and the long name of an option; or an empty text for the command itself"""


def notes_of(venv: Path) -> Path:
    """Where the calls are noted down."""
    return venv / "lumienv-calls.txt"


def start(venv: Path) -> None:
    """Have the installed program note down its calls, from none on."""
    notes, script = notes_of(venv), venv / "bin" / "lumienv"
    notes.write_text("")
    notes.chmod(0o666)  # the tests run as two users
    first, _, rest = script.read_text().partition("\n")
    if _MARK in rest:  # what an earlier run has put there
        rest = rest.partition(f"{_END}\n")[2]
    script.write_text(f"{first}\n{_NOTE.format(notes=str(notes))}{rest}")


def calls(notes: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Each call once: the words, and the variables."""
    for line in sorted(set(notes.read_text().splitlines())):
        words, variables = ast.literal_eval(line)
        yield words, variables


def used_by(
    words: Sequence[str], variables: Mapping[str, str], commands: Mapping[str, click.Command]
) -> tuple[set[Used], set[Used]]:
    """What a call has typed, and what it has given by variables; nothing where it is wrong usage."""
    name = next((name for name in (" ".join(words[:2]), " ".join(words[:1])) if name in commands), None)
    if name is None:
        return set(), set()
    command, own = commands[name], list(words[len(name.split()) :])
    if isinstance(command, SlurmCommand):
        typed = _slurms(name, own, command)
        return ({(name, ""), *typed}, set()) if typed is not None else (set(), set())
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        with redirect_stdout(StringIO()):  # `--help` is answered
            context = command.make_context(name, own)
    except (click.exceptions.Exit, click.ClickException, LumienvError):
        return set(), set()
    finally:
        for variable in variables.keys() - before.keys():
            del os.environ[variable]
    found: dict[str, set[Used]] = {"COMMANDLINE": {(name, "")}, "ENVIRONMENT": set()}
    for option in options_of(command):
        assert option.name is not None
        source = context.get_parameter_source(option.name)
        if source is not None and source.name in found:
            found[source.name].add((name, max(option.opts, key=len)))
    return found["COMMANDLINE"], found["ENVIRONMENT"]


def _slurms(name: str, words: list[str], command: click.Command) -> set[Used] | None:
    """Which of lumienv's own options stand among Slurm's."""
    if asks_for_help(words):
        return None
    try:
        parse_slurm(words, {}, SRUN if name == "srun" else BATCH)
    except LumienvError:
        return None
    typed = {word.partition("=")[0] for word in words[: words.index("--")]}
    return {(name, one.opts[0]) for one in options_of(command) if one.opts[0] in typed}


def wanted(commands: Mapping[str, click.Command]) -> list[Used]:
    """All there is to use."""
    return [
        (name, option)
        for name, command in commands.items()
        for option in ("", *(max(one.opts, key=len) for one in options_of(command)))
    ]


def report(notes: Path, commands: Mapping[str, click.Command]) -> int:
    """Say what was used and what was not. The status is 1 where something was not."""
    typed: Counter[Used] = Counter()
    by_variable: Counter[Used] = Counter()
    number = 0
    for words, variables in calls(notes):
        said, set_ = used_by(words, variables, commands)
        typed.update(said)
        by_variable.update(set_)
        number += 1
    everything = wanted(commands)
    unused = [one for one in everything if one not in typed and one not in LEFT_OUT]
    options = [one for one in everything if one[1]]
    print(f"{number:,} different calls; {len(commands)} commands and {len(options)} options of theirs")
    print(f"given by a variable, too: {sum(one in by_variable for one in options)} of these options")
    for one, reason in LEFT_OUT.items():
        print(f"left out: lumienv {' '.join(one)}: {reason}")
    for line in _listed(unused):
        print(f"never used: {line}")
    idle = [one for one in LEFT_OUT if one in typed or one not in everything]
    for one in idle:
        print(f"no reason to leave it out: lumienv {' '.join(one)}")
    return 1 if unused or idle else 0


def _listed(unused: Iterable[Used]) -> Iterator[str]:
    by_command: dict[str, list[str]] = {}
    for name, option in unused:
        by_command.setdefault(name, []).append(option)
    for name, options in by_command.items():
        yield f"lumienv {name} {' '.join(filter(None, options))}".rstrip()


if __name__ == "__main__":
    what, place = sys.argv[1:]
    sys.exit(start(Path(place)) if what == "start" else report(notes_of(Path(place)), dict(leaves())))
