"""A plain pylock.toml (PEP 751): the lock without lumienv's guards, and without groups to choose."""

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w
from packaging.pylock import Pylock

from lumienv.export.requirements import comments
from lumienv.export.selection import Selection


def plain_pylock(selection: Selection, folder: Path) -> str:
    """Its text; `folder` is where it will lie, as relative paths start there."""
    names = {package.name for package in selection.packages}
    packages = [
        replace(
            package,
            marker=None,
            # Those of the image are none of the lock's packages, to which PEP 751 lets these refer.
            dependencies=[one for one in package.dependencies or () if one["name"] in names],
        )
        for package in selection.packages
    ]
    plain = replace(
        selection.lock.pylock,
        packages=packages,
        dependency_groups=[],
        default_groups=[],
        tool=None,
    )
    data = plain.to_dict()
    for package in data["packages"]:
        _move_paths(package, selection.lock.folder, folder)
    Pylock.from_dict(data)
    head = comments(selection, "pip install --no-deps -r pylock.toml, or uv pip install -r pylock.toml")
    return "\n".join([*head, ""]) + tomli_w.dumps(data)


def _move_paths(package: dict[str, Any], old: Path, new: Path) -> None:
    tables = [package.get(key) for key in ("sdist", "archive", "directory", "vcs")]
    for table in (*package.get("wheels", ()), *tables):
        if table and "path" in table and not PurePosixPath(table["path"]).is_absolute():
            table["path"] = Path(os.path.relpath(old / table["path"], new)).as_posix()
