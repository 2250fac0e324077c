"""The group of commands, their common options, and how failures become sentences and exit statuses."""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from lumienv import __version__
from lumienv.cli.ending import INTERRUPTED, clean_up_first, status_of
from lumienv.errors import LumienvError
from lumienv.ui import Output, colored, show_error

# Section of the help → command → its module and what it is for. A module is imported when it is used.
_SECTIONS = {
    "Dependencies": {
        "init": ("lumienv.cli.init", "Write a lumienv.toml; on a terminal, ask which image."),
        "add": ("lumienv.cli.add", "Add packages to lumienv.toml, lock, and install them."),
        "remove": ("lumienv.cli.remove", "Remove packages from lumienv.toml, lock, and sync."),
        "lock": ("lumienv.cli.lock", "Resolve the dependencies against the image and write the lock."),
        "list": ("lumienv.cli.list", "List the packages of overlay and image, with their origin."),
        "tree": ("lumienv.cli.tree", "Show what needs what, packages of the image marked."),
        "why": ("lumienv.cli.why", "Show how your own lines lead to a package."),
        "diff": ("lumienv.cli.diff", "Show what changed between two locks, or since the last commit."),
        "export": ("lumienv.cli.export", "Write the lock as a file that other tools read."),
    },
    "Environment": {
        "sync": ("lumienv.cli.sync", "Make the environment match the lock."),
        "status": ("lumienv.cli.status", "Image, lock, environments: what is stale, and what mends it."),
        "verify": ("lumienv.cli.verify", "Hold the environment against what was locked."),
        "clean": ("lumienv.cli.clean", "Remove old environments that nothing can be using."),
    },
    "Run": {
        "run": ("lumienv.cli.run_command", "Run a command or a task in the environment."),
        "srun": ("lumienv.cli.srun_command", "Run it through srun, with srun's own options."),
        "sbatch": ("lumienv.cli.sbatch", "Submit a batch script, or write it, that needs no lumienv."),
        "shell": ("lumienv.cli.shell", "Open an interactive shell in the environment."),
    },
    "Images and this machine": {
        "image": ("lumienv.cli.image", "Base images: list, show, diff, freeze, pull, suggest."),
        "doctor": ("lumienv.cli.doctor", "See what on this machine gets in the way, and what mends it."),
        "cache": ("lumienv.cli.cache", "Where the caches are, how large; clean them."),
        "completion": ("lumienv.cli.completion", "Have bash, zsh or fish complete what you type."),
    },
}
_COMMANDS = {name: entry for section in _SECTIONS.values() for name, entry in section.items()}


class Commands(click.Group):
    """A group that knows what may have been meant by a command that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from lumienv.cli.usage import no_command

            raise no_command(ctx.command_path, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class _Lazy(Commands):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        _name_variables(command)
        return command

    def help_of_commands(self) -> dict[str, str]:
        """Each command with what it is for, in a line."""
        return {name: text for name, (_, text) in _COMMANDS.items()}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, _COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="lumienv %(version)s")
def cli() -> None:
    """Declare, lock, materialise and run Python environments on top of LUMI's container images."""


_COLOR = "lumienv.color"


@dataclass(frozen=True)
class Common:
    """The options that every command takes."""

    project: str | None
    offline: bool
    output: Output


def _name_variables(command: click.Command) -> None:
    """Give each option its variable: `--no-progress` is LUMIENV_NO_PROGRESS, whatever the command."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.envvar is None:
            longest = max(parameter.opts, key=len)
            parameter.envvar = "LUMIENV_" + longest.lstrip("-").replace("-", "_").upper()
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        _name_variables(child)


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the common options, behind its own; they arrive as its first argument, a `Common`."""

    @functools.wraps(function)
    def collected(project: str | None, offline: bool, **given: Any) -> Any:
        color = colored(given.pop("color"), os.environ)
        # Errors are shown further up, where the options are no longer known.
        click.get_current_context().meta[_COLOR] = color
        progress = not given.pop("no_progress")
        output = Output(given.pop("quiet"), given.pop("verbose"), color, progress)
        return function(Common(project, offline, output), **given)

    options = [
        click.option("-C", "--project", metavar="DIR", help="Use the lumienv.toml in DIR or above it."),
        click.option("--offline", is_flag=True, help="Use no network: caches only."),
        click.option("-q", "--quiet", is_flag=True, help="Say less."),
        click.option("-v", "--verbose", count=True, help="Say more."),
        click.option(
            "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Use colour."
        ),
        click.option("--no-progress", is_flag=True, help="Show no progress bars."),
    ]
    # click has them in the order in which decorators are applied, the last first.
    own = collected.__dict__.pop("__click_params__", [])
    functools.reduce(lambda decorated, option: option(decorated), reversed(options), collected)
    collected.__dict__["__click_params__"] += own
    return collected


def main() -> int:
    """Run the command line, and turn every failure into a sentence; the exit status."""
    clean_up_first()
    return guarded(_invoke)


def _invoke() -> object:
    with cli.make_context("lumienv", sys.argv[1:]) as context:
        try:
            return cli.invoke(context)
        except LumienvError as error:
            show_error(error, context.meta.get(_COLOR))
            return error.exit_code


def guarded(call: Callable[[], Any]) -> int:
    """Exit status of `call()`: 0; 1 the user must change something; 2 wrong usage; 130 interrupted, or 128
    and the number of the signal that ended it."""
    try:
        status = call()
    except LumienvError as error:
        show_error(error)
        return error.exit_code
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:  # a group of commands, and none was named
        click.echo(error.ctx.get_help() if error.ctx is not None else error.format_message(), err=True)
        return error.exit_code
    except click.UsageError as error:
        from lumienv.cli.usage import explained

        wrong = explained(error)
        show_error(wrong)
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        show_error(LumienvError(INTERRUPTED))
        return status_of(error)
    except BrokenPipeError:
        # Whoever read the output has gone (`lumienv … | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return show_bug(error)
    return status if isinstance(status, int) else 0


def show_bug(error: Exception) -> int:
    """Anything that is no LumienvError is a bug: its traceback goes to a file, out of the user's way."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="lumienv-traceback-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    show_error(
        LumienvError(
            f"this is an error in lumienv itself ({type(error).__name__}: {error})",
            hint=f"please report it with the traceback in {file.name}; what was there before still works",
        )
    )
    return 1
