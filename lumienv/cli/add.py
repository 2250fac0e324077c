"""`lumienv add`"""

import os
import re
from pathlib import Path
from typing import Any

import click

from lumienv.cli.lock import lock_data, show_lock
from lumienv.cli.main import Common, common_options
from lumienv.cli.sync import show_sync, show_warnings
from lumienv.errors import UsageError
from lumienv.project import open_project
from lumienv.project.edit import EditOutcome, add
from lumienv.ui import Output


@click.command(name="add")
@common_options
@click.argument("packages", nargs=-1)
@click.option(
    "-r",
    "--requirements",
    metavar="FILE",
    multiple=True,
    help="Add what a requirements or environment file lists.",
)
@click.option("--group", metavar="NAME", envvar="LUMIENV_ADD_GROUP", help="Add to a dependency group.")
@click.option("--dev", is_flag=True, envvar="LUMIENV_ADD_DEV", help="The same as --group dev.")
@click.option("--editable", is_flag=True, help="Use folders where they lie: changes count at once.")
@click.option(
    "--index",
    metavar="NAME",
    envvar="LUMIENV_ADD_INDEX",
    help="Take these packages from this [[index]] alone.",
)
@click.option("--rev", metavar="REV", envvar="LUMIENV_ADD_REV", help="The commit of a git repository.")
@click.option("--tag", metavar="TAG", envvar="LUMIENV_ADD_TAG", help="The tag of a git repository.")
@click.option("--branch", metavar="NAME", envvar="LUMIENV_ADD_BRANCH", help="The branch of a git repository.")
@click.option("--no-sync", is_flag=True, help="Lock, and install nothing.")
@click.option("--frozen", is_flag=True, help="Edit lumienv.toml alone: neither lock nor install.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    packages: tuple[str, ...],
    requirements: tuple[str, ...],
    group: str | None,
    dev: bool,
    editable: bool,
    index: str | None,
    rev: str | None,
    tag: str | None,
    branch: str | None,
    no_sync: bool,
    frozen: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add packages to lumienv.toml, lock, and install them.

    PACKAGES are requirements ("datasets>=3"), folders, archives, addresses, or "name @ git+https://…". Where
    no set of packages fits, lumienv.toml and its lock stay as they were.
    """
    revisions = {
        name: value for name, value in {"rev": rev, "tag": tag, "branch": branch}.items() if value is not None
    }
    _check_quoted(packages)
    if len(revisions) > 1:
        raise UsageError("only one of --rev, --tag and --branch can be given")
    outcome = add(
        open_project(common.project, os.environ, offline=common.offline),
        common.output,
        packages,
        files=[Path(path) for path in requirements],
        group=group_of(group, dev=dev),
        editable=editable,
        index=index,
        revision=revisions,
        frozen=frozen,
        install=not no_sync,
        dry_run=dry_run,
    )
    report_edit(common.output, outcome, as_json=as_json)


def _check_quoted(packages: tuple[str, ...]) -> None:
    """Raises UsageError where the shell has taken `>=3` for a file to write to, which it has made by now."""
    try:
        written = Path("/proc/self/fd/1").readlink()
    except OSError:
        return
    target = written.name
    if packages and written.parent == Path.cwd() and re.fullmatch(r"=.*|\d[\d.]*", target):
        raise UsageError(
            f"the shell took >{target} for a file to write to",
            hint=f'put quotes around it: lumienv add "{packages[-1]}>{target}"\n'
            f"and remove the file: rm ./{target}",
        )


def group_of(group: str | None, *, dev: bool) -> str | None:
    """The group that `--group` and `--dev` name. Raises UsageError for two."""
    if dev and group not in (None, "dev"):
        raise UsageError(f"--dev is --group dev: it does not go with --group {group}")
    return "dev" if dev else group


def report_edit(output: Output, outcome: EditOutcome, *, as_json: bool) -> None:
    """What came of it."""
    if as_json:
        output.data(_json(outcome))
        if outcome.synced is not None:
            show_warnings(output, outcome.synced)
        return
    edited = outcome.edited
    where = f"(group {outcome.group})" if outcome.group else "(dependencies)"
    for text in edited.removed:
        output.result(f"{text} {where}", "-")
    for before, after in edited.changed:
        output.result(f"{before} → {after} {where}", "~")
    for text in edited.added:
        output.result(f"{text} {where}", "+")
    for text in edited.kept:
        output.result(f"{text} {where} says so already", "=")
    for name in edited.sources:
        output.result(f"[sources] {name}", "~")
    verb = "wrote" if outcome.written else "would write"
    if edited.added or edited.changed or edited.removed or edited.sources:
        output.detail(f"{verb} {outcome.path}")
    if outcome.locked is not None:
        show_lock(output, outcome.locked)
    for label in outcome.provided:
        output.result(f"the image has {label} already: nothing is installed for it")
    if outcome.synced is not None:
        show_sync(output, outcome.synced)


def _json(outcome: EditOutcome) -> dict[str, Any]:
    edited, lock, synced = outcome.edited, outcome.locked, outcome.synced
    return {
        "path": str(outcome.path),
        "group": outcome.group,
        "written": outcome.written,
        "added": edited.added,
        "removed": edited.removed,
        "changed": [{"from": before, "to": after} for before, after in edited.changed],
        "unchanged": edited.kept,
        "sources": edited.sources,
        "image": outcome.provided,
        "lock": lock_data(lock) if lock is not None else None,
        "generation": str(synced.generation.path) if synced is not None else None,
    }
