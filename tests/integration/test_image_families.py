"""On every image family the overlay comes first, the image behind it, and nothing of the user's home."""

import json
import re

import pytest
from wheels import make_wheel

pytestmark = pytest.mark.unprivileged

FAMILIES = ["mpi4py", "pytorch", "multitorch"]


@pytest.fixture(params=FAMILIES)
def family(request, lab, local, wheels):
    """A synced project on one of the images, with one package that only the overlay has."""
    make_wheel(wheels, "overlay-only", "1.0", modules={"overlay_only.py": "__version__ = '1.0'\n"})
    local.write(f'path = "{lab.images[request.param]}"', ["overlay-only"])
    local.lumienv("sync")
    return local


@pytest.mark.parametrize("script", ["imgtool", "imgtool-file"])
def test_a_script_of_the_image_imports_a_package_of_the_overlay(family, script):
    assert "/opt/lumienv/lib/python3." in family.lumienv("run", "--", script, "overlay_only")


def test_torchrun_of_the_image_starts_workers_that_see_the_overlay(family):
    program = family.directory / "worker.py"
    # One write a worker: torchrun's workers are unbuffered, and their words would mix.
    say = "import os, sys, overlay_only as o\nsys.stdout.write(f'{os.environ[\"RANK\"]} {o.__file__}\\n')\n"
    program.write_text(say)

    lines = family.lumienv("run", "--", "torchrun", "--nproc-per-node=2", str(program)).splitlines()

    assert sorted(line.split()[0] for line in lines) == ["0", "1"]
    assert all("/opt/lumienv/lib/python3." in line for line in lines)


def test_pip_list_of_the_image_shows_overlay_and_image(family):
    listed = {
        entry["name"]: entry["version"]
        for entry in json.loads(family.lumienv("run", "--", "pip", "list", "--format=json"))
    }
    assert listed["overlay-only"] == "1.0"
    assert "numpy" in listed
    assert listed["imgtool"] == "1.0"


@pytest.mark.parametrize("pip", ["pip", "pip3"])
def test_pip_install_is_refused_with_the_way_out(family, pip):
    said = family.try_("run", "--", pip, "install", "rich")

    assert said.status == 1
    assert "read-only" in said.err
    assert "lumienv.toml" in said.err


def test_nothing_can_be_written_below_the_overlay(family):
    said = family.try_("run", "--", "python", "-c", "open('/opt/lumienv/x', 'w')")

    assert said.status == 1
    assert "Read-only file system" in said.err


def test_a_hosts_pythonpath_and_user_site_change_nothing(family, tmp_path):
    poison = tmp_path / "poison"
    home = tmp_path / "home"
    version = family.python("import sys; print('%d.%d' % sys.version_info[:2])")
    for folder in (poison, home / f".local/lib/python{version}/site-packages"):
        folder.mkdir(parents=True)
        for module in ("numpy", "overlay_only"):
            (folder / f"{module}.py").write_text("raise SystemExit('the host leaked in')\n")
    show = "import numpy, overlay_only, sys; print(numpy.__file__, overlay_only.__file__, sys.path)"

    clean = family.python(show)
    leaky = family.python(show, PYTHONPATH=str(poison), HOME=str(home))

    assert leaky == clean


def test_the_overlay_precedes_the_image_on_the_path(family):
    path = json.loads(family.python("import json, sys; print(json.dumps(sys.path))"))

    of_overlay = [i for i, entry in enumerate(path) if entry.startswith("/opt/lumienv/lib")]
    of_image = [
        i for i, entry in enumerate(path) if re.search("(miniconda3|/opt/venv).*site-packages", entry)
    ]
    assert of_overlay
    assert of_image
    assert max(of_overlay) < min(of_image)


def test_torch_is_found_on_the_laif_image_in_its_venv(lab, local, wheels):
    make_wheel(wheels, "overlay-only", "1.0")
    local.write(f'path = "{lab.images["multitorch"]}"', ["overlay-only"])
    local.lumienv("sync")

    version, place = local.python("import torch; print(torch.__version__, torch.__file__)").split()

    assert version.startswith("2.10.0+rocm7.0.lumi.aif.")
    assert place.startswith("/opt/venv/lib/python3.")


def test_a_newer_release_that_the_user_lets_replace_the_images_is_the_one_imported(lab, local, wheels):
    make_wheel(wheels, "tqdm", "99.0", modules={"tqdm/__init__.py": "__version__ = '99.0'\n"})
    local.write(f'path = "{lab.images["multitorch"]}"', ["tqdm>90"], '[resolve]\nreplace = ["tqdm"]\n')

    said = local.lumienv("sync")

    assert "+ tqdm 99.0" in said
    assert local.python("import tqdm; print(tqdm.__version__)") == "99.0"


@pytest.mark.parametrize(
    ("module", "owner"),
    [
        ("numpy/__init__.py", "numpy 1.26.4"),
        ("torchvision.py", "torchvision 0.22.1+rocm6.2.4"),  # a module here, a package there
        ("imgtool/__init__.py", "imgtool 1.0"),  # and the other way round
    ],
)
def test_a_package_that_would_hide_a_module_of_the_image_is_refused(lab, local, wheels, module, owner):
    make_wheel(wheels, "other-name", "1.0", modules={module: "__version__ = '0'\n"})
    local.write(f'path = "{lab.images["pytorch"]}"', ["other-name"])

    said = local.try_("sync")

    assert said.status == 1
    assert f"other-name 1.0 would hide {owner} of the image: both have the module" in said.err
    assert 'omit = ["other-name"]' in said.err
    assert not local.current.exists()


def test_a_namespace_that_the_image_has_too_hides_nothing(lab, local, wheels):
    make_wheel(wheels, "our-plugin", "1.0", modules={"mpl_toolkits/ours.py": "here = True\n"})
    local.write(f'path = "{lab.images["pytorch"]}"', ["our-plugin"])
    local.lumienv("sync")

    assert local.python("import mpl_toolkits.ours as o; print(o.here)") == "True"
