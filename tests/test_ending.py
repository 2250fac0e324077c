"""How lumienv ends: past the interpreter's own end where threads are left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys, threading
from lumienv.__main__ import leave
for daemon in %r:
    threading.Thread(target=threading.Event().wait, args=(60 if daemon else 0.1,), daemon=daemon).start()
atexit.register(print, "the interpreter has ended")
sys.stdout.write("said")
leave(3)
"""


# What is printed waits for a flush.
BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}


def ended(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], env=BUFFERED, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("threads", "printed"),
    [
        ([], "saidthe interpreter has ended\n"),
        ([False], "saidthe interpreter has ended\n"),
        ([True], "said"),
    ],
    ids=["no thread", "one that ends", "one that fetches"],
)
def test_threads_that_are_left_behind_do_not_see_the_interpreter_end(
    threads: list[bool], printed: str
) -> None:
    done = ended(PROGRAM % threads)
    assert (done.returncode, done.stdout, done.stderr) == (3, printed, "")


@pytest.mark.parametrize("end", [1, 2])
def test_a_stream_that_was_closed_before_the_start_makes_no_difference(end: int) -> None:
    quiet = (PROGRAM % [True]).replace('sys.stdout.write("said")', "pass")
    done = subprocess.run(["sh", "-c", f'exec "$@" {end}>&-', "sh", sys.executable, "-c", quiet], check=False)
    assert done.returncode == 3


def test_who_no_longer_reads_makes_no_difference() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", PROGRAM % [True]], env=BUFFERED, stdout=writing, check=False)
    os.close(writing)
    assert done.returncode == 3


def test_what_a_full_disk_did_not_take_is_no_success() -> None:
    program = (PROGRAM % [True]).replace("leave(3)", "leave(0)")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program], env=BUFFERED, stdout=full, check=False)
    assert done.returncode == 1
