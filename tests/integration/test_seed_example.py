"""The example that LUMI's users start from, in two commands instead of eight: h5py on the mpi4py image."""

import json

import pytest

pytestmark = pytest.mark.unprivileged


def test_h5py_is_added_to_the_mpi4py_image_in_two_commands(lab, workspace):
    workspace.write(f'path = "{lab.images["mpi4py"]}"', ["h5py"])

    said = workspace.lumienv("sync")
    where = workspace.lumienv(
        "run", "--", "python", "-c", "import h5py, numpy; print(h5py.__file__); print(numpy.__file__)"
    ).split()

    assert "+ h5py 3." in said
    assert "= numpy 1.26.4 from the image" in said
    assert where[0].startswith("/opt/lumienv/lib/python3.")
    assert where[1].startswith("/opt/miniconda3/envs/mpi4py/lib/python3.")


def test_the_images_mpi_works_beside_the_overlay_without_activating_anything(lab, workspace):
    workspace.write(f'path = "{lab.images["mpi4py"]}"', ["h5py"])
    workspace.lumienv("sync")

    size = workspace.python("import h5py; from mpi4py import MPI; print(MPI.COMM_WORLD.size)")

    assert size == "1"


def test_live_activation_gives_the_same_environment_as_the_recorded_one(lab, workspace):
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    found = {}
    for how in ("auto", "live"):
        workspace.write(f'path = "{lab.images["mpi4py"]}"\nactivate = "{how}"', ["h5py"])
        workspace.lumienv("sync")
        found[how] = json.loads(workspace.python(show))

    # What the two ways of starting set for themselves, and PATH's repeated entries, are no difference.
    own = {"_", "SHLVL", "PS1", "PWD", "OLDPWD", "PATH", "PROMPT_COMMAND"}
    assert {k: v for k, v in found["live"].items() if k not in own} == {
        k: v for k, v in found["auto"].items() if k not in own
    }
    first = {how: found[how]["PATH"].split(":")[:2] for how in found}
    assert first["live"] == first["auto"] == ["/opt/lumienv/bin", "/opt/miniconda3/envs/mpi4py/bin"]
