"""A Jupyter kernel in the environment, started by the Jupyter of this machine."""

import json
import subprocess
import sys

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.unprivileged

# Starts the kernel as any front end does, runs a cell in it, and shuts it down.
CLIENT = """\
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name=sys.argv[1], startup_timeout=120)
try:
    def show(message):
        if message["msg_type"] == "stream":
            print(message["content"]["text"], end="")

    reply = client.execute_interactive(sys.argv[2], output_hook=show, timeout=120)
    print(reply["content"]["status"])
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=False)
print("alive" if manager.is_alive() else "ended")
"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory, real_index) -> str:
    """A Python of this machine with jupyter_client."""
    folder = tmp_path_factory.mktemp("jupyter")
    uv = find_uv_bin()
    for words in (["venv", "-p", sys.executable, str(folder)], ["pip", "install", "jupyter_client"]):
        environment = {"VIRTUAL_ENV": str(folder)}
        subprocess.run([uv, *words, "-q"], check=True, env={**_environ(), **environment})
    return str(folder / "bin/python")


def _environ() -> dict[str, str]:
    import os

    return {name: text for name, text in os.environ.items() if not name.startswith("VIRTUAL_ENV")}


def test_a_cell_runs_in_the_environment_and_the_kernel_survives_a_sync(
    lab, workspace, tmp_path, jupyter, real_index, conda_python
):
    data = {"JUPYTER_DATA_DIR": str(tmp_path / "data")}
    workspace.write(f'path = "{lab.images["mpi4py"]}"', ["ipykernel", "einops"])
    workspace.lumienv("sync")

    said = workspace.lumienv("shell", "--jupyter", **data)

    assert 'in Jupyter choose the kernel "project (lumi-mpi4py' in said
    code = "import einops, sys; print(einops.__file__, sys.executable)"
    for mode in ("venv", "squashfs"):
        workspace.lumienv("sync", "--mode", mode)
        ran = workspace.shell([jupyter, "-c", CLIENT, "project", code], **data)
        lines = ran.out.splitlines()
        assert lines[-2:] == ["ok", "ended"], ran.err
        assert lines[0].startswith(f"/opt/lumienv/lib/python{conda_python}/site-packages/einops/")
        assert lines[0].endswith(" /opt/lumienv/bin/python")

    named = workspace.lumienv("shell", "--jupyter", "--name", "other", **data)
    assert 'in Jupyter choose the kernel "other (lumi-mpi4py' in named
    assert "removed the Jupyter kernel project" in workspace.lumienv("shell", "--jupyter", "--remove", **data)
    assert not (tmp_path / "data/kernels/project").exists()


def test_a_kernel_of_somebody_elses_is_left_alone_and_ipykernel_asked_for(small_image, local, tmp_path):
    data = {"JUPYTER_DATA_DIR": str(tmp_path / "data")}
    local.write(f'path = "{small_image}"')
    assert "lumienv sync" in local.try_("shell", "--jupyter", **data).err
    local.lumienv("sync")

    without = local.try_("shell", "--jupyter", **data)

    assert without.status == 1
    assert 'add "ipykernel" to dependencies in lumienv.toml, and run: lumienv sync' in without.err
    theirs = tmp_path / "data/kernels/project/kernel.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(json.dumps({"argv": ["python"], "display_name": "mine"}))
    refused = local.try_("shell", "--jupyter", "--remove", **data)
    assert refused.status == 1
    assert (
        "no Jupyter kernel project of this project; the one of that name is of another program" in refused.err
    )
    assert theirs.exists()
