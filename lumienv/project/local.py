"""Projects and archives of this machine: what they are called, and their paths as lumienv.toml has them."""

import os
from configparser import ConfigParser, Error
from contextlib import suppress
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from lumienv.toml import parse_toml


def name_in_folder(folder: Path) -> str:
    """How the project in a folder is called; empty where only its code says it, or there is none."""
    with suppress(OSError, ValueError):
        project = parse_toml((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        if isinstance(project, dict) and isinstance(project.get("name"), str):
            return str(project["name"])
    parser = ConfigParser(interpolation=None)
    with suppress(OSError, ValueError, Error):
        parser.read(folder / "setup.cfg", encoding="utf-8")
        return parser.get("metadata", "name").strip()
    return ""


def name_in_file(filename: str) -> str:
    """The name in that of a wheel or a source distribution; empty where it is neither."""
    with suppress(InvalidWheelFilename):
        return str(parse_wheel_filename(filename)[0])
    with suppress(InvalidSdistFilename):
        return str(parse_sdist_filename(filename)[0])
    return ""


def seen_from(project: Path, written: str, here: Path) -> str:
    """A path that was written `here`, as the folder `project` sees it; from the root or a home it stays."""
    if written.startswith(("/", "~")):
        return written
    relative = os.path.relpath((here / written).resolve(), project.resolve())
    return relative if relative.startswith("..") or relative == "." else f"./{relative}"
