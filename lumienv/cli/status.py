"""`lumienv status`"""

import os

import click

from lumienv.cli.main import Common, common_options
from lumienv.lockdigest import LOCK_NAME
from lumienv.project import open_project
from lumienv.project.status import EnvironmentStatus, Status, status
from lumienv.ui import Output, counted, megabytes, plain


@click.command(name="status")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, as_json: bool) -> None:
    """Show the image, the lock and the environments, what is stale, and the command that mends it.

    Starts nothing that lumienv.toml names.
    """
    found = status(open_project(common.project, os.environ, offline=common.offline))
    if as_json:
        common.output.data(_json(found))
    else:
        _show(common.output, found)


def _show(output: Output, found: Status) -> None:
    image, lock = found.image, found.lock
    probed = "" if image.known or image.problem else " (not looked into yet: `lumienv lock` does)"
    output.result(_line("image", plain(image.name) + probed, image.problem))
    count = f"{LOCK_NAME}, {counted(lock.packages, 'package')}" if lock.packages else LOCK_NAME
    output.result(_line("lock", count, lock.problem))
    if not found.environments:
        output.result(_line("environment", "none", found.problem))
    for one in found.environments:
        said = found.problem if one.current else one.problem
        output.result(_line("environment", _described(one), said))
    if found.environments and not any(one.current for one in found.environments):
        output.result(_line("current", "none", found.problem))
    if found.launchers is not None:
        folder, number = found.launchers
        output.result(_line("launchers", f"{folder} ({counted(number, 'program')})", ""))
    if found.remedy:
        output.result(f"to mend it: {found.remedy}")


def _line(what: str, value: str, problem: str) -> str:
    stale = f"\n{'':14}{click.style('stale', fg='yellow')}: {plain(problem)}" if problem else ""
    return f"{what + ':':<13} {value}{stale}"


def _described(one: EnvironmentStatus) -> str:
    words = [one.mode + (f" ({one.builder})" if one.builder else "")]
    words += [megabytes(one.size)] if one.size else []
    words += [f"groups {', '.join(one.groups)}"] if one.groups else []
    words += ["shared"] if one.shared else []
    words += ["current"] if one.current else []
    return f"{', '.join(words)}: {one.path.name}"


def _json(found: Status) -> dict[str, object]:
    return {
        "image": {
            "name": found.image.name,
            "path": found.image.path or None,
            "problem": found.image.problem or None,
        },
        "lock": {"packages": found.lock.packages, "problem": found.lock.problem or None},
        "environments": [
            {
                "generation": str(one.path),
                "mode": one.mode,
                "builder": one.builder or None,
                "groups": one.groups,
                "size": one.size,
                "current": one.current,
                "shared": one.shared,
                "problem": one.problem or None,
            }
            for one in found.environments
        ],
        "launchers": str(found.launchers[0]) if found.launchers else None,
        "problem": found.problem or None,
        "remedy": found.remedy or None,
    }
