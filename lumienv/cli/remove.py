"""`lumienv remove`"""

import os

import click

from lumienv.cli.add import group_of, report_edit
from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.edit import remove


@click.command(name="remove")
@common_options
@click.argument("packages", nargs=-1, required=True)
@click.option(
    "--group", metavar="NAME", envvar="LUMIENV_REMOVE_GROUP", help="Remove from a dependency group."
)
@click.option("--dev", is_flag=True, envvar="LUMIENV_REMOVE_DEV", help="The same as --group dev.")
@click.option("--no-sync", is_flag=True, help="Lock, and leave the environment as it is.")
@click.option("--frozen", is_flag=True, help="Edit lumienv.toml alone: neither lock nor install.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    packages: tuple[str, ...],
    group: str | None,
    dev: bool,
    no_sync: bool,
    frozen: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove packages from lumienv.toml, with what [sources] says of them; lock, and sync."""
    outcome = remove(
        open_project(common.project, os.environ, offline=common.offline),
        common.output,
        packages,
        group=group_of(group, dev=dev),
        frozen=frozen,
        install=not no_sync,
        dry_run=dry_run,
    )
    report_edit(common.output, outcome, as_json=as_json)
