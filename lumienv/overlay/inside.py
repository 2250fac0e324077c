"""What an image needs beside the tree, so that a plain `singularity exec` finds itself in the environment."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from lumienv import __version__
from lumienv.image.description import Layer
from lumienv.image.snapshot import Activation
from lumienv.overlay.generation import Generation

SINGULARITY_FOLDER = ".singularity.d"
LABELS = f"{SINGULARITY_FOLDER}/labels.json"


def environment_script(mount: str, activation: Activation) -> str:
    """A script for the image's `/.singularity.d/env`: what a launch would set, as plain exports.

    The runtimes run it in a shell of their own (mvdan.cc/sh), not in bash: nothing is sourced.
    """
    values = {name: text for name, text in activation.set.items() if name.isidentifier() and name != "PATH"}
    if activation.kind == "with-conda":
        # As LUMI's newer images have it: a script that still says `$WITH_CONDA && …` stays in here.
        values["WITH_CONDA"] = "true"
    values |= {"VIRTUAL_ENV": mount, "PYTHONNOUSERSITE": "1", "PYTHONPATH": "", "PYTHONHOME": ""}
    path = ":".join((f"{mount}/bin", *activation.prepend_path))
    return "\n".join(
        (
            "#!/bin/sh",
            f"# The environment at {mount}. Written by lumienv.",
            *(f"export {name}={shlex.quote(text)}" for name, text in sorted(values.items())),
            f'export PATH={shlex.quote(path)}"${{PATH:+:$PATH}}"',
            "",
        )
    )


def write_environment(root: Path, mount: str, activation: Activation) -> None:
    """Put the script below `root`, a directory that will be the container's `/`. Raises OSError.

    It comes behind the image's own and cotainr's (10, 90, 92), before the runtime's last (94 to 99); that of
    a later layer behind that of an earlier one. Whatever the umask is, all may read it: the permissions of
    these folders become those of `/` itself.
    """
    folder = root / SINGULARITY_FOLDER / "env"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f"93-lumienv-{layer_number(mount):02}.sh"
    script.write_text(environment_script(mount, activation))
    script.chmod(0o755)


def open_folders(root: Path, mount: str) -> None:
    """Let everybody enter the folders down to the tree and the scripts. Raises OSError."""
    for inside in ("", *_with_parents(mount.strip("/")), *_with_parents(f"{SINGULARITY_FOLDER}/env")):
        (root / inside).chmod(0o755)


def layer_number(mount: str) -> int:
    """`/opt/lumienv` is the first, `/opt/lumienv-2` the second."""
    found = re.search(r"-(\d+)$", mount)
    return int(found[1]) if found else 1


def layer_of(generation: Generation) -> Layer:
    """How this environment is described in the image that has it inside."""
    return Layer(
        mount=generation.mount,
        base=generation.base_name,
        identity=generation.identity,
        lock=generation.lock,
        builder=generation.builder,
        version=__version__,
        python=generation.python,
    )


def labels_with(existing: str, layer: Layer) -> dict[str, str]:
    """The image's labels (the text of `labels.json`, which may be anything) with lumienv's."""
    try:
        known = json.loads(existing)
    except (ValueError, RecursionError):
        known = {}
    own: Mapping[str, str] = {
        "lumienv.version": layer.version,
        "lumienv.base": layer.base,
        "lumienv.base-identity": layer.identity,
        "lumienv.lock": layer.lock,
        "lumienv.builder": layer.builder,
        "lumienv.mount": layer.mount,
    }
    return {**(known if isinstance(known, dict) else {}), **own}


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
