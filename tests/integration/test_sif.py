"""One image that has the environment inside, by both builders: it runs by itself, and others build on it."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from index_server import IndexServer
from look import LOOK
from wheels import make_wheel
from workspace import Said, Workspace, make_workspace

BUILDERS = ["append", "cotainr"]
APPEND = ("--mode", "sif", "--builder", "append")
SHOW = "import overlay_only, imgtool, sys; print(overlay_only.__file__, imgtool.__file__, sys.prefix)"


@dataclass(frozen=True)
class Image:
    """A SIF, started as by somebody who has never heard of lumienv."""

    path: Path
    runtime: str

    def exec(self, *command: str, entry: str = "exec", user: str | None = None, **variables: str) -> Said:
        environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
        words = [self.runtime, "--quiet", *entry.split(), str(self.path), *command]
        done = subprocess.run(words, cwd="/", env=environ, capture_output=True, text=True, user=user)
        return Said(done.returncode, done.stdout.strip(), done.stderr)

    def python(self, code: str, **variables: str) -> str:
        said = self.exec("python", "-c", code, **variables)
        assert said.status == 0, said.err
        return said.out


@pytest.fixture
def poison(tmp_path):
    """Variables under which every program that looks at them, or into ~/.local, ends."""
    home, folder = tmp_path / "home", tmp_path / "poison"
    versions = [home / f".local/lib/python3.{minor}/site-packages" for minor in range(9, 16)]
    for place in (folder, *versions):
        place.mkdir(parents=True)
        for module in ("overlay_only", "imgtool", "numpy"):
            (place / f"{module}.py").write_text("raise SystemExit('the host leaked in')\n")
    return {"PYTHONPATH": str(folder), "PYTHONHOME": str(folder), "HOME": str(home)}


@dataclass(frozen=True)
class Made:
    """A project, its image by one builder, and what `sync` said."""

    project: Workspace
    image: Image
    said: str


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, small_image: Path, runtime: str
) -> Iterator[dict[str, Made]]:
    """The image of one project by each builder: under LUMI's umask, and with binds that are not there."""
    folder = tmp_path_factory.mktemp("made")
    absent = "/no/such/folder"
    binds = dict.fromkeys(("SINGULARITY_BIND", "SINGULARITY_BINDPATH", "APPTAINER_BIND"), absent)
    make_overlay_only(folder)
    before = os.umask(0o007)
    try:
        with IndexServer(folder) as server:
            project = make_workspace(folder / "project", folder / "cache", PIP_INDEX_URL=server.url)
            project.write(f'path = "{small_image}"', ["overlay-only"])
            found = {}
            for builder in BUILDERS:
                said = project.lumienv("sync", "--mode", "sif", "--builder", builder, **binds)
                path = project.current.resolve() / "image.sif"
                found[builder] = Made(project, Image(path, runtime), said)
            yield found
    finally:
        os.umask(before)


def make_overlay_only(folder: Path) -> None:
    make_wheel(folder, "overlay-only", "1.0", ["imgtool"], modules={"overlay_only.py": "here = True\n"})


@pytest.fixture
def appended(local: Workspace, wheels: Path, small_image: Path, runtime: str):
    """Makes the image of a project that a test may change."""

    def sync(*words: str) -> Image:
        make_overlay_only(wheels)
        local.write(f'path = "{small_image}"', ["overlay-only"])
        local.lumienv("sync", *APPEND, *words)
        return Image(local.current / "image.sif", runtime)

    return sync


@pytest.fixture
def layer(tmp_path: Path, index, wheels: Path, runtime: str):
    """Makes a project on an image: a wheel of its own, which has a script that says where it imports from."""

    def sync(name: str, base: Path, mode: str, *words: str) -> Workspace:
        code = (
            "import importlib, sys\n\ndef main():\n    print(importlib.import_module(sys.argv[1]).__file__)\n"
        )
        make_wheel(
            wheels, name, "1.0", modules={f"{name}.py": code}, entry_points={f"where-{name}": f"{name}:main"}
        )
        made = make_workspace(tmp_path / name, tmp_path / "cache", PIP_INDEX_URL=index.url)
        made.write(f'path = "{base}"', [name])
        made.lumienv("sync", "--mode", mode, *words)
        return made

    return sync


@pytest.fixture
def runtime_that(tmp_path: Path, runtime: str):
    """A program in place of the runtime: the lines of shell given, then the runtime itself."""

    def make(lines: str) -> str:
        program = tmp_path / "runtime"
        program.write_text(f'#!/bin/sh\n{lines}\nexec {runtime} ${{options-}} "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_image_runs_by_itself_whatever_the_host_has_set(made, poison, builder):
    image = made[builder].image

    for entry in ("exec", "run", "exec --userns", "exec --containall"):
        said = image.exec("python", "-c", SHOW, entry=entry, **poison)

        assert said.status == 0, said.err
        overlay, of_image, prefix = said.out.split()
        assert overlay.startswith("/opt/lumienv/lib/python3.")
        assert of_image.startswith("/opt/venv/lib/python3.")
        assert prefix == "/opt/lumienv"


def test_all_carriers_show_the_same(made):
    """The path and the scripts that a command finds, in the three modes and by both builders."""
    project = made["cotainr"].project
    answers = [json.loads(one.image.python(LOOK)) for one in made.values()]
    answers.append(json.loads(project.python(LOOK)))
    for mode in ("venv", "squashfs"):
        project.lumienv("sync", "--mode", mode)
        answers.append(json.loads(project.python(LOOK)))

    assert answers == [answers[0]] * 5
    root, _, _, scripts, _ = answers[0]
    assert root == "/opt/lumienv"
    assert "imgtool" in {name for name, _, _ in scripts}


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_image_tells_what_it_was_made_of(made, small_image, builder):
    project, image = made[builder].project, made[builder].image

    shown = project.lumienv("image", "show", str(image.path))
    layers = json.loads(project.lumienv("image", "show", "--json", str(image.path)))["layers"]
    inspected = project.shell([image.runtime, "inspect", "--json", str(image.path)]).out
    labels = json.loads(inspected)["data"]["attributes"]["labels"]
    lock = image.exec("cat", "/opt/lumienv/share/lumienv/pylock.lumienv.toml").out

    assert f"/opt/lumienv on {small_image.name} by {builder}" in shown
    with image.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    hashed = ["image", "show", "--hash-image", str(image.path)]
    assert f"sha256      {digest}\n" in project.lumienv(*hashed)
    assert json.loads(project.lumienv(*hashed, "--json"))["sha256"] == digest
    assert [(one["base"], one["builder"], one["mount"]) for one in layers] == [
        (small_image.name, builder, "/opt/lumienv")
    ]
    assert labels["lumienv.builder"] == builder
    assert labels["lumienv.base"] == small_image.name
    assert labels["lumienv.lock"] == layers[0]["lock"]
    assert ("cotainr.version" in labels) == (builder == "cotainr")
    assert "org.label-schema.build-date" in labels
    assert lock == project.lock_path.read_text().strip()


def test_what_an_image_is_made_of_is_told_without_a_runtime(made):
    path = str(made["append"].image.path)

    said = made["append"].project.try_("image", "show", path, LUMIENV_RUNTIME="no-such-program")

    assert "by append" in said.out


def test_the_result_of_cotainr_says_what_appending_would_have_cost(made):
    assert "cotainr took" in made["cotainr"].said
    assert "--builder append: " in made["cotainr"].said
    assert "--builder append: " not in made["append"].said


@pytest.mark.once
@pytest.mark.parametrize("builder", BUILDERS)
def test_another_user_runs_a_copy_of_it(made, require, builder):
    require(os.geteuid() == 0, "only root can become another user")
    image = made[builder].image
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        copied = Image(Path(folder, "other name.sif"), image.runtime)
        shutil.copy(image.path, copied.path)
        copied.path.chmod(0o644)
        nobody = {"entry": "exec --no-home", "user": "nobody", "HOME": "/"}

        said = copied.exec("python", "-c", SHOW, **nobody)
        listed = copied.exec("ls", "-ld", "/", "/opt", "/opt/lumienv", "/.singularity.d/env", **nobody)

    assert said.status == 0, said.err
    assert said.out.split()[2] == "/opt/lumienv"
    assert {line.split()[0] for line in listed.out.splitlines()} == {"drwxr-xr-x"}


def test_a_runtime_that_leaves_appended_partitions_out_is_noticed(
    appended, local, small_image, runtime_that, tmp_path
):
    conf = Path("/etc/apptainer/apptainer.conf").read_text()
    (tmp_path / "conf").write_text(conf.replace("enable overlay = yes", "enable overlay = no"))
    runtime = runtime_that(f'options="--config {tmp_path}/conf"')
    appended()
    before = local.current.readlink()
    local.write(f'path = "{small_image}"', ["imgtool"])

    said = local.try_("sync", *APPEND, LUMIENV_RUNTIME=runtime)

    assert said.status == 1
    assert "does not show what was appended" in said.err
    assert "--builder cotainr" in said.err
    assert local.current.readlink() == before


@pytest.mark.parametrize(
    ("trouble", "hint"),
    [("FATAL: no space left on device", "TMPDIR"), ("FATAL: something odd", "--builder append")],
)
def test_what_cotainr_stumbles_over_is_said_in_a_sentence(local, small_image, runtime_that, trouble, hint):
    make = f'case " $* " in *" build "*) echo "{trouble}" >&2; exit 255;; esac'
    local.write(f'path = "{small_image}"')

    said = local.try_("sync", "--mode", "sif", LUMIENV_RUNTIME=runtime_that(make))

    assert said.status == 1
    assert f"cotainr could not make an image of {small_image.name}, unpacking the image" in said.err
    assert trouble in said.err
    assert hint in said.err.partition("help:")[2]
    assert "Traceback" not in said.err
    assert not local.current.exists()


def test_images_are_bases_of_others_layer_upon_layer(layer, small_image, runtime):
    """Appended upon appended, repacked upon that, and a directory on top: each sees all that is below it."""
    one = layer("one", small_image, *APPEND[1:])
    two = layer("two", one.current / "image.sif", *APPEND[1:])
    three = layer("three", two.current / "image.sif", "sif", "--builder", "cotainr")
    four = layer("four", three.current / "image.sif", "venv")
    five = layer("five", three.current / "image.sif", *APPEND[1:])

    ask = "import sys, imgtool, one, two, three; print(*[m.__file__ for m in (one, two, three, imgtool)])"
    below = Image(three.current / "image.sif", runtime).python(ask).split()
    path = json.loads(four.python("import json, sys; print(json.dumps(sys.path))"))

    mounts = ["/opt/lumienv", "/opt/lumienv-2", "/opt/lumienv-3", "/opt/venv"]
    assert [place.partition("/lib/")[0] for place in below] == mounts
    seen = [place.partition("/lib/")[0] for place in path if place.endswith("site-packages")]
    assert seen == ["/opt/lumienv-4", "/opt/lumienv-3", "/opt/lumienv-2", "/opt/lumienv", "/opt/venv"]
    assert (
        Image(five.current / "image.sif", runtime).exec("where-one", "five").out.startswith("/opt/lumienv-4/")
    )
    assert four.lumienv("run", "where-two", "four").startswith("/opt/lumienv-4/")
    shown = five.lumienv("image", "show", str(five.current / "image.sif")).splitlines()[:4]
    assert [line.split()[6].rstrip(",") for line in shown] == ["append", "append", "cotainr", "append"]


def test_what_a_layer_brought_is_the_images_for_the_next(layer, local, small_image):
    one = layer("one", small_image, *APPEND[1:])
    local.write(f'path = "{one.current}/image.sif"', ["one"])

    said = local.lumienv("lock")

    assert "= one 1.0 from the image" in said


@pytest.fixture
def elsewhere():
    """A folder on another file system than the tests' own."""
    folder = Path("/dev/shm") / f"lumienv-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_output_is_another_name_of_the_image_in_the_store(appended, local, runtime):
    image = appended("--output", "train.sif")
    output = local.directory / "train.sif"

    assert output.samefile(image.path)
    assert Image(output, runtime).python("import overlay_only; print(overlay_only.here)") == "True"
    output.unlink()
    local.lumienv("sync", *APPEND, "--output", "train.sif")
    assert output.samefile(image.path)


def test_across_file_systems_the_output_is_the_only_copy(appended, local, elsewhere):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (elsewhere / f".train.sif.{ended.pid}-{os.uname().nodename}-0123").write_text("a part of an image")

    image = appended("--output", str(elsewhere / "train.sif"))

    assert [path.name for path in elsewhere.iterdir()] == ["train.sif"]
    assert image.path.readlink() == elsewhere / "train.sif"
    assert local.python("import overlay_only; print(overlay_only.here)") == "True"
    (elsewhere / "train.sif").unlink()
    assert "has the environment inside, is gone" in local.lumienv("status")
    said = local.try_("run", "--print", "python")
    assert said.status == 1
    assert f"the image {elsewhere}/train.sif, which has the environment inside, is gone" in said.err
    local.lumienv("sync", *APPEND)
    assert local.python("import overlay_only; print(overlay_only.here)") == "True"


def test_an_older_output_of_lumienvs_is_replaced_and_nothing_else(appended, local, wheels, small_image):
    output = local.directory / "train.sif"
    appended("--output", str(output))
    old = output.stat().st_ino
    local.write(f'path = "{small_image}"')
    local.lumienv("sync", *APPEND, "--output", str(output))
    assert output.stat().st_ino != old
    shutil.copy(small_image, output.with_name("theirs.sif"))
    (local.directory / "notes").write_text("mine\n")

    for name in ("theirs.sif", "notes"):
        said = local.try_("sync", "--mode", "sif", "--output", name)

        assert said.status == 1
        assert "was not made by lumienv, so it is not replaced" in said.err
    assert (local.directory / "notes").read_text() == "mine\n"


def test_an_output_that_cannot_be_written_is_said_before_the_work_begins(local, small_image):
    local.write(f'path = "{small_image}"', more='[sif]\noutput = "none/train.sif"\n')

    said = local.try_("sync", "--mode", "sif")

    assert said.status == 1
    assert "there is no such folder" in said.err
    assert not local.lock_path.exists()


def test_an_image_needs_its_base_no_longer(local, tmp_path, small_image):
    base = tmp_path / "base.sif"
    shutil.copy(small_image, base)
    local.write(f'path = "{base}"')
    local.lumienv("sync", *APPEND)
    base.unlink()

    assert local.python("import imgtool, sys; print(sys.prefix)") == "/opt/lumienv"


@pytest.mark.parametrize("builder", ["append", pytest.param("cotainr", marks=pytest.mark.once)])
@pytest.mark.parametrize("name", ["mpi4py", "pytorch", "multitorch"])
def test_each_family_of_images_is_activated_inside(lab, local, wheels, poison, runtime, name, builder):
    make_wheel(wheels, "overlay-only", "1.0", modules={"overlay_only.py": "here = True\n"})
    live = 'activate = "live"\n' if name == "mpi4py" else ""
    local.write(f'path = "{lab.images[name]}"\n{live}', ["overlay-only"])
    local.lumienv("sync", "--mode", "sif", "--builder", builder)
    image = Image(local.current.resolve() / "image.sif", runtime)
    module = "mpi4py.MPI" if name == "mpi4py" else "torch"
    imports = f"import {module}, numpy, overlay_only, sys; print(sys.prefix)"

    for entry in ("exec", "run"):
        said = image.exec("python", "-c", imports, entry=entry, **poison)
        assert (said.status, said.out) == (0, "/opt/lumienv"), said.err
    with_conda = image.exec("bash", "-c", "${WITH_CONDA:-true} && command -v python", **poison)
    assert with_conda.out == "/opt/lumienv/bin/python"
    listed = json.loads(image.exec("pip", "list", "--format=json", **poison).out)
    seen = json.loads(image.python(LOOK, **poison))
    assert "numpy" in {entry["name"] for entry in listed}
    # Of appended images, test_modes.py compares the rest.
    others = [("--mode", "squashfs"), ("--mode", "venv")] if builder == "cotainr" else []
    for words in ((), *others):
        if words:
            local.lumienv("sync", *words)
        assert json.loads(local.python(LOOK)) == seen
        assert json.loads(local.lumienv("run", "pip", "list", "--format=json")) == listed
