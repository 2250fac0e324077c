"""How lumienv ends: past the interpreter's own end where threads are left behind."""

import os
import subprocess
import sys

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
    done = subprocess.run([sys.executable, "-c", PROGRAM % threads], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, printed, "")


def test_who_no_longer_reads_makes_no_difference() -> None:
    program = f"import os, sys; os.close(1)\n{PROGRAM % [True]}"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", program], env=buffered, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")
