"""Slurm: is a command to go through `srun`, and with which words?"""

import shlex
from collections.abc import Mapping, Sequence

from lumienv.errors import UsageError

LAUNCHERS = ("auto", "srun", "direct")

# Slurm gives the interactive step of `salloc` this id (slurm.h, SLURM_INTERACTIVE_STEP = 0xfffffffa):
# a shell in it stands in no step of the user's.
_INTERACTIVE_STEP = "4294967290"

# What an allocation has settled already; srun would take it as a request for another one, or ignore it.
_SETTLED = {"account", "partition", "qos", "reservation", "begin", "dependency", "array"}


def launcher_words(
    choice: str,
    options: Mapping[str, str | bool],
    typed: str,
    environ: Mapping[str, str],
) -> list[str]:
    """`srun` and its options, or nothing where the command is to start directly.

    `options` are the manifest's `[slurm]`, by their long names; `typed` is what `--srun` was given: it comes
    last, so that it wins. Raises UsageError for text that no shell could split.
    """
    allocated = "SLURM_JOB_ID" in environ
    in_step = environ.get("SLURM_STEP_ID", _INTERACTIVE_STEP) != _INTERACTIVE_STEP
    if choice not in LAUNCHERS:
        raise UsageError(f"there is no launcher {choice}", hint=f"known: {', '.join(LAUNCHERS)}")
    if choice == "direct" or (choice == "auto" and (not allocated or in_step)):
        return []
    try:
        extra = shlex.split(typed)
    except ValueError as error:
        raise UsageError(f"--srun {typed}: {error}") from None
    words = ["srun"]
    for name, value in options.items():
        if value is False or (allocated and name in _SETTLED):
            continue
        words.append(f"--{name}" if value is True else f"--{name}={value}")
    # Whatever SLURM_EXPORT_ENV says: the plan travels in the environment. Another that is asked for wins.
    return [*words, *([] if "export" in options else ["--export=ALL"]), *extra]


def reaching(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The same srun words, but with the variables `names` reaching the tasks whatever --export is asked for.

    `NONE` becomes these names alone, a list is made longer; values stay off the command line
    (srun's manual, --export: what is named is taken from srun's own environment).
    """
    adjusted: list[str] = []
    value_follows = False
    for word in words:
        if value_follows or word.startswith("--export="):
            asked = word.removeprefix("--export=") if not value_follows else word
            kept = [name for name in asked.split(",") if name not in ("", "NONE")]
            if "ALL" not in kept:
                kept += [name for name in names if name not in kept]
            adjusted.append("--export=" + ",".join(kept))
            value_follows = False
        elif word == "--export":
            value_follows = True
        else:
            adjusted.append(word)
    return adjusted
