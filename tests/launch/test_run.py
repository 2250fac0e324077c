"""`lumienv run`: is the environment still the right one, and which words does it run?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sif_files import DataObject, sif

from lumienv.errors import ContainerError, ImageError, StoreError, UsageError
from lumienv.image.base import host_base, sif_base
from lumienv.image.probing import take_snapshot
from lumienv.image.snapshot import Base
from lumienv.launch.arguments import RunArguments
from lumienv.launch.plan import LaunchPlan
from lumienv.launch.run import become, plan_run, task_words, why_stale
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest import find_manifest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store
from lumienv.runtime.host import Host

TOML = 'dependencies = ["h5py"]\n[image]\nhost = "{python}"\n[tasks]\ntrain = "python train.py --epochs 10"\n'


class Synced:
    """A project that has been synced on a host Python of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
        self.python = folder / "env" / "bin" / "python"
        self.write(TOML)
        self.lock = self.folder / LOCK_NAME
        self.lock.write_bytes(b"the lock")
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "PWD": str(self.folder),
            "LUMIENV_SITE": "generic",
        }
        self.synced: list[tuple[Path, str]] = []
        self.publish(host_base(str(self.python)))

    def write(self, text: str) -> None:
        (self.folder / "lumienv.toml").write_text(text.format(python=self.python))

    def publish(self, base: Base) -> Generation:
        manifest = read_manifest(self.folder / "lumienv.toml")
        store = Store(manifest.store_path)
        generation = Generation(
            path=store.generations,
            digest="sha256:" + "a" * 64,
            mode="venv",
            base_kind=base.kind,
            base_path=base.path,
            base_name=base.name,
            identity=take_snapshot(base, "auto", Host(), None).image.identity,
            fingerprint=base.fingerprint,
            selection=manifest.image.selection(),
            inputs=manifest.inputs_digest(),
            lock=bytes_digest(self.lock.read_bytes()),
            runtime="host",
            python="3.12.9",
        )
        with store.writing(lambda _: None), store.staging() as staged:
            (staged / "tree" / "bin").mkdir(parents=True)
            return store.publish(staged, generation)

    def why_stale(self) -> str | None:
        manifest = read_manifest(find_manifest(self.folder))
        return why_stale(manifest)

    def plan(self, *command: str, **options: object) -> LaunchPlan:
        environ = self.environ | dict(options.pop("environ", {}))  # type: ignore[call-overload]
        arguments = RunArguments(command, **options)  # type: ignore[arg-type]
        return plan_run(arguments, environ, lambda folder, why: self.synced.append((folder, why)))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Synced:
    made = Synced(tmp_path)
    monkeypatch.chdir(made.folder)  # PWD is believed only where it is the current folder
    return made


def test_an_environment_that_is_up_to_date_is_used_as_it_is(project: Synced) -> None:
    assert project.why_stale() is None
    assert project.plan("python", "x").argv == ("python", "x")
    assert project.synced == []


def break_store(project: Synced) -> None:
    (project.folder / ".lumienv" / "current").unlink()


def break_lock(project: Synced) -> None:
    project.lock.write_bytes(b"another lock")


def remove_lock(project: Synced) -> None:
    project.lock.unlink()


def change_dependencies(project: Synced) -> None:
    project.write(TOML.replace("h5py", "rich"))


def change_image(project: Synced) -> None:
    project.write(TOML.replace("[tasks]", 'activate = "none"\n[tasks]'))


def change_base(project: Synced) -> None:
    (folder,) = project.python.parents[1].glob("lib/python3*/site-packages")
    info = folder / "six-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: six\nVersion: 1.0\n")


def remove_base(project: Synced) -> None:
    for path in project.python.parent.glob("python*"):
        path.unlink()


STALE = pytest.mark.parametrize(
    ("change", "reason"),
    [
        (break_store, "there is none yet"),
        (remove_lock, "there is no lock"),
        (change_dependencies, "lumienv.toml has changed since it was locked"),
        (change_image, "[image] has changed since it was synced"),
        (break_lock, f"{LOCK_NAME} has changed since it was synced"),
        (change_base, "has changed since the environment was made for it"),
        (remove_base, "is gone"),
    ],
)


@STALE
def test_a_stale_environment_says_why_in_one_line(project: Synced, change: object, reason: str) -> None:
    assert callable(change)
    change(project)
    said = project.why_stale()
    assert said is not None
    assert reason in said
    assert "\n" not in said


@STALE
def test_inside_a_job_nothing_is_synced_and_the_command_for_the_login_node_is_named(
    project: Synced, change: object, reason: str
) -> None:
    assert callable(change)
    change(project)
    with pytest.raises(StoreError, match="not up to date") as caught:
        project.plan("python", environ={"SLURM_JOB_ID": "7"})
    assert f"lumienv sync -C {project.folder}" in (caught.value.hint or "")
    assert project.synced == []


def test_outside_a_job_a_stale_environment_is_synced_first(project: Synced) -> None:
    break_lock(project)
    project.plan("python")
    assert project.synced == [(project.folder, f"{LOCK_NAME} has changed since it was synced")]


def test_what_takes_effect_at_once_needs_no_sync(project: Synced) -> None:
    project.write(TOML + '[run]\nenv = {{ A = "1" }}\n[slurm]\nntasks = 2\n')
    plan = project.plan("train", "more", environ={"SLURM_JOB_ID": "7"})
    assert plan.env["A"] == "1"
    assert plan.argv[0] == "srun"
    assert "--ntasks=2" in plan.argv
    assert plan.argv[-5:] == ("python", "train.py", "--epochs", "10", "more")


def test_no_sync_runs_in_the_environment_as_it_is(project: Synced) -> None:
    break_lock(project)
    assert project.plan("python", no_sync=True, environ={"SLURM_JOB_ID": "7"}, launcher="direct").argv
    assert project.synced == []


def test_even_with_no_sync_another_image_is_not_run(project: Synced) -> None:
    change_base(project)
    with pytest.raises(ImageError, match="has changed since the environment was made"):
        project.plan("python", no_sync=True)


def test_without_any_environment_no_sync_says_how_to_make_one(project: Synced) -> None:
    break_store(project)
    with pytest.raises(StoreError, match="no environment here yet") as caught:
        project.plan("python", no_sync=True)
    assert "lumienv sync" in (caught.value.hint or "")


def test_a_changed_sif_is_noticed(project: Synced, tmp_path: Path) -> None:
    image = tmp_path / "image.sif"
    machine = os.uname().machine
    image.write_bytes(sif([DataObject(b"root")], machine=machine))
    project.write(f'[image]\npath = "{image}"\n')
    project.publish(sif_base(image))
    assert project.why_stale() is None
    image.write_bytes(sif([DataObject(b"boot")], machine=machine))
    assert "has changed" in str(project.why_stale())
    image.unlink()
    assert "does not exist" in str(project.why_stale())


def test_a_folder_that_is_given_goes_before_the_one_one_stands_in(project: Synced, tmp_path: Path) -> None:
    elsewhere = {"PWD": str(tmp_path)}
    assert project.plan("python", project=str(project.folder), environ=elsewhere).argv == ("python",)


def test_a_given_folder_that_is_not_there_is_no_other_project(project: Synced) -> None:
    with pytest.raises(Exception, match="missing"):
        project.plan("python", project=str(project.folder / "missing"))


def test_a_store_that_came_with_a_clone_is_not_run(
    project: Synced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust: a generation is used only if this user made it: its digest stands in the user's own state."""
    newcomer = tmp_path / "newcomer"
    newcomer.mkdir()
    home = {"HOME": str(newcomer), "XDG_STATE_HOME": str(newcomer / "state")}
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="not made by you"):
        project.plan("python", no_sync=True, environ=home)


# -- tasks -----------------------------------------------------------------------------------------------


def test_a_task_is_split_as_a_shell_does_and_takes_more_words() -> None:
    tasks = {"train": "python train.py --name 'two words'"}
    words = ["python", "train.py", "--name", "two words", "a b", "$HOME"]
    assert task_words(tasks, ["train", "a b", "$HOME"]) == words
    assert task_words(tasks, ["python", "train"]) == ["python", "train"]


@pytest.mark.parametrize("text", ["", "  ", "python 'half"])
def test_a_task_that_is_no_command_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[tasks\] train"):
        task_words({"train": text}, ["train"])


# -- becoming the command --------------------------------------------------------------------------------


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ContainerError, match="cannot start no-such-program"):
        become(LaunchPlan(("no-such-program",), {}), {"PATH": "/usr/bin:/bin"})


def test_without_slurm_the_way_around_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContainerError) as caught:
        become(LaunchPlan(("srun", "python"), {}), {"PATH": str(tmp_path)})
    assert "--launcher direct" in (caught.value.hint or "")


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(ContainerError, match="cannot start"):
        become(LaunchPlan((str(tmp_path / "text"),), {}), {"PATH": ""})
