"""What long steps show: a line where nobody watches, a clock on a terminal."""

import os
import pty
import subprocess
import sys

import click
import pytest

from lumienv.ui import Output

TEXT = "packing [all] of it"
STEP = """
from lumienv.ui import Output
with Output(progress=%r).step(%r, lambda: "the middle\\x1b[31m part"):
    pass
"""


def test_a_step_is_one_plain_line_where_no_terminal_is(capsys):
    with Output().step("packing all of it", lambda: "the middle part"):
        pass

    assert capsys.readouterr().err == "packing all of it\n"


def test_a_quiet_step_says_nothing(capsys):
    with Output(quiet=True).step("packing all of it"):
        pass

    assert capsys.readouterr().err == ""


def on_a_terminal(progress: bool, text: str = TEXT) -> str:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", STEP % (progress, text)], stderr=theirs, env=environ, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    return shown


def test_a_step_shows_what_is_being_done_on_a_terminal():
    shown = on_a_terminal(True)

    assert "packing [all] of it" in shown
    assert "the middle part" in shown
    assert "0:00:00" in shown


@pytest.mark.parametrize("length", range(40, 90))
def test_a_step_keeps_its_line_its_time_and_what_is_done_however_long_its_name(length):
    shown = on_a_terminal(True, "x" * length)

    line = click.unstyle(shown).partition("\n")[0].rstrip("\r")
    assert "0:00:00 xxx" in line
    assert line.endswith(" the middle part")
    assert ("…" in line) == (length > 80 - len("⠋ 0:00:00  the middle part"))


def test_a_terminal_without_progress_gets_the_plain_line():
    assert on_a_terminal(False) == "packing [all] of it\r\n"
