"""`lumienv run`: is the environment still the right one, and which words does it run?"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sif_files import DataObject, sif

from lumienv.errors import ContainerError, ImageError, StoreError, UsageError
from lumienv.image.base import host_base, sif_base
from lumienv.image.probing import take_snapshot
from lumienv.image.snapshot import Base
from lumienv.launch.arguments import RunArguments
from lumienv.launch.plan import LaunchPlan
from lumienv.launch.run import become, chosen_generation, plan_run, sync_words, task_words, why_stale
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest import find_manifest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import Generation, current_generation, distrust, read_generation
from lumienv.overlay.leases import take_lease
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


def test_a_lock_that_cannot_be_read_is_a_reason_and_no_bug(project: Synced) -> None:
    project.lock.unlink()
    project.lock.mkdir()  # what keeps root from reading it, too
    assert project.why_stale() == "pylock.lumienv.toml cannot be read: Is a directory"


def test_what_takes_effect_at_once_needs_no_sync(project: Synced) -> None:
    project.write(TOML + '[run]\nenv = {{ A = "1" }}\n[slurm]\nntasks = 2\n')
    plan = project.plan("train", "more", environ={"SLURM_JOB_ID": "7"})
    assert plan.env["A"] == "1"
    assert plan.argv[0] == "srun"
    assert "--ntasks=2" in plan.argv
    assert plan.argv[-5:] == ("python", "train.py", "--epochs", "10", "more")


def test_a_mistyped_task_is_run_as_the_command_it_may_be_and_asked_about(project: Synced) -> None:
    plan = project.plan("trian", environ={}, launcher="direct")
    assert plan.argv[-1] == "trian"
    assert plan.notes[0] == "there is no task trian; did you mean train?"
    assert project.plan("train", environ={}, launcher="direct").notes == plan.notes[1:]


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
    with pytest.raises(StoreError, match="not made here by you"):
        project.plan("python", no_sync=True, environ=home)


# -- tasks -----------------------------------------------------------------------------------------------


def test_a_task_is_split_as_a_shell_does_and_takes_more_words() -> None:
    tasks = {"train": "python train.py --name 'two words'"}
    words = ["python", "train.py", "--name", "two words", "a b", "$HOME"]
    assert task_words(tasks, ["train", "a b", "$HOME"]) == words
    assert task_words(tasks, ["python", "train"]) == ["python", "train"]


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("mkdir -p out && touch out/x", "&&"),
        ("echo a > out", ">"),
        ("ls | wc", "|"),
        ("sleep 1; ls", ";"),
        ("echo $HOME", "$H"),
        ('echo "in $HOME"', "$H"),
        ('echo "$(date)"', "$("),
        ("pip install numpy>=2", ">"),
        ("echo `date`", "`"),
        ('echo "`date`"', "`"),
        ("""echo "it's" && echo "that's\"""", "&&"),
        ("""echo "it's $HOME isn't\"""", "$H"),
    ],
)
def test_a_task_that_only_a_shell_understands_is_not_started_without_one(text: str, sign: str) -> None:
    with pytest.raises(UsageError) as caught:
        task_words({"go": text}, ["go"])
    assert caught.value.message.endswith(f"only a shell understands its {sign}")
    assert "bash -c" in (caught.value.hint or "")


def test_what_is_quoted_in_a_task_is_a_word_as_it_stands() -> None:
    text = """bash -c 'cd out && ls | wc > "$1"' "a;b" '$HOME' \\; "a > b" 100% {} *.py"""
    words = ["bash", "-c", 'cd out && ls | wc > "$1"', "a;b", "$HOME", ";", "a > b", "100%", "{}", "*.py"]
    assert task_words({"go": text}, ["go"]) == words
    text = """python x.py --title "Bob's \\"run\\"" --filter 'a|b' '6" > 5'"""
    words = ["python", "x.py", "--title", 'Bob\'s "run"', "--filter", "a|b", '6" > 5']
    assert task_words({"go": text}, ["go"]) == words


@pytest.mark.parametrize("text", ["", "  ", "python 'half"])
def test_a_task_that_is_no_command_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[tasks\] train"):
        task_words({"train": text}, ["train"])


@pytest.mark.parametrize(
    ("launcher", "environ", "said"),
    [("auto", {}, True), ("direct", {"SLURM_JOB_ID": "7"}, True), ("auto", {"SLURM_JOB_ID": "7"}, False)],
)
def test_options_for_srun_that_have_no_step_to_go_to_are_not_passed_over_in_silence(
    project: Synced, launcher: str, environ: dict[str, str], said: bool
) -> None:
    notes: list[str] = []
    arguments = RunArguments(("python",), launcher=launcher, srun="-n2", no_sync=True)
    plan = plan_run(arguments, project.environ | environ, lambda *_: None, notes.append)
    assert any(line.startswith("--srun is not used") for line in notes) is said
    assert any("ntasks=2" in word or word == "-n2" for word in plan.argv) is not said


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


# -- which environment, and who knows of it --------------------------------------------------------------


def other_mode(project: Synced, **changes: object) -> Generation:
    """A squashfs environment of the same lock, made before the current one; `changes` make it misfit."""
    store = Store(project.folder / ".lumienv")
    made = replace(current_generation(store.root), mode="squashfs", **changes)  # type: ignore[arg-type]
    with store.writing(pytest.fail), store.staging() as staged:
        made.at(staged).carrier.write_text("squashfs")
        published = store.publish(staged, made)
        store.select(current_generation_of(store, "venv"))
    return published


def current_generation_of(store: Store, mode: str) -> Generation:
    (path,) = store.generations.glob(f"{mode}-*")
    return read_generation(path)


def chosen(project: Synced, mode: str | None = None, environ: Mapping[str, str] | None = None) -> Generation:
    return chosen_generation(read_manifest(project.folder / "lumienv.toml"), mode, environ or {})


def test_the_newest_environment_of_a_mode_can_be_chosen_beside_the_current_one(project: Synced) -> None:
    made = other_mode(project)
    assert chosen(project).mode == "venv"
    assert chosen(project, "squashfs") == made
    project.plan("python", mode="squashfs")
    assert project.synced == []


def test_a_mode_that_was_never_made_is_refused_with_what_to_type(project: Synced) -> None:
    with pytest.raises(StoreError, match="no environment of the mode sif here yet") as caught:
        project.plan("python", mode="sif")
    assert caught.value.hint == "make it: lumienv sync --mode sif"
    with pytest.raises(StoreError) as caught:
        project.plan("python", mode="sif", environ={"SLURM_JOB_ID": "7"})
    assert f"on a login node, run: lumienv sync -C {project.folder} --mode sif" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lock": "sha256:other"}, "pylock.lumienv.toml has changed since it was synced"),
        ({"selection": {"kind": "name"}}, r"\[image\] has changed since it was synced"),
        ({"inputs": "sha256:other"}, "lumienv.toml has changed since it was locked"),
    ],
)
def test_one_of_the_mode_for_another_lock_is_not_run_and_says_why(
    project: Synced, change: dict[str, object], reason: str
) -> None:
    made = other_mode(project, **change)
    with pytest.raises(StoreError, match=f"of the mode squashfs that is up to date: {reason}"):
        project.plan("python", mode="squashfs")
    manifest = read_manifest(project.folder / "lumienv.toml")
    assert chosen_generation(manifest, "squashfs", {}, fitting=False) == made


def test_another_python_is_said_to_be_one(project: Synced) -> None:
    store = Store(project.folder / ".lumienv")
    made = replace(current_generation(store.root), python="3.6.1", identity="host:other", fingerprint="other")
    with store.writing(pytest.fail), store.staging() as staged:
        (staged / "tree").mkdir()
        store.publish(staged, made)
    said = project.why_stale() or ""
    assert "has changed since the environment was made for it: it is Python 3." in said
    assert said.endswith(", and was 3.6.1")


def test_other_packages_are_told_from_another_python(project: Synced) -> None:
    store = Store(project.folder / ".lumienv")
    now = sys.version.split()[0]
    made = replace(current_generation(store.root), python=now, identity="host:other", fingerprint="other")
    with store.writing(pytest.fail), store.staging() as staged:
        (staged / "tree").mkdir()
        store.publish(staged, made)
    assert (project.why_stale() or "").endswith("it has other packages now")


def test_a_stale_environment_in_a_job_names_the_command_that_makes_the_same_anew(project: Synced) -> None:
    """Not what lumienv.toml would give: the mode and the groups that were synced."""
    project.write(TOML.replace("[image]", "[dependency-groups]\ndev = []\ndocs = []\n[image]"))
    store = Store(project.folder / ".lumienv")
    made = replace(current_generation(store.root), mode="squashfs", groups=("docs",))
    with store.writing(pytest.fail), store.staging() as staged:
        made.at(staged).carrier.write_text("squashfs")
        store.publish(staged, made)
    break_lock(project)
    with pytest.raises(StoreError) as caught:
        project.plan("python", environ={"SLURM_JOB_ID": "7"})
    words = f"lumienv sync -C {project.folder} --mode squashfs --group docs --no-dev"
    assert words in (caught.value.hint or "")


def test_groups_that_are_spelt_otherwise_by_now_are_the_same_groups(project: Synced) -> None:
    project.write(TOML.replace("[image]", "[dependency-groups]\nDEV = []\nMy_Docs = []\n[image]"))
    manifest = read_manifest(project.folder / "lumienv.toml")
    have = current_generation(project.folder / ".lumienv")
    before = replace(have, groups=("dev", "my-docs"))
    assert sync_words(manifest, have=before) == ["lumienv", "sync", "--group", "My_Docs"]
    assert sync_words(manifest, have=have) == ["lumienv", "sync", "--no-dev"]


def test_what_makes_an_image_anew_names_its_builder(project: Synced) -> None:
    store = Store(project.folder / ".lumienv")
    made = replace(current_generation(store.root), mode="sif", builder="append")
    with store.writing(pytest.fail), store.staging() as staged:
        made.at(staged).carrier.write_text("image")
        store.publish(staged, made)
    manifest = read_manifest(project.folder / "lumienv.toml")
    assert sync_words(manifest) == ["lumienv", "sync", "--mode", "sif", "--builder", "append"]
    assert sync_words(manifest, "venv") == ["lumienv", "sync", "--mode", "venv"]
    distrust(made := current_generation(store.root))
    assert sync_words(manifest, "sif", made) == ["lumienv", "sync", "--mode", "sif", "--builder", "append"]


def test_what_must_not_be_run_is_made_anew_in_its_mode(project: Synced) -> None:
    store = Store(project.folder / ".lumienv")
    store.select(other_mode(project))
    distrust(current_generation(store.root))
    manifest = read_manifest(project.folder / "lumienv.toml")
    assert sync_words(manifest) == ["lumienv", "sync", "--mode", "squashfs"]


def leases(project: Synced) -> dict[str, str]:
    return {path.name: path.read_text() for path in (project.folder / ".lumienv" / "leases").iterdir()}


def test_a_command_leaves_a_lease_and_a_printed_line_none(project: Synced) -> None:
    made = current_generation(project.folder / ".lumienv")
    project.plan("python", print_only=True)
    assert leases(project) == {}
    for _ in range(2):
        project.plan("python", environ={"SLURM_JOB_ID": "7", "SLURM_CLUSTER_NAME": "lumi"})
    assert leases(project) == {"lumi.7": f"{made.path.name}\n" * 2}


def test_a_printed_line_that_names_another_mode_is_remembered(project: Synced) -> None:
    """It cannot resolve `current` when it starts."""
    made = other_mode(project)
    line = str(project.plan("python", mode="squashfs", print_only=True))
    assert leases(project) == {"printed": f"{made.path.name}\n"}
    assert str(made.path) in line
    assert "readlink" not in line


def test_without_a_place_for_leases_a_command_runs_all_the_same(project: Synced) -> None:
    (project.folder / ".lumienv" / "leases").rmdir()
    assert project.plan("python").argv == ("python",)


def test_one_that_is_removed_between_the_look_and_the_lease_is_not_run(
    project: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clean` renames, then looks at the leases; `run` takes its lease, then looks."""
    store = Store(project.folder / ".lumienv")
    old = current_generation(store.root)
    taken = []

    def swapped_meanwhile(path: Path, name: str) -> bool:
        if not taken:
            project.publish(host_base(str(project.python)))
            path.rename(path.with_name(f".removing-{path.name}"))
        taken.append(path)
        return take_lease(path, name)

    monkeypatch.setattr("lumienv.launch.run.take_lease", swapped_meanwhile)
    plan = project.plan("python")
    assert taken == [old.path, current_generation(store.root).path]
    assert str(taken[1]) in plan.env["PATH"]
