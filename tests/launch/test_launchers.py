"""Launchers: the plan of `run` as a script, under every shell that may be a machine's `sh`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from generations import described
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.launch.launchers import launcher_names, launcher_text
from lumienv.launch.plan import launch_plan
from lumienv.manifest import HostValue, ImageTable, Manifest, RunTable
from lumienv.overlay.generation import Entrance, Generation
from lumienv.overlay.launched import write_launchers
from lumienv.overlay.leases import read_leases
from lumienv.overlay.store import Store
from lumienv.site import Setting, Site, SiteBind

SHELLS = [path for name in ("sh", "dash", "bash", "busybox") if (path := shutil.which(name))]


def words_of(shell: str) -> list[str]:
    return [shell, "sh"] if shell.endswith("busybox") else [shell]


# Stands for the runtime: its words and its environment, byte by byte. The shells and Python change the rest.
SHOW = """\
import json, os, sys
ignored = {b"_", b"PWD", b"OLDPWD", b"SHLVL", b"LC_CTYPE"}
env = {k.decode("latin-1"): v.decode("latin-1") for k, v in os.environb.items() if k not in ignored}
words = [os.fsencode(word).decode("latin-1") for word in sys.argv]
print(json.dumps([words[1:], env]))
raise SystemExit(int(os.environ.get("STATUS", "0")))
"""


@dataclass(frozen=True)
class Started:
    """What the runtime was started with, or that it was not."""

    status: int
    words: Sequence[str]
    env: Mapping[str, str]
    err: str


class Stage:
    """A project with an environment and its launchers, and a program that stands for the runtime."""

    def __init__(self, folder: Path, kind: str = "sif", mode: str = "venv", **changes: Any) -> None:
        self.folder = folder
        self.project = folder / "it's the $(project)"
        self.project.mkdir()
        self.programs = folder / "programs"
        self.programs.mkdir()
        runtime = self.programs / "singularity"
        runtime.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{folder}/show.py" "$@"\n')
        runtime.chmod(0o755)
        (folder / "show.py").write_text(SHOW)
        self.image = folder / "base.sif"
        self.image.touch()
        self.environ = {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(folder), "USER": "ada"}
        self.store = Store(self.project / ".lumienv")
        made = described(
            self.store,
            mode=mode,
            base_kind=kind,
            base_path=str(self.image),
            runtime="singularity",
            **changes,
        )
        with self.store.writing(lambda _: None), self.store.staging() as staged:
            carrier = made.at(staged).carrier
            if mode == "venv":
                (carrier / "bin").mkdir(parents=True)
            else:
                carrier.touch()
            self.generation: Generation = self.store.publish(staged, made)

    @property
    def bin(self) -> Path:
        return self.store.root / "bin"

    def manifest(self, **run: Any) -> Manifest:
        return Manifest(self.project / "lumienv.toml", ImageTable("path", "base.sif"), run=RunTable(**run))

    def write(self, site: Site | None = None, **run: Any) -> str:
        """Have launchers; returns what they read."""
        text = launcher_text(self.generation, self.manifest(**run), site or Site("here"), self.environ)
        write_launchers(self.store.root, text, ["python", "tool"])
        return text

    def call(
        self,
        *arguments: str | bytes,
        program: str | Path = "python",
        shell: str = "/bin/sh",
        cwd: Path | None = None,
        **variables: str,
    ) -> Started:
        """Call a launcher, by its name or by another way to it."""
        done = subprocess.run(
            [*words_of(shell), self.bin / program, *arguments],
            env={**self.environ, **variables},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
        )
        said = json.loads(done.stdout) if done.stdout else [[], {}]
        return Started(done.returncode, *said, done.stderr)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def as_run(stage: Stage, *command: str, environ: Mapping[str, str] | None = None, **run: Any) -> list[Any]:
    """What `run` would start the runtime with."""
    environ = environ or stage.environ
    plan = launch_plan(stage.generation, command, stage.manifest(**run), Site("here"), environ)
    env = {name: text for name, text in plan.environment(environ).items() if name != "PWD"}
    return [list(plan.argv[1:]), env]


@pytest.mark.parametrize("shell", SHELLS, ids=os.path.basename)
def test_a_launcher_starts_what_run_would(stage: Stage, shell: str, tmp_path: Path) -> None:
    run = {"env": {"X": "a,b=\"c\" '$(id)'\n\\", "EMPTY": ""}, "bind": (str(tmp_path),)}
    stage.write(**run)

    started = stage.call("-c", "pass", "two words", "", "$(id)", "a\nb", "*", shell=shell)

    words = ["/opt/lumienv/bin/python", "-c", "pass", "two words", "", "$(id)", "a\nb", "*"]
    assert [started.words, started.env] == as_run(stage, *words, **run)
    assert (started.status, started.err) == (0, "")


@pytest.fixture(scope="module")
def long_lived() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        stage.write()
        yield stage


WORDS = st.lists(st.binary(max_size=12).filter(lambda word: b"\0" not in word), max_size=5)


@examples(60)
@given(words=WORDS, shell=st.sampled_from(SHELLS), inner=st.sampled_from(SHELLS))
def test_any_arguments_reach_the_program_byte_for_byte_and_the_runtime_only_utf8(
    long_lived: Stage, words: list[bytes], shell: str, inner: str
) -> None:
    started = long_lived.call(*words, shell=shell)

    told = [word.encode("latin-1") for word in started.words]
    command = told[told.index(os.fsencode(long_lived.image)) + 1 :]
    for word in command:
        word.decode()
    if command[0] == b"/bin/sh":  # the container's: it becomes the program
        assert not all(word.isascii() for word in words)
        assert command[4] == b"/opt/lumienv/bin/python"
        stand_in = [long_lived.programs / "singularity", *command[5:]]
        again = [*words_of(inner), *command[1:4], *stand_in]
        done = subprocess.run(again, env=long_lived.environ, capture_output=True, check=True)
        command = [command[4], *(word.encode("latin-1") for word in json.loads(done.stdout)[0])]
    assert command == [b"/opt/lumienv/bin/python", *words]


def test_an_image_that_needs_no_bind_is_given_the_program_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, mode="sif")
    stage.write()

    started = stage.call("-c", "pass")

    assert started.words[-3:] == ["/opt/lumienv/bin/python", "-c", "pass"]
    assert started.words.count("/opt/lumienv/bin/python") == 1


@pytest.mark.parametrize("shell", SHELLS, ids=os.path.basename)
def test_what_the_user_exports_is_left_as_it_is(stage: Stage, shell: str) -> None:
    stage.write()
    mine = {name: f"my {name}" for name in ("name", "store", "host", "runtime", "CDPATH", "n")}

    started = stage.call(shell=shell, **mine)

    assert {name: started.env[name] for name in mine} == mine


@pytest.mark.parametrize("shell", SHELLS, ids=os.path.basename)
def test_a_launcher_is_reached_by_any_way(stage: Stage, shell: str) -> None:
    stage.write()
    elsewhere = stage.folder / "home" / "bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "py").symlink_to(stage.bin / "python")
    (elsewhere / "again").symlink_to("py")
    (elsewhere / "all").symlink_to(stage.bin)
    plainly = stage.call(shell=shell).words
    ways = {
        elsewhere / "py": stage.folder,
        elsewhere / "again": stage.folder,
        elsewhere / "all" / "python": stage.folder,
        Path("./python"): stage.bin,
        Path("../bin/python"): stage.bin,
    }
    for way, cwd in ways.items():
        done = subprocess.run(
            [*words_of(shell), str(way)], env=stage.environ, cwd=cwd, capture_output=True, text=True
        )
        assert done.stdout, (way, done.stderr)
        assert json.loads(done.stdout)[0] == plainly, way


def test_a_shell_that_names_the_launcher_without_its_folder_finds_it(stage: Stage) -> None:
    stage.write()
    done = subprocess.run(["sh", "python"], env=stage.environ, cwd=stage.bin, capture_output=True, text=True)
    assert "/opt/lumienv/bin/python" in json.loads(done.stdout)[0]


@pytest.mark.parametrize("shell", SHELLS, ids=os.path.basename)
def test_a_project_that_was_moved_takes_its_launchers_along(stage: Stage, shell: str) -> None:
    stage.write()
    moved = stage.folder / "new place"
    stage.project.rename(moved)
    launcher = moved / ".lumienv/bin/tool"

    started = stage.call(program=launcher, shell=shell)

    tree = moved / ".lumienv/generations" / stage.generation.path.name / "tree"
    assert f"{tree}:/opt/lumienv:ro" in started.words
    assert started.words[-1] == "/opt/lumienv/bin/tool"


def test_a_place_whose_name_needs_other_words_wants_a_sync(stage: Stage) -> None:
    stage.write()
    moved = stage.folder / "a:b"
    stage.project.rename(moved)

    started = stage.call(program=moved / ".lumienv/bin/tool")

    assert (started.status, started.words) == (1, [])
    assert "the environment was moved to" in started.err
    assert "lumienv sync" in started.err


def test_the_exit_status_is_the_programs_own(stage: Stage) -> None:
    stage.write()
    assert stage.call(STATUS="37").status == 37


@pytest.mark.parametrize("gone", ["image", "environment", "launch.sh"])
def test_what_is_gone_is_said_in_a_sentence(stage: Stage, gone: str) -> None:
    stage.write()
    if gone == "image":
        stage.image.unlink()
    elif gone == "environment":
        stage.generation.path.rename(stage.folder / "away")
    else:
        (stage.store.root / "launch.sh").unlink()

    started = stage.call()

    assert (started.status, started.words) == (1, [])
    assert started.err.startswith("error: ")
    assert "lumienv sync" in started.err
    assert gone in started.err


def test_an_image_that_is_newer_than_the_launchers_is_told_of(stage: Stage) -> None:
    stage.write()
    later = (stage.store.root / "launch.sh").stat().st_mtime + 60
    os.utime(stage.image, (later, later))

    started = stage.call()

    assert started.words
    assert f"warning: {stage.image} was changed" in started.err


def test_a_secret_is_taken_from_the_host_and_not_missed(stage: Stage) -> None:
    stage.environ["TOKEN"] = "s3cr3t"
    text = stage.write(env={"TOKEN": HostValue("TOKEN")})
    del stage.environ["TOKEN"]

    assert "s3cr3t" not in text
    assert stage.call(TOKEN="a 'b' $c").env["SINGULARITYENV_TOKEN"] == "a 'b' $c"
    without = stage.call()
    assert without.status == 0
    assert "SINGULARITYENV_TOKEN" not in without.env


@pytest.mark.parametrize(
    ("slurm", "task"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "7"}, False),  # a batch script
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "4294967290"}, False),  # salloc's shell
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_STEP_NUM_NODES": "1"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_STEP_NUM_NODES": "4"}, True),
    ],
)
def test_what_only_a_task_knows_is_set_in_a_step(stage: Stage, slurm: dict[str, str], task: bool) -> None:
    stage.write(presets=("torch-srun",))

    started = stage.call(**slurm)

    assert started.env.get("SINGULARITYENV_RANK") == ("3" if task else None)
    assert started.words[-1] == "/opt/lumienv/bin/python"


@pytest.mark.parametrize("nodes", ["1", "2"])
@pytest.mark.parametrize("gpus", ["", "8"])
def test_what_a_site_says_of_gpus_and_nodes_holds_for_a_step_that_has_them(
    stage: Stage, nodes: str, gpus: str
) -> None:
    site = Site(
        "here",
        settings=(
            Setting("WITH", "1", when=("gpus",)),
            Setting("SEVERAL", "1", when=("several-nodes",)),
            Setting("ALWAYS", "1"),
        ),
    )
    stage.write(site)
    step = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_NODES": nodes,
        "SLURM_GPUS_ON_NODE": gpus,
    }

    env = stage.call(**step).env

    assert ("SINGULARITYENV_WITH" in env, "SINGULARITYENV_SEVERAL" in env) == (bool(gpus), nodes == "2")
    outside = stage.call().env
    assert [name for name in outside if name.endswith(("_WITH", "_SEVERAL", "_ALWAYS"))] == [
        "SINGULARITYENV_ALWAYS"
    ]


def test_a_folder_of_the_sites_is_bound_on_the_nodes_that_have_it(stage: Stage, tmp_path: Path) -> None:
    here = tmp_path / "flash"
    stage.write(Site("here", binds=(SiteBind(str(here)), SiteBind(str(tmp_path / "none")))))

    assert str(here) not in stage.call().words
    here.mkdir()
    words = stage.call().words
    assert str(here) in words
    assert not [word for word in words if "none" in word]


def test_a_bind_of_the_users_that_is_gone_is_said(stage: Stage, tmp_path: Path) -> None:
    stage.write(bind=(str(tmp_path / "data"),))

    started = stage.call()

    assert (started.status, started.words) == (1, [])
    assert f"the bind {tmp_path}/data does not exist here" in started.err


def test_cron_finds_a_runtime_that_is_not_on_its_path(stage: Stage) -> None:
    stage.write()
    assert stage.call(PATH="/usr/bin:/bin").words[:2] == ["--quiet", "exec"] or shutil.which("singularity")
    away = stage.folder / "other"
    stage.programs.rename(away)
    assert stage.call(PATH=f"{away}:/usr/bin:/bin").words  # by its name, where it lies elsewhere


def test_stale_variables_of_another_launch_are_taken_back(stage: Stage) -> None:
    stage.write(env={"X": "mine"})
    stale = {"APPTAINERENV_X": "1", "SINGULARITYENV_PATH": "/p", "APPTAINERENV_PREPEND_PATH": "/q"}

    env = stage.call(**stale).env

    assert not set(stale) & set(env)
    assert env["SINGULARITYENV_X"] == "mine"


def test_without_a_container_the_program_is_started_with_the_plans_variables(tmp_path: Path) -> None:
    stage = Stage(tmp_path, kind="host", entrance=Entrance({"MKL": "1"}))
    stage.generation = replace(stage.generation, runtime="host")
    stage.write(env={"PPID": "5", "RANDOM": "mine"})  # shells keep these for themselves
    python = stage.generation.carrier / "bin" / "python"
    python.write_text((stage.programs / "singularity").read_text())
    python.chmod(0o755)

    started = stage.call("a b", MINE="1")

    assert started.words == ["a b"]
    assert started.env["PATH"] == f"{python.parent}:{stage.environ['PATH']}"
    assert (started.env["MKL"], started.env["MINE"]) == ("1", "1")
    assert started.env["RANDOM"] == "mine"


def test_a_call_outside_slurm_leaves_one_lease_for_the_node(stage: Stage) -> None:
    stage.write()
    stage.call(SLURM_JOB_ID="7")
    assert read_leases(stage.store.root) == []
    stage.call()
    stage.call()

    (lease,) = read_leases(stage.store.root)
    assert lease.generations == {stage.generation.path.name}
    assert (lease.host, lease.launchers, lease.readable) == (os.uname().nodename, True, True)


def test_a_store_that_cannot_be_written_to_starts_all_the_same(stage: Stage) -> None:
    stage.write()
    (stage.store.root / "leases").rmdir()
    started = stage.call()
    assert (started.status, started.err) == (0, "")


def test_no_launcher_hides_what_a_launcher_starts() -> None:
    programs = ["python", "sh", "singularity", "apptainer", "readlink", "activate", "activate.fish", "-x"]
    assert launcher_names([*programs, "pip3.12", "deactivate.bat", "a\nb"]) == ["python", "pip3.12"]
