"""The options that every command takes do for each of them what they say, through the real program."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from image_registry import write_layer, write_layout
from index_server import IndexServer
from recording import on_terminal
from reference import leaves, options_of
from wheels import make_wheel
from workspace import Said, Workspace, make_workspace

IMAGE = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"


@dataclass(frozen=True)
class Call:
    """How a command is called here so that it has something to do, and what is to be expected of it."""

    words: str = ""
    """behind its options"""
    project: bool = True
    """it is about a project"""
    quiet: str = "report"
    """`report`: it says what it is for when quiet, too; `nothing`: it says nothing then"""
    coloured: str = "out"
    """where colour is seen: in `out`, in `err`, or nowhere"""


CALLS = {
    "init": Call("-r requirements.txt --host python3 new", project=False, quiet="nothing", coloured="no"),
    "add": Call("other --dry-run", quiet="nothing"),
    "remove": Call("thing --dry-run", quiet="nothing"),
    "lock": Call("-P thing", quiet="nothing", coloured="no"),
    "list": Call(),
    "tree": Call(coloured="no"),
    "why": Call("beneath", coloured="no"),
    "diff": Call("old.toml", coloured="out"),
    "export": Call("-o -", coloured="no"),
    "sync": Call("--dry-run --mode venv --all-groups", quiet="nothing"),
    "status": Call(),
    "verify": Call(quiet="nothing", coloured="no"),
    "clean": Call("--dry-run", quiet="nothing"),
    "run": Call("-- echo said", coloured="no"),
    "srun": Call("--print -- echo said", coloured="no"),
    "sbatch": Call("--print -- echo said", coloured="no"),
    "shell": Call("--print", coloured="no"),
    "image list": Call(project=False),
    "image show": Call(coloured="no"),
    "image diff": Call("snapshot.json", coloured="out"),
    "image pull": Call("--print oci:layout", project=False, coloured="no"),
    "image freeze": Call("-o -", coloured="no"),
    "image suggest": Call("snapshot.json"),
    "doctor": Call(),
    "cache dir": Call(project=False, coloured="no"),
    "cache size": Call(project=False),
    "cache clean": Call("--dry-run", project=False, quiet="nothing"),
    "completion": Call("bash", project=False, coloured="no"),
}
COMMANDS = dict(leaves())
pytestmark = pytest.mark.once
EVERY = pytest.mark.parametrize("name", COMMANDS)


def takes(name: str, option: str) -> bool:
    """Whether the command has it: srun and sbatch leave some to Slurm."""
    return any(option in one.opts for one in options_of(COMMANDS[name]))


@dataclass(frozen=True)
class Scene:
    """A project on this machine's Python, locked and synced, and the index that its packages come from."""

    project: Workspace
    index: IndexServer
    said: dict[str, Said] = field(default_factory=dict)

    def usual(self, name: str) -> Said:
        """The command without options; asked once where what it answers stays the same."""
        if name not in self.said or name.startswith("cache"):
            self.said[name] = self.call(name)
        return self.said[name]

    def call(self, name: str, *options: str, at: Path | None = None, **variables: str) -> Said:
        """The command with these options, and then what it is called with."""
        words = self.words(name, *options)
        if at is None:
            said = self.project.try_(*words, **variables)
        else:
            other = Workspace(at, self.project.cache, self.project.environ)
            said = other.try_(*words, **variables)
        shutil.rmtree(self.project.directory / "new", ignore_errors=True)
        return said

    def words(self, name: str, *options: str) -> list[str]:
        return [*name.split(), *options, *CALLS[name].words.split()]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("options")
    wheels, images = place / "wheels", place / "images"
    wheels.mkdir()
    images.mkdir()
    (images / IMAGE).write_bytes(b"")
    for name in ("thing", "other", "beneath"):
        make_wheel(wheels, name, "1.0", ["beneath"] if name == "thing" else [])
    with IndexServer(wheels) as index:
        project = make_workspace(
            place / "project",
            place / "cache",
            PIP_INDEX_URL=index.url,
            LUMIENV_IMAGE_PATH=str(images),
            LUMIENV_SITE="generic",
            XDG_CONFIG_HOME=str(place / "config"),
            TERM="xterm",
        )
        environ = {name: text for name, text in project.environ.items() if name != "NO_COLOR"}
        project = Workspace(project.directory, project.cache, environ)
        project.write(f'host = "{sys.executable}"')
        project.lumienv("lock")
        project.lock_path.rename(project.directory / "old.toml")
        project.write(f'host = "{sys.executable}"', ["thing"], '[dependency-groups]\nmore = ["other"]\n')
        (project.directory / "requirements.txt").write_text("thing\n")
        write_layer(wheels, place / "layer")
        write_layout(project.directory / "layout", place / "layer")
        project.lumienv("sync")
        project.lumienv("image", "freeze", "-o", "snapshot.json")
        text = (project.directory / "snapshot.json").read_text()
        (project.directory / "snapshot.json").write_text(
            re.sub(r'("version": ")(\d+\.)', r"\g<1>1\2", text, count=1)
        )
        yield Scene(project, index)


def test_every_command_is_called_here() -> None:
    assert set(CALLS) == set(COMMANDS)


@EVERY
def test_the_call_succeeds_and_says_something(scene: Scene, name: str) -> None:
    said = scene.usual(name)
    assert (said.status, bool(said.out)) == (0, True), said.err


@EVERY
def test_project_names_the_folder_of_another_project(scene: Scene, name: str, tmp_path: Path) -> None:
    here = scene.usual(name)
    for option in filter(lambda option: takes(name, option), ("-C", "--project")):
        there = scene.call(
            name, option, str(scene.project.directory), at=_with_files(scene, tmp_path / option)
        )
        # `init` tells the way to what it wrote.
        assert _timeless(there.out).replace(_way(there.out), "new") == _timeless(here.out), there.err
        assert there.status == 0
    lost = scene.call(name, at=_with_files(scene, tmp_path / "lost"))
    assert ("no lumienv.toml" in lost.err) is (CALLS[name].project and name != "doctor")


def _way(text: str) -> str:
    found = re.search(r"\.\./\S*/new\b", text)
    return found[0] if found is not None else "new"


def _with_files(scene: Scene, folder: Path) -> Path:
    """A folder without a project, with the files that the calls name."""
    folder.mkdir()
    for file in ("requirements.txt", "old.toml", "snapshot.json"):
        shutil.copy(scene.project.directory / file, folder)
    shutil.copytree(scene.project.directory / "layout", folder / "layout")
    return folder


def _timeless(text: str) -> str:
    """Without what differs from one call to the next: seconds, and where an archive lies that was named."""
    return re.sub(r"\d+\.\d+ s\b|(?<=oci:)/\S+(?=/layout\b)", "", text)


@EVERY
def test_offline_asks_no_index(scene: Scene, name: str) -> None:
    shutil.rmtree(scene.project.cache / "index", ignore_errors=True)
    before = len(scene.index.requests)
    scene.call(name, "--offline")
    assert len(scene.index.requests) == before
    if name in ("add", "lock"):
        scene.call(name)
        assert len(scene.index.requests) > before


@EVERY
def test_quiet_leaves_out_all_but_what_a_command_is_for(scene: Scene, name: str) -> None:
    usual = scene.usual(name)
    for option in filter(lambda option: takes(name, option), ("-q", "--quiet")):
        said = scene.call(name, option)
        assert said.status == 0, said.err
        assert said.err == ""
        if CALLS[name].quiet == "nothing":
            assert said.out == ""
        elif name == "doctor":
            assert said.out == "" or "problem" in usual.out
        else:
            assert set(said.out.splitlines()) <= set(usual.out.splitlines())
            assert said.out != ""


@EVERY
def test_verbose_says_no_less(scene: Scene, name: str) -> None:
    usual = scene.usual(name)
    for option in filter(lambda option: takes(name, option), ("-v", "--verbose")):
        said = scene.call(name, option)
        assert said.status == 0, said.err
        missing = set(_timeless(usual.out).splitlines()) - set(_timeless(said.out).splitlines())
        assert not missing or name == "doctor"  # which says it in another order, and says more
        assert len(said.out + said.err) >= len(usual.out + usual.err) - 2  # digits of seconds
        if name in ("lock", "tree", "doctor", "add"):
            assert len(said.out + said.err) > len(usual.out + usual.err)


@EVERY
def test_colour_is_where_it_is_asked_for_and_nowhere_else(scene: Scene, name: str) -> None:
    always, never = (
        scene.call(name, "--color", "always"),
        scene.call(name, "--color", "never", FORCE_COLOR="1"),
    )
    forced = scene.call(name, FORCE_COLOR="1")
    assert ("\x1b[" in always.out) is (CALLS[name].coloured == "out"), always.out
    assert ("\x1b[" in forced.out) is (CALLS[name].coloured == "out")
    assert "\x1b" not in never.out + never.err
    assert scene.call(name, "--color", "purple").status in (2, 255)


@EVERY
def test_without_progress_a_terminal_gets_lines_and_nothing_that_moves(scene: Scene, name: str) -> None:
    status, shown = at_terminal(scene, scene.words(name, "--no-progress"))
    assert status == 0, shown
    assert re.findall(r"\x1b\[(?![\d;]*m)", shown) == []
    shutil.rmtree(scene.project.directory / "new", ignore_errors=True)


def at_terminal(scene: Scene, words: list[str]) -> tuple[int, str]:
    """Exit status, and all that the program shows on a terminal."""
    return on_terminal(scene.project.command(*words), scene.project.directory, scene.project.environment({}))
