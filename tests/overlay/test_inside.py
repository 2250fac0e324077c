"""What an image needs beside the tree: the script that its shell runs, permissions, labels."""

import os
import subprocess

import pytest

from lumienv.image.snapshot import Activation
from lumienv.overlay.generation import Generation
from lumienv.overlay.inside import (
    environment_script,
    labels_with,
    layer_of,
    open_folders,
    write_environment,
)

NASTY = "a b'c\"d$(id)`id`\\ \\\\ $HOME\n!*;&|<>#~ é"


def after(script: str, name: str, **before: str) -> str:
    """A variable's value after the script, in a POSIX shell."""
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{script}\nprintf %s "${{{name}-unset}}"'],
        env={"PATH": "/usr/bin:/bin", **before},
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout


def test_recorded_values_reach_the_container_to_the_letter():
    script = environment_script("/opt/lumienv", Activation(set={"NASTY": NASTY}))

    assert after(script, "NASTY") == NASTY


def test_the_overlay_is_first_on_the_path_and_activation_behind_it():
    activation = Activation(prepend_path=("/opt/conda/envs/x/bin", "/opt/conda/bin"))

    script = environment_script("/opt/lumienv", activation)

    expected = "/opt/lumienv/bin:/opt/conda/envs/x/bin:/opt/conda/bin"
    assert after(script, "PATH") == f"{expected}:/usr/bin:/bin"
    assert after(script, "PATH", PATH="") == expected


def test_what_could_bring_other_packages_in_is_set_empty():
    script = environment_script("/opt/lumienv", Activation(set={"PYTHONPATH": "/image/site"}))

    assert after(script, "PYTHONPATH", PYTHONPATH="/host") == ""
    assert after(script, "PYTHONHOME", PYTHONHOME="/host") == ""
    assert after(script, "PYTHONNOUSERSITE") == "1"


def test_an_old_images_activation_command_has_nothing_left_to_do():
    command = "source /opt/miniconda3/bin/activate pytorch"
    activation = Activation("with-conda", command, {"CONDA_SHLVL": "1"})

    assert after(environment_script("/opt/lumienv", activation), "WITH_CONDA", WITH_CONDA=command) == "true"


def test_a_name_that_no_shell_can_set_is_left_out():
    script = environment_script("/opt/lumienv", Activation(set={"BASH_FUNC_x%%": "() { :; }", "GOOD": "1"}))

    assert after(script, "GOOD") == "1"


def test_a_later_layers_script_is_run_later(tmp_path):
    for mount in ("/opt/lumienv", "/opt/lumienv-2", "/opt/lumienv-11"):
        write_environment(tmp_path, mount, Activation())

    names = sorted(path.name for path in (tmp_path / ".singularity.d/env").iterdir())
    assert names == ["93-lumienv-01.sh", "93-lumienv-02.sh", "93-lumienv-11.sh"]
    others = ["92-cotainr-env.sh", "94-appsbase.sh"]
    assert sorted([*names, *others]) == [others[0], *names, others[1]]


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o007, 0o022, 0o027, 0o077])
def test_everybody_may_enter_what_becomes_the_root_of_the_container(tmp_path, umask):
    root = tmp_path / "root"
    before = os.umask(umask)
    try:
        (root / "opt/lumienv").mkdir(parents=True)
        write_environment(root, "/opt/lumienv", Activation())
        open_folders(root, "/opt/lumienv")
    finally:
        os.umask(before)

    places = ["", "opt", "opt/lumienv", ".singularity.d", ".singularity.d/env"]
    assert {(root / place).stat().st_mode & 0o777 for place in places} == {0o755}
    assert (root / ".singularity.d/env/93-lumienv-01.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "existing", ["", "rubbish", "[1]", "null", '{"kept": "yes", "lumienv.mount": "/old"}']
)
def test_labels_are_added_to_whatever_was_there(tmp_path, existing):
    generation = Generation(
        path=tmp_path,
        digest="sha256:0",
        mode="sif",
        base_kind="sif",
        base_path="/images/base.sif",
        base_name="base.sif",
        identity="sif:1",
        selection={},
        inputs="",
        lock="sha256:2",
        runtime="apptainer",
        python="3.12.1",
        mount="/opt/lumienv-2",
        builder="append",
    )

    labels = labels_with(existing, layer_of(generation))

    assert labels["lumienv.mount"] == "/opt/lumienv-2"
    assert labels["lumienv.base"] == "base.sif"
    assert labels["lumienv.builder"] == "append"
    assert labels.get("kept", "") == ("yes" if "kept" in existing else "")
