"""Packages that are no wheels of an index, from lumienv.toml to an import: on an image and without one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from index_server import IndexServer
from sources import commit, make_repository, make_sdist, stated_project, tiny_project, write_tree
from wheels import make_wheel
from workspace import Workspace

pytestmark = pytest.mark.unprivileged

PRINT = "import sys, {0}; print({0}.__file__)"


@pytest.fixture(params=["image", "host"])
def project(request: pytest.FixtureRequest, local: Workspace) -> Workspace:
    """A project on the pytorch image, and one on this machine's Python; `base` is its line in [image]."""
    return local


@pytest.fixture
def base(request: pytest.FixtureRequest, project: Workspace) -> str:
    """The line in [image] of the project's base."""
    if request.node.callspec.params["project"] == "host":
        return f'host = "{sys.executable}"'
    return f'path = "{request.getfixturevalue("lab").images["pytorch"]}"'


def places(project: Workspace, base: str) -> Path:
    """Where overlay packages are imported from."""
    return project.current.resolve() / "tree" if base.startswith("host") else Path("/opt/lumienv")


def imported_from(project: Workspace, module: str) -> str:
    return project.python(PRINT.format(module))


def test_a_source_distribution_is_built_once_and_installed(
    project: Workspace, base: str, wheels: Path
) -> None:
    make_sdist(wheels, "tiny", "1.0", tiny_project(requires=["other"], prepares=True))
    make_wheel(wheels, "other", "1.0")
    project.write(base, ["tiny"])

    assert "+ tiny 1.0 (to be built)" in project.lumienv("lock")
    first = project.try_("sync")
    assert first.status == 0, first.err
    assert imported_from(project, "tiny").startswith(str(places(project, base)))
    assert imported_from(project, "other").startswith(str(places(project, base)))

    shutil.rmtree(project.directory / ".lumienv")
    again = project.try_("sync")
    assert "building tiny" in first.err
    assert "building" not in again.err
    assert imported_from(project, "tiny")


def test_sources_of_a_post_release_that_are_named_by_its_number_alone(local: Workspace) -> None:
    """The lock has the name that they would have today, and installers go by its address."""
    folder = local.directory / "old"
    folder.mkdir()
    sources = make_sdist(folder, "tiny", "1.0-1", tiny_project(version="1.0.post1"))
    index = '[[index]]\nname = "old"\nurl = "./old"\nformat = "flat"\n'
    local.write(f'host = "{sys.executable}"', ["tiny"], index)

    assert "+ tiny 1.0.post1 (to be built)" in local.lumienv("lock")
    assert f'path = "old/{sources.name}"' in local.lock_path.read_text()
    local.lumienv("sync")
    assert imported_from(local, "tiny").startswith(str(local.current.resolve()))
    assert "up to date" in local.lumienv("lock", "--check")


def test_nothing_is_built_where_that_is_forbidden(project: Workspace, base: str, wheels: Path) -> None:
    make_sdist(wheels, "tiny", "2.0", tiny_project(version="2.0"))
    make_wheel(wheels, "tiny", "1.0")
    project.write(base, ["tiny"], '[resolve]\nbuild = "never"\n')
    assert "+ tiny 1.0\n" in project.lumienv("lock")


def test_a_build_that_fails_is_passed_over_for_an_older_release(
    project: Workspace, base: str, wheels: Path
) -> None:
    make_sdist(wheels, "tiny", "2.0", tiny_project(version="2.0", fails="no such header: hip.h"))
    make_wheel(wheels, "tiny", "1.0")
    project.write(base, ["tiny"])
    said = project.try_("lock")
    assert said.status == 0
    assert "+ tiny 1.0\n" in said.out
    assert "warning: tiny 2.0 was passed over" in said.err


def test_git_is_locked_to_its_commit_until_it_is_upgraded(
    project: Workspace, base: str, tmp_path: Path
) -> None:
    repository = tmp_path / "mylib"
    first = make_repository(repository, tiny_project("mylib"))
    project.write(base, [f"mylib @ git+file://{repository}"])
    project.lumienv("sync")
    assert imported_from(project, "mylib").startswith(str(places(project, base)))

    second = commit(repository, tiny_project("mylib", "2.0"))
    assert "is up to date" in project.lumienv("lock")
    project.write(base, [f"mylib @ git+file://{repository}"], '[resolve]\nreplace = ["x"]\n')
    project.lumienv("lock")
    assert first in project.lock_path.read_text()

    said = project.lumienv("lock", "-P", "mylib")
    assert f"~ mylib (file://{repository} at {first[:12]}) → (file://{repository} at {second[:12]})" in said
    project.lumienv("sync")
    version = 'import importlib.metadata as m; print(m.version("mylib"))'
    assert project.python(version) == "2.0"


def test_a_folder_is_built_again_when_its_code_changed(project: Workspace, base: str) -> None:
    folder = write_tree(project.directory / "localpkg", tiny_project("localpkg"))
    (folder / "data.txt").write_text("one")
    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "./localpkg"\n')
    project.lumienv("sync")
    seen = "import localpkg; print(localpkg.facts['files'])"
    assert "more.txt" not in project.python(seen)
    assert "the environment is up to date" in project.lumienv("sync")

    (folder / "more.txt").write_text("two")
    assert "installed 1 package" in project.lumienv("sync")
    assert "more.txt" in project.python(seen)
    assert not (folder / "left-by-the-build").exists()
    assert str(project.directory) not in project.lock_path.read_text()


def test_changes_of_an_editable_folder_are_seen_at_once(project: Workspace, base: str) -> None:
    folder = write_tree(project.directory / "localpkg", tiny_project("localpkg"))
    (folder / "edited.py").write_text("value = 1\n")
    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "./localpkg"\neditable = true\n')
    assert "+ localpkg (editable, ./localpkg)" in project.lumienv("lock")
    project.lumienv("sync")
    assert project.python("import edited; print(edited.value, edited.__file__)") == f"1 {folder}/edited.py"

    (folder / "edited.py").write_text("value = 22\n")
    assert project.python("import edited; print(edited.value)") == "22"


def test_a_folder_below_home_is_found_in_every_step(project: Workspace, base: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = write_tree(home / "localpkg", tiny_project("localpkg"))
    (folder / "edited.py").write_text("value = 1\n")
    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "~/localpkg"\neditable = true\n')
    project.lumienv("sync", HOME=str(home))
    seen = project.lumienv(
        "run", "--", "python", "-c", "import edited; print(edited.__file__)", HOME=str(home)
    )
    assert seen.strip() == f"{folder}/edited.py"

    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "~/localpkg"\n')
    project.lumienv("sync", HOME=str(home))
    (folder / "more.txt").write_text("two")
    assert "installed 1 package" in project.lumienv("sync", HOME=str(home))


def test_an_editable_folder_is_seen_by_the_path_that_leads_over_a_link(
    project: Workspace, base: str, tmp_path: Path
) -> None:
    folder = write_tree(tmp_path / "disk" / "localpkg", tiny_project("localpkg"))
    (folder / "edited.py").write_text("value = 1\n")
    (tmp_path / "link").symlink_to("disk")
    source = f'[sources.localpkg]\npath = "{tmp_path}/link/localpkg"\neditable = true\n'
    project.write(base, ["localpkg"], source)
    project.lumienv("sync")
    seen = project.python("import edited; print(edited.__file__)")
    # Without a container the backend is started in the folder, and sees where that really is.
    disk = "disk" if base.startswith("host") else "link"
    assert seen == f"{tmp_path}/{disk}/localpkg/edited.py"


def test_an_editable_folder_that_is_gone_is_a_sentence(project: Workspace, base: str) -> None:
    folder = write_tree(project.directory / "localpkg", stated_project("localpkg"))
    write_tree(folder, tiny_project("localpkg"))
    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "./localpkg"\neditable = true\n')
    project.lumienv("sync")
    folder.rename(project.directory / "elsewhere")
    said = project.try_("run", "--no-sync", "--", "python", "-c", "pass")
    assert said.status == 1
    assert f"the folder {folder}, which is installed editable, is gone" in said.err


def test_the_metadata_of_a_folder_makes_a_lock_stale(project: Workspace, base: str, wheels: Path) -> None:
    folder = write_tree(project.directory / "localpkg", stated_project("localpkg"))
    make_wheel(wheels, "other", "1.0")
    project.write(base, ["localpkg"], '[sources.localpkg]\npath = "./localpkg"\n')
    project.lumienv("lock")
    write_tree(folder, stated_project("localpkg", "1.0", "other"))
    said = project.try_("lock", "--check")
    assert said.status == 1
    assert "the metadata of ./localpkg has changed since it was locked" in said.err
    assert "+ other 1.0" in project.lumienv("lock")


def test_an_address_is_locked_with_its_hash(
    project: Workspace, base: str, wheels: Path, index: IndexServer
) -> None:
    wheel = make_wheel(wheels, "direct", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    project.write(base, [f"direct @ {index.root}/files/{wheel.name}"])
    project.lumienv("sync")
    assert index.digest(wheel) in project.lock_path.read_text()
    assert imported_from(project, "direct").startswith(str(places(project, base)))

    make_wheel(wheels, "direct", "1.0", ["other"], modules={"direct.py": "changed = True\n"})
    shutil.rmtree(project.cache / "wheels")
    shutil.rmtree(project.directory / ".lumienv")
    said = project.try_("sync")
    assert said.status == 1
    assert f"error: {wheel.name} is no longer the file that was locked" in said.err


def test_pip_tells_what_comes_from_no_index_by_its_place(
    project: Workspace, base: str, wheels: Path, index: IndexServer, tmp_path: Path
) -> None:
    """`name==version` would mean a package of that name on an index, whoever has put it there."""
    make_wheel(wheels, "plain", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    archive = make_sdist(wheels, "archived", "1.0", tiny_project("archived"))
    commit_id = make_repository(tmp_path / "cloned", tiny_project("cloned"))
    write_tree(project.directory / "localpkg", tiny_project("localpkg"))
    write_tree(project.directory / "edited", tiny_project("edited"))
    project.write(
        base,
        [
            "plain",
            f"archived @ {index.root}/files/{archive.name}",
            f"cloned @ git+file://{tmp_path}/cloned@main",
            "localpkg",
            "edited",
        ],
        '[sources.localpkg]\npath = "./localpkg"\n[sources.edited]\npath = "./edited"\neditable = true\n',
    )
    project.lumienv("sync")

    site = next(project.current.resolve().glob("tree/lib/python3*/site-packages"))
    said = project.shell([sys.executable, "-m", "pip", "freeze", "--all", "--path", str(site)])
    assert said.status == 0, said.err
    assert [line for line in said.out.splitlines() if not line.startswith("#")] == [
        f"archived @ {index.root}/files/{archive.name}#sha256={index.digest(archive)}",
        f"cloned @ git+file://{tmp_path}/cloned@{commit_id}",
        f"-e {project.directory}/edited",
        f"localpkg @ file://{project.directory}/localpkg",
        "other==1.0",
        "plain==1.0",
    ]
    asked = {path.parent.name.partition("-")[0] for path in site.glob("*.dist-info/REQUESTED")}
    assert asked == {"archived", "cloned", "edited", "localpkg", "plain"}
    assert "as locked" in project.lumienv("verify")


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_the_lock_is_accepted_by_the_tools_that_read_pep_751(
    local: Workspace, wheels: Path, index: IndexServer, tmp_path: Path, tool: str, require
) -> None:
    """A wheel, a source distribution, an archive, and for uv a git repository and a folder.

    pip 26 refuses repositories and folders beside anything with a hash, whoever wrote the lock.
    """
    make_wheel(wheels, "plain", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    make_sdist(wheels, "built", "1.0", tiny_project("built"))
    archive = make_sdist(tmp_path, "archived", "1.0", tiny_project("archived"))
    make_repository(tmp_path / "cloned", tiny_project("cloned"))
    unhashed = [f"cloned @ git+file://{tmp_path}/cloned", "localpkg"] if tool == "uv" else []
    write_tree(local.directory / "localpkg", tiny_project("localpkg"))
    local.write(
        f'host = "{sys.executable}"',
        [
            "plain",
            "built",
            f"archived @ file://{archive}",
            *unhashed,
        ],
        '[sources.localpkg]\npath = "./localpkg"\n',
    )
    local.lumienv("lock")

    environment = tmp_path / "environment"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    if tool == "pip":
        # The default index of this machine has it; the one of this test does not.
        install = [uv, "pip", "install", "--quiet", "--python", environment, "pip>=26.1"]
        found = subprocess.run(install, capture_output=True, text=True)
        require(found.returncode == 0, "no package index with pip>=26.1 can be reached")
        command = [str(environment / "bin/python"), "-m", "pip"]
        command += ["install", "--dry-run", "--no-build-isolation"]
    else:
        command = [uv, "pip", "install", "--dry-run", "--python", str(environment)]
    said = local.shell([*command, "-r", "pylock.lumienv.toml"], GIT_ALLOW_PROTOCOL="file")

    assert said.status == 0, said.err
    answer = said.out + said.err
    for name in ("plain", "other", "built", "archived", *(["cloned", "localpkg"] if unhashed else [])):
        assert name in answer, answer
