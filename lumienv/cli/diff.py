"""`lumienv diff`"""

import os
from pathlib import Path

import click

from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.diff import Changes, LockDiff, diff_files, diff_project
from lumienv.ui import Output

_FILE = click.Path(path_type=Path)


@click.command(name="diff")
@common_options
@click.argument("old", required=False, type=_FILE)
@click.argument("new", required=False, type=_FILE)
@click.option("--rev", metavar="REV", help="Compare with git's version at REV; by default HEAD.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, old: Path | None, new: Path | None, rev: str | None, as_json: bool) -> None:
    """Show what changed between two lock files, or since the lock was committed.

    Without OLD it is git's version of the lock, without NEW the lock as it is now.
    Starts nothing that lumienv.toml names.
    """
    if old is not None and rev is not None:
        raise click.UsageError("--rev is for git's version of the lock: give it, or OLD")
    if old is not None and new is not None:
        found = diff_files(old, new)
    else:
        project = open_project(common.project, os.environ, offline=common.offline)
        found = diff_project(project, old, rev or "HEAD")
    if as_json:
        common.output.data(_json(found))
    else:
        _show(common.output, found)


def _show(output: Output, found: LockDiff) -> None:
    image = _image(found)
    for line in image:
        output.answer(line)
    for mark, line in [*_lines(found.provided, " from the image", moved="="), *_lines(found.packages)]:
        output.answer(line, mark)
    for name in found.files:
        output.answer(f"{name}: another file of the same version", "~")
    if not (image or found.provided or found.packages or found.files):
        output.answer(f"{found.new} has the packages and the image of {found.old}")


def _image(found: LockDiff) -> list[str]:
    lines = []
    if found.image[0] != found.image[1]:
        lines.append(f"image: {found.image[0]} → {found.image[1]}")
    elif found.rebuilt:
        lines.append(f"image: {found.image[1]} is another one of the same name")
    if found.python[0] != found.python[1]:
        lines.append(f"Python: {found.python[0]} → {found.python[1]}")
    return lines


def _lines(changes: Changes, more: str = "", moved: str = "~") -> list[tuple[str, str]]:
    """A line a package, marked as `lumienv lock` does; what the image provides with `=` throughout."""
    marks = ("-", "~", "+") if moved == "~" else ("=", "=", "=")
    gone = " no longer needed" if more else ""
    return [
        *((marks[0], f"{name} {version}{more}{gone}") for name, version in changes.removed.items()),
        *((marks[1], f"{name} {old} → {new}{more}") for name, (old, new) in changes.changed.items()),
        *((marks[2], f"{name} {version}{more}") for name, version in changes.added.items()),
    ]


def _json(found: LockDiff) -> dict[str, object]:
    return {
        "old": found.old,
        "new": found.new,
        "image": {
            "old": found.image[0],
            "new": found.image[1],
            "rebuilt": found.rebuilt,
            "python_old": found.python[0] or None,
            "python_new": found.python[1] or None,
        },
        "packages": _changes(found.packages),
        "other_files": found.files,
        "from_image": _changes(found.provided),
    }


def _changes(changes: Changes) -> dict[str, object]:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "changed": {name: {"old": old, "new": new} for name, (old, new) in changes.changed.items()},
    }
