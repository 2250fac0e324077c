"""Whatever carries the tree, a command finds the same packages at the same places."""

import json
import sys

import pytest
from look import LOOK
from wheels import make_wheel

FAMILIES = ["mpi4py", "pytorch", "multitorch"]
MODES = ["venv", "squashfs", "sif/append"]  # by cotainr, which takes long: test_sif.py


def seen(workspace):
    """What a command sees: pip's list, the path and its site directories, the scripts, pyvenv.cfg."""
    listed = json.loads(workspace.lumienv("run", "--no-sync", "--", "pip", "list", "--format=json"))
    return listed, *json.loads(workspace.lumienv("run", "--no-sync", "--", "python", "-I", "-c", LOOK))


def sync(workspace, mode):
    words = mode.split("/")
    builder = ("--builder", words[1]) if len(words) > 1 else ()
    workspace.lumienv("sync", "--mode", words[0], *builder)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_mode_shows_the_same_environment(lab, local, wheels, family):
    make_wheel(
        wheels,
        "overlay-only",
        "1.0",
        modules={"overlay_only.py": "def main():\n    print('here')\n"},
        entry_points={"overlay-tool": "overlay_only:main"},
    )
    local.write(f'path = "{lab.images[family]}"', ["overlay-only"])
    found = {}
    for mode in MODES:
        sync(local, mode)
        found[mode] = seen(local)
        assert local.lumienv("run", "--no-sync", "--", "overlay-tool") == "here\n"

    first = found[MODES[0]]
    listed, root, path, sites, scripts, _ = first
    assert {"name": "overlay-only", "version": "1.0"} in listed
    assert root == "/opt/lumienv"
    assert sites[0].startswith(f"{root}/lib")
    assert len(sites) > 1
    assert set(sites) <= set(path)
    assert {"python", "overlay-tool", "torchrun", "imgtool"} <= {name for name, _, _ in scripts}
    for mode, what in found.items():
        assert what == first, mode


def test_a_sync_that_goes_back_to_the_default_mode_says_so(small_image, local, wheels):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{small_image}"', ["thing"])
    sync(local, "squashfs")
    said = local.try_("sync").err
    assert 'uses this venv now, no longer the squashfs: to keep to that, [sync] mode = "squashfs"' in said
    assert "no longer" not in local.try_("sync", "--mode", "squashfs").err
    assert "no longer" not in local.try_("sync", "--mode", "squashfs").err


def test_where_many_environments_lie_sync_says_what_removes_them(local, wheels):
    make_wheel(wheels, "thing", "1.0")
    for number in range(9):
        local.write(f'host = "{sys.executable}"', ["thing"])
        make_wheel(wheels, f"thing{number}", "1.0")
        said = local.try_("add", f"thing{number}").err
        assert ("older environments" in said) == (number >= 8)
    assert "8 older environments lie beside it: lumienv clean" in said
