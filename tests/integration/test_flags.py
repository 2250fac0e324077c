"""What single options do, where the tests of a whole task have no use for them."""

import json
import os
import sys
from pathlib import Path

import pytest
from index_server import IndexServer
from sources import git, make_repository, tiny_project
from wheels import make_wheel
from workspace import Workspace, locked, make_workspace

pytestmark = pytest.mark.once


@pytest.fixture
def project(local: Workspace, wheels: Path) -> Workspace:
    """On this machine's Python: one dependency, and two groups of one each. Nothing is locked yet."""
    for name in ("thing", "other", "checker", "ipykernel"):
        make_wheel(wheels, name, "1.0")
    groups = '[dependency-groups]\ndev = ["checker"]\nmore = ["other"]\n'
    local.write(f'host = "{sys.executable}"', ["thing"], groups)
    return local


def manifest(project: Workspace) -> str:
    return (project.directory / "lumienv.toml").read_text()


def installed(project: Workspace) -> set[str]:
    """What the environment adds to this machine's Python."""
    found = project.current.resolve().glob("tree/lib/python3*/site-packages/*.dist-info")
    return {path.name.partition("-")[0] for path in found}


# -- add and remove --------------------------------------------------------------------------------------


def test_add_can_put_a_package_into_a_group_and_tell_of_it_in_json(project: Workspace) -> None:
    told = json.loads(project.lumienv("add", "ipykernel", "--group", "more", "--no-sync", "--json"))
    assert (told["group"], told["added"], told["generation"]) == ("more", ["ipykernel"], None)
    assert 'more = ["ipykernel", "other"]' in manifest(project)
    assert "ipykernel" in locked(project)
    assert not project.current.exists()


def test_add_can_tie_a_package_to_one_index(project: Workspace, index: IndexServer, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    make_wheel(own, "thing", "0.5")
    text = manifest(project) + f'[[index]]\nname = "own"\nurl = "{own}"\nformat = "flat"\nexplicit = true\n'
    (project.directory / "lumienv.toml").write_text(text)
    project.lumienv("add", "thing<2", "--index", "own", "--no-sync")
    assert '[sources.thing]\nindex = "own"\n' in manifest(project)
    assert locked(project)["thing"] == "0.5"


@pytest.mark.parametrize(("option", "value"), [("--tag", "v1"), ("--branch", "side"), ("--rev", "HEAD")])
def test_add_can_name_what_of_a_git_repository_is_meant(
    project: Workspace, tmp_path: Path, option: str, value: str
) -> None:
    made = make_repository(tmp_path / "tiny", tiny_project())
    git(tmp_path / "tiny", "tag", "v1")
    git(tmp_path / "tiny", "branch", "side")
    value = made if option == "--rev" else value
    address = f"tiny @ git+file://{tmp_path / 'tiny'}"
    project.lumienv("add", address, option, value, "--frozen")
    assert f'{option.strip("-")} = "{value}"' in manifest(project)
    assert not project.lock_path.exists()
    said = project.try_("add", address, "--rev", made, "--tag", "v1")
    assert (said.status, "only one of --rev, --tag and --branch" in said.err) == (2, True)


def test_remove_leaves_the_environment_or_the_lock_or_all_as_it_was_when_told_to(project: Workspace) -> None:
    project.lumienv("sync", "--group", "more")
    before, text = project.lock_path.read_text(), manifest(project)
    told = json.loads(project.lumienv("remove", "thing", "--dry-run", "--json"))
    assert (told["removed"], told["written"]) == (["thing"], False)
    assert (manifest(project), project.lock_path.read_text()) == (text, before)
    project.lumienv("remove", "thing", "--frozen")
    assert '"thing"' not in manifest(project)
    assert project.lock_path.read_text() == before
    project.lumienv("remove", "other", "--group", "more", "--no-sync")
    assert set(locked(project)) == {"checker"}
    assert installed(project) == {"thing", "other", "checker"}
    project.lumienv("remove", "checker", "--dev")
    assert installed(project) == set()


# -- groups ----------------------------------------------------------------------------------------------


def test_groups_are_taken_in_and_left_out(project: Workspace) -> None:
    told = json.loads(project.lumienv("sync", "--json"))
    assert (told["packages"], installed(project)) == (2, {"thing", "checker"})
    project.lumienv("sync", "--all-groups")
    assert installed(project) == {"thing", "checker", "other"}
    project.lumienv("sync", "--all-groups", "--no-group", "dev")
    assert installed(project) == {"thing", "other"}
    project.lumienv("sync", "--no-dev")
    assert installed(project) == {"thing"}


def test_an_export_has_the_groups_that_are_asked_for(project: Workspace) -> None:
    project.lumienv("lock")

    def names(*options: str) -> set[str]:
        said = project.lumienv("export", "--format", "requirements-txt", "--no-hashes", *options)
        return {line.partition("==")[0] for line in said.splitlines() if "==" in line}

    assert names() == {"thing", "checker"}
    assert names("--all-groups") == {"thing", "checker", "other"}
    assert names("--group", "more", "--no-group", "dev") == {"thing", "other"}
    assert names("--no-dev") == {"thing"}
    project.lumienv("export", "--output-file", "requirements.txt")
    assert "thing==1.0" in (project.directory / "requirements.txt").read_text()


# -- run's options, of the commands beside it --------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, cache: Path, small_image: Path) -> Workspace:
    """On the small image, synced."""
    made = make_workspace(tmp_path_factory.mktemp("flags") / "project", cache, LUMIENV_SITE="lumi")
    made.write(f'path = "{small_image}"')
    made.lumienv("sync")
    return made


@pytest.mark.parametrize("command", ["srun", "sbatch", "shell", "run"])
def test_what_stands_beside_a_command_reaches_its_launch(
    image: Workspace, command: str, tmp_path: Path
) -> None:
    behind = [] if command == "shell" else ["--", "true"]

    def printed(*options: str, **variables: str) -> str:
        return image.lumienv(command, "--print", *options, *behind, **variables)

    plain = printed()
    data = tmp_path / "data"
    data.mkdir()
    assert f"{data}:/data" in printed("--bind", f"{data}:/data")
    assert "FLAG=set" in printed("--env", "FLAG=set").replace("'", "")
    assert "NCCL_SOCKET_IFNAME" not in plain
    assert "NCCL_SOCKET_IFNAME" in printed("--preset", "lumi-g")
    assert printed("--mode", "venv") == plain
    said = image.try_(command, "--print", "--mode", "squashfs", *behind)
    assert (said.status, "no environment of the mode squashfs" in said.err) == (1, True)


@pytest.mark.parametrize("command", ["srun", "sbatch", "shell", "run"])
def test_no_sync_takes_the_environment_as_it_is(project: Workspace, command: str) -> None:
    behind = [] if command == "shell" else ["--", "true"]
    project.lumienv("sync")
    project.lock_path.write_text(project.lock_path.read_text() + "\n")
    said = project.try_(command, "--print", *behind)
    assert (said.status, "not up to date" in said.err) == (1, True)
    assert str(project.directory) in project.lumienv(command, "--print", "--no-sync", *behind)


def test_a_kernel_gets_the_name_that_is_asked_for(project: Workspace, tmp_path: Path) -> None:
    project.lumienv("add", "ipykernel")
    data = {"JUPYTER_DATA_DIR": str(tmp_path / "jupyter")}
    assert "kernels/named)" in project.lumienv("shell", "--jupyter", "--name", "named", **data)
    assert os.listdir(tmp_path / "jupyter" / "kernels") == ["named"]  # noqa: PTH208
    project.lumienv("shell", "--jupyter", "--name", "named", "--remove", **data)
    assert os.listdir(tmp_path / "jupyter" / "kernels") == []  # noqa: PTH208


# -- snapshots and caches ----------------------------------------------------------------------------------


def test_a_list_becomes_the_snapshot_of_the_machine_that_is_described(project: Workspace) -> None:
    (project.directory / "list.txt").write_text("pip==25.0\nthing==1.0\n")
    words = ["--from-list", "list.txt", "--python", "3.11.9", "--glibc", "2.34", "--machine", "aarch64"]
    project.lumienv("image", "freeze", *words, "--name", "described", "-o", "image.json")
    made = json.loads((project.directory / "image.json").read_text())
    assert made["image"]["name"] == "described"
    assert made["markers"]["platform_machine"] == "aarch64"
    assert "cp311-cp311-manylinux_2_34_aarch64" in made["tags"]
    assert not any("2_35" in tag or "x86_64" in tag for tag in made["tags"])


@pytest.mark.parametrize("kind", ["wheels", "index", "builds", "git", "snapshots"])
def test_one_kind_of_the_cache_is_cleaned_and_the_others_stay(
    project: Workspace, tmp_path: Path, kind: str
) -> None:
    make_repository(tmp_path / "tiny", tiny_project())
    project.lumienv("add", f"tiny @ git+file://{tmp_path / 'tiny'}")

    def kinds() -> dict[str, int]:
        told = json.loads(project.lumienv("cache", "size", "--json"))
        return {one["name"]: one["files"] for one in told["kinds"]}

    before = kinds()
    assert before[kind] > 0
    assert "would remove" in project.lumienv("cache", "clean", f"--{kind}", "--dry-run")
    assert kinds() == before
    project.lumienv("cache", "clean", f"--{kind}", "--older-than", "1")
    assert kinds() == before
    told = json.loads(project.lumienv("cache", "clean", f"--{kind}", "--json"))
    assert told["files"] == before[kind]
    assert kinds() == before | {kind: 0}
