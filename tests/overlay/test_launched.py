"""The launchers in the store: one small file under many names, exchanged so that a kill leaves them whole."""

import os
import stat
from pathlib import Path

import pytest

from lumienv.overlay.launched import SCRIPT, launch_text, launched, launchers, write_launchers

TEXT = launch_text("venv-1-a", "exec true\n")


def test_all_launchers_are_one_file(tmp_path: Path) -> None:
    assert write_launchers(tmp_path, TEXT, ["python", "python3", "pip"])

    assert launchers(tmp_path) == ["pip", "python", "python3"]
    assert len({path.stat().st_ino for path in (tmp_path / "bin").iterdir()}) == 1
    assert (tmp_path / "bin/pip").stat().st_nlink == 3
    assert launched(tmp_path) == "venv-1-a"


def test_nobody_else_may_write_to_them_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        write_launchers(tmp_path, TEXT, ["python"])
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("bin", "bin/python", "launch.sh")]
    assert modes == [0o750, 0o550, 0o440]


def test_the_group_may_use_those_that_are_shared_and_no_others(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_launchers(tmp_path, TEXT, ["python"], os.getgid())
        shared = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("bin/python", "launch.sh")]
        write_launchers(tmp_path, TEXT, ["python"])
        own = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("bin/python", "launch.sh")]
    finally:
        os.umask(before)
    assert shared == [0o550, 0o440]
    assert own == [0o500, 0o400]


def test_what_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    write_launchers(tmp_path, TEXT, ["python", "pip"])

    def state() -> list[tuple[int, int, int]]:
        found = (path.stat() for path in sorted(tmp_path.rglob("*")) if path.name != "launch.sh")
        return [(one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for one in found]

    before = state()

    assert not write_launchers(tmp_path, TEXT, ["python", "pip"])

    assert state() == before


def test_launchers_that_are_right_are_as_new_as_the_sync_that_saw_it(tmp_path: Path) -> None:
    # By its time they tell whether their image was changed since: a sync takes the warning back.
    write_launchers(tmp_path, TEXT, ["python"])
    file = tmp_path / "launch.sh"
    os.utime(file, (1, 1))
    same = file.stat().st_ino

    assert not write_launchers(tmp_path, TEXT, ["python"])

    assert file.stat().st_ino == same
    assert file.stat().st_mtime > 1


def test_programs_that_are_gone_lose_their_launcher_and_new_ones_get_one(tmp_path: Path) -> None:
    write_launchers(tmp_path, TEXT, ["python", "old"])
    (tmp_path / "bin/mine").write_text("#!/bin/sh\necho of the user's own\n")

    assert write_launchers(tmp_path, TEXT, ["python", "new"])

    assert launchers(tmp_path) == ["mine", "new", "python"]
    assert (tmp_path / "bin/new").samefile(tmp_path / "bin/python")


def test_what_a_killed_sync_has_left_is_removed_and_mended(tmp_path: Path) -> None:
    write_launchers(tmp_path, TEXT, ["python", "pip"])
    (tmp_path / "bin/.0123456789ab").write_text("half")
    (tmp_path / "bin/pip").unlink()
    (tmp_path / "bin/pip").write_text("#!/bin/sh\n# Written by lumienv, an earlier one.\n")

    write_launchers(tmp_path, TEXT, ["python", "pip"])

    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["pip", "python"]
    assert (tmp_path / "bin/pip").read_text() == SCRIPT


def test_a_file_system_without_hard_links_has_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    write_launchers(tmp_path, TEXT, ["python", "pip"])

    assert [(tmp_path / "bin" / name).read_text() for name in ("pip", "python")] == [SCRIPT, SCRIPT]


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    store = tmp_path / "store"
    store.mkdir()
    (store / "bin").symlink_to(tmp_path / "other")

    write_launchers(store, TEXT, ["python"])

    assert list((tmp_path / "other").iterdir()) == []
    assert launchers(store) == ["python"]
