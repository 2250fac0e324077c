"""Each example does what its README shows: its commands are run as they stand, in a copy of the folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from console import shown_commands

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(page.parent.name for page in EXAMPLES.glob("*/README.md"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_its_readme_shows(name, lab, slurm, real_index, workspace):
    shutil.copytree(EXAMPLES / name, workspace.directory, dirs_exist_ok=True)
    programs = f"{Path(sys.executable).parent}:{workspace.environ['PATH']}"
    environment = workspace.environment({"PATH": programs, "LUMIENV_IMAGE_PATH": str(lab.directory)})
    shown = shown_commands((EXAMPLES / name / "README.md").read_text())
    assert len(shown) > 1

    for step in shown:
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=workspace.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = f"$ {step.command}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, said
        assert step.differences(done.stdout) == [], said
