"""What moves while one waits: on a terminal alone."""

import os
import pty
import signal
import sys

import pytest
from wheels import make_wheel
from workspace import interruptible

pytestmark = pytest.mark.unprivileged

MOVES = b"\x1b[?25l"  # the cursor is hidden while something is drawn


@pytest.fixture
def project(local, wheels, index):
    """A project that waits for an index which never answers."""
    make_wheel(wheels, "thing", "1.0")
    index.stall["/simple/thing/"] = 10
    local.write(f'host = "{sys.executable}"', ["thing"])
    return local


def test_who_waits_at_a_terminal_sees_what_for_and_how_long_and_can_stop_it(project):
    process, terminal = pty.fork()
    if process == 0:
        interruptible()
        os.chdir(project.directory)
        command = project.command("lock")
        os.execve(command[0], command, project.environment({"TERM": "xterm"}))  # noqa: S606
    shown = b""
    while b"0:00:0" not in shown:  # the clock; a terminal that ends is an OSError
        shown += os.read(terminal, 4096)
    assert b"resolving on top of" in shown
    assert MOVES in shown
    os.kill(process, signal.SIGINT)
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    assert b"interrupted: what was there before still works" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(MOVES)  # the cursor is there again


def test_a_pipe_gets_lines_and_nothing_that_moves(project, index):
    index.stall.clear()
    for words in (["lock"], ["sync"], ["sync", "--mode", "venv", "--all-groups"]):
        said = project.try_(*words)
        assert said.status == 0, said.err
        assert "\x1b" not in said.out + said.err
        assert "resolving" not in said.err
