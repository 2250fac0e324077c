"""`lumienv init` and `lumienv image diff` on the laboratory's images, with and without a terminal."""

import json

import pytest
from recording import on_terminal
from workspace import Workspace, make_workspace

pytestmark = pytest.mark.unprivileged

REQUIREMENTS = """\
--extra-index-url https://download.example.org/whl/cu126
torch==2.8.0+cu126
nvidia-cublas-cu12==12.6.4.1
numpy==1.26.4
einops
"""


@pytest.fixture
def unseen(tmp_path, lab) -> Workspace:
    """An empty folder, with images in the site's folders that lumienv has never looked into."""
    return make_workspace(tmp_path / "project", tmp_path / "cache", LUMIENV_IMAGE_PATH=str(lab.directory))


@pytest.fixture
def place(tmp_path, cache, lab) -> Workspace:
    """An empty folder, with the laboratory's images in the site's folders."""
    return make_workspace(tmp_path / "project", cache, LUMIENV_IMAGE_PATH=str(lab.directory))


def on_a_terminal(place: Workspace, words: list[str], answers: list[tuple[str, str]]) -> str:
    """What `lumienv words…` shows on a terminal, where each answer is typed when its question is there."""
    status, shown = on_terminal(place.command(*words), place.directory, place.environment({}), answers)
    assert status == 0, shown
    return shown


def test_on_a_terminal_the_images_are_listed_newest_first_and_one_is_picked(unseen):
    shown = on_a_terminal(unseen, ["init"], [("which image", "17\n"), ("there are 4", "2\n")])
    rows = listed(shown)
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert "multitorch" in rows[0][1]
    assert rows[0][2] == "2.10"
    assert rows[1][-2] == "6.2.4"
    text = (unseen.directory / "lumienv.toml").read_text()
    assert 'name = "pytorch"\nrocm = "6.2.4"' in text
    assert "next: lumienv add PACKAGE" in shown


def test_a_name_that_no_image_has_is_asked_for_again(unseen):
    shown = on_a_terminal(
        unseen,
        ["init"],
        [("which image", "pytroch\n"), ("no image called", "python9\n"), ("no Python called", "2\n")],
    )
    assert "no image called pytroch" in shown
    assert "there is no Python called python9 on this machine" in shown
    assert 'name = "pytorch"' in (unseen.directory / "lumienv.toml").read_text()


def test_without_images_a_file_that_is_not_there_is_asked_for_again(tmp_path):
    nowhere = make_workspace(tmp_path / "project", tmp_path / "cache", LUMIENV_IMAGE_PATH=str(tmp_path))
    shown = on_a_terminal(
        nowhere, ["init"], [("a .sif file", "./missing.sif\n"), ("missing.sif does not exist", "python3\n")]
    )
    assert "wrote lumienv.toml: [image] host" in shown


def test_the_list_tells_more_of_images_that_were_looked_into_and_leaves_out_the_builds_label(unseen):
    unseen.lumienv("image", "show", "multitorch-full")
    shown = on_a_terminal(unseen, ["init"], [("which image", "1\n")])
    assert listed(shown)[0][2] == "2.10.0"


def listed(shown: str) -> list[list[str]]:
    """The rows of the list of images: number, file, torch, ROCm, Python."""
    return [line.split() for line in shown.splitlines() if ".sif" in line and line[0].isdigit()]


def test_on_a_terminal_a_requirements_file_that_is_there_is_offered(place):
    (place.directory / "requirements.txt").write_text(REQUIREMENTS)
    shown = on_a_terminal(place, ["init"], [("take over", "\n"), ("which image", "pytorch\n")])
    assert "torch==2.8.0+cu126: written without version" in shown
    assert '"einops"' in (place.directory / "lumienv.toml").read_text()


def test_what_init_writes_of_a_requirements_file_locks_as_it_is(place, real_index):
    (place.directory / "requirements.txt").write_text(REQUIREMENTS)
    place.lumienv("image", "show", "pytorch")  # looked into, as `image list` cannot know its numpy
    answer = json.loads(place.lumienv("init", "--image", "pytorch", "-r", "requirements.txt", "--json"))
    assert answer["dependencies"] == ["torch", "numpy", "einops"]
    assert [note.partition(":")[0] for note in answer["notes"]] == [
        "requirements.txt",
        "torch==2.8.0+cu126",
        "written without version, as the image has just this one",
        "left out, as they are for NVIDIA's GPUs",
    ]
    said = place.lumienv("lock")
    assert "= torch 2.7.1+rocm6.2.4 from the image" in said
    assert "+ einops " in said


def test_what_init_writes_of_an_environment_yml_locks_as_it_is(place, real_index, conda_python):
    (place.directory / "environment.yml").write_text(
        "channels: [conda-forge]\ndependencies:\n- python=3.10\n- pytorch=2.5\n- cudatoolkit=11.8\n"
        "- einops\n- pip:\n  - xxhash>=3\n"
    )
    place.lumienv("image", "show", "pytorch")
    said = place.try_("init", "--image", "pytorch", "-r", "environment.yml")
    assert said.status == 0
    assert "cudatoolkit" in said.err
    assert f"python==3.10.*: left out: the image has Python {conda_python}" in said.err
    assert {"+ einops", "+ xxhash"} <= {
        line.rpartition(" ")[0] for line in place.lumienv("lock").splitlines()
    }


def test_without_a_terminal_an_image_has_to_be_named_and_nothing_is_overwritten(place):
    said = place.try_("init")
    assert (said.status, said.out) == (1, "")
    assert "help: name it: lumienv init --image multitorch-full" in said.err
    place.lumienv("init", "--image", "pytorch", "--rocm", "6.2")
    before = (place.directory / "lumienv.toml").read_bytes()
    again = place.try_("init", "--host")
    assert again.status == 1
    assert "edit it, or name another folder" in again.err
    assert (place.directory / "lumienv.toml").read_bytes() == before
    place.lumienv(
        "init", "sub", "--image", "pytorch", "--python", "3.12", "--version", "2.7", "--hash", "0d479e852886"
    )
    assert place.try_("init", "other", "--image", "pytorch", "--rocm", "5").status == 1
    assert not (place.directory / "other").exists()


def test_a_python_of_this_machine_does_as_a_base(place):
    place.lumienv("init", "--host")
    assert 'host = "python3"' in (place.directory / "lumienv.toml").read_text()
    place.lumienv("sync")
    assert place.python("print(6 * 7)") == "42"


def test_a_move_to_another_image_is_told_with_what_it_changes_for_the_project(
    place, real_index, conda_python
):
    place.write('name = "pytorch"', ["einops", "transformers>=4.40", "numpy<2"])
    place.lumienv("lock")
    answer = json.loads(place.lumienv("image", "diff", "multitorch-full", "--json"))
    assert not answer["same"]
    assert {fact["name"] for fact in answer["facts"]} >= {"Python", "ROCm"}
    assert "transformers" in {package["name"] for package in answer["removed"]}
    move = answer["move"]
    assert [one["name"] for one in move["gone"]] == ["transformers"]
    assert move["verdict"] == "does not fit"
    assert len(move["clashes"]) == 1
    assert move["clashes"][0].startswith("numpy<2 (lumienv.toml:4)")
    shown = place.lumienv("image", "diff", "multitorch-full")
    assert "for this project:" in shown
    assert f"~ Python {conda_python}" in shown


def test_two_images_are_compared_without_a_project_and_from_saved_snapshots(place):
    place.lumienv("image", "freeze", "pytorch", "-o", "old.json")
    answer = json.loads(place.lumienv("image", "diff", "old.json", "pytorch", "--json"))
    assert answer["same"]
    assert answer["move"] is None
    assert place.lumienv("image", "diff", "old.json", "pytorch") == "both are the same image\n"
