"""What `lumienv status` shows of a project in each of its states, on a terminal and elsewhere."""

import re
import shutil

import pytest
from entry_point import on_terminal
from wheels import make_wheel

pytestmark = pytest.mark.unprivileged

LONG = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-0d479e852886.sif"


@pytest.fixture
def project(small_image, local, wheels):
    """A project on an image of its own, with a long name, that nobody has locked."""
    make_wheel(wheels, "thing", "1.0", ["imgtool"])
    make_wheel(wheels, "other", "1.0")
    shutil.copy(small_image, local.directory.parent / LONG)
    ask_for(local, "thing")
    return local


def ask_for(project, *dependencies):
    project.write(f'path = "../{LONG}"', dependencies)


def screen(project, *words):
    """The lines on standard output; nothing stands on the other."""
    said = project.try_("status", *words)
    assert (said.status, said.err) == (0, "")
    return said.out.splitlines()


def test_the_first_line_says_whether_it_would_run_and_the_second_what_to_type(project, small_image):
    assert screen(project)[:3] == ["not yet: nothing is locked", "to mend it: lumienv sync", ""]

    project.lumienv("lock")
    assert screen(project)[:2] == [
        "not yet: it is locked, and there is no environment of it",
        "to mend it: lumienv sync",
    ]

    project.lumienv("sync")
    said = screen(project)
    assert said[:3] == ["up to date: lumienv run uses what is locked", "", f"image:        {LONG}"]
    assert said[3] == "lock:         pylock.lumienv.toml, 1 package"
    assert re.fullmatch(r"environment:  venv, \d+ kB, \d+ files: venv-[0-9a-f]{16}-[0-9a-f]{6}", said[4])

    ask_for(project, "thing", "other")
    said = screen(project)
    assert said[:2] == [
        'stale: "other" was added to dependencies since it was locked',
        "to mend it: lumienv sync",
    ]
    assert sum("was added" in line for line in said) == 1

    (project.directory.parent / LONG).unlink()
    said = screen(project)
    assert said[0].startswith("problem: the image ")
    assert said[0].endswith(" does not exist")
    assert said[1] == "to mend it: lumienv image list"


def test_the_number_of_files_is_that_of_the_generation(project):
    project.lumienv("sync")
    carrier = project.current.resolve()
    files = sum(path.is_file() and not path.is_symlink() for path in carrier.rglob("*"))
    told = re.search(r"(\d+) files", project.lumienv("status"))
    assert told is not None
    assert int(told[1]) == files - 1  # generation.json itself is written last


def test_of_many_environments_the_newest_are_shown(project, wheels):
    for number in range(1, 7):
        make_wheel(wheels, "other", f"{number}.0")
        ask_for(project, f"other=={number}.0")
        project.lumienv("sync")

    said = screen(project)

    assert len(said) <= 12
    also = [line for line in said if line.startswith("also:")]
    assert len(also) == 4
    assert all(", stale: " in line for line in also)
    assert re.fullmatch(r" {14}and 1 more, \d+ kB \(-v shows them\): lumienv clean", said[-2])
    assert sum(line.startswith("also:") for line in screen(project, "-v")) == 5


def test_a_terminal_gets_colour_and_a_file_none(project):
    project.lumienv("sync")
    shown = on_terminal("status", cwd=project.directory, env=project.environment({}), columns=80, lines=24)
    assert shown.startswith("\x1b[32m\x1b[1mup to date:\x1b[0m")
    assert len(shown.splitlines()) <= 10
    ask_for(project, "thing", "other")
    shown = on_terminal("status", cwd=project.directory, env=project.environment({}), columns=80, lines=24)
    assert shown.startswith("\x1b[33m\x1b[1mstale:\x1b[0m")
    assert "\x1b" not in project.lumienv("status")


def test_quiet_leaves_the_verdict_and_the_remedy(project):
    assert screen(project, "-q") == ["not yet: nothing is locked", "to mend it: lumienv sync"]
