"""`lumienv sync`"""

import os
import time
from pathlib import Path

import click

from lumienv.cli.lock import show_lock
from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.sync import sync


@click.command(name="sync")
@common_options
@click.option("--mode", metavar="venv|squashfs|sif", help="How the environment travels.")
@click.option("--builder", metavar="cotainr|append", help="With --mode sif: who makes the image.")
@click.option("--output", "target", metavar="FILE", help="With --mode sif: have the image there, too.")
@click.option("--group", metavar="NAME", multiple=True, help="Include a dependency group.")
@click.option("--no-group", metavar="NAME", multiple=True, help="Leave a dependency group out.")
@click.option("--no-dev", is_flag=True, help="The same as --no-group dev.")
@click.option("--locked", is_flag=True, help="A lock that is not up to date is an error.")
@click.option("--frozen", is_flag=True, help="Use the lock as it is, up to date or not.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    mode: str | None,
    builder: str | None,
    target: str | None,
    group: tuple[str, ...],
    no_group: tuple[str, ...],
    no_dev: bool,
    locked: bool,
    frozen: bool,
    as_json: bool,
) -> None:
    """Make the environment match the lock, which is brought up to date first."""
    output = common.output
    began = time.monotonic()
    opened = open_project(common.project, os.environ, offline=common.offline)
    without = (*no_group, *(("dev",) if no_dev and "dev" in opened.manifest.groups else ()))
    outcome = sync(
        opened,
        output,
        mode=mode,
        builder=builder,
        output=Path(target).expanduser().absolute() if target else None,
        groups=group,
        no_groups=without,
        locked=locked,
        frozen=frozen,
    )
    generation = outcome.generation
    seconds = time.monotonic() - began
    if as_json:
        output.data(
            {
                "generation": str(generation.path),
                "mode": generation.mode,
                "built": outcome.built,
                "packages": outcome.installed,
                "image": generation.base_path,
                **({"builder": generation.builder} if generation.builder else {}),
                **({"output": str(outcome.output)} if outcome.output else {}),
            }
        )
        return
    if outcome.locked is not None and not outcome.locked.fresh:
        show_lock(output, outcome.locked)
    if outcome.output is not None:
        output.detail(f"the image: {outcome.output}")
    if not outcome.built:
        output.result(
            f"the environment is up to date ({outcome.installed} packages on {generation.base_name})"
        )
        return
    if outcome.image_scripts:
        output.detail(f"the image's scripts that now see the overlay: {', '.join(outcome.image_scripts)}")
    output.result(
        f"installed {outcome.installed} package{'s' if outcome.installed != 1 else ''} on top of "
        f"{generation.base_name} in {seconds:.1f} s"
    )
    if outcome.remark:
        output.result(outcome.remark)
