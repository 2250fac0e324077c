"""`lumienv list`"""

import os
from dataclasses import asdict

import click

from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.look import look
from lumienv.project.packages import Listed, listed, outdated
from lumienv.ui import Output, plain, with_nulls


@click.command(name="list")
@common_options
@click.option("--overlay", is_flag=True, envvar="LUMIENV_LIST_OVERLAY", help="Only what the overlay adds.")
@click.option("--image", is_flag=True, envvar="LUMIENV_LIST_IMAGE", help="Only what the image provides.")
@click.option("--outdated", "old", is_flag=True, help="Only what the index has newer, fit for the image.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, overlay: bool, image: bool, old: bool, as_json: bool) -> None:
    """List the packages of the overlay and of the image, each with where it comes from.

    The overlay's are those of the lock. Starts nothing that lumienv.toml names.
    """
    if overlay and image:
        raise click.UsageError("--overlay and --image leave nothing out: give one of them, or none")
    if image and old:
        raise click.UsageError("--outdated is for the overlay: the image's packages change with the image")
    found = look(open_project(common.project, os.environ, offline=common.offline))
    packages = listed(found, overlay=not image, image=not overlay and not old)
    if old:
        from lumienv.project.outdated import newer_releases

        packages = outdated(packages, newer_releases(found))
    if as_json:
        common.output.data([with_nulls(asdict(one)) for one in packages])
        return
    if found.lock is None:
        common.output.note("there is no lock yet, so this is the image alone: lumienv lock")
    elif found.stale:
        common.output.note(f"the lock is stale: {found.stale}; to mend it: lumienv lock")
    if found.unknown and not overlay:
        common.output.note(f"{found.unknown}: shown is only what the lock rests on\n{found.remedy}")
    _show(common.output, packages, old)


def _show(output: Output, packages: tuple[Listed, ...], old: bool) -> None:
    if not packages:
        output.note("nothing newer runs on the image" if old else "there are no packages")
    elif old:
        rows = [[one.name, one.version, one.latest] for one in packages]
        output.table(["package", "locked", "newest for the image"], [list(map(plain, row)) for row in rows])
    else:
        rows = [[one.name, one.version, one.origin, ", ".join(one.groups), _remark(one)] for one in packages]
        output.table(["package", "version", "from", "groups", ""], [list(map(plain, row)) for row in rows])


def _remark(one: Listed) -> str:
    if one.replaces:
        return f"replaces the image's {one.replaces}"
    if one.shadowed_by:
        return f"shadowed by the {one.shadowed_in}'s {one.shadowed_by}"
    return "the lock rests on it" if one.origin == "image" and one.needed else ""
