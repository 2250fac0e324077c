"""What `lumienv srun` does with its words: as `lumienv run`, without click, as it stands before every job."""

import os
from collections.abc import Sequence
from dataclasses import replace

from lumienv.cli.run import run
from lumienv.errors import LumienvError
from lumienv.launch.slurm_arguments import misspelt, parse_slurm
from lumienv.launch.slurm_options import SRUN


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether help is asked for; behind `--` it is the command's."""
    own = words[: words.index("--")] if "--" in words else words
    return "--help" in own or "-h" in own


def srun(words: Sequence[str]) -> int:
    """Become srun with the command in its environment; returns only when that was not to be or has failed."""
    from lumienv.ui import Output, colored, show_error

    try:
        arguments = replace(parse_slurm(words, os.environ, SRUN), launcher="srun")
    except LumienvError as error:
        show_error(error)
        return error.exit_code
    output = Output(arguments.quiet, color=colored(arguments.color, os.environ))
    for line in misspelt(arguments.options, SRUN):
        output.warn(line)
    return run(arguments)
