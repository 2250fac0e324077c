"""Batch scripts: what goes where, how values are written, and what bash makes of the script."""

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import UsageError
from lumienv.launch.batch import batch_script, batch_words, environ_of_job, exported_names, job_name
from lumienv.launch.plan import LaunchPlan
from lumienv.manifest import ImageTable, Manifest
from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    folder = tmp_path / 'it\'s "the" $(project)'
    folder.mkdir()
    return Manifest(folder / "lumienv.toml", ImageTable("path", "base.sif"))


@pytest.fixture
def generation(manifest: Manifest) -> Generation:
    return publish(manifest, "a", "sif:0")


def publish(manifest: Manifest, letter: str, identity: str) -> Generation:
    store = Store(manifest.store_path)
    made = Generation(
        path=store.generations,
        digest="sha256:" + letter * 64,
        mode="venv",
        base_kind="sif",
        base_path="/images/base.sif",
        base_name="base.sif",
        identity=identity,
        selection={},
        inputs="sha256:0",
        lock="sha256:0",
        runtime="singularity",
        python="3.12.9",
    )
    with store.writing(lambda _: None), store.staging() as staged:
        (staged / "tree").mkdir()
        return store.publish(staged, made)


class Bash:
    """A script run by bash where `srun` says what it was given, with nothing else in the environment."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.path.mkdir()
        show = '#!/bin/sh\nprintf "%s\\0" "$@"; echo; env -0\n'
        (self.path / "srun").write_text(show)
        (self.path / "srun").chmod(0o755)

    def run(self, script: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
        env = {"PATH": f"{self.path}:/usr/bin:/bin", **env}
        return subprocess.run(["/bin/bash"], input=script.encode(), env=env, capture_output=True)

    def words_and_env(self, script: str, **env: str) -> tuple[list[str], dict[str, str]]:
        done = self.run(script, **env)
        assert done.returncode == 0, done.stderr
        words, _, shown = done.stdout.partition(b"\0\n")
        pairs = [entry.partition("=") for entry in shown.decode().split("\0") if entry]
        return words.decode().split("\0"), {name: value for name, _, value in pairs}


@pytest.fixture
def bash(tmp_path: Path) -> Bash:
    return Bash(tmp_path)


NASTY = ["a b", "", "$HOME", "`id`", "$(id)", "'", '"', "two\nlines", "*", "--", "é", "\\", "#"]


def test_words_and_values_reach_srun_as_they_are(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    env = {f"V{number}": value for number, value in enumerate(NASTY)}
    tree = f"{generation.path}/tree"
    plan = LaunchPlan(("srun", "-n2", "--bind", f"{tree}:/opt", "x", *NASTY), env | {"TREE": tree})
    words, seen = bash.words_and_env(batch_script(plan, generation, manifest, []))
    assert words == ["-n2", "--bind", f"{tree}:/opt", "x", *NASTY]
    assert {name: seen[name] for name in env} == env
    assert seen["TREE"] == tree


def test_variables_that_shells_keep_for_themselves_are_set_all_the_same(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    # Without a container names have no prefix.
    env = {"IFS": "x y", "UID": "5", "SHLVL": "7", "RANDOM": "z", "PPID": "1", "SHELLOPTS": "o", "A": "1"}
    plan = LaunchPlan(("srun", "x y"), env)
    words, seen = bash.words_and_env(batch_script(plan, generation, manifest, []))
    assert words == ["x y"]
    kept = {"UID", "RANDOM", "SHLVL", "A"}  # the shell that shows them has others of its own
    assert {name: seen[name] for name in kept} == {name: env[name] for name in kept}


def test_a_secret_is_named_and_missed_before_anything_starts(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    plan = LaunchPlan(("srun", "x"), {"ENV_TOKEN": "s3cret"}, secrets={"ENV_TOKEN": "TOKEN"})
    script = batch_script(plan, generation, manifest, [])
    assert "s3cret" not in script
    assert bash.words_and_env(script, TOKEN="a $(b)")[1]["ENV_TOKEN"] == "a $(b)"
    done = bash.run(script)
    assert (done.returncode != 0, done.stdout) == (True, b"")
    assert b"TOKEN: has to be set when the job is submitted" in done.stderr


def test_what_must_not_reach_the_command_is_unset(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    plan = LaunchPlan(("srun", "x"), unset=("LD_PRELOAD_X", "NOT_SET"))
    assert (
        "LD_PRELOAD_X"
        not in bash.words_and_env(batch_script(plan, generation, manifest, []), LD_PRELOAD_X="1")[1]
    )


def test_a_later_sync_is_followed_and_another_image_refused(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    plan = LaunchPlan(("srun", f"{generation.path}/tree"))
    script = batch_script(plan, generation, manifest, [])
    later = publish(manifest, "b", "sif:0")
    assert bash.words_and_env(script)[0] == [f"{later.path}/tree"]
    publish(manifest, "c", "sif:1")
    done = bash.run(script)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"lumienv sync" in done.stderr
    (manifest.store_path / "current").unlink()
    gone = bash.run(script)
    assert (gone.returncode, gone.stderr) == (1, done.stderr)


def test_an_environment_that_is_not_current_is_named_itself(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    publish(manifest, "b", "sif:0")
    plan = LaunchPlan(("srun", f"{generation.path}/tree"))
    assert bash.words_and_env(batch_script(plan, generation, manifest, []))[0] == [f"{generation.path}/tree"]


def test_the_job_takes_a_lease_that_cleaning_reads(
    generation: Generation, manifest: Manifest, bash: Bash
) -> None:
    from lumienv.overlay.leases import lease_name, read_leases

    script = batch_script(LaunchPlan(("srun", "x")), generation, manifest, [])
    job = {"SLURM_JOB_ID": "42", "SLURM_CLUSTER_NAME": "a.b/c"}
    for _ in range(2):  # a job that is requeued
        bash.words_and_env(script, **job)
    (lease,) = read_leases(manifest.store_path)
    assert lease.path.name == lease_name(job)
    assert (lease.job, lease.cluster, lease.readable) == ("42", "a_b_c", True)
    assert lease.generations == {generation.path.name}
    assert lease.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "no folder"])
def test_a_lease_that_cannot_be_written_stops_nothing_and_spoils_nothing(
    generation: Generation, manifest: Manifest, bash: Bash, tmp_path: Path, what: str
) -> None:
    import os

    lease = manifest.store_path / "leases/slurm.42"
    mine = tmp_path / "mine"
    mine.write_text("mine")
    if what == "link":
        lease.symlink_to(mine)
    elif what == "fifo":
        os.mkfifo(lease)
    elif what == "folder":
        lease.mkdir()
    else:
        lease.parent.rename(tmp_path / "elsewhere")
    script = batch_script(LaunchPlan(("srun", "x")), generation, manifest, [])
    assert bash.words_and_env(script, SLURM_JOB_ID="42")[0] == ["x"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "environ", "told"),
    [
        ((), {"SLURM_CPUS_PER_TASK": "7"}, "7"),
        ((), {"SLURM_CPUS_PER_TASK": "7", "SRUN_CPUS_PER_TASK": "2"}, "2"),
        ((), {}, None),
        (("--cpus-per-task=3",), {"SLURM_CPUS_PER_TASK": "7"}, None),
        (("--ntasks=2",), {"SLURM_CPUS_PER_TASK": "7"}, None),
    ],
)
def test_srun_learns_of_the_jobs_processors(
    generation: Generation,
    manifest: Manifest,
    bash: Bash,
    words: tuple[str, ...],
    environ: dict[str, str],
    told: str | None,
) -> None:
    script = batch_script(LaunchPlan(("srun", *words, "x")), generation, manifest, [])
    assert bash.words_and_env(script, **environ)[1].get("SRUN_CPUS_PER_TASK") == told


def test_the_script_ends_by_becoming_srun(generation: Generation, manifest: Manifest) -> None:
    lines = batch_script(LaunchPlan(("srun", "x")), generation, manifest, ["--nodes=2"]).splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("#!/bin/bash", "#SBATCH --nodes=2", "exec srun x")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=9))
@examples(100)
def test_a_directive_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """In double quotes only a backslash means something to sbatch, as to shlex."""
    from lumienv.launch.batch import _directive

    try:
        written = _directive(f"--comment={value}")
    except UsageError:
        assert not value.isprintable()
        return
    assert shlex.split(written) == [f"--comment={value}"]


def test_an_option_over_two_lines_is_refused(generation: Generation, manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="--comment has a newline"):
        batch_script(LaunchPlan(("srun", "x")), generation, manifest, ["--comment=a\nb"])


# -- who takes which option ------------------------------------------------------------------------------


def test_options_go_to_those_who_know_them() -> None:
    manifest: dict[str, str | bool] = {
        "account": "p",
        "nodes": "2",
        "mpi": "pmi2",
        "label": True,
        "hold": False,
    }
    typed = ["-N4", "--wait", "--cpu-bind", "cores", "-a1-3", "--parsable", "--newer=1", "-K"]
    words = batch_words(manifest, typed)
    assert words.submission == ("--wait", "--parsable")
    assert words.job == ("--account=p", "--nodes=4", "--array=1-3", "--newer=1")
    assert words.step == ("--mpi=pmi2", "--label", "--cpu-bind=cores", "--kill-on-bad-exit")


def test_the_command_does_not_stand_in_an_option() -> None:
    with pytest.raises(UsageError, match="--wrap"):
        batch_words({}, ["--wrap", "python x"])


def test_a_job_is_called_after_its_command_unless_it_has_a_name() -> None:
    assert job_name(["/usr/bin/python", "x"], []) == ("--job-name=python",)
    assert job_name(["python"], ["--job-name=mine"]) == ()


def test_presets_see_the_job_that_will_be_and_nothing_of_the_one_around() -> None:
    around = {"SLURM_NNODES": "9", "SLURM_STEP_ID": "0", "SLURM_JOB_PARTITION": "old", "HOME": "/h"}
    job = [
        "--nodes=2",
        "--ntasks-per-node=8",
        "--gres=gpu:8",
        "--partition=p",
        "--cpus-per-task=7",
        "--exclusive",
    ]
    assert environ_of_job(around, job) == {
        "HOME": "/h",
        "SLURM_JOB_ID": "0",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS": "16",
        "SLURM_NTASKS_PER_NODE": "8",
        "SLURM_GPUS_PER_NODE": "8",
        "SLURM_JOB_PARTITION": "p",
        "SRUN_CPUS_PER_TASK": "7",
        "SBATCH_EXCLUSIVE": "",
    }


@pytest.mark.parametrize(
    ("job", "names"),
    [
        ([], None),
        (["--export=ALL,A=1"], None),
        (["--export=NONE"], {"NONE"}),
        (["--export=A=1,B"], {"A", "B"}),
    ],
)
def test_what_reaches_a_job(job: list[str], names: set[str] | None) -> None:
    assert exported_names(job) == names
