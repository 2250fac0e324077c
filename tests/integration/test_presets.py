"""Presets under a real Slurm: what each task finds, and how many there are."""

import json

import pytest

pytestmark = [pytest.mark.unprivileged, pytest.mark.usefixtures("slurm")]

RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
SLURMS = ("SLURM_PROCID", "SLURM_NODEID", "SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURMD_NODENAME")
# Short: srun hands the output of tasks on in pieces, and a long line would be cut by another task's.
TELL = (
    f"import json, os; names = {(*RANKS, *SLURMS, 'MASTER_ADDR', 'MASTER_PORT')}; print(json.dumps("
    "{k: v for k, v in os.environ.items() if k.startswith('PET_') or k in names}), flush=True)"
)


@pytest.fixture
def project(local, small_image):
    local.write(f'path = "{small_image}"')
    local.lumienv("sync")
    return local


def tasks(project, preset, *allocation, srun=""):
    """What each task of a launch in an allocation finds, in the order of the tasks."""
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(f"{manifest.read_text()}[run]\npreset = {json.dumps(preset)}\n")
    words = ["run", *(["--srun", srun] if srun else []), "--", "python", "-c", TELL]
    said = project.shell(["salloc", "-Q", *allocation, *project.command(*words)])
    assert said.status == 0, said.err
    return sorted(
        (json.loads(line) for line in said.out.splitlines()), key=lambda task: int(task["SLURM_PROCID"])
    )


def ranks(found):
    return [tuple(task[name] for name in RANKS) for task in found]


@pytest.mark.parametrize(
    ("allocation", "srun"), [(["-N2", "-n3"], ""), (["-N2", "-n6"], "-n3")], ids=["a job", "a smaller step"]
)
def test_each_rank_of_an_uneven_job_on_two_nodes_finds_the_others(project, allocation, srun):
    # A heterogeneous job says the same (-N1 -n2 : -N1 -n1), but waits half a minute to be scheduled.
    found = tasks(project, "torch-srun", *allocation, srun=srun)

    assert ranks(found) == [("0", "0", "3", "2"), ("1", "1", "3", "2"), ("2", "0", "3", "1")]
    assert {task["MASTER_ADDR"] for task in found} == {found[0]["SLURMD_NODENAME"]}
    assert len({task["MASTER_PORT"] for task in found}) == 1


def test_torchrun_is_started_once_on_each_node_of_a_job_with_eight_tasks_a_node(project):
    job = ["-N2", "--ntasks-per-node=8", "--cpus-per-task=2", "--gpus-per-node=2"]
    found = tasks(project, "torchrun", *job)

    assert [task["SLURM_NODEID"] for task in found] == ["0", "1"]
    assert {task["SLURM_CPUS_PER_TASK"] for task in found} == {"16"}
    told = [{name: value for name, value in task.items() if name.startswith("PET_")} for task in found]
    number, first = found[0]["SLURM_JOB_ID"], found[0]["MASTER_ADDR"]
    assert (
        told
        == [
            {
                "PET_NNODES": "2",
                "PET_NPROC_PER_NODE": "2",
                "PET_RDZV_BACKEND": "c10d",
                "PET_RDZV_ID": f"{number}.0",
                "PET_RDZV_ENDPOINT": f"{first}:{10000 + int(number) % 10000}",
            }
        ]
        * 2
    )
