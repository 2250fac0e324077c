"""Under a real Slurm: `lumienv run` puts srun in front inside an allocation, and nothing inside a step."""

import pytest
from wheels import make_wheel

pytestmark = pytest.mark.usefixtures("slurm")

COUNT = "import torch; print(torch.cuda.device_count())"
WHO = "import os, overlay_only; print(os.environ['SLURM_PROCID'], overlay_only.__file__)"


@pytest.fixture
def project(lab, local, wheels):
    make_wheel(wheels, "overlay-only", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["overlay-only"])
    local.lumienv("sync")
    return local


def in_allocation(project, *words, options=(), **variables):
    """`lumienv …` in an allocation of its own."""
    return project.shell(["salloc", "-Q", *options, *project.command(*words)], **variables)


def test_torch_counts_the_two_gpus_of_an_allocation(project):
    said = in_allocation(
        project, "run", "--", "python", "-c", COUNT, options=["--nodes=1", "--ntasks=1", "--gpus-per-node=2"]
    )
    assert said.out == "2\n", said.err


def test_each_of_four_tasks_sees_its_own_rank_and_the_overlay(project):
    said = in_allocation(project, "run", "--", "python", "-c", WHO, options=["-n4"])

    lines = sorted(said.out.splitlines())
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"], said.err
    assert all("/opt/lumienv/lib/python3." in line for line in lines)


def test_srun_can_be_asked_for_outside_an_allocation(project):
    lines = project.lumienv("run", "--launcher", "srun", "--srun", "-n2 -N2", "--", "python", "-c", WHO)
    assert sorted(line.split()[0] for line in lines.splitlines()) == ["0", "1"]


def test_slurm_options_of_the_manifest_give_way_to_those_that_are_typed(project):
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text() + '[slurm]\nntasks = 3\npartition = "debug"\n')

    line = project.lumienv("run", "--launcher", "srun", "--srun", "--ntasks=2", "--print", "--", "true")
    ran = project.lumienv("run", "--launcher", "srun", "--srun", "--ntasks=2", "--", "python", "-c", WHO)

    assert "srun --partition=debug --export=ALL --ntasks=2 /" in line
    assert len(ran.splitlines()) == 2


def test_inside_a_step_no_further_srun_is_put_in_front(project):
    said = in_allocation(
        project, "run", "--", "sh", "-c", "echo $SLURM_STEP_ID", options=["-n2", "srun", "-n2"]
    )
    assert sorted(said.out.split()) == ["0", "0"], said.err


@pytest.mark.parametrize("how", [{"SLURM_EXPORT_ENV": "NONE"}, {"LUMIENV_SRUN": "--export=NONE"}])
def test_the_environment_reaches_the_tasks_whatever_export_says(project, how):
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text() + "[run.env]\nMINE = 'a,b=\"c\" $(id)'\n")

    said = in_allocation(
        project,
        "run",
        "--",
        "python",
        "-c",
        f"import os; {WHO}; print(os.environ['MINE'])",
        options=["-n1"],
        **how,
    )

    assert said.out.splitlines()[-1:] == ['a,b="c" $(id)'], said.err
    assert "/opt/lumienv/" in said.out


def test_the_worst_exit_status_of_the_tasks_comes_back(project):
    code = "import os; raise SystemExit(7 if os.environ['SLURM_PROCID'] == '1' else 0)"
    assert in_allocation(project, "run", "--", "python", "-c", code, options=["-n2"]).status == 7


def test_a_stale_environment_inside_a_job_is_an_error_that_names_the_command(project):
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace('"overlay-only"', '"overlay-only>=1"'))

    said = in_allocation(project, "run", "--", "echo", "it ran", options=["-n1"])

    assert said.status == 1
    assert "it ran" not in said.out
    assert '"overlay-only" became "overlay-only>=1" in dependencies since it was locked' in said.err
    assert f"lumienv sync -C {project.directory}" in said.err


def test_the_printed_line_works_in_a_batch_script_without_lumienv(project):
    line = project.lumienv("run", "--launcher", "srun", "--print", "--", "python", "-c", WHO)
    script = project.directory / "job.sh"
    script.write_text(f"#!/bin/sh\n#SBATCH --ntasks=2 --output={project.directory}/job.out\n{line}")

    done = project.shell(["sbatch", "--wait", "--quiet", str(script)])

    assert done.status == 0, done.err
    ranks = sorted(row.split()[0] for row in (project.directory / "job.out").read_text().splitlines())
    assert ranks == ["0", "1"]
