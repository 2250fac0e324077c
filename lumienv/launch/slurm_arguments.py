"""The words of `lumienv srun` and `lumienv sbatch`: Slurm's own options, and lumienv's among them."""

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lumienv.errors import UsageError
from lumienv.launch.arguments import OPTIONS, RunArguments, arguments, from_environment, put
from lumienv.launch.slurm_options import SlurmOption, SlurmProgram, next_options, read_options

# `-C`, `-q` and `-v` are Slurm's there, and there is no question of how to start.
SLURM_OPTIONS = tuple(
    replace(option, names=option.names[-1:])
    for option in OPTIONS
    if option.field not in ("launcher", "srun", "quiet", "verbose")
)


def parse_slurm(words: Sequence[str], environ: Mapping[str, str], program: SlurmProgram) -> RunArguments:
    """Read the words after `lumienv srun` or `lumienv sbatch`: Slurm's options, lumienv's, `--`, the command.

    Behind a lone `:` another part of a heterogeneous step may follow, with a `--` of its own; any other `:`
    is the command's. Raises UsageError.
    """
    by_name = {option.names[0]: option for option in SLURM_OPTIONS}
    values = from_environment(environ, SLURM_OPTIONS)
    waiting = list(words)
    typed: list[SlurmOption] = []
    while waiting and waiting[0] != "--":
        name, joined, value = waiting[0].partition("=")
        option = by_name.get(name)
        if option is None:
            if waiting[0] == ":" and program.name == "sbatch":
                raise UsageError(
                    "a heterogeneous job has a script of its own: its parts run different commands",
                    hint="in it, write for example: lumienv srun --het-group=0 -- … : --het-group=1 -- …",
                )
            if waiting[0][:1] != "-" or waiting[0] == "-":
                line = _shown(program, [*words[: len(words) - len(waiting)], "--", *waiting])
                own = "\na script of your own is for sbatch itself: write `lumienv run -- …` in it"
                raise UsageError(
                    f"{waiting[0]} is no option of {program.name}'s",
                    hint=f"put `--` between the options and the command: {line}"
                    + (own if program.name == "sbatch" else ""),
                )
            typed += next_options(waiting, program)
            continue
        waiting.pop(0)
        if option.metavar and not joined:
            if not waiting or waiting[0] == "--":
                raise UsageError(f"{name} needs a value: {name} {option.metavar}")
            value = waiting.pop(0)
        if joined and not option.metavar:
            raise UsageError(f"{name} takes no value")
        if option.choices and value not in option.choices:
            raise UsageError(f"{name} can be {', '.join(option.choices)}, not {value}")
        put(values, option, value)
    command = waiting[1:]
    if not command:
        example = [*words[: len(words) - len(waiting)], "--", "python", "train.py"]
        raise UsageError(
            "there is no command" if waiting else "there is no `--`, and no command behind it",
            hint=f"for example: {_shown(program, example)}",
        )
    values["quiet"] = any(option.name == "quiet" for option in typed)
    beside: tuple[RunArguments, ...] = ()
    if program.name == "srun":
        for place, word in enumerate(command):
            if word == ":" and "--" in command[place + 1 :]:
                beside = (_part(command[place + 1 :], program),)
                command = command[:place]
                break
    options = [word for option in typed for word in option.words]
    read = replace(arguments(command, values), options=tuple(options))
    return replace(read, beside=(*beside, *beside[0].beside)) if beside else read


def _part(words: Sequence[str], program: SlurmProgram) -> RunArguments:
    read = parse_slurm(words, {}, program)
    if read != RunArguments(read.command, quiet=read.quiet, options=read.options, beside=read.beside):
        raise UsageError(
            "behind `:` only options of srun's can stand",
            hint="lumienv's own stand in front of the first `--`, and hold for all parts of the step",
        )
    return read


def misspelt(words: Sequence[str], program: SlurmProgram) -> list[str]:
    """A sentence for each option among Slurm's words that no Slurm is known to have, but one much like it."""
    known = [*program.valued, *program.optional, *program.flags]
    known += [option.names[0].lstrip("-") for option in SLURM_OPTIONS]
    said = []
    for option in read_options(words, program)[0]:
        close = [] if option.known or len(option.name) < 2 else difflib.get_close_matches(option.name, known)
        if close and not any(name.startswith(option.name) for name in known):
            said.append(f"{program.name} may not know --{option.name}: did you mean --{close[0]}?")
    return said


def _shown(program: SlurmProgram, words: Sequence[str]) -> str:
    return f"lumienv {program.name} {shlex.join(words)}"
