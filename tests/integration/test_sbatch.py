"""`lumienv sbatch` under a real Slurm: its script does what a script with plain srun does, without lumienv.

All jobs are submitted at once, and waited for together.
"""

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_lab import PARTITION, PATIENCE, job_field, until_gone
from workspace import Workspace, make_workspace

pytestmark = [pytest.mark.unprivileged, pytest.mark.usefixtures("slurm")]

NASTY = ["a b", "", "$HOME", "`id`", "$(id)", "'", '"', "two\nlines", "*", "--", ":", "é", "\\"]
SHOW = """
import json, os, sys
names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_ARRAY_TASK_ID", "MINE", "TOKEN")
print(json.dumps([sys.argv[1:], sys.prefix, {name: os.environ.get(name) for name in names}]))
"""
RANK = "import os; raise SystemExit(int(os.environ['SLURM_PROCID']) + 4)"
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
# What is told to the batch script's process comes to the tasks: that process is srun.
TOLD = """
import os, signal, subprocess, sys
def told(number, frame):
    print("told", number, flush=True)
    sys.exit(8)
signal.signal(signal.SIGUSR1, told)
signal.signal(signal.SIGTERM, told)
subprocess.run(["scancel", *sys.argv[1:], os.environ["SLURM_JOB_ID"]], check=True)
while True:
    signal.pause()
"""


class Jobs:
    """The jobs of these tests: submitted, and at some time all ended."""

    def __init__(self, folder: Path, cache: Path, sif: Path) -> None:
        self.folder = folder
        environ = {**PARTITION, "TOKEN": "s3cret $(id)"}
        self.host = make_workspace(folder / "host", cache, **environ)
        run = '[run.env]\nMINE = \'x,y="z" $(id)\'\nTOKEN = { from = "host" }\n'
        slurm = '[slurm]\naccount = "project_1"\nntasks = 4\nlabel = false\nmpi = "none"\n'
        self.host.write(f'host = "{sys.executable}"', more=run + slurm)
        self.host.lumienv("sync")
        self.image = make_workspace(folder / "it's an image", cache, **environ)
        self.image.write(f'path = "{sif}"', more=run)
        self.image.lumienv("sync")
        self.ids: dict[str, str] = {}

    def submit(self, name: str, project: Workspace, *words: str) -> None:
        out = self.folder / f"{name}.%a.out" if "--array" in " ".join(words) else self.folder / f"{name}.out"
        typed = ["--parsable", f"--output={out}", "-t5", *words]
        self.ids[name] = project.lumienv("sbatch", *typed).strip()

    def plain(self, name: str, *words: str, **variables: str) -> None:
        said = self.host.shell(
            ["sbatch", "--parsable", "-t5", f"--output={self.folder}/{name}.out", *words], **variables
        )
        assert said.status == 0, said.err
        self.ids[name] = said.out.strip()

    def out(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text()

    def shown(self, name: str) -> list[list[object]]:
        return [json.loads(line) for line in self.out(name).splitlines()]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, cache: Path, small_image: Path) -> Jobs:
    made = Jobs(tmp_path_factory.mktemp("sbatch"), cache, small_image)
    host, image, python = made.host, made.image, ["--", "python", "-c"]
    made.submit("manifest", host, *python, SHOW, *NASTY)
    made.submit("typed", host, "-n2", "-N2", "-c3", "--comment", 'it\'s a "b" #c \\ $x', *python, SHOW)
    made.submit("image", image, "-n1", *python, SHOW, *NASTY)
    made.submit("worst", host, "-n3", *python, RANK)
    made.plain("worst-plain", "-n3", "--wrap", f'srun python3 -c "{RANK}"')
    made.submit("crash", host, "-n1", *python, CRASH)
    made.plain("crash-plain", "-n1", "--wrap", f'srun python3 -c "{CRASH}"')
    made.submit("batch-signal", host, "-n1", *python, TOLD, "--batch", "--signal=USR1")
    made.submit("cancelled", host, "-n1", *python, TOLD)
    made.submit("array", host, "-n1", "--array=3,5", *python, SHOW)
    made.submit("after", host, "-n1", f"--dependency=afterok:{made.ids['manifest']}", *python, SHOW)
    # As on a node without lumienv, with nothing of this shell.
    script = made.folder / "bare.sh"
    script.write_text(host.lumienv("sbatch", "-n2", "--print", *python, SHOW, *NASTY))
    made.plain("bare", "--export=TOKEN", str(script), PATH="/usr/bin:/bin")
    made.plain("no-secret", "--export=NIL", str(script), PATH="/usr/bin:/bin")
    until_gone(*made.ids.values())
    return made


def test_the_manifests_options_make_the_job(jobs: Jobs) -> None:
    shown = jobs.shown("manifest")
    prefix = str(jobs.host.current.resolve() / "tree")
    assert sorted(entry[2]["SLURM_PROCID"] for entry in shown) == ["0", "1", "2", "3"]  # type: ignore[index]
    assert [entry[:2] for entry in shown] == [[NASTY, prefix]] * 4
    assert {entry[2]["MINE"] for entry in shown} == {'x,y="z" $(id)'}  # type: ignore[index]
    assert {entry[2]["TOKEN"] for entry in shown} == {"s3cret $(id)"}  # type: ignore[index]
    assert job_field(jobs.ids["manifest"], "Account") == "project_1"
    assert job_field(jobs.ids["manifest"], "JobName") == "python"


def test_what_is_typed_wins_and_srun_learns_of_the_processors(jobs: Jobs) -> None:
    shown = jobs.shown("typed")
    assert [entry[2]["SLURM_CPUS_PER_TASK"] for entry in shown] == ["3", "3"]  # type: ignore[index]
    assert job_field(jobs.ids["typed"], "NumNodes") == "2"


def test_in_an_image_arguments_and_values_arrive_intact(jobs: Jobs) -> None:
    ((arguments, prefix, env),) = jobs.shown("image")
    assert (arguments, prefix) == (NASTY, "/opt/lumienv")
    assert env["MINE"] == 'x,y="z" $(id)'  # type: ignore[index]
    assert env["TOKEN"] == "s3cret $(id)"  # type: ignore[index]


@pytest.mark.parametrize("name", ["worst", "crash"])
def test_a_jobs_exit_status_is_that_of_one_with_plain_srun(jobs: Jobs, name: str) -> None:
    fields = [(job_field(jobs.ids[which], "JobState"), job_field(jobs.ids[which], "ExitCode"))
              for which in (name, f"{name}-plain")]  # fmt: skip
    assert fields[0] == fields[1]
    assert fields[0] == ("FAILED", {"worst": "6:0", "crash": "139:0"}[name])


def test_a_signal_for_the_batch_script_comes_to_the_tasks(jobs: Jobs) -> None:
    assert "told 10" in jobs.out("batch-signal")
    assert job_field(jobs.ids["batch-signal"], "ExitCode") == "8:0"


def test_scancel_ends_the_job_and_its_tasks_are_told(jobs: Jobs) -> None:
    assert job_field(jobs.ids["cancelled"], "JobState") == "CANCELLED"
    assert "told 15" in jobs.out("cancelled")


def test_each_element_of_an_array_has_its_number_and_its_own_lease(jobs: Jobs) -> None:
    for number in ("3", "5"):
        (line,) = (jobs.folder / f"array.{number}.out").read_text().splitlines()
        assert json.loads(line)[2]["SLURM_ARRAY_TASK_ID"] == number
    shown = subprocess.run(
        ["scontrol", "-o", "show", "job", jobs.ids["array"]], capture_output=True, text=True, check=True
    ).stdout
    elements = re.findall(r"^JobId=(\d+)", shown, re.MULTILINE)
    leases = [jobs.host.directory / ".lumienv/leases" / f"lumilab.{job}" for job in elements]
    assert [lease.read_text() for lease in leases] == [f"{jobs.host.current.resolve().name}\n"] * 2
    assert {lease.stat().st_mode & 0o777 for lease in leases} == {0o644}


def test_a_dependency_is_waited_for(jobs: Jobs) -> None:
    assert len(jobs.shown("after")) == 1


def test_the_printed_script_runs_with_next_to_nothing_of_the_shell_and_no_lumienv(jobs: Jobs) -> None:
    shown = jobs.shown("bare")
    assert [entry[0] for entry in shown] == [NASTY] * 2
    assert {entry[2]["TOKEN"] for entry in shown} == {"s3cret $(id)"}  # type: ignore[index]


def test_a_secret_that_did_not_reach_the_job_is_named_and_nothing_runs(jobs: Jobs) -> None:
    assert "TOKEN: has to be set when the job is submitted" in jobs.out("no-secret")
    assert "[" not in jobs.out("no-secret").partition("TOKEN")[2]
    assert job_field(jobs.ids["no-secret"], "JobState") == "FAILED"


def test_no_secret_stands_in_the_script(jobs: Jobs) -> None:
    script = jobs.host.lumienv("sbatch", "--print", "--", "true")
    assert "s3cret" not in script
    assert "TOKEN" in script


def test_sbatchs_answer_and_status_are_passed_on(jobs: Jobs) -> None:
    tested = jobs.host.try_("sbatch", "--test-only", "-n1", "--", "true")
    assert (tested.status, "to start at" in tested.err) == (0, True)
    refused = jobs.host.try_("sbatch", "--partition=none", "--", "true")
    plain = jobs.host.shell(["sbatch", "--partition=none", "--wrap", "true"])
    assert (refused.status, refused.err) == (plain.status, plain.err)
    waited = jobs.host.try_("sbatch", "--wait", "-n1", "-o/dev/null", "--", "sh", "-c", "exit 5")
    assert (waited.status, bool(re.fullmatch(r"Submitted batch job \d+\n", waited.out))) == (5, True)


def test_a_stale_environment_is_synced_before_and_the_job_runs_in_the_new_one(jobs: Jobs) -> None:
    """Written last: it changes what `current` is."""
    manifest = jobs.host.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text() + "[resolve]\nexclude-newer = 2024-01-01\n")
    before = jobs.host.current.resolve()
    printed = jobs.host.try_("sbatch", "--print", "--", "true")
    said = jobs.host.try_("sbatch", "--test-only", "-n1", "--", "true")
    assert (printed.status, "lumienv sync" in printed.err) == (1, True)
    assert "syncing first" in said.err
    assert jobs.host.current.resolve() != before


# -- leases ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A project in whose environment run both elements of an array, and a heterogeneous job of two parts."""
    folder = tmp_path_factory.mktemp("held")
    project = make_workspace(folder / "project", cache, **PARTITION)
    project.write(f'host = "{sys.executable}"')
    project.lumienv("sync")
    for name in ("up", "go"):
        os.mkfifo(folder / name)
    wait = f"echo $SLURM_JOB_ID >{folder}/up; exec cat {folder}/go"
    het = folder / "het.sh"
    het.write_text(f"#!/bin/sh\n{project.command()[0]} srun --het-group=0,1 -- sh -c '{wait}'\n")
    common = ["--parsable", "-t5", "-o/dev/null"]
    array = project.lumienv("sbatch", *common, "-n1", "--array=0,1", "--", "sh", "-c", wait).strip()
    said = project.shell(["sbatch", *common, "-n1", ":", "-n1", str(het)])
    ids = [array, said.out.strip()]
    try:
        yield project, {"het": ids[1]} | _elements(folder / "up", ids[1])
    finally:
        subprocess.run(["scancel", *ids], check=True)


def _elements(up: Path, het: str) -> dict[str, str]:
    """Wait until all four tasks are there: the jobs of the array's elements, as they call themselves."""
    came: list[str] = []
    with os.fdopen(os.open(up, os.O_RDWR), "rb", buffering=0) as file:
        while len(came) < 4:
            assert select.select([file], [], [], PATIENCE)[0], came
            came += file.read(4096).decode().split()
    elements = sorted(set(came) - {het}, key=int)
    return {"first": elements[0], "second": elements[1]}


def test_what_a_running_array_or_heterogeneous_job_uses_is_kept_for_each_of_its_jobs(
    held: tuple[Workspace, dict[str, str]],
) -> None:
    project, jobs = held
    old = project.current.resolve()
    folder = project.directory / ".lumienv/leases"
    leases = {name: folder / f"lumilab.{job}" for name, job in jobs.items()}
    assert [lease.read_text() for lease in leases.values()] == [f"{old.name}\n"] * 3
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text() + "[resolve]\nexclude-newer = 2024-01-01\n")
    project.lumienv("sync")
    past = time.time() - 30 * 86400
    os.utime(old, (past, past))
    for name, job in jobs.items():  # each alone does it, and for as long as the job runs
        for lease in folder.glob("*"):
            lease.unlink()
        leases[name].write_text(f"{old.name}\n")
        os.utime(leases[name], (past, past))
        assert _reasons(project)[str(old)] == f"job {job} uses it", name

    subprocess.run(["scancel", jobs["het"], jobs["first"], jobs["second"]], check=True)
    until_gone(*jobs.values())
    assert str(old) not in _reasons(project)
    project.lumienv("clean")
    assert not old.exists()
    assert list(folder.glob("lumilab.*")) == []


def _reasons(project: Workspace) -> dict[str, str]:
    kept = json.loads(project.lumienv("clean", "--dry-run", "--json"))["kept"]
    return {entry["generation"]: entry["reason"] for entry in kept}
