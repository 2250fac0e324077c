"""`lumienv srun` as click sees it, for its help; and how commands take Slurm's own options."""

from collections.abc import Callable
from typing import Any

import click

from lumienv.cli.run_command import click_option
from lumienv.cli.srun import asks_for_help, srun
from lumienv.launch.slurm_arguments import SLURM_OPTIONS


class SlurmCommand(click.Command):
    """A command whose words click only looks through for `--help`: most are Slurm's."""

    def __init__(self, name: str, call: Callable[[list[str]], Any], help_text: str, usage: str) -> None:
        options = [click_option(option) for option in SLURM_OPTIONS]
        super().__init__(name, params=list(options), help=help_text)
        self.call = call
        self.usage = usage

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if asks_for_help(args):
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> Any:
        return self.call(ctx.args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, self.usage)


command = SlurmCommand(
    "srun",
    srun,
    "Run a command in the environment through srun: as a step inside an allocation, else in one of its own. "
    "srun's options and those below stand before `--`; `-C`, `-q` and `-v` are srun's.",
    "[SRUN'S OPTIONS] [OPTIONS] -- COMMAND...",
)
