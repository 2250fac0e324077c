"""`lumienv shell --jupyter`: the options, and what they do instead of opening a shell."""

import os
from collections.abc import Callable
from typing import Any

import click

from lumienv.errors import UsageError
from lumienv.project import open_project
from lumienv.project.kernel import install_kernel, remove_kernel
from lumienv.ui import Output, colored

_OPTIONS = (
    click.Option(["--jupyter"], is_flag=True, help="Install a Jupyter kernel for you, and open no shell."),
    click.Option(["--name"], metavar="NAME", help="With --jupyter: the kernel's name; else the folder's."),
    click.Option(["--remove"], is_flag=True, help="With --jupyter: remove the kernel again."),
)


def with_kernel(command: click.Command) -> click.Command:
    """The same command with the options for a Jupyter kernel."""
    callback: Callable[..., Any] | None = command.callback

    def called(*, jupyter: bool, name: str | None, remove: bool, **values: Any) -> Any:
        if jupyter:
            _kernel(name, values, remove=remove)
            return 0
        if name is not None or remove:
            raise UsageError(
                "--name and --remove go with --jupyter",
                hint="lumienv shell --jupyter" + (f" --name {name}" if name else "") + " --remove" * remove,
            )
        assert callback is not None
        return callback(**values)

    command.callback = called
    command.params = [*command.params, *_OPTIONS]
    return command


def _kernel(name: str | None, values: dict[str, Any], *, remove: bool) -> None:
    color = colored(values.get("color") or "auto", os.environ)
    output = Output(bool(values.get("quiet")), int(values.get("verbose") or 0), color)
    project = open_project(values.get("project"), os.environ, offline=bool(values.get("offline")))
    if remove:
        kernel = remove_kernel(project, name)
        output.result(f"removed the Jupyter kernel {kernel.name}")
        return
    kernel = install_kernel(project, name)
    output.result(f'in Jupyter choose the kernel "{kernel.title}" ({kernel.path.parent})')
