"""How a virtual environment sees an image's packages: behind its own, by two files in its site directory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

# Sorts behind every other .pth file: the overlay's own are then processed before the image's packages
# come into view.
_PTH = "~lumienv.pth"

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
    # An image may have an environment of lumienv's inside, whose own file is read while this one is: a module
    # of the same name would be taken for imported already.
    module = "_lumienv_image_" + hashlib.sha256("\n".join(site_packages).encode()).hexdigest()[:8]
    (folder / _PTH).write_text(f"import {module}\n")
    (folder / f"{module}.py").write_text(_VISIBLE.format(pth=_PTH, directories=list(site_packages)))
