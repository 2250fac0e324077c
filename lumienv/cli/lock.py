"""`lumienv lock`"""

import os

import click

from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.lock import LockOutcome, lock
from lumienv.ui import Output, counted


@click.command(name="lock")
@common_options
@click.option("--check", is_flag=True, help="Only find out whether the lock is up to date; change nothing.")
@click.option("-U", "--upgrade", is_flag=True, help="Take the newest releases that fit, for all packages.")
@click.option(
    "-P",
    "--upgrade-package",
    metavar="NAME",
    multiple=True,
    help="Take the newest that fits, for NAME alone.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option(
    "--snapshot", metavar="FILE", help="Lock for a snapshot that `image freeze` saved, not for [image]."
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    snapshot: str | None,
    check: bool,
    upgrade: bool,
    upgrade_package: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Resolve the dependencies against what the image has, and write pylock.lumienv.toml."""
    output = common.output
    opened = open_project(common.project, os.environ, offline=common.offline, snapshot=snapshot)
    outcome = lock(
        opened, output, check=check, upgrade=upgrade, upgrade_packages=upgrade_package, dry_run=dry_run
    )
    if as_json:
        output.data(lock_data(outcome))
    else:
        show_lock(output, outcome)


def lock_data(outcome: LockOutcome) -> dict[str, object]:
    """What changed, as `--json` tells it."""
    return {
        "path": str(outcome.path),
        "fresh": outcome.fresh,
        "written": outcome.written,
        "added": outcome.added,
        "removed": outcome.removed,
        "changed": outcome.changed,
        "image": outcome.provided,
        "stand_ins": outcome.stand_ins,
    }


def show_lock(output: Output, outcome: LockOutcome) -> None:
    """What changed, a line a package."""
    if outcome.fresh:
        output.result(f"{outcome.path.name} is up to date ({counted(outcome.total, 'package')})")
        return
    for line in outcome.provided:
        output.result(f"{line} from the image", "=")
    for line in outcome.stand_ins:
        output.result(line, "=")
    for line in outcome.removed:
        output.result(line, "-")
    for line in outcome.changed:
        output.result(line, "~")
    for line in outcome.added:
        output.result(line, "+")
    verb = "locked" if outcome.written else "would lock"
    base = f" on top of {len(outcome.provided)} of the image's" if outcome.provided else ""
    output.result(f"{verb} {counted(outcome.total, 'package')}{base}, in {outcome.seconds:.1f} s")
