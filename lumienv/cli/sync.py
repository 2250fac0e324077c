"""`lumienv sync`"""

import os
import shlex
import time
from typing import Any

import click

from lumienv.cli.lock import lock_data, show_lock
from lumienv.cli.main import Common, common_options
from lumienv.errors import StoreError, UsageError
from lumienv.files import user_path
from lumienv.manifest import BUILDERS, MODES
from lumienv.overlay.launched import BIN
from lumienv.project import Project, open_project
from lumienv.project.foresee import check, would_sync
from lumienv.project.sync import SyncOutcome, sync
from lumienv.ui import Output, counted

_MANY = 8
"""environments beside the new one: a scientist's quota is of files, and each has thousands"""


@click.command(name="sync")
@common_options
@click.option(
    "--mode", type=click.Choice(MODES), metavar="venv|squashfs|sif", help="How the environment travels."
)
@click.option(
    "--builder",
    type=click.Choice(BUILDERS),
    metavar="cotainr|append",
    help="With --mode sif: who makes the image.",
)
@click.option("--output", "target", metavar="FILE", help="With --mode sif: have the image there, too.")
@click.option("--group", metavar="NAME", multiple=True, help="Include a dependency group.")
@click.option("--all-groups", is_flag=True, help="Include all dependency groups.")
@click.option("--no-group", metavar="NAME", multiple=True, help="Leave a dependency group out.")
@click.option("--no-dev", is_flag=True, help="The same as --no-group dev.")
@click.option("--locked", is_flag=True, help="A lock that is not up to date is an error.")
@click.option("--frozen", is_flag=True, help="Use the lock as it is, up to date or not.")
@click.option("--share", is_flag=True, help="Let the project's group use this environment, read-only.")
@click.option(
    "--check", "only_check", is_flag=True, help="Only find out whether the environment is up to date."
)
@click.option("--dry-run", is_flag=True, help="Show what would be locked and built, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    mode: str | None,
    builder: str | None,
    target: str | None,
    group: tuple[str, ...],
    all_groups: bool,
    no_group: tuple[str, ...],
    no_dev: bool,
    locked: bool,
    frozen: bool,
    share: bool,
    only_check: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make the environment match the lock, which is brought up to date first."""
    output = common.output
    began = time.monotonic()
    if share and (only_check or dry_run):
        raise UsageError("--share publishes: it does not go with --check or --dry-run")
    opened = open_project(common.project, os.environ, offline=common.offline)
    without = (*no_group, *(("dev",) if no_dev and opened.manifest.dev_group is not None else ()))
    wanted: dict[str, Any] = {
        "mode": mode,
        "builder": builder,
        "groups": (*opened.manifest.groups,) if all_groups else group,
        "no_groups": without,
    }
    if only_check:
        return _check(opened, output, wanted, as_json)
    if dry_run:
        _dry_run(opened, output, wanted | {"locked": locked, "frozen": frozen}, as_json)
        return 0
    outcome = sync(
        opened,
        output,
        **wanted,
        output=user_path(target).absolute() if target else None,
        locked=locked,
        frozen=frozen,
        share=share,
    )
    generation = outcome.generation
    if share and not outcome.reaches:
        output.warn(
            f"a folder above {opened.store.root} is closed to others: the group cannot come to what you share"
        )
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
                "shared": generation.shared,
                "shared_by": outcome.shared_by or None,
                "warnings": generation.warnings,
            }
        )
        show_warnings(output, outcome)
        return 0
    if outcome.locked is not None and not outcome.locked.fresh:
        show_lock(output, outcome.locked)
    show_sync(output, outcome, time.monotonic() - began)
    if outcome.was not in (None, generation.mode) and mode is None:
        output.note(
            f"lumienv run uses this {generation.mode} now, no longer the {outcome.was}: "
            f'to keep to that, [sync] mode = "{outcome.was}"'
        )
    return 0


def show_sync(output: Output, outcome: SyncOutcome, seconds: float | None = None) -> None:
    """What was made, or that nothing had to be."""
    generation = outcome.generation
    packages = counted(outcome.installed, "package")
    if outcome.output is not None:
        output.detail(f"the image: {outcome.output}")
    if outcome.shared_by:
        output.result(
            f"using the environment that {outcome.shared_by} shares ({packages} on {generation.base_name})"
        )
        show_warnings(output, outcome)
        return
    if outcome.built:
        if outcome.image_scripts:
            output.detail(f"the image's scripts that now see the overlay: {', '.join(outcome.image_scripts)}")
        took = f" in {seconds:.1f} s" if seconds is not None else ""
        output.result(f"installed {packages} on top of {generation.base_name}{took}")
        if outcome.remark:
            output.result(outcome.remark)
    else:
        output.result(f"the environment is up to date ({packages} on {generation.base_name})")
    if outcome.launchers:
        folder = generation.path.parents[1] / BIN
        output.detail(f"its programs can be started by path, too, without lumienv: {folder}")
    if outcome.built and outcome.older >= _MANY:
        output.note(f"{outcome.older} older environments lie beside it: lumienv clean")
    if generation.shared:
        output.result("it is shared: the group may use it, after a `lumienv sync` of their own")
    show_warnings(output, outcome)


def show_warnings(output: Output, outcome: SyncOutcome) -> None:
    """What could not be imported: last, as it is the line to act upon."""
    for line in outcome.generation.warnings:
        output.warn(line)


def _check(opened: Project, output: Output, wanted: dict[str, Any], as_json: bool) -> int:
    reason = check(opened, **wanted)
    if as_json:
        output.data({"fresh": reason is None, "reason": reason})
        return 0 if reason is None else 1
    if reason is not None:
        raise StoreError(
            f"the environment is not up to date: {reason}",
            hint=f"bring it up to date: {shlex.join(_words(wanted))}",
        )
    output.result("the environment is up to date")
    return 0


def _words(wanted: dict[str, Any]) -> list[str]:
    """The sync that was asked about."""
    words = ["lumienv", "sync"]
    for option in ("mode", "builder"):
        words += [f"--{option}", wanted[option]] if wanted[option] else []
    for option, names in (("--group", wanted["groups"]), ("--no-group", wanted["no_groups"])):
        words += [word for name in names for word in (option, name)]
    return words


def _dry_run(opened: Project, output: Output, wanted: dict[str, Any], as_json: bool) -> None:
    outcome = would_sync(opened, output, **wanted)
    lock = outcome.locked
    if as_json:
        output.data(
            {
                "mode": outcome.wanted.mode,
                "builder": outcome.wanted.builder or None,
                "groups": outcome.wanted.groups,
                "image": outcome.base_name,
                "lock": lock_data(lock) if lock is not None else None,
                "install": outcome.install,
                "known": outcome.known,
            }
        )
        return
    if lock is not None:
        show_lock(output, lock)
    how = outcome.wanted.mode + (f" ({outcome.wanted.builder})" if outcome.wanted.builder else "")
    if outcome.known:
        output.result(f"nothing would be built: this environment ({how}) has been made already")
        return
    for name in outcome.install or ():
        output.result(name, "+")
    # What is chosen of a lock that is yet to be written is not known: groups may stay out.
    count = f", {counted(len(outcome.install), 'package')}" if outcome.install is not None else ""
    output.result(f"would build: {how}{count} on top of {outcome.base_name}")
