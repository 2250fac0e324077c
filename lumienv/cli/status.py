"""`lumienv status`"""

import os

import click

from lumienv.cli.main import Common, common_options
from lumienv.launch.run import NOT_YET
from lumienv.lockdigest import LOCK_NAME
from lumienv.project import open_project
from lumienv.project.status import EnvironmentStatus, Status, status
from lumienv.ui import Output, counted, megabytes, plain

_COLORS = {"up to date": "green", "not yet": "yellow", "stale": "yellow", "problem": "red"}
_OTHERS = 4
"""environments beside the current one that are shown unless more are asked for"""


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
    """What matters first: whether `lumienv run` would do, else why not and what to type."""
    verdict, words = _verdict(found)
    output.text(click.style(f"{verdict}:", fg=_COLORS[verdict], bold=True) + f" {plain(words)}")
    if found.remedy:
        output.text(f"to mend it: {found.remedy}")
    output.result("")
    image, lock = found.image, found.lock
    probed = "" if image.known or image.problem else " (not looked into yet: `lumienv lock` does)"
    _line(output, "image", image.name + probed, image.problem, words)
    count = f"{LOCK_NAME}, {counted(lock.packages, 'package')}" if lock.packages else LOCK_NAME
    _line(output, "lock", count if lock.packages or lock.problem != NOT_YET else "none", lock.problem, words)
    current = [one for one in found.environments if one.current]
    others = [one for one in found.environments if not one.current]
    for one in current:
        _line(output, "environment", _described(one), found.problem, words)
        for warning in one.warnings:
            said = plain(warning).replace("\n", f"\n{'':14}")
            output.text(f"{'':13} {click.style('warning:', fg='yellow')} {said}")
    if not current:
        _line(output, "environment", "none of them is current" if others else "none", found.problem, words)
    shown = others if output.verbose else others[:_OTHERS]
    for one in shown:
        _line(output, "also", _described(one), one.problem if output.verbose else "", words)
    if len(others) > len(shown):
        rest = others[len(shown) :]
        size = megabytes(sum(one.size for one in rest))
        output.result(f"{'':13} and {len(rest)} more, {size} (-v shows them): lumienv clean")
    if found.launchers is not None:
        folder, number = found.launchers
        _line(output, "launchers", f"{folder} ({counted(number, 'program')})", "", words)


def _verdict(found: Status) -> tuple[str, str]:
    """In one word what to think of it, and why."""
    if found.image.problem:
        return "problem", found.image.problem
    if found.lock.problem == NOT_YET:
        return "not yet", "nothing is locked"
    if found.lock.problem:
        return "stale", found.lock.problem
    if found.problem == NOT_YET:
        return "not yet", "it is locked, and there is no environment of it"
    if found.problem:
        return "stale", found.problem
    return "up to date", "lumienv run uses what is locked"


def _line(output: Output, what: str, value: str, problem: str, said: str) -> None:
    """What there is; and what is wrong with it, where that is not said yet."""
    output.result(f"{what + ':':<13} {value}")
    if problem and problem not in (said, NOT_YET):
        output.text(f"{'':13} {click.style('stale:', fg=_COLORS['stale'])} {plain(problem)}")


def _described(one: EnvironmentStatus) -> str:
    words = [one.mode + (f" ({one.builder})" if one.builder else "")]
    words += [megabytes(one.size)] if one.size else []
    words += [counted(one.files, "file")] if one.files else []
    words += [f"groups {', '.join(one.groups)}"] if one.groups else []
    words += ["shared"] if one.shared else []
    words += ["stale"] if one.problem and not one.current else []
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
                "files": one.files or None,
                "current": one.current,
                "shared": one.shared,
                "problem": one.problem or None,
                "warnings": one.warnings,
            }
            for one in found.environments
        ],
        "launchers": str(found.launchers[0]) if found.launchers else None,
        "problem": found.problem or None,
        "remedy": found.remedy or None,
    }
