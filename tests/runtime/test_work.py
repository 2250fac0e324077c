"""What a killed lumienv has left running is known by its mark, and ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lumienv.runtime import work
from lumienv.runtime.process import capture

# Starts a program through `capture` that tells its number, and is killed while it waits for it.
KILLED = """
import os, signal, sys
from lumienv.runtime import work
from lumienv.runtime.process import capture
print(work.label(), flush=True)
child = '''{child}'''
capture([sys.executable, "-c", child])
"""
MARKED = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open({fifo!r}, "w") as told:
    told.write(str(os.getpid()))
signal.pause()
"""
UNMARKED_BESIDE = """
import os, signal, subprocess, sys
bare = [sys.executable, "-c", "import signal; signal.pause()"]
beside = subprocess.Popen(bare, env={{}})
with open({fifo!r}, "w") as told:
    told.write(str(beside.pid))
signal.pause()
"""


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("child", [MARKED, UNMARKED_BESIDE])
def test_what_a_killed_process_had_started_is_ended(tmp_path: Path, child: str) -> None:
    """Also what has another environment, as a container has; it is in one session with what started it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = KILLED.replace("{child}", child.format(fifo=str(fifo)))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        label = killed.stdout.readline().strip()
        left = int(fifo.read_text())
        assert not work.clear_away(label), "its starter is at work"
        assert runs(left)
        os.kill(killed.pid, signal.SIGKILL)
    assert runs(left)

    assert work.clear_away(label)

    assert not runs(left)


def test_what_this_process_does_is_left_alone() -> None:
    assert not work.clear_away(work.label())


@pytest.mark.parametrize("label", ["", "x", "4194999-", "elsewhere-1-2"])
def test_a_name_that_says_nothing_is_nobodys(label: str) -> None:
    assert work.clear_away(label)


def test_what_is_started_carries_the_mark() -> None:
    told = capture([sys.executable, "-c", "import os; print(os.environ['LUMIENV_WORK'])"], env={})
    assert told.stdout.strip() == work.token()


def test_a_process_whose_name_is_cut_in_the_middle_of_a_letter_disturbs_nobody() -> None:
    program = "open('/proc/self/comm', 'wb').write(b'jobb-p\\xc3'); print('named', flush=True); input()"
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cut:
        assert cut.stdout is not None
        assert cut.stdout.readline() == b"named\n"
        assert work.clear_away("999999999-mark")
        cut.terminate()
