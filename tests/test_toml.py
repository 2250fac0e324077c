"""TOML that is kept once it was parsed, and who is believed about it."""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumienv import toml
from lumienv.toml import parse_toml, read_toml

TEXT = 'name = "é"\n[[bind]]\npath = "/pfs"\n[limits]\nloop-devices = 8\nshare = 0.1\nfor-all = true\n'


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "lumienv" / "toml"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts that the standard library was given."""
    texts: list[str] = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, object]:
        texts.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    return texts


def entry_of(kept: Path) -> Path:
    (entry,) = kept.iterdir()
    return entry


def test_a_text_is_parsed_once(kept: Path, parsed: list[str]) -> None:
    assert read_toml(TEXT) == read_toml(TEXT) == tomllib.loads(TEXT)
    assert parsed == [TEXT, TEXT]  # once here, once for the comparison
    assert list(read_toml(TEXT)) == list(tomllib.loads(TEXT))
    assert entry_of(kept).stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o700


def test_another_text_is_parsed_anew(kept: Path) -> None:
    read_toml(TEXT)
    assert read_toml(TEXT.replace("8", "9"))["limits"]["loop-devices"] == 9


def test_what_is_no_toml_is_refused_each_time(kept: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="line 1"):
            read_toml("name = \n")
    assert not kept.exists()


def test_what_is_nested_too_deeply_is_refused_whether_or_not_it_is_kept(kept: Path) -> None:
    for read in (read_toml, parse_toml):
        with pytest.raises(ValueError, match="nested too deeply"):
            read("name = " + "[" * 3000)


def test_a_text_with_a_date_is_parsed_each_time(kept: Path, parsed: list[str]) -> None:
    for _ in range(2):
        assert str(read_toml("day = 2026-11-01")["day"]) == "2026-11-01"
    assert len(parsed) == 2


@pytest.mark.parametrize(
    "damage", ["cut", "emptied", "changed", "of another text", "of others", "a link", "a folder"]
)
def test_an_entry_that_cannot_be_believed_is_not(kept: Path, damage: str) -> None:
    read_toml(TEXT)
    entry = entry_of(kept)
    whole = entry.read_bytes()
    if damage == "cut":
        entry.write_bytes(whole[:-1])
    elif damage == "emptied":
        entry.write_bytes(b"")
    elif damage == "changed":
        entry.write_bytes(whole.replace(b"/pfs", b"/tmp"))
    elif damage == "of another text":
        read_toml("name = 1")
        next(path for path in kept.iterdir() if path != entry).replace(entry)
    elif damage == "of others":
        forged = whole.partition(b"\n")[2].replace(b"/pfs", b"/tmp")
        entry.write_bytes(toml._seal(entry.name, forged) + b"\n" + forged)
        entry.chmod(0o620)
    elif damage == "a link":
        entry.rename(kept.parent / "elsewhere")
        entry.symlink_to(kept.parent / "elsewhere")
    else:
        entry.unlink()
        entry.mkdir()
    assert read_toml(TEXT) == tomllib.loads(TEXT)


def test_what_was_damaged_is_kept_anew(kept: Path, parsed: list[str]) -> None:
    read_toml(TEXT)
    entry_of(kept).write_bytes(b"")
    for _ in range(2):
        read_toml(TEXT)
    assert len(parsed) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_kept_texts_are_parsed(kept: Path) -> None:
    kept.parent.mkdir()
    kept.parent.chmod(0o500)
    assert read_toml(TEXT) == tomllib.loads(TEXT)


def test_where_the_folder_cannot_be_made_texts_are_parsed(kept: Path) -> None:
    kept.parent.write_text("no folder")
    assert read_toml(TEXT) == tomllib.loads(TEXT)


def test_the_oldest_of_too_many_go(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toml, "_MOST", 3)
    for number in range(5):
        read_toml(f"number = {number}")
        for entry in kept.iterdir():
            os.utime(entry, (entry.stat().st_atime, entry.stat().st_mtime - 10))
    told = [json.loads(entry.read_bytes().partition(b"\n")[2])["number"] for entry in kept.iterdir()]
    assert sorted(told) == [2, 3, 4]


def test_what_is_known_is_read_without_the_parser(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_toml(TEXT)
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert read_toml(TEXT)["name"] == "é"
