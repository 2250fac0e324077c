"""The first command of the README."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unprivileged

SCRIPT = Path(__file__).parents[2] / "examples/quickstart/run.sh"


def test_the_quickstart_runs_on_this_machines_python_and_on_an_image(lab, workspace):
    environment = workspace.environment({"LUMIENV_QUICKSTART_IMAGE": str(lab.images["pytorch"])})

    done = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote and read 5 weights") == 2
    assert "h5py  3." in done.stdout
    assert "/opt/lumienv/lib/python3." in done.stdout


def test_the_quickstart_says_so_where_there_is_no_container_runtime(lab, workspace, tmp_path):
    # A PATH with everything but the runtimes.
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in workspace.environ["PATH"].split(":"):
        for program in Path(folder).glob("*") if Path(folder).is_dir() else ():
            runs = program.is_file()  # some distributions have links in PATH that lead nowhere
            link = programs / program.name
            if runs and program.name not in ("singularity", "apptainer") and not link.exists():
                link.symlink_to(program)

    done = subprocess.run(
        ["bash", str(SCRIPT)],
        env=workspace.environment({"PATH": str(programs)}),
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, done.stderr
    assert "there is no container runtime here" in done.stdout
    assert done.stdout.count("wrote and read 5 weights") == 1
