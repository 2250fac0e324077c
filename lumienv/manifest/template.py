"""The text of a new `lumienv.toml`: what was chosen, and beside it what newcomers need next, in comments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from lumienv.manifest import HostValue, IndexTable

_HEAD = """\
# An environment on top of a container image: this file says what it is to hold, `lumienv sync` makes it.
# Lines that start with `#` and a key are examples: take the `#` away to use them.

# Packages to add, as pip's requirements. What the image has already is used from there: write no version
# of it, or a range that the image's fits.
"""
_NO_DEPENDENCIES = 'dependencies = [\n    # "h5py>=3.11",\n]\n'
_IMAGE = "# The base: `lumienv image list` shows what there is, `lumienv image show` what one provides.\n"
_GROUPS = """\
# [dependency-groups]
# dev = ["pytest"]                 # installed, too, unless `lumienv sync --no-dev`
"""
# What stands in each table as an example, whether or not the table has anything else.
_EXAMPLES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "resolve": (
        ("replace", '["tqdm"]', "image packages that a newer release may stand in for"),
        ("constraints", '["pyarrow<19"]', "limits on packages that others bring along"),
    ),
    "sync": (("mode", '"squashfs"', "one file, kind to Lustre; or sif: one image; default: venv"),),
    "run": (
        ("bind", '["/scratch/project_465000000"]', "folders to see in the container"),
        ("preset", '"torch-srun"', "the site's settings for a kind of job"),
    ),
    "run.env": (
        ("HF_HOME", '"/scratch/project_465000000/hf"', ""),
        ("WANDB_API_KEY", '{ from = "host" }', "a secret is named here, never written"),
    ),
    "slurm": (
        ("account", '"project_465000000"', "srun's options, by their long names"),
        ("partition", '"small-g"', ""),
        ("gpus-per-node", "1", ""),
    ),
    "tasks": (("train", '"python train.py --epochs 10"', "`lumienv run train`"),),
}


@dataclass(frozen=True)
class Draft:
    """What a new manifest is to say."""

    image: Mapping[str, str]
    """the keys of `[image]`"""
    image_file: str = ""
    """the file that these lead to now, where there is one"""
    dependencies: Sequence[str] = ()
    sources: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)
    constraints: Sequence[str] = ()
    prerelease: str = ""
    build: str = ""
    indexes: Sequence[IndexTable] = ()
    env: Mapping[str, str | HostValue] = field(default_factory=dict)


def manifest_text(draft: Draft) -> str:
    """The manifest, ready to be written; `manifest.reader` accepts it."""
    lines = tomli_w.dumps({"dependencies": list(draft.dependencies)})
    head = _HEAD + (lines if draft.dependencies else _NO_DEPENDENCIES)
    now = f"# now {draft.image_file}\n" if draft.image_file else ""
    image = _IMAGE + tomli_w.dumps({"image": dict(draft.image)}) + now
    sources = {name: dict(table) for name, table in draft.sources.items()}
    resolve = {"constraints": list(draft.constraints), "prerelease": draft.prerelease, "build": draft.build}
    env = {
        name: {"from": "host"} if isinstance(value, HostValue) else value for name, value in draft.env.items()
    }
    parts = [
        head,
        image,
        _GROUPS,
        *(tomli_w.dumps({"sources": {name: table}}) for name, table in sources.items()),
        _table("resolve", {key: value for key, value in resolve.items() if value}),
        *map(_index, draft.indexes),
        *(_table(name, env if name == "run.env" else {}) for name in _EXAMPLES if name != "resolve"),
    ]
    return "\n".join(parts)


def _table(name: str, values: Mapping[str, Any]) -> str:
    """A table with its examples in comments; a table of examples alone is one itself."""
    header = f"[{name}]\n" if values else f"# [{name}]\n"
    text = "".join(_pair(key, value) for key, value in values.items())
    for key, value, why in _EXAMPLES[name]:
        if key not in values:
            line = f"# {key} = {value}"
            text += f"{line:<34} # {why}\n" if why else f"{line}\n"
    return header + text


def _pair(key: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(_pair(*item).strip() for item in value.items())
        return f"{_pair(key, '').partition(' = ')[0]} = {{ {inner} }}\n"
    return tomli_w.dumps({key: value})


def _index(table: IndexTable) -> str:
    values: dict[str, Any] = {"name": table.name} if table.name else {}
    values |= {"url": table.url} | ({"explicit": True} if table.explicit else {})
    values |= {"format": table.format} if table.format != "simple" else {}
    return "[[index]]\n" + tomli_w.dumps(values)
