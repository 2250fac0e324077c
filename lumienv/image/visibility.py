"""How a virtual environment sees an image's packages: behind its own, by two files in its site directory."""

from collections.abc import Sequence
from pathlib import Path

# Sorts behind every other .pth file: the overlay's own are then processed before the image's packages
# come into view.
_PTH = "~lumienv.pth"
_MODULE = "_lumienv_image.py"

_VISIBLE = '''\
"""Puts the image's packages behind the overlay's. Written by lumienv, imported by {pth}."""

import os
import site
import sys

IMAGE = {directories!r}

# An image that sets PYTHONPATH would have them in front: they are taken off, then added in its own order,
# each with its .pth files.
sys.path[:] = [entry for entry in sys.path if os.path.normpath(entry or ".") not in IMAGE]
for directory in IMAGE:
    site.addsitedir(directory)
'''


def write_visibility(folder: Path, site_packages: Sequence[str]) -> None:
    """Write the files into `folder`, to be copied into the environment's site directory. Raises OSError."""
    (folder / _PTH).write_text(f"import {_MODULE.removesuffix('.py')}\n")
    (folder / _MODULE).write_text(_VISIBLE.format(pth=_PTH, directories=list(site_packages)))
