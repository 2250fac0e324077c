"""Off the cluster: locks from saved snapshots, snapshots by hand, and which image would do."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import locked, make_workspace

pytestmark = pytest.mark.unprivileged

NO_RUNTIME = {"LUMIENV_RUNTIME": "/bin/false"}


def tag_of(python: str, platform: str) -> str:
    """The tag of a wheel for CPython of this version alone (PEP 425)."""
    interpreter = f"cp{python.replace('.', '')}"
    return f"{interpreter}-{interpreter}-{platform}"


@pytest.fixture
def offers(wheels, conda_python):
    make_wheel(wheels, "thing", "1.0", ["numpy", "other"])
    make_wheel(wheels, "other", "1.0", tag=tag_of(conda_python, "manylinux_2_28_x86_64"))
    make_wheel(wheels, "other", "1.1", tag="cp313-cp313-manylinux_2_28_x86_64")
    make_wheel(wheels, "accel", "2.0", ["torch>=2.8"])
    return wheels


@pytest.fixture
def project(lab, local, offers):
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"])
    return local


@pytest.fixture
def elsewhere(tmp_path, index):
    """The same index on a machine without images or containers."""
    return make_workspace(tmp_path / "ci", tmp_path / "cache of ci", PIP_INDEX_URL=index.url, **NO_RUNTIME)


@pytest.fixture
def listed(lab, runtime, tmp_path):
    """What pip lists in the image, and its Python and C library."""

    def in_image(*words):
        command = [runtime, "exec", "--containall", str(lab.images["pytorch"]), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    path = tmp_path / "packages.txt"
    path.write_text(in_image("python", "-m", "pip", "list", "--format=freeze"))
    facts = in_image("python", "-c", "import platform as p; print(p.python_version(), p.libc_ver()[1])")
    python, glibc = facts.split()
    return [*("--from-list", str(path)), *("--python", python), *("--glibc", glibc)]


@pytest.fixture
def image_folder(lab, tmp_path):
    """A site's folder with two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("pytorch", "multitorch"):
        (folder / lab.images[name].name).symlink_to(lab.images[name])
    return folder


@pytest.mark.parametrize("family", ["mpi4py", "pytorch", "multitorch"])
def test_a_lock_from_a_frozen_snapshot_is_byte_for_byte_the_one_made_on_the_image(
    lab, local, elsewhere, offers, family
):
    make_wheel(offers, "kernel", "1.0", ['thing; platform_release >= "5"', 'missing; platform_release < ""'])
    local.write(f'path = "{lab.images[family]}"', ["thing", "kernel", "other<=1.0; python_version < '3.13'"])
    said = local.lumienv("image", "freeze", "-o", "image.json")
    local.lumienv("lock")
    shutil.copy(local.directory / "image.json", elsewhere.directory)
    text = (local.directory / "lumienv.toml").read_text()
    (elsewhere.directory / "lumienv.toml").write_text(
        text.replace(f'path = "{lab.images[family]}"', 'snapshot = "image.json"')
    )

    elsewhere.lumienv("lock")

    assert "saved the snapshot of lumi-" in said
    assert elsewhere.lock_path.read_bytes() == local.lock_path.read_bytes()
    assert 'identity = "sif:' in elsewhere.lock_path.read_text()


def test_what_is_frozen_tells_nothing_of_this_machine(lab, project, tmp_path):
    images = lab.images["pytorch"].parent
    project.lumienv("image", "freeze", "-o", "image.json")
    text = (project.directory / "image.json").read_text()
    kernel = subprocess.run(["uname", "-rv"], capture_output=True, text=True, check=True).stdout.strip()
    assert "/opt/miniconda3" in text
    assert [word for word in (str(tmp_path), str(images), kernel) if word in text] == []


def test_a_file_that_is_no_snapshot_is_not_replaced(project):
    (project.directory / "data.json").write_text('{"mine": true}')
    said = project.try_("image", "freeze", "-o", "data.json")
    assert said.status == 1
    assert "is not a snapshot that lumienv has saved" in said.err
    assert (project.directory / "data.json").read_text() == '{"mine": true}'


def test_the_file_is_called_after_the_image_and_a_dash_prints_it(lab, project):
    project.lumienv("image", "freeze")
    path = project.directory / f"{lab.images['pytorch'].stem}.json"
    assert project.lumienv("image", "freeze", str(lab.images["pytorch"]), "-o", "-") == path.read_text()


def test_ci_locks_with_a_snapshot_what_then_runs_on_the_image_as_it_is(lab, project, elsewhere):
    project.lumienv("image", "freeze", "-o", "image.json")
    for name in ("image.json", "lumienv.toml"):
        shutil.copy(project.directory / name, elsewhere.directory)

    without = elsewhere.try_("lock", "--offline")
    elsewhere.lumienv("lock", LUMIENV_SNAPSHOT="image.json")
    checked = elsewhere.lumienv("lock", "--check", "--snapshot", "image.json")
    shutil.copy(elsewhere.lock_path, project.lock_path)
    before = project.lock_path.read_bytes()
    project.lumienv("sync", "--locked")

    assert without.status == 1
    assert "is up to date" in checked
    assert project.lock_path.read_bytes() == before
    assert project.python("import thing; print(thing.__version__)") == "1.0"


def test_a_snapshot_is_nothing_to_run_on(lab, project):
    project.lumienv("image", "freeze", "-o", "image.json")
    project.write('snapshot = "image.json"', ["thing"])

    for words in (["sync"], ["run", "--", "true"]):
        said = project.try_(*words)
        assert said.status == 1
        assert "there is no image to run on: [image] names a saved snapshot" in said.err
        assert f'[image] name = "{lab.images["pytorch"].stem}"' in said.err
        assert "lumienv lock --snapshot image.json" in said.err


def test_a_snapshot_by_hand_gives_the_lock_that_the_image_gives_and_the_first_sync_binds_it(
    project, elsewhere, listed
):
    project.lumienv("lock")
    on_the_image = project.lock_path.read_bytes()
    elsewhere.lumienv("image", "freeze", *listed, "-o", "image.json")
    shutil.copy(project.directory / "lumienv.toml", elsewhere.directory)
    elsewhere.lumienv("lock", "--snapshot", "image.json")
    shutil.copy(elsewhere.lock_path, project.lock_path)
    by_hand = project.lock_path.read_text()

    as_it_is = project.lumienv("lock", "--check")
    project.lumienv("sync", "--locked")
    untouched = project.lock_path.read_text()
    synced = project.try_("sync")
    again = project.try_("sync")

    assert "identity" not in by_hand
    assert "is up to date" in as_it_is
    assert untouched == by_hand
    assert [line for line in synced.err.splitlines() if "pylock.lumienv.toml fits lumi-pytorch" in line]
    assert project.lock_path.read_bytes() == on_the_image
    assert "fits" not in again.err
    assert "the environment is up to date" in again.out


def test_a_list_of_other_packages_is_noticed_on_the_image(project, elsewhere, listed):
    path = elsewhere.directory / "old.txt"
    path.write_text(Path(listed[1]).read_text().replace("numpy==1.26.4", "numpy==1.26.3"))
    elsewhere.lumienv("image", "freeze", "--from-list", "old.txt", *listed[2:], "-o", "image.json")
    shutil.copy(project.directory / "lumienv.toml", elsewhere.directory)
    elsewhere.lumienv("lock", "--snapshot", "image.json")
    shutil.copy(elsewhere.lock_path, project.lock_path)

    said = project.try_("sync", "--locked")
    project.lumienv("sync")

    assert said.status == 1
    assert "it was made for the packages of old, and lumi-pytorch-" in said.err
    assert 'version = "1.26.4"' in project.lock_path.read_text()


@pytest.mark.parametrize("fact", [2, 4])
def test_a_wrong_python_or_c_library_is_noticed_on_the_image(
    project, elsewhere, offers, listed, fact, conda_python
):
    """Of a C library that is newer than the image's: its wheels do not run there."""
    make_wheel(offers, "other", "1.0", tag=tag_of(conda_python, "manylinux_2_99_x86_64"))
    listed[fact + 1] = {2: f"{conda_python}.99", 4: "2.99"}[fact]
    elsewhere.lumienv("image", "freeze", *listed, "-o", "image.json")
    shutil.copy(project.directory / "lumienv.toml", elsewhere.directory)
    elsewhere.lumienv("lock", "--snapshot", "image.json")
    shutil.copy(elsewhere.lock_path, project.lock_path)

    said = project.try_("lock", "--check")
    project.lumienv("sync")

    assert said.status == 1
    assert "is not up to date: it does not fit lumi-pytorch-" in said.err
    assert locked(project) == {"thing": "1.0", "other": "1.0"}
    assert "manylinux_2_99" not in project.lock_path.read_text()


def test_a_list_is_read_from_standard_input_and_pip_freeze_is_warned_of(elsewhere):
    words = ["image", "freeze", "--from-list", "-", "--python", "3.12.1", "--name", "mine.sif", "-o", "-"]
    done = subprocess.run(
        elsewhere.command(*words),
        cwd=elsewhere.directory,
        env=elsewhere.environment({}),
        input="numpy==1.26.4\n",
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["image"] == {
        "kind": "snapshot",
        "name": "mine.sif",
        "architecture": "x86_64",
    }
    assert "warning: the list has no pip" in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--from-list", "x.txt"], "--from-list needs --python"),
        (["--python", "3.12.1"], "--python and --name describe a list"),
        (["image.sif", "--from-list", "x.txt"], "give either IMAGE or --from-list"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(elsewhere, words, problem):
    said = elsewhere.try_("image", "freeze", *words)
    assert said.status == 2
    assert problem in said.err


def test_suggest_starts_nothing_until_it_is_told_to(lab, local, offers, image_folder):
    local.write('name = "pytorch"', ["accel"])
    folder = {"LUMIENV_IMAGE_PATH": str(image_folder)}

    before = json.loads(local.lumienv("image", "suggest", "--json", **folder, **NO_RUNTIME))
    probed = local.try_("image", "suggest", "--probe", **folder)
    after = json.loads(local.lumienv("image", "suggest", "--json", **folder, **NO_RUNTIME))

    assert [one["verdict"] for one in before] == ["not probed", "not probed"]
    assert "lumienv image show /" in before[0]["reason"]
    assert "looking into lumi-multitorch" in probed.err
    assert [(one["verdict"], one["selection"], one["current"]) for one in after] == [
        ("fits", '[image] name = "multitorch-full"', False),
        ("does not fit", '[image] name = "pytorch"', True),
    ]
    assert after[0]["added"] == ["accel 2.0"]
    first, second = probed.out.splitlines()[1:]
    assert first.startswith(f"{lab.images['multitorch'].name}")
    assert "fits" in first
    assert "accel 2.0 needs torch>=2.8, and the image has torch 2.7.1+rocm6.2.4" in second


def test_suggest_compares_saved_snapshots_where_there_is_no_image(project, lab, elsewhere):
    for name in ("pytorch", "multitorch"):
        target = elsewhere.directory / f"{name}.json"
        project.lumienv("image", "freeze", str(lab.images[name]), "-o", str(target))
    elsewhere.write('snapshot = "pytorch.json"', ["accel"])

    said = elsewhere.lumienv("image", "suggest", "pytorch.json", "multitorch.json")

    first, second = said.splitlines()[1:]
    assert "lumienv lock --snapshot multitorch.json" in first
    assert "does not fit" in second


def test_a_failed_lock_names_the_image_that_would_do_and_with_it_the_lock_succeeds(
    local, offers, image_folder
):
    folder = {"LUMIENV_IMAGE_PATH": str(image_folder)}
    local.write('name = "pytorch"', ["accel"])
    unknown = local.try_("lock", **folder)
    local.lumienv("image", "suggest", "--probe", **folder)
    said = local.try_("lock", **folder)
    local.write('name = "multitorch-full"', ["accel"])
    local.lumienv("lock", **folder)

    assert "choose an image with torch>=2.8" in unknown.err
    assert said.status == 1
    assert "use the image lumi-multitorch-full-" in said.err
    assert 'on which everything fits: [image] name = "multitorch-full"' in said.err
    assert locked(local) == {"accel": "2.0"}
