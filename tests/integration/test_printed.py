"""The line of `run --print`, pasted into a shell, beside `run` itself: a command finds the same around it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from slurm_lab import PARTITION, allocation
from torture import SHOW, Seen, output_of
from workspace import Workspace, make_workspace

from lumienv.launch.variables import OF_A_SHELL

pytestmark = pytest.mark.unprivileged

FOLDER = 'it\'s "a" $project\n,x:y `id`\\ %s'
WORDS = ["", "two words", "it's", '"$(id)"', "a\nb\n", ":", "-n", "ü", "\udcff"]
TOKEN = "~/s3cr3t,$(id) 'x'\n"  # the runtime would expand the tilde of a variable that nobody names
STALE = {"PYTHONUSERBASE": "/stale", "SINGULARITY_BIND": "/no/such", "APPTAINERENV_VIRTUAL_ENV": "/stale"}
# What two steps of one allocation have each of its own.
_OF_THE_STEP = re.compile(
    r"SLURM_STEP_?ID|SLURM_(STEP|SRUN)\w*_(PORT|HOST)|SLURM_TASK_PID|MASTER_PORT|SLURM_GTIDS"
)


@pytest.fixture(scope="module", params=["venv", "squashfs", "sif"])
def project(
    request: pytest.FixtureRequest, small_image: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> Workspace:
    """A synced project on the small image, in a folder whose name no shell takes as it is."""
    made = make_workspace(
        tmp_path_factory.mktemp("printed") / FOLDER, cache, TOKEN=TOKEN, **PARTITION, **STALE
    )
    made.write(f'path = "{small_image}"', more="[run.env]\nMINE = 'a,b=\"c\" $(id)'\n")
    made.lumienv(
        "sync", "--mode", request.param, *(["--builder", "append"] if request.param == "sif" else [])
    )
    return made


@pytest.fixture(scope="module", params=["alone", "in an allocation"])
def around(request: pytest.FixtureRequest, project: Workspace) -> Iterator[dict[str, str]]:
    """The variables of an allocation, or none."""
    if request.param == "alone":
        yield {}
        return
    request.getfixturevalue("slurm")
    with allocation(project, "-N1", "-n2") as room:
        yield room.variables


@pytest.mark.parametrize("secret", [(), ("--env", "TOKEN")], ids=["open", "secret"])
@pytest.mark.parametrize("preset", [(), ("--preset", "torch-srun")], ids=["plain", "torch-srun"])
def test_the_command_finds_the_same_by_a_pasted_line_as_by_run(
    project: Workspace, around: dict[str, str], preset: tuple[str, ...], secret: tuple[str, ...]
) -> None:
    step = ("--srun", "-Q -n1 --overlap") if around else ()
    words = project.command("run", *preset, *secret, *step, "--", "python", "-c", SHOW, *WORDS)
    env = project.environment(around)
    expected = Seen.of(output_of(words, project.directory, env))
    line = output_of([*words[:2], "--print", *words[2:]], project.directory, env)

    assert (b" srun -" in line, b"s3cr3t" in line) == (bool(around), False)
    for shell in ("dash", "bash"):
        found = Seen.of(output_of([shell, "-c", line], project.directory, env))
        assert plain(found) == plain(expected)
        assert found.env.keys() - OF_A_SHELL == expected.env.keys() - OF_A_SHELL
    assert (expected.env["TOKEN"] == TOKEN.encode()) == bool(secret)
    assert expected.folder == str(project.directory)
    assert expected.words == tuple(word.encode("utf-8", "surrogateescape") for word in WORDS)
    assert expected.env["VIRTUAL_ENV"] == b"/opt/lumienv"
    assert "PYTHONUSERBASE" not in expected.env
    assert ("RANK" in expected.env) == bool(preset and around)


def plain(seen: Seen) -> Seen:
    """Without what a shell in between keeps for itself, and what differs from step to step."""
    kept = {
        name: value
        for name, value in seen.env.items()
        if name not in OF_A_SHELL and not _OF_THE_STEP.fullmatch(name)
    }
    return replace(seen, env=kept)
