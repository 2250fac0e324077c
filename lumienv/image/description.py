"""What an image that lumienv made says of itself: its layers, read without starting it.

They stand in a data object of the SIF, JSON, named `lumienv.json`; of several, the last one
counts, as each layer's has those below it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

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


def layers_of(path: Path) -> tuple[Layer, ...]:
    """The layers of the SIF at `path`, the oldest first; none when lumienv did not make it.

    Raises ImageError when it is missing, no SIF, or truncated.
    """
    described = [item for item in data_objects(path) if item.kind == GENERIC_JSON and item.name == FILE_NAME]
    if not described:
        return ()
    try:
        data = json.loads(read_object(path, described[-1]))
        if data["schema"] != SCHEMA:
            return ()
        return tuple(
            Layer(**{field.name: str(entry[field.name]) for field in fields(Layer)})
            for entry in data["layers"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()


def description(layers: Sequence[Layer]) -> str:
    """The text of `lumienv.json`."""
    return json.dumps({"schema": SCHEMA, "layers": [asdict(layer) for layer in layers]}, indent=1) + "\n"
