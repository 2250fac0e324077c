"""The Python interpreters of this machine, for tests that run what runs in an image."""

import os
import shutil
import subprocess
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

VERSIONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def find_interpreter(version: str) -> str | None:
    """An interpreter of this minor version: pyenv's, or one on PATH."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    try:
        candidates = sorted(str(path) for path in root.glob(f"versions/{version}.*/bin/python"))
    except PermissionError:
        candidates = []
    candidates += filter(None, [shutil.which(f"python{version}")])
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-Ic", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == version:
            return candidate
    return None


def each_interpreter(*versions: str) -> list[object]:
    """Parameters: (version, interpreter), skipped where there is none."""
    return [
        pytest.param(
            (version, found),
            id=version,
            marks=pytest.mark.skipif(found is None, reason=f"there is no Python {version} here"),
        )
        for version in versions or VERSIONS
        for found in [find_interpreter(version)]
    ]


def skip_where_packaging_does_not_run(version: str) -> None:
    """Leave a test out that has an older Python import the packaging of this one."""
    needed = metadata("packaging")["Requires-Python"]
    if version not in SpecifierSet(needed):
        pytest.skip(f"packaging needs Python {needed}")
