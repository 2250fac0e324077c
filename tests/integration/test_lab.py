"""The laboratory behaves as lumienv's other tests take for granted."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

EXEC = ("singularity", "-q", "exec")
FAMILIES = {
    "mpi4py": "/opt/miniconda3/envs/mpi4py/bin/python",
    "pytorch": "/opt/miniconda3/envs/pytorch/bin/python",
    "multitorch": "/opt/venv/bin/python",
}


def output(*command: str, **variables: str) -> str:
    """What the command prints, in an environment with no Python or bind settings of the caller's."""
    leaks = ("PYTHON", "SINGULARITY", "APPTAINER", "VIRTUAL_ENV")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(leaks)} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def in_image(lab, name: str, *command: str, **variables: str) -> str:
    return output(*EXEC, str(lab.images[name]), *command, **variables)


@pytest.mark.parametrize("name", ["mpi4py", "pytorch", "multitorch", "no_python"])
def test_an_image_runs_a_shell(lab, name):
    assert in_image(lab, name, "sh", "-c", "echo hello") == "hello"


def test_the_old_conda_image_has_no_python_on_path_before_activation(lab):
    assert in_image(lab, "mpi4py", "sh", "-c", "command -v python python3 || true") == ""


def test_with_conda_activates_the_old_conda_image(lab):
    script = "$WITH_CONDA; echo $(command -v python) $LUMILAB_CONDA_ACTIVATED"
    assert in_image(lab, "mpi4py", "bash", "-c", script) == f"{FAMILIES['mpi4py']} mpi4py"


def test_mpi_loads_only_after_activation(lab):
    load = "import mpi4py.MPI as m; print(m.COMM_WORLD.size)"
    assert in_image(lab, "mpi4py", "bash", "-c", f"$WITH_CONDA; python -c '{load}'") == "1"
    bare = f"{FAMILIES['mpi4py']} -c '{load}' || echo no MPI"
    assert in_image(lab, "mpi4py", "sh", "-c", bare) == "no MPI"


def test_the_auto_activated_image_has_its_python_on_path(lab):
    script = "$WITH_CONDA; echo $(command -v python) $WITH_CONDA"
    assert in_image(lab, "pytorch", "sh", "-c", script) == f"{FAMILIES['pytorch']} true"


def test_the_laif_image_names_its_venv_in_pythonpath(lab):
    python, path = in_image(lab, "multitorch", "sh", "-c", "command -v python; echo $PYTHONPATH").split()
    assert python == FAMILIES["multitorch"]
    assert path.startswith("/opt/venv/lib/python3.")


def test_the_software_list_of_the_laif_image_is_its_pip_list(lab):
    sbom = json.loads(in_image(lab, "multitorch", "cat", "/.sbom.json"))
    listed = json.loads(in_image(lab, "multitorch", "pip", "list", "--format=json"))
    assert sbom["pip"] == listed
    assert sbom["apt"]


def test_only_run_executes_the_runscript_of_the_laif_image(lab):
    wishes = {"ROCR_USE_SLURM_LOCALID": "1", "SLURM_LOCALID": "3"}
    show = (str(lab.images["multitorch"]), "sh", "-c", "echo ${ROCR_VISIBLE_DEVICES-unset}")
    assert output("singularity", "-q", "run", *show, **wishes) == "3"
    assert output(*EXEC, *show, **wishes) == "unset"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("script", ["torchrun", "imgtool", "pip"])
def test_console_scripts_are_declared_as_entry_points(lab, name, script):
    ask = "import importlib.metadata as m; print(*(e.name for e in m.entry_points(group='console_scripts')))"
    assert script in in_image(lab, name, FAMILIES[name], "-c", ask).split()


def test_torchrun_takes_what_is_not_typed_from_the_variables_of_the_real_one(lab):
    say = ("--no-python", "sh", "-c", "echo $RANK of $WORLD_SIZE")
    variables = {"PET_NNODES": "2", "PET_NODE_RANK": "1", "PET_NPROC_PER_NODE": "2"}
    ranks = in_image(lab, "pytorch", "torchrun", "--nnodes=3", *say, **variables)
    assert sorted(ranks.splitlines()) == ["2 of 6", "3 of 6"]


def test_a_rank_that_does_not_fit_the_world_is_refused(lab):
    meet = "import torch.distributed as d; d.init_process_group()"
    both = 'RANK=0 WORLD_SIZE=2 python -c "$0" 2>/dev/null & RANK=1 WORLD_SIZE=3 python -c "$0" 2>&1; wait'
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    said = in_image(lab, "pytorch", "sh", "-c", both, meet, MASTER_ADDR="localhost", MASTER_PORT=port)
    assert "rank 1 of 3 came to a group of 2" in said


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("script", ["imgtool", "imgtool-file"])
def test_imgtool_shows_the_copy_that_the_python_of_the_image_imports(lab, name, script):
    bin_directory = Path(FAMILIES[name]).parent
    seen = in_image(lab, name, f"{bin_directory}/{script}", "packaging")
    assert seen.startswith(f"{bin_directory.parent}/lib/python3.")


@pytest.mark.parametrize("name", FAMILIES)
def test_record_lists_the_scripts_and_modules_of_a_stand_in(lab, name):
    ask = (
        "from importlib.metadata import files; "
        "print(all(f.locate().exists() for f in files('imgtool')), *[f.name for f in files('imgtool')])"
    )
    complete, *names = in_image(lab, name, FAMILIES[name], "-c", ask).split()
    assert complete == "True"
    assert {"imgtool", "imgtool-file", "imgtool.py", "entry_points.txt"} <= set(names)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_distributions_of_an_image_fit_each_other(lab, name):
    assert "No broken requirements" in in_image(lab, name, FAMILIES[name], "-m", "pip", "check")


def test_the_image_without_python_has_none(lab):
    found = in_image(lab, "no_python", "sh", "-c", "find / -xdev -name 'python*' 2>/dev/null || true")
    assert found == ""


@pytest.mark.usefixtures("slurm")
def test_four_tasks_start_a_container_each(lab):
    ranks = output("srun", "-n4", *EXEC, str(lab.images["pytorch"]), "printenv", "SLURM_PROCID")
    assert sorted(ranks.split()) == ["0", "1", "2", "3"]


@pytest.mark.usefixtures("slurm")
def test_two_tasks_start_on_two_nodes(lab):
    nodes = output("srun", "-N2", "-n2", "sh", "-c", "echo $SLURMD_NODENAME")
    assert sorted(nodes.split()) == ["nid005001", "nid005002"]


@pytest.mark.usefixtures("slurm")
def test_two_allocated_gpus_are_the_visible_ones(lab):
    count = ("python", "-c", "import torch; print(torch.cuda.device_count())")
    in_allocation = ("salloc", "-Q", "--gpus-per-node=2", "srun", "-n1")
    assert output(*in_allocation, "printenv", "ROCR_VISIBLE_DEVICES") == "0,1"
    assert output(*in_allocation, *EXEC, str(lab.images["pytorch"]), *count) == "2"


@pytest.mark.usefixtures("slurm")
def test_tasks_with_mpi_are_one_world(lab):
    world = "import mpi4py.MPI as m; print(m.COMM_WORLD.size)"
    script = f"$WITH_CONDA; python -c '{world}'"
    sizes = output("srun", "--mpi=pmi2", "-n2", *EXEC, str(lab.images["mpi4py"]), "bash", "-c", script)
    assert sizes.split() == ["2", "2"]


def test_the_appl_tree_leads_to_the_images_by_hashed_and_floating_names(lab, tmp_path):
    layout = Path(__file__).parents[1] / "lab" / "appl-tree.sh"
    output("bash", str(layout), str(tmp_path), str(lab.directory))
    unhashed = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
    assert (tmp_path / "local/containers/sif-images" / unhashed).resolve() == lab.images["pytorch"]
    latest = tmp_path / "local/laifs/containers/lumi-multitorch-latest.sif"
    assert latest.resolve() == lab.images["multitorch"]
