"""One writer at a time: among the processes of a node, and among nodes whose file system has no locks."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from generations import described

from lumienv.errors import StoreError
from lumienv.overlay.generation import current_generation
from lumienv.overlay.store import Store
from lumienv.overlay.writer import STALE_AFTER, Maker, holds, only_writer, this_maker, writers

# Each appends to a file that it reads first: two at once would lose a line. flock answers as on a file system
# that is mounted without it.
EIGHT = """
import errno, fcntl, sys
from pathlib import Path

def off(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")

fcntl.flock = off
from lumienv.overlay.store import Store

store, log = Store(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    with store.writing(lambda line: None), store.staging() as staged:
        assert [path.name for path in store.generations.iterdir()] == [staged.name], "two at once"
        before = log.read_text()
        (staged / "half").write_text("made")
        log.write_text(before + "x")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def put(root: Path, maker: Maker, age: float = 0.0) -> Path:
    """The file of another writer, touched `age` seconds ago."""
    claim = root / f".writer-0123456789ab-{maker}"
    claim.touch()
    os.utime(claim, (time.time() - age, time.time() - age))
    return claim


def ended() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def write(root: Path) -> list[str]:
    """Become the writer; what was said on the way."""
    told: list[str] = []
    with only_writer(root, "write", told.append):
        assert holds(root)
    return told


def test_eight_writers_at_once_take_turns_where_locks_are_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    store = Store(tmp_path / "store")
    words = [sys.executable, "-c", EIGHT, str(store.root), str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(words, **pipes) for _ in range(8)]  # type: ignore[call-overload]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, "")
    assert log.read_text() == "x" * 24
    assert sorted(path.name for path in store.root.iterdir()) == [
        ".gitignore",
        "generations",
        "leases",
        "lock",
    ]
    assert list(store.generations.iterdir()) == []


def test_a_writer_of_this_node_that_has_ended_is_noticed_at_once(root: Path) -> None:
    claim = put(root, replace(this_maker(), pid=ended()))
    assert write(root) == []
    assert not claim.exists()


def test_a_process_that_has_the_number_of_a_dead_writer_is_not_taken_for_it(root: Path) -> None:
    put(root, replace(this_maker(), started=1))
    assert write(root) == []


def test_a_writer_from_before_the_node_was_started_anew_is_dead(root: Path) -> None:
    put(root, replace(this_maker(), boot="00000000"))
    assert write(root) == []


@pytest.mark.parametrize("change", [{"host": "nid-9-elsewhere"}, {"namespace": "1"}], ids=str)
def test_a_writer_that_cannot_be_seen_counts_as_dead_after_a_time_without_a_sign(
    root: Path, change: dict[str, str]
) -> None:
    other = replace(this_maker(), pid=ended(), **change)  # type: ignore[arg-type]
    now = time.time()
    alive = put(root, other, STALE_AFTER / 2)
    assert writers(root, this_maker(), now) == {alive: other}
    assert alive.exists()
    put(root, other, STALE_AFTER + 5)
    assert writers(root, this_maker(), now) == {}
    assert not alive.exists()


def test_who_is_waited_for_is_said_once(root: Path) -> None:
    claim = put(root, replace(this_maker(), pid=77, host="nid005001"))
    told: list[str] = []

    def waiting(line: str) -> None:
        told.append(line)
        claim.unlink()

    with only_writer(root, "write", waiting):
        pass
    assert told == [f"another lumienv (process 77 on nid005001) is at work on {root}, waiting for it"]


def test_what_a_name_of_a_host_holds_is_read_again() -> None:
    maker = Maker(12, 34, "abcd", "5", "login-1.lumi-x.csc.fi")
    assert Maker.of(str(maker)) == maker
    assert Maker.of("x") is None
    assert Maker.of("") is None


def test_a_writer_that_was_taken_for_dead_publishes_nothing(tmp_path: Path) -> None:
    """It slept for longer than the others wait; another may be at work, or have been."""
    store = Store(tmp_path / "store")
    generation = described(store)
    with store.writing(pytest.fail), store.staging() as staged:
        (staged / "tree").mkdir()
        for claim in store.root.glob(".writer-*"):
            claim.unlink()
        with pytest.raises(StoreError, match="another one has taken its place"):
            store.publish(staged, generation)
    with pytest.raises(StoreError, match="no environment here yet"):
        current_generation(store.root)
