"""Each example does what its README shows: its commands are run as they stand, in a copy of the folder."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from console import shown_commands
from workspace import Workspace, typing_environment

pytestmark = pytest.mark.unprivileged

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(page.parent.name for page in EXAMPLES.glob("*/README.md"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_its_readme_shows(name, lab, slurm, real_index, workspace):
    environment = copied(name, lab.directory, workspace)
    shown = shown_commands((EXAMPLES / name / "README.md").read_text())
    assert len(shown) > 1

    for step in shown:
        said = run(step.command, workspace, environment)
        assert step.differences(said) == [], said


# The laboratory has LUMI's partitions, and nodes with eight GPUs.
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ddp-srun", "lumienv srun -- python train.py"),
        ("ddp-torchrun", "sbatch --wait --quiet job.sh; cat ddp.out"),
    ],
)
def test_the_variant_for_lumi_has_a_rank_for_each_gpu_of_two_nodes(
    name, line, lab, slurm, real_index, workspace
):
    environment = {**copied(name, lab.directory, workspace), "LUMIENV_SITE": "lumi"}
    run("cp lumi/* .", workspace, environment)
    run("lumienv sync", workspace, environment)

    said = run(line, workspace, environment)

    assert sorted(RANK.findall(said), key=lambda found: int(found[0])) == [
        (str(rank), "16", str(rank % 8), f"nid00500{1 + rank // 8}", f"cuda:{rank % 8}") for rank in range(16)
    ]
    assert said.count("sum of all ranks 120\n") == 16


RANK = re.compile(r"^rank (\d+) of (\d+): local rank (\d+) on (\w+), (\S+),", re.MULTILINE)


def copied(name: str, images: Path, workspace: Workspace) -> dict[str, str]:
    """The environment to work in, in a copy of the folder."""
    shutil.copytree(EXAMPLES / name, workspace.directory, dirs_exist_ok=True)
    return typing_environment(workspace, images)


def run(line: str, workspace: Workspace, environment: Mapping[str, str]) -> str:
    """What the line prints in a shell; it has to succeed."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=workspace.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"$ {line}\n{done.stdout}\n{done.stderr}"
    return done.stdout
