"""What a tree has to hold: its distributions, and a digest of each file that no RECORD has one of.

The RECORDs tell of nearly all files; they themselves, what uv wrote for the environment, and lumienv's own
files are told of here. Written when a generation is made, beside `generation.json`, which has this file's
digest and is sealed (`overlay.trust`).
"""

import base64
import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lumienv.errors import StoreError
from lumienv.files import disk_errors
from lumienv.lockfile import LockedWheel
from lumienv.overlay.generation import Generation

FILE_NAME = "records.json"
_BYTECODE = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-\d+t?\.pyc")


@dataclass(frozen=True)
class Records:
    """What `records.json` says."""

    packages: Mapping[str, str]
    """the overlay's distributions: name → version"""
    provided: Mapping[str, str]
    """image packages that the overlay rests on: name → version"""
    frozen: str
    """the digest of the image's frozen list"""
    replace: Sequence[str]
    """image packages that the overlay may hide"""
    own: Mapping[str, str]
    """path in the tree → `sha256=…` or `link:…`, of what no RECORD has a digest of"""
    programs: Sequence[str] = ()
    """the names of what can be started in the tree's `bin`"""


def own_files(tree: Path) -> dict[str, str]:
    """The files and links of a tree that was just built, of which no RECORD has a digest, with theirs.

    Bytecode is left out: it is held against its source. Raises StoreError when the tree cannot be read.
    """
    with disk_errors("take down what the environment holds", tree):
        recorded = set(_recorded(tree))
        found = set(_files(tree))
        own = (path for path in found - recorded if not _is_bytecode(path, found))
        return {path: _digest(tree / path) for path in sorted(own)}


def _files(tree: Path) -> Iterator[str]:
    for folder, names, files in os.walk(tree):
        for name in (*files, *(name for name in names if (Path(folder) / name).is_symlink())):
            yield os.path.relpath(f"{folder}/{name}", tree)


def programs_in(tree: Path) -> list[str]:
    """The names of what can be started in a tree's `bin`. Raises StoreError."""
    with disk_errors("take down what the environment holds", tree), os.scandir(tree / "bin") as entries:
        # Where links lead is the container's: `python` leads to the image's.
        return sorted(e.name for e in entries if e.is_symlink() or (e.is_file() and e.stat().st_mode & 0o100))


def _recorded(tree: Path) -> Iterator[str]:
    for record in tree.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        site = os.path.relpath(record.parents[1], tree)
        with record.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                if len(row) > 1 and row[1]:
                    yield os.path.normpath(f"{site}/{row[0]}")


def _is_bytecode(path: str, found: set[str]) -> bool:
    parts = _BYTECODE.fullmatch(path)
    return parts is not None and f"{parts[1]}/{parts[2]}.py" in found


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link:{path.readlink()}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def write_records(
    generation: Generation,
    tree: Path,
    wheels: Sequence[LockedWheel],
    provided: Mapping[str, str],
    frozen: str,
    may_hide: Sequence[str],
) -> str:
    """Write down what the tree of a staged generation holds; returns the file's digest. Raises StoreError."""
    packages = {wheel.name: wheel.version for wheel in wheels}
    own, programs = own_files(tree), programs_in(tree)
    records = Records(packages, dict(provided), frozen, list(may_hide), own, programs)
    text = json.dumps(asdict(records), sort_keys=True) + "\n"
    with disk_errors("write down what the environment holds", generation.path):
        (generation.path / FILE_NAME).write_text(text)
    return _text_digest(text.encode())


def read_records(generation: Generation) -> Records:
    """What the tree of this generation has to hold. Raises StoreError when that is gone, or was changed."""
    file = generation.path / FILE_NAME
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{file} is gone, which tells what the environment has to hold") from None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from None
    if _text_digest(content) != generation.records:
        raise StoreError(f"{file}, which tells what the environment has to hold, has changed")
    data: dict[str, Any] = json.loads(content)
    return Records(**data)


def _text_digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
