"""Bytecode: the same bytes however many processors, and nothing fails for a module that is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

from lumienv.overlay import bytecode

assert bytecode.__file__


def compiled(folder: Path, processors: int) -> dict[str, bytes]:
    for old in folder.rglob("*.pyc"):
        old.unlink()
    # In a container with -S: then this Python's could not be measured.
    words = [sys.executable, "-s", "-B", str(bytecode.__file__), str(processors), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "0"})
    assert done.stderr == ""
    return {path.name.split(".")[0]: path.read_bytes() for path in folder.rglob("*.pyc")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """More modules than one batch has."""
    for number in range(3 * bytecode.BATCH):
        (tmp_path / f"part{number}.py").write_text(f"def f{number}(x):\n    return {{x, 'a', 'b', None}}\n")
    (tmp_path / "old.py").write_text("print 'of Python 2'\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "odd.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "warned.py").write_text("x = 1 is 1\n")
    return tmp_path


def test_the_number_of_processors_changes_nothing(folder: Path) -> None:
    assert compiled(folder, 1) == compiled(folder, 5)


def test_broken_modules_are_left_without_bytecode(folder: Path) -> None:
    found = compiled(folder, 2)
    assert len(found) == 3 * bytecode.BATCH + 1
    assert "warned" in found
    assert not {"old", "null", "odd"} & set(found)


def test_bytecode_is_never_held_against_its_source(folder: Path) -> None:
    flags = {content[4:8] for content in compiled(folder, 2).values()}
    assert flags == {b"\x01\0\0\0"}
