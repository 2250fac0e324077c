"""The program that reads a tree's files in the container; here it runs under this Python."""

import base64
import hashlib
import json
import marshal
import py_compile
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from lumienv.overlay.audit import MARK
from lumienv.overlay.damage import Damage
from lumienv.overlay.records import own_files
from lumienv.runtime.process import answered

SITE = "lib/python3.11/site-packages"


def hash_of(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def install(tree: Path, name: str, content: Mapping[str, bytes]) -> None:
    """A distribution, as an installer leaves it, with bytecode that is never checked."""
    info = f"{name}-1.0.dist-info"
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\nVersion: 2.0 is mentioned here\n".encode()
    content = {**content, f"{info}/METADATA": said}
    for path, data in content.items():
        place = tree / SITE / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        if path.endswith(".py"):
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(place), doraise=True, invalidation_mode=mode)
    record = "".join(f'"{path}",{hash_of(data)},{len(data)}\n' for path, data in content.items())
    (tree / SITE / info / "RECORD").write_text(f"{record}{info}/RECORD,,\n")


def audit(tree: Path, own: Mapping[str, str]) -> dict[str, Any]:
    ask = {"prefix": str(tree), "own": own, "processors": 2, "inspection": ""}
    text = files("lumienv.overlay").joinpath("audit.py").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-"],  # in a container with -S: then this Python's could not be measured
        input=f"ASK = {json.dumps(ask)!r}\n{text}",
        capture_output=True,
        text=True,
        check=True,
    )
    answer = answered(MARK, done.stdout)
    assert answer is not None
    return answer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def test_what_was_installed_is_sound(tree: Path) -> None:
    code = b"x = 1e999 * 0\ny = -0.0\ndef f(a):\n    return a in {1, 'b', (2, 3.0)}, lambda: 1e999 * 0\n"
    install(tree, "odd", {"odd.py": code, "odd.data/é, b.txt": b"text"})
    answer = audit(tree, own_files(tree))
    assert answer["packages"] == [["odd", "1.0"]]
    assert answer["problems"] == []


def test_a_file_that_two_distributions_bring_is_that_of_one_of_them(tree: Path) -> None:
    install(tree, "first", {"tests/__init__.py": b"a = 1\n"})
    install(tree, "second", {"tests/__init__.py": b"b = 2\n"})
    assert audit(tree, own_files(tree))["problems"] == []


def test_bytecode_that_came_in_a_wheel_was_made_anew_and_without_source_is_as_recorded(tree: Path) -> None:
    shipped = {
        f"both/__pycache__/one.{sys.implementation.cache_tag}.pyc": b"of the wheel's author",
        "both/__pycache__/one.cpython-36.pyc": b"of another Python",
        "both/hidden.pyc": b"no source",
        "both/one.py": b"x = 1\n",  # last: compiling writes over what came
    }
    install(tree, "both", shipped)
    own = own_files(tree)
    assert audit(tree, own)["problems"] == []
    (tree / SITE / "both/hidden.pyc").write_bytes(b"another")
    assert audit(tree, own)["problems"] == [[f"{SITE}/both/hidden.pyc", "changed", "both"]]


def test_bytecode_is_compared_with_its_source_whatever_its_header_says(tree: Path) -> None:
    install(tree, "one", {"one.py": b"def f():\n    return 1\n"})
    own = own_files(tree)
    path = next((tree / SITE / "__pycache__").glob("one.*.pyc"))
    whole = path.read_bytes()
    inside = str(path.relative_to(tree))
    other = marshal.dumps(compile("def f():\n    return 2\n", "one.py", "exec"))
    for content in (
        whole[:16] + other,
        whole[:-3],
        whole[:8] + bytes(8) + whole[16:],
        b"",
        whole[:16] + b"\xff",
    ):
        path.write_bytes(content)
        assert audit(tree, own)["problems"] == [[inside, "bytecode", "one"]]
    path.unlink()
    assert audit(tree, own)["problems"] == []  # Python then reads the source


def test_bytecode_that_use_leaves_behind_is_no_damage_unless_it_is_of_another_source(tree: Path) -> None:
    install(tree, "one", {"one.py": b"assert 0, 'gone with -O'\n"})
    own = own_files(tree)
    cached = tree / SITE / "__pycache__"
    source = str(tree / SITE / "one.py")
    py_compile.compile(source, doraise=True, optimize=1)
    (cached / f"one.{sys.implementation.cache_tag}-pytest-9.1.1.pyc").write_bytes(b"only pytest knows")
    assert audit(tree, own)["problems"] == []
    optimized = cached / f"one.{sys.implementation.cache_tag}.opt-1.pyc"
    optimized.write_bytes(optimized.read_bytes()[:16] + marshal.dumps(compile("x = 1", "one.py", "exec")))
    (cached / f"two.{sys.implementation.cache_tag}-pytest-9.1.1.pyc").write_bytes(b"of no source")
    assert audit(tree, own)["problems"] == [
        [str(optimized.relative_to(tree)), "bytecode", "one"],
        [f"{SITE}/__pycache__/two.{sys.implementation.cache_tag}-pytest-9.1.1.pyc", "unknown", ""],
    ]


def test_a_link_in_the_place_of_a_file_is_a_change(tree: Path, tmp_path: Path) -> None:
    install(tree, "one", {"one.txt": b"text"})
    own = own_files(tree)
    (tmp_path / "same").write_bytes(b"text")
    (tree / SITE / "one.txt").unlink()
    (tree / SITE / "one.txt").symlink_to(tmp_path / "same")
    assert audit(tree, own)["problems"] == [[f"{SITE}/one.txt", "changed", "one"]]


def test_each_kind_of_damage_is_a_sentence() -> None:
    assert (
        str(Damage("a.py", "unreadable", "a", "Input/output error"))
        == "a.py (a) cannot be read: Input/output error"
    )
    assert str(Damage("x", "unknown")) == "x belongs to nothing that was installed"
