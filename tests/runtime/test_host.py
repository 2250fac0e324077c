"""No container: an interpreter of this machine is the base."""

from pathlib import Path

from lumienv.runtime import Command, Surroundings
from lumienv.runtime.host import Host

HOME = {"PATH": "/usr/bin", "HOME": "/home/ada", "PYTHONPATH": "/mine", "TOKEN": "secret", "PYTHONHOME": "/x"}


def test_a_command_starts_as_it_is_written() -> None:
    command = ["python", "-c", "print('a b')"]
    assert Host().launch("/usr/bin/python3", command, Surroundings(), inherited=HOME).argv == tuple(command)
    assert Host().closed("/usr/bin/python3", command, Surroundings(), inherited=HOME).argv == tuple(command)


def test_the_users_own_variables_reach_a_launched_command() -> None:
    around = Surroundings({"PYTHONPATH": "", "PYTHONHOME": ""}, ("/tree/bin",))
    env = Host().launch("python", ["python"], around, inherited=HOME).environment(HOME)
    assert env == {
        "PATH": "/tree/bin:/usr/bin",
        "HOME": "/home/ada",
        "TOKEN": "secret",
        "PYTHONPATH": "",
        "PYTHONHOME": "",
    }


def test_a_path_of_the_users_stays_behind_the_overlays() -> None:
    around = Surroundings({"PATH": "/mine"}, ("/tree/bin", "/env/bin"))
    command = Host().launch("python", ["python"], around, inherited=HOME)
    assert command.env["PATH"] == "/tree/bin:/env/bin:/mine"


def test_without_a_path_there_is_still_one() -> None:
    command = Host().launch("python", ["python"], Surroundings(prepend_path=("/tree/bin",)), inherited={})
    assert command.env["PATH"].startswith("/tree/bin:/")


def test_a_closed_command_sees_nothing_of_the_users(tmp_path: Path) -> None:
    command = Host().closed("python", ["python"], Surroundings({"A": "1"}), inherited=HOME, scratch=tmp_path)
    assert command.environment(HOME) == {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "A": "1",
        "TMPDIR": str(tmp_path),
    }


def test_a_command_changes_what_it_inherits_and_nothing_else() -> None:
    command = Command(("x",), {"A": "new", "B": "2"}, unset=("C", "D"))
    assert command.environment({"A": "old", "C": "gone", "E": "kept"}) == {"A": "new", "B": "2", "E": "kept"}
