"""Launchers in the tree for the image's own console scripts.

`torchrun`, `accelerate`, `jupyter` as the image ships them start the image's Python by their shebang, and so
would not see the overlay. The tree gets a script of the same name that runs the same function with the
overlay's Python. An overlay package's own script wins.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from lumienv.image.snapshot import ImageScript

# What must stay the overlay's own.
_RESERVED = re.compile(r"(?:python[\d.]*t?|activate(?:\..*|_this\.py)?|deactivate\.bat|pydoc\.bat)")

# A file beside the script must not pass for a module: Python puts the script's own folder first.

_ENTRY = """\
{shebang}
# The image's {name}, run with the overlay's Python so that it sees the overlay. Written by lumienv.
import os
import sys

here = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
if __name__ == "__main__":
    from {module} import {attribute}

    sys.exit({function}())
"""

_FILE = """\
{shebang}
# The image's {file}, run with the overlay's Python so that it sees the overlay. Written by lumienv.
import os
import runpy
import sys

here = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
if __name__ == "__main__":
    sys.argv[0] = {file!r}
    runpy.run_path({file!r}, run_name="__main__")
"""

_PIP = """\
{shebang}
# The image's pip, with the overlay in view. Reading is fine; changing is lumienv's. Written by lumienv.
import os
import sys

here = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
READING = {{"check", "debug", "freeze", "hash", "help", "index", "inspect", "list", "search", "show"}}
CHANGING = {{"cache", "config", "download", "install", "lock", "uninstall", "wheel"}}

if __name__ == "__main__":
    command = next((word for word in sys.argv[1:] if word in READING | CHANGING), None)
    if command in CHANGING:
        sys.exit(
            "error: this environment is read-only, so `pip %s` cannot change it\\n"
            "help: name the package in lumienv.toml (dependencies), then run: lumienv sync" % command
        )
    from {module} import {attribute}

    sys.exit({function}())
"""


def write_image_scripts(tree: Path, scripts: Iterable[ImageScript], python: str) -> list[str]:
    """Write a launcher for each script that the tree does not have itself; returns their names.

    `python` is the overlay's interpreter as commands see it; empty for a tree that may be moved, whose
    launchers then find it beside themselves.
    """
    folder = tree / "bin"
    written = []
    for script in scripts:
        target = folder / script.name
        if _RESERVED.fullmatch(script.name) or "/" in script.name or target.exists():
            continue
        target.write_text(_text(script, python), encoding="utf-8")
        target.chmod(0o755)
        written.append(script.name)
    return written


def _text(script: ImageScript, python: str) -> str:
    if python:
        shebang = f"#!{python}"
    else:
        # /bin/sh runs the second line; for Python lines 2 and 3 are one string.
        shebang = '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"\n\' \'\'\''
    is_pip = re.fullmatch(r"pip[\d.]*", script.name) is not None
    if not script.entry and not is_pip:
        return _FILE.format(shebang=shebang, file=script.file)
    # ensurepip makes `pip3.12` without an entry point; it is pip all the same.
    module, _, function = (script.entry or "pip._internal.cli.main:main").partition(":")
    template = _PIP if is_pip else _ENTRY
    return template.format(
        shebang=shebang,
        name=script.name,
        module=module.strip(),
        attribute=function.strip().split(".")[0],
        function=function.strip(),
    )
