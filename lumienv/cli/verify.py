"""`lumienv verify`"""

import os
import shlex
from collections.abc import Sequence

import click

from lumienv.cli.main import Common, common_options
from lumienv.errors import StoreError
from lumienv.launch.run import sync_words
from lumienv.manifest import MODES
from lumienv.project import open_project
from lumienv.project.verify import Verification, verify
from lumienv.ui import counted

_SHOWN = 12
"""lines of damage: where more is wrong, the rest says nothing new"""


@click.command(name="verify")
@common_options
@click.option(
    "--mode",
    type=click.Choice(MODES),
    metavar="venv|squashfs|sif",
    help="Look at the environment of this mode.",
)
@click.option("--import", "imports", is_flag=True, help="Import every module of every package, too.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, mode: str | None, imports: bool, as_json: bool) -> int:
    """Hold the environment against what was locked: its files, its packages, and those of the image.

    The exit status is 1 when something is not as it was locked. Modules that cannot be imported here are
    warnings: they may need a GPU.
    """
    output = common.output
    opened = open_project(common.project, os.environ, offline=common.offline)
    outcome = verify(opened, mode=mode, imports=imports)
    found = outcome.findings
    if as_json:
        output.data(
            {
                "generation": str(outcome.generation.path),
                "mode": outcome.generation.mode,
                "sound": outcome.sound,
                "packages": found.packages,
                "files": found.files,
                "damage": [
                    {"path": one.path, "kind": one.kind, "package": one.package, "text": str(one)}
                    for one in found.damage
                ],
                "image": list(found.image),
                "stale": outcome.stale or None,
                "imports": list(found.imports),
            }
        )
        return 0 if outcome.sound else 1
    for line in found.imports:
        output.warn(line)
    if not outcome.sound:
        have = outcome.generation
        raise _failure(outcome, shlex.join(sync_words(opened.manifest, have.mode, have)))
    output.result(f"{counted(found.packages, 'package')}, {counted(found.files, 'file')}: as locked")
    return 0


def _failure(outcome: Verification, remedy: str) -> StoreError:
    found = outcome.findings
    damage = [str(one) for one in found.damage]
    facts = [*_shortened(damage), *found.image, *([outcome.stale] if outcome.stale else [])]
    if damage:
        message = f"the environment in {outcome.generation.path} is damaged"
        hint = "it is not run again; make it anew"
    elif found.image:
        message = f"the environment does not fit {outcome.generation.base_name} any more"
        hint = "make it anew for the image as it is now"
    else:
        message, facts = f"the environment is sound, but not up to date: {outcome.stale}", []
        hint = "bring it up to date"
    return StoreError(message, *facts, hint=f"{hint}: {remedy}")


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"and {more} more"] if more > 1 else list(lines)
