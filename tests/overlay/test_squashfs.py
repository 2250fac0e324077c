"""Packing: the program it needs, and what is said when it fails."""

from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.overlay import squashfs
from lumienv.overlay.squashfs import find_program, pack


def test_a_missing_program_is_named_with_a_way_without_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(squashfs, "_MORE_PLACES", ())
    with pytest.raises(StoreError, match="there is no mksquashfs on this machine") as refused:
        find_program("mksquashfs")
    assert "lumienv sync --mode venv" in str(refused.value)


def test_a_program_that_gives_up_is_said_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mksquashfs"
    program.write_text("#!/bin/sh\necho 'FATAL ERROR: Probably out of space' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(
        StoreError, match=r"cannot write overlay\.squashfs\n  FATAL ERROR: Probably out of space"
    ):
        pack(tmp_path, tmp_path / "overlay.squashfs", 1)


def test_no_more_processors_are_used_than_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mksquashfs"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    pack(tmp_path, tmp_path / "overlay.squashfs", 3)
    assert " -processors 3 " in (tmp_path / "words").read_text()
