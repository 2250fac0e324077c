"""Writes that a kill, a full disk or a second writer cannot leave half-made."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.files import (
    current_umask,
    disk_errors,
    new_directory,
    one_writer,
    private_directory,
    remove_tree,
    user_path,
    write_atomically,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(params=[0o022, 0o007, 0o077], ids=["umask022", "umask007", "umask077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- write_atomically ------------------------------------------------------------------------------------


def test_a_new_file_has_the_content_and_the_mode_of_the_umask(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "lock", b"content")
    assert (tmp_path / "lock").read_bytes() == b"content"
    assert mode_of(tmp_path / "lock") == 0o666 & ~umask


def test_a_replaced_file_keeps_its_mode(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o640)


def test_a_mode_that_is_asked_for_is_not_changed_by_the_umask(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "shared", b"", mode=0o644)
    assert mode_of(tmp_path / "shared") == 0o644


def test_a_reader_of_the_old_file_still_reads_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"old" * 1000)
    with path.open("rb") as reader:
        beginning = reader.read(10)
        write_atomically(path, b"new")
        assert beginning + reader.read() == b"old" * 1000
    assert path.read_bytes() == b"new"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"old")
    program = (
        "import resource, sys, pathlib\n"
        "from lumienv.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomically(pathlib.Path(sys.argv[1]), bytes(5000))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=False)
    assert done.returncode != 0
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_is_read_without_changing_it(umask: int) -> None:
    assert current_umask() == umask
    assert current_umask() == umask


# -- disk_errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
    ],
)
def test_what_a_disk_refuses_becomes_a_sentence_with_a_way_out(number: int, reason: str) -> None:
    with pytest.raises(StoreError) as caught, disk_errors("write the lock", Path("/project/lock")):
        raise OSError(number, os.strerror(number))
    assert caught.value.message == f"cannot write the lock: {reason}"
    assert "at /project/lock" in caught.value.facts
    assert caught.value.hint


def test_a_full_disk_is_answered_with_the_places_that_can_be_changed() -> None:
    with pytest.raises(StoreError) as caught, disk_errors("write", Path("/x")):
        raise OSError(errno.ENOSPC, "full", "/scratch/file")
    assert "at /scratch/file" in caught.value.facts
    for place in ("[sync] store", "LUMIENV_CACHE_DIR", "TMPDIR"):
        assert place in (caught.value.hint or "")


def test_any_other_error_of_the_disk_is_a_sentence_too() -> None:
    with pytest.raises(StoreError, match="cannot write: not a directory"), disk_errors("write", Path("/x")):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory")


def test_an_error_that_is_not_the_disks_is_passed_on() -> None:
    with pytest.raises(KeyError), disk_errors("write", Path("/x")):
        raise KeyError("gone")


# -- private_directory -----------------------------------------------------------------------------------


def test_a_private_directory_is_made_for_this_user_alone(tmp_path: Path, umask: int) -> None:
    path = private_directory(tmp_path / "deep" / "cache")
    assert path == tmp_path / "deep" / "cache"
    assert mode_of(path) == 0o700


def test_a_directory_that_others_can_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    path.chmod(0o777)
    assert mode_of(private_directory(path)) == 0o700


@pytest.mark.parametrize("kind", ["link to a directory", "link to nothing", "file"])
def test_what_is_no_real_directory_is_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cache"
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    if kind == "file":
        path.write_text("")
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link to a directory" else "nothing"))
    with pytest.raises(StoreError, match="not a directory") as caught:
        private_directory(path)
    assert "LUMIENV_CACHE_DIR" in (caught.value.hint or "")


@as_root
def test_a_directory_of_another_user_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    path.chmod(0o755)
    os.chown(path, 65534, 65534)
    with pytest.raises(StoreError, match="belongs to nobody"):
        private_directory(path)
    assert mode_of(path) == 0o755


# -- one_writer ------------------------------------------------------------------------------------------

_HOLDER = """
import sys, pathlib
from lumienv.files import one_writer
with one_writer(pathlib.Path(sys.argv[1]), "write"):
    print("held", flush=True)
    sys.stdin.readline()
    pathlib.Path(sys.argv[1]).with_name("first").write_text("done")
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_waits_for_the_first_and_says_so_once(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    told = []

    def waiting(line: str) -> None:
        told.append(line)
        assert not (tmp_path / "first").exists()
        assert holder.stdin is not None
        holder.stdin.write("go on\n")
        holder.stdin.flush()

    with one_writer(tmp_path / "lock", "write", waiting):
        assert (tmp_path / "first").read_text() == "done"
    assert len(told) == 1
    assert str(tmp_path) in told[0]


def test_a_killed_writer_holds_nobody_up(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    with one_writer(tmp_path / "lock", "write", lambda _: holder.kill()):
        assert holder.wait() == -signal.SIGKILL
    assert not (tmp_path / "first").exists()


def test_a_writer_that_fails_lets_the_next_one_in(tmp_path: Path) -> None:
    with pytest.raises(KeyError), one_writer(tmp_path / "lock", "write"):
        raise KeyError
    with one_writer(tmp_path / "lock", "write", lambda line: pytest.fail(line)):
        pass


# -- remove_tree -----------------------------------------------------------------------------------------


def test_a_write_protected_tree_is_removed(tmp_path: Path) -> None:
    inner = tmp_path / "tree" / "bin"
    inner.mkdir(parents=True)
    (inner / "python").write_text("")
    inner.chmod(0o555)
    inner.parent.chmod(0o555)
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


def test_what_a_link_inside_the_tree_leads_to_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    kept.chmod(0o750)
    (kept / "data").write_text("precious")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(kept)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert ((kept / "data").read_text(), mode_of(kept)) == ("precious", 0o750)


def test_what_a_link_in_place_of_the_tree_leads_to_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "shared").mkdir(parents=True)
    (kept / "shared").chmod(0o775)
    (tmp_path / "tree").symlink_to(kept)
    remove_tree(tmp_path / "tree")
    assert mode_of(kept / "shared") == 0o775


def test_what_is_there_already_is_not_written_over_by_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"first", new=True)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", new=True)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "none" / "file"
    with pytest.raises(OSError, match="No such file") as caught:
        write_atomically(path, b"")
    assert caught.value.filename == str(path)


def test_a_home_is_that_of_a_user_whom_this_machine_knows_and_else_a_name_stays_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert user_path("~/a") == Path("/home/somebody/a")
    assert user_path("~nobody-has-this-name/a") == Path("~nobody-has-this-name/a")
    assert user_path("./~/a") == Path("~/a")


def test_a_new_directory_is_gone_at_the_end_unless_it_was_moved_away(tmp_path: Path) -> None:
    with new_directory(tmp_path / "made", "try") as path:
        (path / "file").touch()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []
    with new_directory(tmp_path / "made", "try") as path:
        path.rename(tmp_path / "kept")
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_a_signal_that_comes_while_a_directory_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def interrupted(path: Path, mode: int) -> None:
        mkdir(path, mode)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / "made", "try"):
        pytest.fail("it went on")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_says_what_for(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot try"), new_directory(tmp_path / "none/made", "try"):
        pytest.fail("it went on")
