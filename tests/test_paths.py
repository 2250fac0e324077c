"""`lumienv.paths` held against pathlib, whose place it takes before jobs."""

import copy
import os
from pathlib import Path as Whole
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumienv.paths import Path

TEXTS = st.lists(st.sampled_from(["/", "a", ".", "..", "é b", "x.sif", "."]), max_size=6).map("/".join)
ASKED = ("name", "parent", "stem", "suffix", "parts")


def same_text(ours: Any, theirs: Any) -> bool:
    # Two slashes in front are one: only POSIX as a standard, and no file system here, tells them apart.
    return str(ours) == str(theirs).replace("//", "/")


@given(TEXTS.filter(lambda text: not text.startswith("//")), TEXTS)
def test_text_and_parts_are_those_of_pathlib(text: str, more: str) -> None:
    ours, theirs = Path(text), Whole(text)
    assert str(ours) == str(theirs) == os.fspath(ours)
    assert same_text(ours / more, theirs / more)
    assert list(map(str, ours.parents)) == list(map(str, theirs.parents))
    assert same_text(ours.absolute(), theirs.absolute())
    for asked in ASKED:
        assert str(getattr(ours, asked)) == str(getattr(theirs, asked)), asked


@given(TEXTS.filter(lambda text: not text.startswith("//")))
def test_it_equals_the_one_of_pathlib(text: str) -> None:
    ours, theirs = Path(text), Whole(text)
    assert ours == theirs
    assert theirs == ours
    assert ours == Path(text)
    assert len({ours, theirs, Path(text)}) == 1
    assert ours != text
    assert Whole(ours) == theirs
    assert copy.deepcopy(ours) == ours


def test_what_is_on_the_disk_is_seen_alike(tmp_path: Whole) -> None:
    (tmp_path / "file").write_text("é\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("gone")
    for name in ("file", "link", "missing", "."):
        ours, theirs = Path(str(tmp_path), name), tmp_path / name
        for asked in ("exists", "is_dir", "is_file", "is_symlink"):
            assert getattr(ours, asked)() == getattr(theirs, asked)(), (name, asked)
    file = Path(tmp_path) / "file"
    assert file.read_bytes() == (tmp_path / "file").read_bytes()
    assert file.read_text(encoding="utf-8") == "é\n"
    assert file.stat() == (tmp_path / "file").stat()
    assert file.samefile(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        (Path(tmp_path) / "missing").stat()


def test_all_else_is_done_by_pathlib(tmp_path: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path(tmp_path) / "folder"
    made.mkdir()
    assert list(Path(tmp_path).iterdir()) == [tmp_path / "folder"]
    assert sorted([Path("b"), Path("a")]) == [Path("a"), Path("b")]
    assert tmp_path / Path("x") == tmp_path / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Path("~/x").expanduser() == tmp_path / "x"
    assert Path.cwd() == Whole.cwd()
    assert repr(Path("x")) == "Path('x')"
    with pytest.raises(AttributeError):
        Path("x").nothing_of_the_kind  # noqa: B018
