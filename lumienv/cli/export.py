"""`lumienv export`"""

import os

import click

from lumienv.cli.main import Common, common_options
from lumienv.files import user_path
from lumienv.project import open_project
from lumienv.project.export import export
from lumienv.ui import counted


@click.command(name="export")
@common_options
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    envvar="LUMIENV_EXPORT_FORMAT",
    help="One of requirements.txt, pylock.toml, environment.yml, def or cyclonedx.",
)
@click.option(
    "-o",
    "--output",
    "--output-file",
    "target",
    metavar="FILE",
    envvar="LUMIENV_EXPORT_OUTPUT",
    help="Write it there; its name tells the format, too.",
)
@click.option("--group", metavar="NAME", multiple=True, help="Include a dependency group.")
@click.option("--all-groups", is_flag=True, help="Include all dependency groups.")
@click.option("--no-group", metavar="NAME", multiple=True, help="Leave a dependency group out.")
@click.option("--no-dev", is_flag=True, help="The same as --no-group dev.")
@click.option("--no-hashes", is_flag=True, help="Leave the hashes out, where the format can do without.")
def command(
    common: Common,
    format_: str | None,
    target: str | None,
    group: tuple[str, ...],
    all_groups: bool,
    no_group: tuple[str, ...],
    no_dev: bool,
    no_hashes: bool,
) -> None:
    """Write the lock as a file that other tools read, or print it.

    Only the lock is read: nothing is started, and no network is needed.
    """
    output = common.output
    opened = open_project(common.project, os.environ, offline=common.offline)
    path = user_path(target).absolute() if target and target != "-" else None
    without = (*no_group, *(("dev",) if no_dev and opened.manifest.dev_group is not None else ()))
    made = export(
        opened,
        format_,
        path,
        groups=(*opened.manifest.groups,) if all_groups else group,
        no_groups=without,
        hashes=not no_hashes,
    )
    for warning in made.warnings:
        output.warn(warning)
    if path is None:
        output.text(made.text.rstrip("\n"))
    else:
        output.result(f"wrote {counted(made.packages, 'package')} to {target} ({made.format})")
