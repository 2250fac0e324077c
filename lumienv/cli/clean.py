"""`lumienv clean`"""

import os

import click

from lumienv.cli.main import Common, common_options
from lumienv.launch.run import misfit
from lumienv.overlay.clean import clean
from lumienv.overlay.queue import ask_queue, slurm_is_here
from lumienv.project import open_project
from lumienv.ui import counted, megabytes, plain


@click.command(name="clean")
@common_options
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, dry_run: bool, as_json: bool) -> None:
    """Remove old environments that no job, no command and no process can be using."""
    output = common.output
    opened = open_project(common.project, os.environ, offline=common.offline)
    store = opened.store
    if not store.generations.is_dir():
        if as_json:
            output.data({"removed": [], "kept": [], "leases": 0})
        else:
            output.result("there is no environment here yet, so nothing to remove")
        return
    slurm = slurm_is_here(os.environ)
    with store.writing(output.note):
        queue = ask_queue(os.environ) if slurm else None
        outcome = clean(
            store,
            queue,
            lambda generation: misfit(opened.manifest, generation) is None,
            slurm=slurm,
            dry_run=dry_run,
        )
    if as_json:
        output.data(
            {
                "removed": [{"generation": str(old.path), "size": old.size} for old in outcome.removed],
                "kept": [
                    {"generation": str(one.path), "size": one.size, "reason": one.reason}
                    for one in outcome.kept
                ],
                "leases": outcome.leases,
            }
        )
        return
    for one in outcome.kept:
        output.result(f"{one.path.name} ({megabytes(one.size)}) stays: {plain(one.reason)}", "=")
    for old in outcome.removed:
        output.result(f"{old.path.name} ({megabytes(old.size)})", "-")
    total = megabytes(sum(old.size for old in outcome.removed))
    what = f"{counted(len(outcome.removed), 'environment')}, {total}"
    removed = f"{'would remove' if dry_run else 'removed'} {what}"
    output.result(removed if outcome.removed else "nothing to remove")
