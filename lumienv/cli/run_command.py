"""`lumienv run` as click sees it: for help, completion, and for words that the short way does not take."""

import click

from lumienv.cli.run import run
from lumienv.launch.arguments import OPTIONS, Option, arguments, variable


def click_option(option: Option) -> click.Option:
    """An entry of a table of options as click wants it."""
    if not option.metavar:
        names = [*option.names, option.field]
        return click.Option(names, is_flag=True, help=option.help, default=None, envvar=variable(option))
    return click.Option(
        [*option.names, option.field],
        metavar=option.metavar,
        help=option.help,
        envvar=variable(option),
        multiple=option.repeated,
        type=click.Choice(option.choices) if option.choices else str,
    )


def _run(command: tuple[str, ...], **values: object) -> int:
    return run(arguments(command, values))


command = click.Command(
    "run",
    callback=_run,
    params=[
        *(click_option(option) for option in OPTIONS),
        click.Argument(["command"], nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND..."),
    ],
    help="Run a command, or an entry of [tasks], in the environment. Inside a Slurm allocation srun is put "
    "in front. The command's exit status is lumienv's.",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
