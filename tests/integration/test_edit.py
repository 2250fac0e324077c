"""`lumienv add` and `lumienv remove` through the real program, on an image."""

import json
import os
import signal

import pytest
from faults import small_disk
from sources import make_sdist, tiny_project, write_tree
from wheels import make_wheel
from workspace import Workspace, locked

pytestmark = pytest.mark.unprivileged

HAS = "import importlib.util as u, sys; print([bool(u.find_spec(name)) for name in sys.argv[1:]])"


@pytest.fixture
def project(local: Workspace, small_image, wheels) -> Workspace:
    for name in ("thing", "other", "tool"):
        make_wheel(wheels, name, "1.0")
    make_wheel(wheels, "stubborn", "1.0", ["shipped>=9"])
    local.write(f'path = "{small_image}"', ["thing"])
    return local


def text(project: Workspace) -> str:
    return (project.directory / "lumienv.toml").read_text()


def test_a_package_comes_and_goes_with_its_environment(project: Workspace) -> None:
    before = text(project)
    said = project.lumienv("add", "other>=1", "shipped")
    assert said.splitlines()[:2] == ["+ other>=1 (dependencies)", "+ shipped (dependencies)"]
    assert "the image has shipped 2.1 already: nothing is installed for it" in said
    assert "installed 2 packages" in said
    assert project.python(HAS, "other") == "[True]"

    said = project.lumienv("add", "--dev", "tool")
    assert '[dependency-groups]\ndev = ["tool"]\n' in text(project)
    assert project.python(HAS, "tool") == "[True]"

    wrong = project.try_("remove", "tool")
    assert wrong.status == 2
    assert "help: it is in the group dev: lumienv remove --group dev tool" in wrong.err

    project.lumienv("remove", "--dev", "tool")
    said = json.loads(project.lumienv("remove", "other", "shipped", "--json"))
    assert said["removed"] == ["other>=1", "shipped"]
    assert said["lock"]["removed"] == ["other 1.0"]
    assert text(project) == f"{before}\n[dependency-groups]\ndev = []\n"
    assert project.python(HAS, "other", "tool", "thing") == "[False, False, True]"


@pytest.mark.parametrize("words", [["add", "broken"], ["add", "broken", "--json"], ["run", "true"]])
def test_what_cannot_be_imported_is_said_last(project: Workspace, wheels, words: list[str]) -> None:
    make_wheel(wheels, "broken", "1.0", modules={"broken.py": "raise ImportError('no GPU here')\n"})
    if words[0] == "run":
        manifest = project.directory / "lumienv.toml"
        manifest.write_text(text(project).replace('"thing"', '"thing", "broken"'))
    said = project.shell(["sh", "-c", 'exec "$@" 2>&1', "sh", *project.command(*words)])
    assert said.status == 0
    *_, warning, advice = said.out.splitlines()
    assert warning == "warning: import broken (broken) failed: ImportError: no GPU here"
    assert advice.startswith("  raised in broken 1.0")
    assert said.out.count("no GPU here") == 1


def test_what_could_not_be_imported_is_said_again_by_sync_and_status(project: Workspace, wheels) -> None:
    make_wheel(wheels, "broken", "1.0", modules={"broken.py": "raise ImportError('no GPU here')\n"})
    project.lumienv("add", "broken")
    warning = "import broken (broken) failed: ImportError: no GPU here"
    again = project.try_("sync")
    assert (again.status, "is up to date" in again.out) == (0, True)
    assert f"warning: {warning}\n" in again.err
    assert [
        line.partition("\n")[0] for line in json.loads(project.lumienv("sync", "--json"))["warnings"]
    ] == [warning]
    assert f"              warning: {warning}\n                raised in broken" in project.lumienv("status")
    (environment, *_) = json.loads(project.lumienv("status", "--json"))["environments"]
    assert environment["warnings"] == json.loads(project.lumienv("sync", "--json"))["warnings"]
    project.lumienv("remove", "broken")
    assert "no GPU here" not in project.lumienv("status")


def test_the_environment_keeps_its_mode_and_its_groups(project: Workspace) -> None:
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(text(project) + '[dependency-groups]\ndev = ["tool"]\ndocs = ["other"]\n')
    project.lumienv("sync", "--mode", "squashfs", "--group", "docs", "--no-dev")
    project.lumienv("remove", "thing")
    assert project.current.resolve().name.startswith("squashfs-")
    assert project.python(HAS, "thing", "other", "tool") == "[False, True, False]"


def test_where_nothing_fits_all_stays_as_it_was(project: Workspace) -> None:
    project.lumienv("sync")
    before = text(project), project.lock_path.read_bytes(), project.current.resolve()
    said = project.try_("add", "other", "stubborn")
    assert said.status == 1
    assert "lumienv.toml and its lock stay as they were" in said.err
    assert (text(project), project.lock_path.read_bytes(), project.current.resolve()) == before


def test_a_folder_is_used_where_it_lies(project: Workspace) -> None:
    folder = write_tree(project.directory / "mylib", tiny_project("mylib"))
    (folder / "edited.py").write_text("value = 1\n")
    project.lumienv("add", "--editable", "mylib @ ./mylib")
    assert text(project).endswith('\n[sources.mylib]\npath = "./mylib"\neditable = true\n')
    (folder / "edited.py").write_text("value = 22\n")
    assert project.python("import edited; print(edited.value)") == "22"


def test_no_sync_frozen_and_dry_run_do_as_much_as_they_say(project: Workspace) -> None:
    before = text(project)
    assert "would lock 2 packages" in project.lumienv("add", "other", "--dry-run")
    assert (text(project), project.lock_path.exists()) == (before, False)
    project.lumienv("add", "other", "--frozen")
    assert '"other"' in text(project)
    assert not project.lock_path.exists()
    (project.directory / "requirements.txt").write_text("tool==1.0\n")
    project.lumienv("add", "-r", "requirements.txt", "--no-sync")
    assert locked(project) == {"other": "1.0", "thing": "1.0", "tool": "1.0"}
    assert not project.current.exists()


def test_a_bound_without_quotes_is_noticed(project: Workspace) -> None:
    said = project.shell(["sh", "-c", '"$0" add other>=1', *project.command()])
    assert said.status == 2
    assert 'put quotes around it: lumienv add "other>=1"' in said.err
    assert (project.directory / "=1").read_text() == ""
    assert '"other' not in text(project)


@pytest.mark.parametrize("words", [["add", "other"], ["remove", "thing"]])
@pytest.mark.parametrize("first", [None, "lock"])
def test_where_the_sync_fails_the_edit_is_undone(
    project: Workspace, words: list[str], first: str | None
) -> None:
    if first is not None:
        project.lumienv(first)
    before = text(project), project.lock_path.read_bytes() if first else None
    (project.directory / ".lumienv").mkdir()
    (project.directory / ".lumienv" / "mine").write_text("")
    said = project.try_(*words)
    assert said.status == 1
    assert "lumienv.toml, its lock and the environment are as they were" in said.err
    assert (text(project), project.lock_path.read_bytes() if first else None) == before
    assert project.lock_path.exists() == bool(first)


def test_a_package_that_cannot_be_built_is_not_added(project: Workspace) -> None:
    project.lumienv("sync")
    before = text(project), project.lock_path.read_bytes(), project.current.resolve()
    write_tree(project.directory / "bad", tiny_project("bad", prepares=True, late_imports=["no_compiler"]))
    said = project.try_("add", "bad @ ./bad")
    assert said.status == 1
    assert "No module named 'no_compiler'" in said.err
    assert (text(project), project.lock_path.read_bytes(), project.current.resolve()) == before
    assert project.python(HAS, "thing") == "[True]"


def test_where_a_build_fails_the_typed_line_is_told_as_typed(project: Workspace, wheels) -> None:
    project.lumienv("sync")
    make_sdist(wheels, "bad", "1.0", tiny_project("bad", prepares=True, late_imports=["no_compiler"]))
    said = project.try_("add", "bad==1.0")
    assert said.status == 1
    assert "as they were" in said.err
    assert '"bad==1.0" (in this command)' in said.err


@pytest.mark.once
def test_what_fails_behind_the_new_environment_leaves_the_files_that_fit_it(
    project: Workspace, tmp_path, require
) -> None:
    require(os.geteuid() == 0, "only root can make a small disk")
    project.lumienv("sync", "--mode", "sif", "--builder", "append")
    with small_disk(tmp_path / "disk", 1, "tmpfs") as disk:
        manifest = project.directory / "lumienv.toml"
        manifest.write_text(f'{text(project)}[sif]\noutput = "{disk}/mine.sif"\n')
        said = project.try_("add", "other")
        assert said.status == 1
        assert "lumienv.toml, its lock and the environment are the new ones" in said.err
        assert list(disk.iterdir()) == []
    assert '"other"' in text(project)
    assert project.python(HAS, "other") == "[True]"


def test_a_group_that_is_written_in_another_way_since_is_still_what_was_asked_for(project: Workspace) -> None:
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(f'{text(project)}\n[dependency-groups]\nDev = ["tool"]\n')
    project.lumienv("lock")
    manifest.write_text(text(project).replace("Dev", "dev"))
    project.lumienv("sync", "--frozen")
    (asked,) = project.current.resolve().glob("tree/lib/python3*/site-packages/tool-1.0.dist-info/REQUESTED")
    assert asked.read_bytes() == b""


def test_sync_check_names_the_groups_that_are_not_there(project: Workspace) -> None:
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(f'{text(project)}\n[dependency-groups]\ndocs = ["tool"]\nplot = ["other"]\n')
    project.lumienv("sync")
    said = project.try_("sync", "--check", "--group", "docs")
    assert said.status == 1
    assert "has no dependency group, and the group docs is asked for" in said.err
    project.lumienv("sync", "--all-groups")
    assert "has the groups docs, plot, and" in project.try_("sync", "--check").err
    assert project.try_("sync", "--check", "--all-groups").status == 0


def test_interrupted_while_it_installs_the_edit_is_undone(project: Workspace) -> None:
    project.lumienv("sync")
    before = text(project), project.lock_path.read_bytes(), project.current.resolve()
    running = project.start("add", "other")
    while project.lock_path.read_bytes() == before[1] and running.poll() is None:
        pass
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert "interrupted: what was there before still works" in err
    assert (text(project), project.lock_path.read_bytes(), project.current.resolve()) == before


def test_interrupted_while_an_index_is_silent_nothing_is_changed(project: Workspace, index) -> None:
    project.lumienv("lock")
    before = text(project), project.lock_path.read_bytes()
    index.latency = 60_000
    asked = len(index.requests)
    running = project.start("add", "other", "--no-sync")
    while len(index.requests) == asked and running.poll() is None:
        pass
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in err
    assert (text(project), project.lock_path.read_bytes()) == before
