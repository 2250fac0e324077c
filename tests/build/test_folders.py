"""Local projects are copied for a build, without what does not belong to it."""

import os
import shutil
from pathlib import Path

import pytest
from sources import write_tree

from lumienv.build.folders import copy_project, folder_state, known_path
from lumienv.errors import StoreError


def copied(folder: Path, *, history: bool = False) -> list[str]:
    target = folder.parent / "copy"
    copy_project(folder, target, history=history)
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir())


def test_sources_are_copied_and_caches_stay_behind(tmp_path: Path) -> None:
    ours = ["pyproject.toml", "src/a.py", "build/own.py"]
    caches = ["src/__pycache__/a.pyc", ".tox/x", ".lumienv/x", ".venv/pyvenv.cfg", ".venv/lib/b.py"]
    leftovers = ["build/lib/old.py", "build/bdist.linux/x", ".git/HEAD"]
    folder = write_tree(tmp_path / "p", dict.fromkeys(ours + caches + leftovers, ""))
    assert copied(folder) == sorted(ours)


def test_history_is_copied_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "p", {"pyproject.toml": "", ".git/HEAD": ""})
    assert copied(folder, history=True) == [".git/HEAD", "pyproject.toml"]


def test_links_inside_stay_links_and_files_from_outside_are_copied(tmp_path: Path) -> None:
    write_tree(tmp_path, {"README.md": "readme", "elsewhere/x": "", ".git/HEAD": ""})
    folder = write_tree(tmp_path / "p", {"pyproject.toml": ""})
    (folder / "inner").symlink_to("pyproject.toml")
    (folder / "README.md").symlink_to("../README.md")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "around").symlink_to("..")
    copied(folder)
    copy = tmp_path / "copy"
    assert (copy / "inner").is_symlink()
    assert not (copy / "README.md").is_symlink()
    assert (copy / "README.md").read_text() == "readme"
    assert (copy / "dangling").is_symlink()
    assert (copy / "around").is_symlink()


def test_a_link_to_a_file_outside_of_the_repository_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"secret": "of the user's", "repository/.git/HEAD": ""})
    folder = write_tree(tmp_path / "repository" / "p", {"pyproject.toml": ""})
    (folder / "data.txt").symlink_to("../../secret")
    with pytest.raises(StoreError) as caught:
        copied(folder)
    assert caught.value.message == f"p is not built: its data.txt is a link to {tmp_path}/secret"
    assert (
        caught.value.hint
        == f"put the file itself there: cp --remove-destination {tmp_path}/secret {folder}/data.txt"
    )


def test_without_a_repository_the_project_is_all_there_is(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "p", {"pyproject.toml": ""})
    write_tree(tmp_path, {"README.md": "readme"})
    (folder / "README.md").symlink_to("../README.md")
    with pytest.raises(StoreError, match="is a link to"):
        copied(folder)
    shutil.rmtree(tmp_path / "copy")
    write_tree(tmp_path, {"lumienv.toml": ""})
    assert "README.md" in copied(folder)


def test_programs_stay_programs(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "p", {"configure": ""})
    (folder / "configure").chmod(0o755)
    copied(folder)
    assert (tmp_path / "copy" / "configure").stat().st_mode & 0o100


def test_a_folder_that_does_not_fit_is_not_copied(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "p", {"pyproject.toml": ""})
    with (folder / "data").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).total + 1)  # with holes: it takes no room
    with pytest.raises(StoreError, match="not enough room to build p"):
        copy_project(folder, tmp_path / "copy", history=False)
    assert not (tmp_path / "copy" / "data").exists()


def test_file_names_that_are_no_text_count_too(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "p", {"pyproject.toml": ""})
    before = folder_state(folder)
    (folder / os.fsdecode(b"odd\xff")).touch()
    assert folder_state(folder) != before


def test_a_folder_is_known_by_the_links_on_the_way_to_it(tmp_path: Path) -> None:
    write_tree(tmp_path / "real", {"lib/pyproject.toml": "", "project/x": ""})
    (tmp_path / "link").symlink_to("real")
    assert known_path(tmp_path / "link" / "project" / ".." / "lib") == tmp_path / "link" / "lib"


def test_dots_behind_a_link_mean_what_the_disk_says(tmp_path: Path) -> None:
    write_tree(tmp_path / "real", {"lib/pyproject.toml": "", "project/x": ""})
    (tmp_path / "project").symlink_to("real/project")
    assert known_path(tmp_path / "project" / ".." / "lib") == (tmp_path / "real" / "lib").resolve()
