"""Local projects in each mode: used in place where a folder can be, else built, and said to be so."""

from pathlib import Path

import pytest
from sources import tiny_project, write_tree
from workspace import Workspace

pytestmark = pytest.mark.unprivileged

VALUE = "import edited; print(edited.value, edited.__file__)"


@pytest.fixture
def project(local: Workspace) -> Workspace:
    folder = write_tree(local.directory / "localpkg", tiny_project("localpkg"))
    (folder / "edited.py").write_text("value = 1\n")
    return local


def write(project: Workspace, small_image, mode: str, *, editable: bool) -> None:
    source = f'[sources.localpkg]\npath = "./localpkg"\neditable = {str(editable).lower()}\n'
    project.write(f'path = "{small_image}"', ["localpkg"], f'{source}[sync]\nmode = "{mode}"\n')


def edit(project: Workspace, text: str) -> None:
    (project.directory / "localpkg" / "edited.py").write_text(text)


def test_an_editable_project_is_used_in_place_by_a_directory_and_built_into_a_file(
    small_image, project
) -> None:
    write(project, small_image, "venv", editable=True)
    project.lumienv("sync")
    edit(project, "value = 22\n")
    said = project.try_("run", "--", "python", "-c", VALUE)
    assert said.out == f"22 {project.directory}/localpkg/edited.py\n"
    assert said.err == ""

    synced = project.try_("sync", "--mode", "squashfs")
    assert "localpkg is installed as it is now; after changes to it, sync again" in synced.err
    edit(project, "value = 333\n")
    said = project.try_("run", "--", "python", "-c", "import localpkg; print(localpkg.__file__)")
    assert said.out.startswith("/opt/lumienv/lib/")
    assert said.err == (
        "localpkg runs as it was when it was built; ./localpkg has changed since: "
        "lumienv sync --mode squashfs\n"
    )
    assert "as locked" in project.lumienv("verify")

    project.lumienv("sync", "--mode", "squashfs")
    assert project.try_("run", "--", "true").err == ""


def test_sync_check_sees_that_the_code_of_a_local_project_has_changed(small_image, project) -> None:
    write(project, small_image, "venv", editable=False)
    project.lumienv("sync")
    assert project.try_("sync", "--check").status == 0
    edit(project, "value = 4444\n")
    said = project.try_("sync", "--check")
    assert said.status == 1
    assert "the code of a local project has changed since it was installed" in said.err
    project.lumienv("sync")
    assert project.try_("sync", "--check").status == 0


@pytest.mark.parametrize("mode", ["venv", "squashfs"])
def test_a_project_that_is_not_editable_is_built_in_every_mode(small_image, project, mode: str) -> None:
    write(project, small_image, mode, editable=False)
    assert "is installed as it is now" not in project.try_("sync").err
    files = "import localpkg; print('more.txt' in localpkg.facts['files'], localpkg.__file__)"
    assert project.python(files).startswith("False /opt/lumienv/lib/")

    (project.directory / "localpkg" / "more.txt").write_text("more")
    said = project.try_("run", "--", "python", "-c", files, SLURM_JOB_ID="1", SLURM_STEP_ID="0")
    assert said.status == 0, "what a job writes beside its code must not keep it from running"
    assert "localpkg runs as it was when it was built" in said.err
    project.lumienv("sync")
    assert project.python(files).startswith("True ")


@pytest.mark.parametrize("mode", ["venv", "squashfs"])
def test_where_a_project_lay_is_told_by_its_origin_alone(small_image, project, mode: str) -> None:
    """`direct_url.json` is there to say it (PEP 610); the rest is right wherever the project goes."""
    write(project, small_image, mode, editable=False)
    project.lumienv("sync")
    code = (
        "import os, sys\n"
        "for folder, _, files in os.walk('/opt/lumienv'):\n"
        "    for name in files:\n"
        "        path = os.path.join(folder, name)\n"
        "        if not os.path.islink(path):\n"
        "            content = open(path, 'rb').read()\n"
        "            if any(word.encode() in content for word in sys.argv[1:]):\n"
        "                print(os.path.basename(os.path.dirname(path)), name, content.decode())\n"
    )
    words = (str(project.directory), str(project.cache), f"{Path.home()}/")
    said = project.python(code, *(word for word in words if len(word) > 2))
    origin = f'{{"dir_info": {{}}, "url": "file://{project.directory}/localpkg"}}'
    assert said == f"localpkg-1.0.dist-info direct_url.json {origin}"
