"""Whatever a user can do wrong gets a sentence with a way out, and loses nothing."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from wheels import make_wheel

pytestmark = pytest.mark.unprivileged


def refused(workspace, *words, status=1, **variables):
    """What the program says when it refuses, without a traceback."""
    said = workspace.try_(*words, **variables)
    assert said.status == status, said
    assert re.search("^[Ee]rror: ", said.err, re.MULTILINE), said.err
    assert "Traceback" not in said.err
    return said.err


# -- the manifest ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["lock", "sync", "run -- true"])
def test_no_manifest(workspace, command):
    said = refused(workspace, *command.split())
    assert "no lumienv.toml in" in said
    assert "help: " in said


def test_broken_toml_names_the_line(workspace):
    (workspace.directory / "lumienv.toml").write_text("dependencies = [\n  'h5py'\n[image]\n")
    assert re.search(r"is not valid TOML: .*line 3", refused(workspace, "lock"))


def test_an_unknown_key_names_its_line_and_the_near_miss(workspace):
    (workspace.directory / "lumienv.toml").write_text("[image]\nname = 'pytorch'\nrocmm = '6.2'\n")
    said = refused(workspace, "lock")
    assert "lumienv.toml:3: image.rocmm is not a key that lumienv knows" in said
    assert "did you mean rocm?" in said


def test_a_line_that_is_no_requirement_names_itself(lab, local):
    local.write(f'path = "{lab.images["pytorch"]}"', ["h5py >> 3"])
    assert 'lumienv.toml:2: "h5py >> 3" is not a requirement' in refused(local, "lock")


def test_an_unknown_command_is_wrong_usage_with_the_near_miss(workspace):
    assert "did you mean lumienv lock?" in refused(workspace, "lokc", status=2)


# -- the image -------------------------------------------------------------------------------------------


def test_an_unknown_image_name_shows_the_near_misses(lab, workspace):
    workspace.write('name = "pytorhc"', ["h5py"])
    said = refused(workspace, "lock", LUMIENV_IMAGE_PATH=str(lab.directory))
    assert "no image called pytorhc was found" in said
    assert "lumi-pytorch-rocm-6.2.4" in said
    assert "mpi4py" not in said


def test_a_selector_that_fits_no_image_shows_what_there_is(lab, workspace):
    workspace.write('name = "pytorch"\nrocm = "5.7"', ["h5py"])
    said = refused(workspace, "lock", LUMIENV_IMAGE_PATH=str(lab.directory))
    assert "no image called pytorch rocm=5.7 was found" in said
    assert "lumi-pytorch-rocm-6.2.4" in said


def test_an_image_that_is_missing(workspace):
    workspace.write('path = "nowhere.sif"', ["h5py"])
    assert f"the image {workspace.directory}/nowhere.sif does not exist" in refused(workspace, "lock")


def test_a_file_that_is_no_sif(workspace):
    (workspace.directory / "image.sif").write_bytes(b"not an image" * 1000)
    workspace.write('path = "image.sif"', ["h5py"])
    assert "is not a SIF file" in refused(workspace, "lock")


def test_a_truncated_image_is_to_be_copied_again(lab, workspace):
    whole = lab.images["no_python"]
    with whole.open("rb") as file:
        (workspace.directory / "image.sif").write_bytes(file.read(whole.stat().st_size - 4096))
    workspace.write('path = "image.sif"', ["h5py"])
    said = refused(workspace, "lock")
    assert "is truncated" in said
    assert "copy it again" in said


def test_an_image_without_a_python(lab, workspace):
    workspace.write(f'path = "{lab.images["no_python"]}"', ["h5py"])
    assert "the image no-python.sif has no Python" in refused(workspace, "lock")


def test_no_container_runtime(lab, workspace, tmp_path):
    workspace.write(f'path = "{lab.images["pytorch"]}"', ["h5py"])
    said = refused(workspace, "lock", PATH=str(tmp_path), LUMIENV_CACHE_DIR=str(tmp_path / "cache"))
    assert "no container runtime was found" in said
    assert 'host = "python3"' in said


# -- the package index -----------------------------------------------------------------------------------


def test_a_package_that_does_not_exist_is_named_with_the_line_that_asks_for_it(lab, local):
    local.write(f'path = "{lab.images["pytorch"]}"', ["no-such-package-at-all"])
    said = refused(local, "lock")
    assert "no package index has a project called no-such-package-at-all" in said
    assert "(lumienv.toml:2)" in said


def test_an_index_that_is_down(lab, local):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    local.write(f'path = "{lab.images["pytorch"]}"', ["h5py"])
    said = refused(local, "lock", PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple")
    assert f"127.0.0.1:{port}" in said
    assert "help: " in said


def test_an_index_that_wants_a_password_says_how_to_give_one_and_never_shows_it(lab, local, index, wheels):
    make_wheel(wheels, "private", "1.0")
    index.password = ("me", "s3cr3t")
    local.write(f'path = "{lab.images["pytorch"]}"', ["private"])

    said = refused(local, "lock")
    wrong = refused(local, "lock", PIP_INDEX_URL=index.url.replace("://", "://me:wr0ng@"))
    local.lumienv("sync", PIP_INDEX_URL=index.url.replace("://", "://me:s3cr3t@"))

    assert "password" in said
    assert "netrc" in said
    assert "wr0ng" not in wrong
    kept = [local.lock_path, *local.cache.rglob("*"), *local.current.rglob("*.json")]
    assert not [file for file in kept if file.is_file() and b"s3cr3t" in file.read_bytes()]


def test_a_wheel_whose_hash_is_wrong_is_not_installed(lab, local, index, wheels):
    wheel = make_wheel(wheels, "changed", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["changed"])
    local.lumienv("lock")
    make_wheel(wheels, "changed", "1.0", modules={"changed.py": "print('something else')\n"})

    said = refused(local, "sync")

    assert wheel.name in said
    assert "sha256" in said
    assert not local.current.exists()


def test_a_wheel_that_is_no_archive_is_said_when_it_would_be_installed(local, index, wheels):
    """Its metadata lies beside it on the index, and its hash is that of the page: a lock cannot tell."""
    wheel = make_wheel(wheels, "odd", "2.0")
    metadata = b"Metadata-Version: 2.1\nName: odd\nVersion: 2.0\n"
    index.pages[f"/files/{wheel.name}.metadata"] = ("text/plain", metadata)
    wheel.write_bytes(b"this is no zip")
    digest = hashlib.sha256(metadata).hexdigest()
    entry = index.entry(wheel) | {"core-metadata": {"sha256": digest}, "upload-time": "yesterday"}
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": "odd", "files": [entry]}).encode()
    index.pages["/simple/odd/"] = ("application/vnd.pypi.simple.v1+json", page)
    local.write('host = "python3"', ["odd"])
    local.lumienv("lock")

    said = refused(local, "sync")
    assert f"{wheel.name} cannot be installed: it is no zip archive, or a damaged one" in said
    assert 'help: take another release: [resolve] constraints = ["odd!=2.0"]' in said
    assert not local.current.exists()


def test_a_failed_resolution_leaves_the_old_lock_alone_and_names_what_stands_in_the_way(lab, local, wheels):
    for version in ("1.8", "1.9", "2.0"):
        make_wheel(wheels, "accel", version, ["torch>=2.8"])
    make_wheel(wheels, "fine", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["fine"])
    local.lumienv("lock")
    before = local.lock_path.read_bytes()
    local.write(f'path = "{lab.images["pytorch"]}"', ["fine", "accel"])

    said = refused(local, "lock")

    assert said.startswith("error: no set of packages fits on top of lumi-pytorch-rocm-6.2.4")
    assert "accel 2.0, 1.9, 1.8 need torch>=2.8" in said
    assert "the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself" in said
    assert "help: " in said
    assert local.lock_path.read_bytes() == before


# -- the machine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["squashfs", "sif"])
def test_a_mode_that_needs_a_container_says_so_where_there_is_none(local, mode):
    local.write('host = "python3"')
    said = refused(local, "sync", "--mode", mode, status=2)
    assert f"the mode {mode} needs a container" in said
    assert "--mode venv" in said


def test_a_mode_that_there_is_not_is_said_with_those_that_there_are(local):
    local.write('host = "python3"')
    assert "squashfs" in refused(local, "sync", "--mode", "squash", status=2)


@pytest.mark.parametrize(
    ("what", "variables"),
    [
        ("a file where the store should be", {}),
        ("a cache that is a file", {"LUMIENV_CACHE_DIR": "afile"}),
        ("a scratch folder that is not there", {"TMPDIR": "nowhere"}),
    ],
)
def test_a_place_that_is_none_is_said(lab, local, wheels, what, variables):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    (local.directory / "afile").write_text("")
    if not variables:
        (local.directory / ".lumienv").write_text("")

    said = refused(local, "sync", **variables)

    assert "help: " in said
    assert "in lumienv itself" not in said


def test_a_relative_cache_lies_in_the_current_folder(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])

    local.lumienv("sync", LUMIENV_CACHE_DIR="own-cache")

    assert (local.directory / "own-cache/wheels").is_dir()


def test_a_store_that_is_not_lumienvs_is_left_alone(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"], '[sync]\nstore = "."\n')

    said = refused(local, "sync")

    assert "is no store of lumienv's" in said
    assert not (local.directory / ".gitignore").exists()


def test_a_damaged_environment_is_made_anew(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    local.lumienv("sync")
    description = local.current / "generation.json"
    description.chmod(0o600)
    description.write_text("{")
    description.chmod(0o400)

    assert local.python("import thing; print(thing.__version__)") == "1.0"


def test_a_damaged_lock_is_said_and_made_anew(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    local.lumienv("lock")
    local.lock_path.write_text("lock-version = [")

    assert "is damaged" in refused(local, "lock", "--check")
    assert "is damaged" in refused(local, "sync", "--frozen")
    assert "+ thing 1.0" in local.lumienv("lock")


if os.geteuid() == 0:  # only root can mount the small file system that is to be filled

    @pytest.fixture
    def small_disk(tmp_path):
        """A file system of 3 MB."""
        folder = tmp_path / "small"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
        yield folder
        subprocess.run(["umount", str(folder)], check=True)

    @pytest.mark.once
    @pytest.mark.parametrize("full", ["store", "cache", "scratch"])
    def test_a_full_disk_is_said_and_the_old_environment_still_works(lab, local, wheels, small_disk, full):
        make_wheel(wheels, "thing", "1.0")
        local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
        if full == "store":
            (local.directory / ".lumienv").symlink_to(small_disk)
        places = {"cache": {"LUMIENV_CACHE_DIR": str(small_disk)}, "scratch": {"TMPDIR": str(small_disk)}}
        local.lumienv("sync", **places.get(full, {}))
        make_wheel(wheels, "thing", "2.0", padding=4_000_000)
        local.lumienv("lock", "--upgrade")
        if full == "scratch":
            (small_disk / "filler").write_bytes(b"x" * shutil.disk_usage(small_disk).free)

        said = refused(local, "sync", "--frozen", **places.get(full, {}))

        assert re.search("disk is full|not enough room", said)
        assert "help: " in said
        show = ("run", "--no-sync", "--", "python", "-c", "import thing; print(thing.__version__)")
        assert local.lumienv(*show) == "1.0\n"
        kept = [entry.name for entry in (local.directory / ".lumienv/generations").iterdir()]
        assert kept == [local.current.readlink().name]


# -- interruptions ---------------------------------------------------------------------------------------


def stopped_at(workspace, moment, how, *words, **variables):
    """Start `lumienv sync` and stop it when `moment()` is true: status, words, whether it came to that."""
    with workspace.start("sync", *words, **variables) as running:
        while running.poll() is None and not moment():
            pass
        reached = running.poll() is None
        if reached:
            os.kill(running.pid, how)
        _, said = running.communicate(timeout=120)
    return running.returncode, said, reached


MOMENTS = ["at once", "lock written", "wheel arriving", "staging", "tree begun", "package installed"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("name", MOMENTS)
def test_a_sync_that_is_stopped_leaves_the_old_environment_and_nothing_else(
    lab, local, wheels, index, tmp_path, name, how
):
    make_wheel(wheels, "thing", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing<2"])
    local.lumienv("sync")
    make_wheel(wheels, "thing", "2.0", padding=3_000_000)
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing>=2"])
    index.latency = 100.0
    old_lock = local.lock_path.read_bytes()
    generations = local.directory / ".lumienv/generations"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    moment = {
        "at once": lambda: True,
        "lock written": lambda: local.lock_path.read_bytes() != old_lock,
        "wheel arriving": lambda: any((local.cache / "wheels/parts").glob("*.part")),
        "staging": lambda: any(generations.glob(".staging-*")),
        "tree begun": lambda: any(generations.glob(".staging-*/tree/pyvenv.cfg")),
        "package installed": lambda: any(generations.glob(".staging-*/tree/lib/*/site-packages/thing*")),
    }[name]

    status, said, reached = stopped_at(local, moment, how, TMPDIR=str(scratch))
    show = ("run", "--no-sync", "--", "python", "-c", "import thing; print(thing.__version__)")
    old = local.lumienv(*show)
    after_stop = [entry.name for entry in scratch.iterdir()]
    index.latency = 0.0
    local.lumienv("sync", TMPDIR=str(scratch))

    assert reached, "the sync was over before it came to this point"
    assert "Traceback" not in said
    assert old == "1.0\n"
    if how == signal.SIGKILL or name == "at once":  # before Python listens, a signal ends it as it does any
        assert status in (-how, 128 + how)
    else:
        assert status == 128 + how, said
        assert "interrupted" in said
        assert after_stop == []
        assert not list(generations.glob(".staging-*"))
    assert local.lumienv(*show) == "2.0\n"
    assert not list(generations.glob(".staging-*"))
    assert not list(scratch.iterdir())
    assert not list(local.directory.glob(".pylock*"))


def test_two_syncs_at_once_both_succeed(lab, local, wheels):
    make_wheel(wheels, "thing", "1.0", padding=1_000_000)
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])

    with local.start("sync") as first, local.start("sync") as second:
        said = [process.communicate(timeout=120)[1] for process in (first, second)]

    assert (first.returncode, second.returncode) == (0, 0), said
    assert len(list((local.directory / ".lumienv/generations").iterdir())) == 1
    assert local.python("import thing; print(thing.__version__)") == "1.0"
