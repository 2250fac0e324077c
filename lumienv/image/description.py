"""What an image that lumienv made says of itself, read without starting it: its layers, or where it is from.

They stand in a data object of the SIF, JSON, named `lumienv.json`; of several, the last one
counts, as each layer's has those below it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lumienv.image.sif import GENERIC_JSON, data_objects, read_object

FILE_NAME = "lumienv.json"
SCHEMA = 1


@dataclass(frozen=True)
class Layer:
    """One overlay tree in an image."""

    mount: str
    base: str
    """the file name of the image that it was put on"""
    identity: str
    """that image's identity"""
    lock: str
    """the digest of the lock's bytes"""
    builder: str
    """`cotainr` or `append`"""
    version: str
    """of the lumienv that made it"""
    python: str
    """version of the image's Python"""


@dataclass(frozen=True)
class Origin:
    """Where an image was pulled from."""

    uri: str
    """as it was asked for; of an archive, its file name alone"""
    digest: str
    """`sha256:…` of what the registry or the archive has under that name"""
    version: str
    """of the lumienv that pulled it"""


def layers_of(path: Path) -> tuple[Layer, ...]:
    """The layers of the SIF at `path`, the oldest first; none when lumienv did not make it.

    Raises ImageError when it is missing, no SIF, or truncated.
    """
    data = _described(path)
    try:
        return tuple(
            Layer(**{field.name: str(entry[field.name]) for field in fields(Layer)})
            for entry in data["layers"]
        )
    except (KeyError, TypeError):
        return ()


def origin_of(path: Path) -> Origin | None:
    """Where the SIF at `path` was pulled from; None when lumienv did not pull it, or has put layers on it.

    Raises ImageError as `layers_of` does.
    """
    data = _described(path)
    try:
        return Origin(**{field.name: str(data["pulled"][field.name]) for field in fields(Origin)})
    except (KeyError, TypeError):
        return None


def _described(path: Path) -> dict[str, Any]:
    described = [item for item in data_objects(path) if item.kind == GENERIC_JSON and item.name == FILE_NAME]
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        data = json.loads(read_object(path, described[-1])) if described else {}
        if data["schema"] == SCHEMA:
            return dict(data)
    return {}


def description(layers: Sequence[Layer]) -> str:
    """The text of `lumienv.json` in an image that has trees of lumienv's inside."""
    return _text({"layers": [asdict(layer) for layer in layers]})


def pulled_description(origin: Origin) -> str:
    """The text of `lumienv.json` in an image that is as it was pulled."""
    return _text({"layers": [], "pulled": asdict(origin)})


def _text(data: Mapping[str, object]) -> str:
    return json.dumps({"schema": SCHEMA, **data}, indent=1) + "\n"
