"""`lumienv image pull` from a real registry on loopback and from archives, and projects on what it made."""

import base64
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import processes_of, small_disk, wrapper
from image_registry import (
    PASSWORD,
    USER,
    ImageRegistry,
    digest_of,
    parts_are_there,
    write_layer,
    write_layout,
)
from wheels import make_wheel
from workspace import Workspace, make_workspace

from lumienv.image.sif import read_sif

pytestmark = pytest.mark.unprivileged

PULL = ("image", "pull", "--no-https")
# As the small image has it: the venv first.
ENV = ["PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV=/opt/venv"]


@pytest.fixture(scope="module")
def layer(small_image: Path, runtime: str, require: Callable[[bool, str], None], tmp_path_factory) -> Path:
    """The small image's root file system, as a layer."""
    require(parts_are_there(), "no docker-registry or skopeo here: run tests/lab/install-tools.sh as root")
    folder = tmp_path_factory.mktemp("layer")
    subprocess.run(
        [runtime, "--quiet", "build", "--sandbox", str(folder / "tree"), str(small_image)], check=True
    )
    shutil.rmtree(folder / "tree" / ".singularity.d")
    for name in ("singularity", "environment", ".exec", ".run", ".shell", ".test"):
        (folder / "tree" / name).unlink(missing_ok=True)
    write_layer(folder / "tree", folder / "layer.tar.gz")
    return folder / "layer.tar.gz"


@pytest.fixture(scope="module")
def layouts(layer: Path, tmp_path_factory) -> tuple[Path, Path]:
    """Two images that differ in a label."""
    folder = tmp_path_factory.mktemp("layouts")
    first, second = (write_layout(folder / note, layer, env=ENV, note=note) for note in ("first", "second"))
    return first, second


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A layer that takes no time: a file."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tree" / "etc").mkdir(parents=True)
    (folder / "tree" / "etc" / "note").write_text("tiny\n")
    write_layer(folder / "tree", folder / "tiny.tar.gz")
    return folder / "tiny.tar.gz"


@pytest.fixture(scope="module")
def registry(layer: Path, tmp_path_factory) -> Iterator[ImageRegistry]:
    with ImageRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """An empty project folder with a cache, a home and scratch space of its own."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "home").mkdir()
    return make_workspace(
        tmp_path / "project",
        tmp_path / "cache",
        TMPDIR=str(tmp_path / "scratch"),
        HOME=str(tmp_path / "home"),
        XDG_STATE_HOME=str(tmp_path / "state"),
        LUMIENV_SITE="generic",
    )


def images(place: Workspace) -> list[Path]:
    return sorted((place.cache / "images").glob("*.sif"))


def pulled(place: Workspace, *words: str, **variables: str) -> dict[str, object]:
    return json.loads(place.lumienv(*PULL, "--json", *words, **variables))


def failing(place: Workspace, *words: str, **variables: str) -> str:
    """What is said by a pull that has to fail; nothing may be left of it."""
    said = place.try_(*PULL, *words, **variables)
    assert said.status in (1, 2), said
    assert "Traceback" not in said.err
    assert "error in lumienv itself" not in said.err
    nothing_is_left(place)
    return said.err


def nothing_is_left(place: Workspace) -> None:
    scratch = Path(place.environ["TMPDIR"])
    assert list(scratch.iterdir()) == []
    assert list(place.cache.rglob(".*")) == []
    assert processes_of(scratch) == []


# -- from a registry -------------------------------------------------------------------------------------


def test_a_tag_is_pulled_its_digest_noted_and_the_line_to_write_told(place, registry, tiny, tmp_path):
    digest = registry.push(write_layout(tmp_path / "layout", tiny), "org/noted:1")
    uri = f"docker://{registry.address}/org/noted:1"
    said = place.try_(*PULL, uri)
    assert said.status == 0, said
    pin = f"docker://{registry.address}/org/noted@{digest}"
    (image,) = images(place)
    assert said.out.splitlines() == [
        f"pulled {uri}: {digest}",
        f"  {image} ({image.stat().st_size / 1e3:.0f} kB)",
        f'to have this very image: [image] uri = "{pin}"',
    ]
    assert f"pulling {uri}" in said.err
    assert digest.removeprefix("sha256:")[:16] in image.name
    assert os.access(image, os.R_OK)
    nothing_is_left(place)
    # No layer, no temporary file in the home directory: Apptainer makes a folder for its settings there.
    home = Path(place.environ["HOME"])
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_what_is_there_is_not_pulled_again_and_nothing_is_started(place, registry, tiny, tmp_path):
    digest = registry.push(write_layout(tmp_path / "layout", tiny), "org/again:1")
    uri = f"docker://{registry.address}/org/again:1"
    first = pulled(place, uri)
    broken = wrapper(tmp_path, "/bin/false", "singularity", "exit 70")
    for word in (uri, f"docker://{registry.address}/org/again@{digest}"):
        again = pulled(place, word, PATH=f"{broken}:{os.environ['PATH']}")
        assert (first["pulled"], again["pulled"]) == (True, False)
        assert again["path"] == first["path"]
    # By its digest it is known without the registry, too.
    gone = f"docker://{registry.address}/org/again@{digest}"
    said = place.lumienv("image", "pull", "--offline", gone)
    assert said.startswith(f"{gone} is there already")


def test_a_tag_that_has_moved_is_pulled_anew_and_what_it_was_is_told(place, registry, tiny, tmp_path):
    uri = f"docker://{registry.address}/org/moving:1"
    before = registry.push(write_layout(tmp_path / "first", tiny, note="first"), "org/moving:1")
    old = pulled(place, uri)
    after = registry.push(write_layout(tmp_path / "second", tiny, note="second"), "org/moving:1")
    said = place.try_(*PULL, uri)
    assert f"{uri} is another image now: it was {before}" in said.err
    assert f"that one stays: {old['path']}" in said.err
    assert said.out.startswith(f"pulled {uri}: {after}")
    assert len(images(place)) == 2
    assert pulled(place, uri)["before"] is None


# -- who may have it -------------------------------------------------------------------------------------


def test_a_registry_with_a_password_is_asked_with_what_the_runtime_knows(
    place, layer, tiny, tmp_path, runtime
):
    home = Path(place.environ["HOME"])
    with ImageRegistry(tmp_path / "closed", closed=True) as closed:
        digest = closed.push(write_layout(tmp_path / "layout", tiny), "org/secret:1")
        uri = f"docker://{closed.address}/org/secret:1"
        said = failing(place, uri)
        assert f"the registry wants a password for {uri}" in said
        assert "SINGULARITY_DOCKER_USERNAME" in said
        wrong = {"SINGULARITY_DOCKER_USERNAME": USER, "SINGULARITY_DOCKER_PASSWORD": "verkehrt"}
        said = failing(place, uri, **wrong)
        assert "wrong password, or no right to it" in said
        assert "verkehrt" not in said
        words = tmp_path / "words"
        noting = wrapper(tmp_path, runtime, "singularity", f'echo "$@" >>{words}; exec "$real" "$@"')
        right = {"SINGULARITY_DOCKER_USERNAME": USER, "SINGULARITY_DOCKER_PASSWORD": PASSWORD}
        printed = place.lumienv(*PULL, "--print", uri, **right)
        path = f"{noting}:{os.environ['PATH']}"
        assert pulled(place, uri, **right, PATH=path)["digest"] == digest
        # A project, which may be anybody's, names another host than the password is for.
        other = {**place.environ, "LUMIENV_CACHE_DIR": str(tmp_path / "other")}
        mine = make_workspace(tmp_path / "mine", tmp_path / "other", **other)
        mine.write(f'uri = "{uri}"')
        said = failing(mine, **right)
        assert "are not told to a host that lumienv.toml names" in said
        assert f"lumienv image pull {uri}" in said
        # The same from a login that was kept.
        (home / ".docker").mkdir()
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {closed.address: {"auth": auth}}}))
        second = closed.push(write_layout(tmp_path / "second", tiny, note="second"), "org/secret:1")
        assert pulled(place, uri)["digest"] == second
    assert PASSWORD not in printed + words.read_text()
    for file in (path for path in place.cache.rglob("*") if path.is_file()):
        assert PASSWORD.encode() not in file.read_bytes(), file


def test_what_is_not_there_is_said_with_what_is(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/named:2.7.1")
    said = failing(place, f"docker://{registry.address}/org/named:2.7")
    assert f"there is no image docker://{registry.address}/org/named:2.7" in said
    assert "its tags: 2.7.1" in said
    assert "there is no image" in failing(place, f"docker://{registry.address}/org/nobody:1")


def test_without_a_network_it_is_said_and_nothing_is_started(place, registry):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listened to: refused
        uri = f"docker://127.0.0.1:{closed.getsockname()[1]}/org/image:1"
        said = failing(place, uri)
    assert "cannot reach the registry 127.0.0.1" in said
    assert "connection refused" in said
    assert "has not been fetched yet, and lumienv is offline" in failing(place, "--offline", uri)
    said = place.try_("image", "pull", f"docker://{registry.address}/org/image:1")
    assert said.status == 1
    assert "lumienv image pull --no-https" in said.err


def test_without_a_runtime_it_is_said(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/noruntime:1")
    said = failing(place, f"docker://{registry.address}/org/noruntime:1", PATH=str(tmp_path))
    assert "no container runtime was found" in said


def test_an_image_for_another_machine_is_not_fetched(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny, machine="riscv64"), "org/other:1")
    said = failing(place, f"docker://{registry.address}/org/other:1")
    assert "has no image for this machine" in said
    assert "there is one for riscv64" in said
    assert images(place) == []


# -- archives, and where it is put ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive", "oci"])
def test_an_archive_is_pulled_and_known_again(place, registry, tiny, tmp_path, runtime, kind):
    layout = write_layout(tmp_path / "layout", tiny)
    source = layout
    if kind != "oci":
        source = tmp_path / "image.tar"
        words = ["skopeo", "copy", "--quiet", f"oci:{layout}:latest", f"{kind}:{source}:org/image:1"]
        subprocess.run(words, check=True)
    done = pulled(place, f"{kind}:{os.path.relpath(source, place.directory)}")
    assert done["pulled"] is True
    assert done["uri"] is None
    if kind != "docker-archive":
        assert done["digest"] == digest_of(layout)
    assert pulled(place, f"{kind}:{source}") == done | {"pulled": False}
    # The image has no program that could show it.
    tree = tmp_path / "tree"
    unpack = [runtime, "--quiet", "build", "--sandbox", str(tree), str(done["path"])]
    said = place.shell(unpack)
    assert said.status == 0, said
    assert (tree / "etc" / "note").read_text() == "tiny\n"


def test_an_archive_that_is_none_is_refused(place, registry, tmp_path):
    (tmp_path / "not.tar").write_text("no archive")
    assert "is no image that the runtimes can read" in failing(place, f"oci-archive:{tmp_path}/not.tar")
    assert "there is no" in failing(place, f"oci-archive:{tmp_path}/gone.tar")
    assert "is no image that the runtimes can read" in failing(place, f"oci:{tmp_path}")


def test_it_is_put_where_it_is_wanted_and_replaces_nothing_of_others(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/output:1")
    uri = f"docker://{registry.address}/org/output:1"
    mine = place.directory / "mine.sif"
    mine.write_text("not lumienv's")
    assert "was not pulled by lumienv, so it is not replaced" in failing(place, uri, "-o", "mine.sif")
    assert mine.read_text() == "not lumienv's"
    mine.unlink()
    done = pulled(place, uri, "-o", "mine.sif")
    assert (done["path"], images(place)) == (str(mine), [])
    place.write(f'uri = "{uri}"')
    assert "image:        mine.sif" in place.lumienv("status")
    # In a folder of images it is listed once, also by another name of that folder.
    (tmp_path / "folder").symlink_to(place.directory)
    listed = json.loads(place.lumienv("image", "list", "--json", LUMIENV_IMAGE_PATH=str(tmp_path / "folder")))
    assert [one["path"] for one in listed] == [str(tmp_path / "folder" / "mine.sif")]
    # A second place is another name for the same file.
    other = pulled(place, uri, "-o", str(tmp_path / "other.sif"))
    assert (other["pulled"], Path(str(other["path"])).samefile(mine)) == (False, True)


def test_what_is_printed_makes_the_image_without_lumienv(place, registry, tiny, tmp_path):
    digest = registry.push(write_layout(tmp_path / "layout", tiny), "org/printed:1")
    uri = f"docker://{registry.address}/org/printed:1"
    lines = place.lumienv(*PULL, "--dry-run", uri)
    assert not place.cache.exists()
    said = place.shell(["sh", "-ec", lines])
    assert said.status == 0, said
    assert stat.S_IMODE(place.cache.stat().st_mode) == 0o700
    # It is taken for what lumienv would have made.
    done = pulled(place, uri)
    assert (done["pulled"], done["digest"]) == (False, digest)


# -- when something goes wrong ----------------------------------------------------------------------------


def test_killed_half_way_nothing_is_used_and_the_next_pull_clears_up(
    place, registry, tiny, tmp_path, runtime
):
    digest = registry.push(write_layout(tmp_path / "layout", tiny), "org/killed:1")
    uri = f"docker://{registry.address}/org/killed:1"
    when_it_builds = 'case "$*" in *build*) kill -{} $PPID;; esac\nexec "$real" "$@"'
    killer = wrapper(tmp_path, runtime, "singularity", when_it_builds.format("KILL"))
    said = place.try_(*PULL, uri, PATH=f"{killer}:{os.environ['PATH']}")
    assert said.status == -signal.SIGKILL
    assert images(place) == []
    place.write(f'uri = "{uri}"')
    assert "has not been fetched yet" in place.try_("lock").err
    assert list(Path(place.environ["TMPDIR"]).iterdir()) != []
    interrupted = wrapper(tmp_path, runtime, "singularity", when_it_builds.format("INT"))
    said = place.try_(*PULL, uri, PATH=f"{interrupted}:{os.environ['PATH']}")
    assert (said.status, images(place)) == (130, [])
    assert "interrupted" in said.err
    nothing_is_left(place)
    assert pulled(place)["digest"] == digest
    nothing_is_left(place)


def test_two_pulls_at_once_make_one_image(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/twice:1")
    uri = f"docker://{registry.address}/org/twice:1"
    both = [place.start(*PULL, "--json", uri) for _ in range(2)]
    done = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], done
    assert sorted(json.loads(out)["pulled"] for out, _ in done) == [False, True]
    assert len(images(place)) == 1
    nothing_is_left(place)


@pytest.mark.once
def test_a_disk_that_is_too_small_is_noticed_before_anything_is_fetched(
    place, registry, layouts, tmp_path, require
):
    require(os.geteuid() == 0, "only root can make a small disk")
    registry.push(layouts[0], "org/large:1")
    uri = f"docker://{registry.address}/org/large:1"
    with small_disk(tmp_path / "disk", 8, "tmpfs") as disk:
        said = place.try_(*PULL, uri, TMPDIR=str(disk))
        assert said.status == 1
        assert "there is not enough room for the image" in said.err
        assert "TMPDIR" in said.err
        assert list(disk.iterdir()) == []
    full = wrapper(
        tmp_path, "/bin/false", "singularity", "echo 'FATAL:   no space left on device' >&2; exit 255"
    )
    assert "there is not enough room to make" in failing(place, uri, PATH=f"{full}:{os.environ['PATH']}")


# -- projects on it ---------------------------------------------------------------------------------------


@pytest.fixture
def project(place, registry, layouts, index, wheels) -> Workspace:
    """A project on a registry's image, which was not pulled yet; `thing` is to be added to it."""
    registry.push(layouts[0], "org/base:1")
    make_wheel(wheels, "thing", "1.0", ["shipped"])
    here = make_workspace(place.directory, place.cache, **{**place.environ, "PIP_INDEX_URL": index.url})
    here.write(f'uri = "docker://{registry.address}/org/base@{digest_of(layouts[0])}"', ["thing"])
    return here


def test_a_project_on_an_image_of_a_registry_is_locked_synced_and_run(
    project, registry, layouts, index, tmp_path
):
    uri = f"docker://{registry.address}/org/base@{digest_of(layouts[0])}"
    for words in (["lock"], ["sync"], ["run", "--", "true"], ["image", "show"]):
        said = project.try_(*words)
        assert said.status == 1, words
        assert f"the image {uri} has not been fetched yet" in said.err
        assert f"lumienv image pull {uri}" in said.err
    seen = json.loads(project.lumienv("status", "--json"))
    assert (seen["image"]["name"], seen["remedy"]) == (uri, "lumienv image pull")
    done = pulled(project)
    project.lumienv("lock")
    assert f'identity = "oci:{digest_of(layouts[0])}"' in project.lock_path.read_text()
    for mode in (["venv"], ["squashfs"], ["sif", "--builder", "append"]):
        project.lumienv("sync", "--locked", "--mode", *mode)
        assert project.python("import thing, shipped; print(thing.__version__)") == "1.0"
    shown = project.lumienv("image", "show")
    assert f"pulled      {uri} {digest_of(layouts[0])}" in shown
    assert json.loads(project.lumienv("image", "show", "--json", uri))["pulled"]["uri"] == uri
    assert json.loads(project.lumienv("status", "--json"))["problem"] is None
    assert str(done["path"]) in project.lumienv("image", "list")
    # A teammate's SIF is another file with the same content: the lock holds there, too.
    mate = make_workspace(
        tmp_path / "mate",
        tmp_path / "mates-cache",
        **{**project.environ, "LUMIENV_CACHE_DIR": str(tmp_path / "mates-cache")},
    )
    for name in ("lumienv.toml", "pylock.lumienv.toml"):
        shutil.copy(project.directory / name, mate.directory)
    theirs = pulled(mate)
    assert read_sif(Path(str(theirs["path"]))).identity != read_sif(Path(str(done["path"]))).identity
    mate.lumienv("lock", "--check")
    assert "thing 1.0" in mate.lumienv("sync", "--locked", "--dry-run")


def test_a_changed_image_is_noticed_and_fetched_again(place, registry, tiny, tmp_path, runtime):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/changed:1")
    place.write(f'uri = "docker://{registry.address}/org/changed:1"')
    image = str(pulled(place)["path"])
    (place.directory / "more").write_text("{}")
    add = [runtime, "sif", "add", "--datatype", "6", "--groupid", "1", image, "more"]
    assert place.shell(add).status == 0
    for words in (["lock"], ["run", "--", "true"], ["image", "show"]):
        said = place.try_(*words)
        assert said.status == 1, words
        assert f"the image {image} is another one than was fetched from" in said.err
    assert json.loads(place.lumienv("status", "--json"))["remedy"] == "lumienv image pull"
    assert pulled(place)["pulled"] is True
    assert pulled(place)["pulled"] is False
    Path(image).unlink()
    assert f"the image {image}, fetched from" in place.try_("lock").err
    assert pulled(place)["pulled"] is True


def test_an_image_without_python_is_pulled_and_lock_says_it(place, registry, tiny, lab, runtime, tmp_path):
    tree = tmp_path / "tree"
    subprocess.run(
        [runtime, "--quiet", "build", "--sandbox", str(tree), str(lab.images["no_python"])], check=True
    )
    write_layer(tree, tmp_path / "layer.tar.gz")
    registry.push(write_layout(tmp_path / "layout", tmp_path / "layer.tar.gz"), "org/nopython:1")
    place.write(f'uri = "docker://{registry.address}/org/nopython:1"')
    assert pulled(place)["pulled"] is True
    said = place.try_("lock")
    assert said.status == 1
    assert "has no Python" in said.err


def test_a_new_project_on_an_image_of_a_registry_is_told_to_pull_it(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/new:1")
    uri = f"docker://{registry.address}/org/new:1"
    said = place.lumienv("init", "--image", uri)
    assert f'[image] uri = "{uri}"' in said
    assert "next: lumienv image pull && lumienv add PACKAGE" in said
    assert pulled(place)["address"] == uri


def test_a_cleaned_cache_keeps_what_was_pulled_unless_it_is_named(place, registry, tiny, tmp_path):
    registry.push(write_layout(tmp_path / "layout", tiny), "org/kept:1")
    pulled(place, f"docker://{registry.address}/org/kept:1")
    (size,) = [
        one
        for one in json.loads(place.lumienv("cache", "size", "--json"))["kinds"]
        if one["name"] == "images"
    ]
    assert size["size"] > images(place)[0].stat().st_size
    said = place.try_("cache", "clean")
    assert "--images removes them" in said.err
    assert len(images(place)) == 1
    place.lumienv("cache", "clean", "--images")
    assert images(place) == []
    assert pulled(place, f"docker://{registry.address}/org/kept:1")["pulled"] is True
