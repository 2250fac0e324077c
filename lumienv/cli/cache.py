"""`lumienv cache`: where the caches are, how large, and removing them"""

import os
from dataclasses import asdict
from pathlib import Path

import click

from lumienv.cli.main import Commands, Common, common_options
from lumienv.manifest import start_folder
from lumienv.project.cache import ASKED_FOR, KINDS, CacheKind, cache_size, clean_cache
from lumienv.site import load_site
from lumienv.ui import Output, counted, megabytes

_DAY = 86400.0


@click.group(name="cache", cls=Commands)
def command() -> None:
    """Look at lumienv's cache: where it is, what is in it; and clean it.

    What is removed is fetched or built again when it is needed; environments do without.
    """


@command.command(name="dir")
@common_options
def dir_(common: Common) -> None:
    """Print the folder of the cache, whether or not it is there."""
    common.output.text(str(_cache(common)))


@command.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def size(common: Common, as_json: bool) -> None:
    """Show what is in the cache, by kind."""
    root = _cache(common)
    kinds = cache_size(root)
    if as_json:
        common.output.data({"cache": str(root), "kinds": [asdict(one) for one in kinds], **_total(kinds)})
        return
    rows = [[one.name, f"{one.files:,}", megabytes(one.size), one.what] for one in kinds]
    total = _total(kinds)
    common.output.table(
        ["kind", "files", "size", ""],
        [*rows, ["total", f"{total['files']:,}", megabytes(total["size"]), str(root)]],
    )


@command.command(short_help="Empty the cache, or the kinds that are named.")
@common_options
@click.option("--wheels", is_flag=True, envvar="LUMIENV_CLEAN_WHEELS", help="Wheels and source files.")
@click.option("--index", is_flag=True, envvar="LUMIENV_CLEAN_INDEX", help="Index pages and metadata.")
@click.option("--builds", is_flag=True, envvar="LUMIENV_CLEAN_BUILDS", help="Notes of what was built.")
@click.option("--git", is_flag=True, envvar="LUMIENV_CLEAN_GIT", help="Git repositories.")
@click.option("--snapshots", is_flag=True, envvar="LUMIENV_CLEAN_SNAPSHOTS", help="What images provide.")
@click.option("--images", is_flag=True, envvar="LUMIENV_CLEAN_IMAGES", help="Pulled images: only if named.")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="Only what was not written for so many days.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def clean(common: Common, older_than: float | None, dry_run: bool, as_json: bool, **chosen: bool) -> None:
    """Empty the cache, or the kinds that are named; never while another lumienv is using it.

    Images that were pulled stay unless they are named: environments run on them.
    """
    wanted = [kind for kind in KINDS if chosen[kind]]
    age = older_than * _DAY if older_than is not None else None
    cleaned = clean_cache(_cache(common), wanted, age, dry_run=dry_run)
    if as_json:
        removed = [asdict(one) for one in cleaned.kinds]
        common.output.data({"cache": str(cleaned.root), "removed": removed, **_total(cleaned.kinds)})
    else:
        _show(common.output, cleaned.kinds, dry_run)
        if not wanted:
            _show_kept(common)


def _show(output: Output, kinds: tuple[CacheKind, ...], dry_run: bool) -> None:
    for one in kinds:
        if one.files:
            output.result(f"{one.name} ({counted(one.files, 'file')}, {megabytes(one.size)})", "-")
    total = _total(kinds)
    said = f"{counted(total['files'], 'file')}, {megabytes(total['size'])}"
    verb = "would remove" if dry_run else "removed"
    output.result(f"{verb} {said}" if total["files"] else "nothing to remove")


def _show_kept(common: Common) -> None:
    for one in cache_size(_cache(common)):
        if one.name in ASKED_FOR and one.files:
            common.output.note(f"{one.name} stay ({megabytes(one.size)}): --{one.name} removes them")


def _cache(common: Common) -> Path:
    """Where commands in the project's folder, by default the current one, have their cache."""
    return load_site(os.environ, Path(start_folder(common.project, os.environ))).cache


def _total(kinds: tuple[CacheKind, ...]) -> dict[str, int]:
    return {"files": sum(one.files for one in kinds), "size": sum(one.size for one in kinds)}
