"""What `lumienv doctor` shows, through the real program."""

import json
import os
import re
from pathlib import Path

import pytest
from entry_point import clean_environment, lumienv, on_terminal

from lumienv.project.doctor import CHECKS

PAGE = Path(__file__).parents[1] / "docs" / "doctor.md"
TOML = """\
[image]
host = "python3"

[run]
env = { WANDB_API_KEY = { from = "host" } }
"""
SCREEN = """\
machine  fine  runtime, mksquashfs, cotainr, temporary files
site     fine  profile, image folders
Slurm    fine  commands, variables
shell    fine  modules, packages in ~/.local, pip, locale, umask
         note  variables: PYTHONPATH is set and goes before all packages of a container; lumienv run sets it
               aside, plain singularity does not
               → unset PYTHONPATH
         problem  binds: see below
project  fine  lumienv.toml, image, store
         note  lock, environment: there is none yet
               → lumienv sync
         problem  [run]: see below
home     fine  room, cache of lumienv, caches

problem  binds: SINGULARITY_BIND names /no/such, which is not on this node: plain singularity fails
      → unset SINGULARITY_BIND, or unload the module that sets it
problem  [run]: [run] env: WANDB_API_KEY is taken from the host, where WANDB_API_KEY is not set
      → export WANDB_API_KEY=…

2 problems, 3 notes, 19 fine; -v shows all of it
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3", "mksquashfs"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    found = clean_environment(tmp_path / "home")
    return found | {"PATH": str(programs), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "lumienv.toml").write_text(TOML)
    return folder


ILL = {"SINGULARITY_BIND": "/no/such", "PYTHONPATH": "/no/modules"}


def test_the_screen_has_what_is_fine_in_short_and_problems_last(project: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", cwd=project, env=env | ILL)
    assert (done.returncode, done.stderr) == (1, "")
    # Which of these places are on one file system is the machine's affair.
    assert re.sub(r"room of [a-z ,]+, cache of", "room, cache of", done.stdout) == SCREEN


def test_it_fits_a_screen_and_has_colour_on_a_terminal_only(project: Path, env: dict[str, str]) -> None:
    plain = lumienv("doctor", cwd=project, env=env | ILL).stdout
    colored = lumienv("doctor", "--color", "always", cwd=project, env=env | ILL).stdout
    assert len(plain.splitlines()) <= 24
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d*m", "", colored) == plain
    assert "\x1b[31m\x1b[1mproblem" in colored


def test_on_a_terminal_no_line_is_wider_than_that(project: Path, env: dict[str, str]) -> None:
    shown = on_terminal("doctor", cwd=project, env=env | ILL, columns=80, lines=24)
    assert "\x1b[31m" in shown
    rows = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert max(map(len, rows)) <= 80
    assert len(rows) <= 24


def test_the_exit_status_is_0_when_nothing_is_a_problem(project: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", cwd=project, env=env | {"WANDB_API_KEY": "s3cret"})
    assert done.returncode == 0, done.stdout
    assert "0 problems" in done.stdout
    assert "s3cret" not in done.stdout


def test_verbose_shows_every_finding_with_its_source(project: Path, env: dict[str, str]) -> None:
    env |= {"LOADEDMODULES": "singularity-bindings/24.03", "LUMIENV_SITE": "lumi"}
    done = lumienv("doctor", "-v", cwd=project, env=env)
    assert "         fine  umask: " in done.stdout
    assert "         problem  modules: singularity-bindings/24.03 puts some 35 libraries" in done.stdout
    assert "               source: LUMI-EasyBuild-contrib, s/singularity-bindings" in done.stdout
    assert "see below" not in done.stdout


def test_quiet_shows_problems_alone(project: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", "-q", cwd=project, env=env | ILL)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if "→" not in line] == [
        "problem  binds",
        "problem  [run]",
    ]


def test_what_a_terminal_would_obey_is_not_passed_on(project: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", cwd=project, env=env | {"SINGULARITY_BIND": "/\x1b]0;title\x07x"})
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_the_json_is_as_the_page_describes_it(project: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", "--json", cwd=project, env=env | ILL)
    found = json.loads(done.stdout)
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    keys = set(found) | {key for finding in found["findings"] for key in finding}
    assert done.returncode == 1
    assert keys == described
    assert (found["schema"], found["sound"]) == (1, False)
    assert {finding["group"] for finding in found["findings"]} == set(CHECKS)
    assert [one["remedy"] for one in found["findings"] if one["verdict"] == "problem"] == [
        "unset SINGULARITY_BIND, or unload the module that sets it",
        "export WANDB_API_KEY=…",
    ]


def test_a_folder_that_is_none_is_an_error_and_no_finding(tmp_path: Path, env: dict[str, str]) -> None:
    done = lumienv("doctor", "-C", "/no/such/folder", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: /no/such/folder is not a directory")
