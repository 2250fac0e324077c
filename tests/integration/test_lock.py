"""`lumienv lock` on real images: what is asked, what is written, and what is not done twice."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from uv import find_uv_bin
from wheels import make_wheel
from workspace import locked

from lumienv.files import remove_tree

pytestmark = pytest.mark.unprivileged


@pytest.fixture
def project(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0", ["numpy", "other"])
    make_wheel(wheels, "other", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    return local


def test_a_second_lock_starts_no_container_and_asks_no_index(project, index):
    project.lumienv("lock")
    asked = len(index.requests)

    said = project.lumienv("lock", LUMIENV_RUNTIME="/bin/false")

    assert "is up to date" in said
    assert len(index.requests) == asked


def test_a_lock_of_other_packages_starts_no_container_either(project):
    project.lumienv("lock")
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace('"thing"', '"other"'))

    said = project.lumienv("lock", LUMIENV_RUNTIME="/bin/false")

    assert "- thing 1.0" in said


def test_the_same_inputs_give_the_same_bytes(project):
    project.lumienv("lock")
    first = project.lock_path.read_bytes()
    project.lock_path.unlink()

    project.lumienv("lock")

    assert project.lock_path.read_bytes() == first


def test_the_newest_release_that_fits_the_image_is_chosen(lab, local, wheels):
    make_wheel(wheels, "accel", "2.0", ["torch>=2.8"])
    make_wheel(wheels, "accel", "1.0", ["torch>=2.6"])
    make_wheel(wheels, "torch", "2.8.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["accel"])

    said = local.lumienv("lock")

    assert locked(local) == {"accel": "1.0"}
    assert "= torch 2.7.1+rocm6.2.4 from the image" in said


def test_a_lock_keeps_what_fits_until_it_is_told_to_upgrade(project, wheels):
    project.lumienv("lock")
    make_wheel(wheels, "other", "2.0")
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace('"thing"', '"thing>=1"'))

    project.lumienv("lock")
    kept = locked(project)
    said = project.lumienv("lock", "--upgrade-package", "other")

    assert kept == {"thing": "1.0", "other": "1.0"}
    assert "~ other 1.0 → 2.0" in said
    assert locked(project) == {"thing": "1.0", "other": "2.0"}


def test_a_file_that_the_index_exchanged_is_told_of(local, wheels):
    make_wheel(wheels, "steady", "1.0")
    make_wheel(wheels, "other", "1.0")
    local.write(f'host = "{sys.executable}"', ["steady", "other"])
    local.lumienv("lock")
    make_wheel(wheels, "steady", "1.0", ["other"])
    said = local.try_("lock", "-P", "other")
    assert said.status == 0
    assert "warning: steady-1.0-py3-none-any.whl is another file than the one" in said.err
    assert "other-1.0-py3-none-any.whl is" not in said.err


def test_check_and_dry_run_write_nothing(project):
    stale = project.try_("lock", "--check")
    shown = project.lumienv("lock", "--dry-run")

    assert stale.status == 1
    assert "is not up to date: there is none yet" in stale.err
    assert "would lock 2 packages" in shown
    assert not project.lock_path.exists()


def test_json_tells_what_changed(project):
    answer = json.loads(project.lumienv("lock", "--json"))

    assert answer["added"] == ["other 1.0", "thing 1.0"]
    assert answer["image"] == ["numpy 1.26.4"]
    assert answer["written"] is True


def test_a_group_is_installed_when_it_is_asked_for(lab, local, wheels):
    for name in ("thing", "tool", "extra"):
        make_wheel(wheels, name, "1.0")
    groups = '[dependency-groups]\ndev = ["tool"]\nmore = ["extra"]\n'
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"], groups)
    look = "import importlib.util as u; print([n for n in ('thing', 'tool', 'extra') if u.find_spec(n)])"

    found = []
    for words in ([], ["--group", "more"], ["--no-dev"]):
        local.lumienv("sync", *words)
        found.append(local.lumienv("run", "--no-sync", "--", "python", "-c", look).strip())

    assert found == ["['thing', 'tool']", "['thing', 'tool', 'extra']", "['thing']"]


def test_uv_and_pip_read_the_lock(project, tmp_path):
    project.lumienv("lock")
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, str(tmp_path / "v")], check=True)
    python = str(tmp_path / "v/bin/python")
    # The lock is for the image's Python; here only the reading of it is of interest.
    lock = tomllib.loads(project.lock_path.read_text())
    del lock["environments"], lock["requires-python"]
    copy = tmp_path / "pylock.copy.toml"
    copy.write_text(tomli_w.dumps(lock))

    words = ["pip", "install", "--dry-run", "--python", python, "--preview", "-r", str(copy)]
    done = project.shell([find_uv_bin(), *words])

    assert done.status == 0, done.err
    assert "thing==1.0" in done.err
    assert "other==1.0" in done.err


def test_an_image_is_found_by_name_in_the_folders_of_lumi(lab, local, wheels, tmp_path):
    make_wheel(wheels, "thing", "1.0")
    script = Path(__file__).parents[1] / "lab/appl-tree.sh"
    subprocess.run(["bash", str(script), str(tmp_path / "appl"), str(lab.directory)], check=True)
    base = tmp_path / "appl/local"
    folders = ":".join(
        str(base / folder)
        for folder in (
            "containers/easybuild-sif-images",
            "containers/tested-containers",
            "containers/sif-images",
            "laifs/containers",
        )
    )
    local.write('name = "pytorch"\nrocm = "6.2"', ["thing"])
    local.lumienv("sync", LUMIENV_IMAGE_PATH=folders)

    listed = local.lumienv("image", "list", LUMIENV_IMAGE_PATH=folders)
    line = local.lumienv("run", "--print", "--", "true", LUMIENV_IMAGE_PATH=folders)

    assert [row.split()[0] for row in listed.splitlines()] == ["name", "multitorch-full", "pytorch", "mpi4py"]
    assert f"{base}/containers/easybuild-sif-images/lumi-pytorch-rocm-6.2.4" in line


def test_the_base_can_be_a_python_of_this_machine(local, wheels):
    make_wheel(wheels, "thing", "1.0", entry_points={"thing": "thing:main"}, modules={
        "thing.py": "import sys\n__version__ = '1.0'\ndef main():\n    print(sys.prefix, sys.argv[1:])\n"
    })  # fmt: skip
    local.write(f'host = "{sys.base_prefix}/bin/python3"', ["thing"])
    local.lumienv("sync", PATH="/usr/bin:/bin")

    line = local.lumienv("run", "--print", "--", "thing", "a b")

    tree = f"{local.current.resolve()}/tree"
    assert local.lumienv("run", "--", "thing", "a b") == f"{tree} ['a b']\n"
    assert local.shell(["sh", "-c", line]).out == f"{tree} ['a b']\n"
    entries = json.loads(local.python("import json, sys; print(json.dumps(sys.path))"))
    of_base = [entry for entry in entries if entry.endswith("-packages") and not entry.startswith(tree)]
    assert of_base, "the base's packages are visible"


def test_a_bar_is_shown_on_a_terminal_and_a_plain_line_elsewhere(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0", padding=2_000_000)
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    local.lumienv("lock")

    said = {}
    for how in ("on a terminal", "elsewhere", "quiet"):
        remove_tree(local.directory / ".lumienv")
        words = local.command("sync", *(["-q"] if how == "quiet" else []))
        # util-linux' `script` gives the program a terminal and prints what came there.
        terminal = ["script", "-qec", " ".join(words), "/dev/null"]
        said[how] = local.shell(
            terminal if how == "on a terminal" else words,
            COLUMNS="120",
            TERM="xterm",
            LUMIENV_CACHE_DIR=str(local.cache / how.replace(" ", "-")),
        )

    assert "\x1b[?25l" in said["on a terminal"].out, "the cursor is hidden while a bar is drawn"
    assert "downloading 1 wheel, 2.0 MB" in said["on a terminal"].out
    assert said["elsewhere"].err == "downloading 1 wheel, 2.0 MB\n"
    assert "\x1b" not in said["elsewhere"].out
    assert (said["quiet"].status, said["quiet"].out, said["quiet"].err) == (0, "", "")
