"""`lumienv run` and `lumienv srun` beside plain srun, under a real Slurm: what comes back is the same."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from slurm_lab import (
    PARTITION,
    Allocation,
    allocation,
    at_terminal,
    cancel_step,
    job_field,
    lines_until,
    started,
)
from workspace import Workspace, make_workspace

from lumienv.launch.slurm_options import SBATCH, SRUN, SlurmProgram

pytestmark = [pytest.mark.unprivileged, pytest.mark.usefixtures("slurm")]

RANK = "import os; print(os.environ['SLURM_PROCID'], os.environ['SLURM_NTASKS'])"
WAIT = """
import os, signal, sys
def told(number, frame):
    print("told", number, flush=True)
    sys.exit(9)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGUSR1, told)
print("ready", os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"], flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Workspace:
    """On the host's Python: what containers add is tested elsewhere."""
    made = make_workspace(tmp_path_factory.mktemp("srun") / "project", cache, **PARTITION)
    made.write(f'host = "{sys.executable}"')
    made.lumienv("sync")
    return made


@pytest.fixture(scope="module")
def room(project: Workspace) -> Iterator[Allocation]:
    """Two nodes with room for eight tasks."""
    with allocation(project, "-N2", "-n8") as made:
        yield made


def manifest(project: Workspace, slurm: str) -> Workspace:
    """The same environment, with another [slurm]."""
    project.write(f'host = "{sys.executable}"', more=f"[slurm]\n{slurm}")
    return project


# -- what comes back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os; raise SystemExit(int(os.environ['SLURM_PROCID']))", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("import os, signal; os.environ['SLURM_PROCID'] == '2' and os.abort()", 134),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
        ("print(end='')", 0),
    ],
)
def test_the_worst_of_the_tasks_decides_as_with_plain_srun(
    project: Workspace, room: Allocation, code: str, status: int
) -> None:
    plain = project.shell(["srun", "-n4", "python3", "-c", code], **room.variables)
    automatic = project.try_("run", "--srun", "-n4", "--", "python", "-c", code, **room.variables)
    typed = project.try_("srun", "-n4", "--", "python", "-c", code, **room.variables)
    assert (plain.status, automatic.status, typed.status) == (status, status, status), automatic.err


def test_a_program_that_is_not_there_is_reported_as_by_srun(project: Workspace, room: Allocation) -> None:
    plain = project.shell(["srun", "-n2", "no-such-program"], **room.variables)
    ours = project.try_("srun", "-n2", "--", "no-such-program", **room.variables)
    assert (ours.status, "no-such-program" in ours.err) == (plain.status, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_tasks_as_through_srun(
    project: Workspace, room: Allocation, number: signal.Signals
) -> None:
    ours = project.command("run", "--srun", "-n2 --overlap", "--", "python", "-u", "-c", WAIT)
    plain = ["srun", "-n2", "--overlap", "python3", "-u", "-c", WAIT]
    came = []
    with started(project, ours, **room.variables) as one, started(project, plain, **room.variables) as other:
        for process in (one, other):
            lines_until(process, "ready", 2)
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
            came.append((process.returncode, out.count(f"told {int(number)}")))
    assert came[0] == came[1]
    assert came[0][1] == (2 if number == signal.SIGUSR1 else 0)  # SIGTERM ends srun, and with it the step


def test_ctrl_c_ends_the_step_as_with_srun(project: Workspace, room: Allocation) -> None:
    """Either the tasks end by it or srun ends them: with plain srun that is chance, too, so it goes first."""
    words = ["srun", "-n2", "--overlap", "--quit-on-interrupt"]

    def status(words: Sequence[str]) -> int:
        with started(project, words, **room.variables) as process:
            lines_until(process, "ready", 2)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
            assert "sending Ctrl-C to StepId" in out
            return process.returncode

    plain = {status([*words, "python3", "-c", WAIT]) for _ in range(3)}
    automatic = ["run", "--srun", " ".join(words[1:]), "--", "python", "-c", WAIT]
    ours = {status(project.command(*words, "--", "python", "-c", WAIT)), status(project.command(*automatic))}
    # What is chance is which of these two it is.
    assert ours <= plain | ({130, 137} if plain & {130, 137} else set())


def test_scancel_of_a_step_ends_it_as_with_srun(project: Workspace, room: Allocation) -> None:
    ours = project.command("srun", "-n2", "--overlap", "--", "python", "-c", WAIT)
    plain = ["srun", "-n2", "--overlap", "python3", "-c", WAIT]
    came = []
    for words in (ours, plain):
        with started(project, words, **room.variables) as process:
            job, step = lines_until(process, "ready", 2)[-1].split()[1:]
            cancel_step(job, step)
            out, _ = process.communicate(timeout=60)
            came.append((process.returncode, out.count("told 15")))
    assert came[0] == came[1]
    assert job_field(room.job, "JobState") == "RUNNING"


def test_scancel_of_the_job_and_its_end_in_time_come_back_as_with_srun(project: Workspace) -> None:
    """Four allocations at once, as Slurm looks at time limits twice a minute only."""
    ours = project.command("srun", "-n2", "--time=5", "--", "python", "-c", WAIT)
    plain = ["srun", "-n2", "--time=5", "python3", "-c", WAIT]
    running = [started(project, words) for words in (ours, plain, ours, plain)]
    try:
        jobs = [lines_until(process, "ready", 2)[-1].split()[1] for process in running]
        for job in jobs[2:]:
            subprocess.run(["scontrol", "update", f"jobid={job}", "EndTime=now"], check=True)
        for job in jobs[:2]:
            subprocess.run(["scancel", job], check=True)
        said = [process.communicate(timeout=120)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    statuses = [process.returncode for process in running]
    # What srun gets hold of is chance, with plain srun too: the tasks' own 9, or how it was ended itself.
    assert set(statuses) <= {9, 143}
    assert [text.count("told 15") for text in said] == [2, 2, 2, 2]
    assert all("DUE TO TIME LIMIT" in text for text in said[2:]), said


# -- which srun ------------------------------------------------------------------------------------------


def test_a_step_within_a_step_is_started_only_when_it_is_asked_for(
    project: Workspace, room: Allocation
) -> None:
    lumienv = project.command()[0]
    inside = f'{lumienv} run -- python -c "{RANK}"; {lumienv} srun --overlap -n2 -- python -c "{RANK}"'
    said = project.shell(["srun", "-n1", "sh", "-c", inside], **room.variables)
    plain = project.shell(
        ["srun", "-n1", "sh", "-c", f'srun --overlap -n2 python3 -c "{RANK}"'], **room.variables
    )
    first, *others = said.out.splitlines()
    assert first == "0 1", said.err
    assert sorted(others) == sorted(plain.out.splitlines()) == ["0 2", "1 2"]


def test_a_job_that_was_submitted_in_a_step_is_none(project: Workspace, room: Allocation) -> None:
    """It has the variables of that step still: srun's --export and sbatch's default hand them on."""
    lumienv = project.command()[0]
    script = project.directory / "inner.sh"
    script.write_text(f'#!/bin/sh\n{lumienv} run -- python -c "{RANK}"\n')
    submit = f"sbatch --wait --quiet -n3 --output={project.directory}/inner.out {script}"
    said = project.shell(["srun", "-n1", "sh", "-c", submit], **room.variables)
    assert said.status == 0, said.err
    ranks = sorted((project.directory / "inner.out").read_text().splitlines())
    assert ranks == ["0 3", "1 3", "2 3"]


def test_srun_at_a_terminal(project: Workspace, room: Allocation) -> None:
    code = "import os, sys; print(sys.stdin.isatty(), os.isatty(1)); raise SystemExit(6)"
    env = project.environment(room.variables)
    words = project.command("srun", "--pty", "-n1", "--", "python", "-c", code)
    plain = ["srun", "--pty", "-n1", "python3", "-c", code]
    ours = at_terminal(words, [], project.directory, env)
    others = at_terminal(plain, [], project.directory, env)
    # What srun says of the status may come too late for the terminal.
    assert (ours[0], ours[1].splitlines()[0]) == (others[0], others[1].splitlines()[0]) == (6, "True True")


def test_the_parts_of_a_heterogeneous_job_run_different_commands(project: Workspace) -> None:
    lumienv = project.command()[0]
    here = "import os, sys; print(sys.argv[1:], os.environ['SLURM_PROCID'], os.environ['VIRTUAL_ENV'] != '')"
    ours = [
        lumienv,
        "srun",
        "-n1",
        "--",
        "python",
        "-c",
        here,
        "a",
        ":",
        "-n2",
        "--",
        "python",
        "-c",
        here,
        "b",
    ]
    both = [lumienv, "srun", "--het-group=0,1", "--", "python", "-c", RANK]
    script = project.directory / "het.sh"
    lines = [" ".join(f"'{word}'" if word != here and word != RANK else f'"{word}"' for word in words)
             for words in (ours, both)]  # fmt: skip
    script.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    said = project.shell(["salloc", "-Q", "-n1", ":", "-n2", "sh", str(script)])
    assert said.status == 0, said.err
    assert sorted(said.out.splitlines()) == [
        *("0 3", "1 3", "2 3"),
        *("['a'] 0 True", "['b'] 1 True", "['b'] 2 True"),
    ]


def test_a_colon_among_the_arguments_begins_no_other_command(project: Workspace, room: Allocation) -> None:
    show = "import sys; print(sys.argv[1:])"
    for words in (["run", "--srun", "-n1"], ["srun", "-n1"]):
        arguments = ["a b", ":", "$HOME", ":", "-n2"]
        said = project.try_(*words, "--", "python", "-c", show, *arguments, **room.variables)
        assert said.out == f"{arguments}\n", said.err


# -- [slurm] and what an allocation was made with ----------------------------------------------------------


def test_a_manifest_for_another_kind_of_job_does_not_stand_in_the_way(project: Workspace) -> None:
    """Every one of these would be refused by srun in this allocation, or mean something else."""
    slurm = (
        'account = "other"\npartition = "standard-g"\nnodes = 2\nntasks-per-node = 8\ngpus-per-node = 8\n'
        'cpus-per-task = 7\nmem = "60G"\ntime = "1:00:00"\nexclusive = true\nqos = "x"\nlabel = true\n'
    )
    manifest(project, slurm)
    try:
        said = project.shell(["salloc", "-Q", "-n1", *project.command("run", "--", "python", "-c", RANK)])
    finally:
        manifest(project, "")
    assert (said.status, said.out) == (0, "0: 0 1\n"), said.err
    assert "[slurm] cpus-per-task = 7 is left out: this allocation has no room for it" in said.err


def test_srun_does_refuse_what_lumienv_leaves_out(project: Workspace) -> None:
    """Why the test above is needed at all: Slurm 22.05."""
    asks = ["--gpus-per-node=8", "--cpus-per-task=7", "--ntasks=16", "--mem=400G"]
    line = "; ".join(f"srun {ask} true; echo $?" for ask in asks)
    said = project.shell(["salloc", "-Q", "-n1", "sh", "-c", line])
    assert said.out.split() == ["1"] * len(asks), said.err


def test_the_tasks_of_an_allocation_that_says_nothing_of_them_are_the_manifests(project: Workspace) -> None:
    manifest(project, "ntasks = 4\n")
    try:
        command = project.command("run", "--", "python", "-c", RANK)
        said = project.shell(["salloc", "-Q", "-N2", "--mincpus=2", *command])
        few = project.shell(["salloc", "-Q", "-n3", *command])
    finally:
        manifest(project, "")
    assert len(said.out.splitlines()) == 4, said.err
    assert len(few.out.splitlines()) == 3, few.err


def test_the_processors_of_a_task_are_those_the_job_was_submitted_with(project: Workspace) -> None:
    """Slurm 22.05 tells srun nothing of sbatch's --cpus-per-task; three ways to say something else."""
    ask = "import os; print(os.environ.get('SLURM_CPUS_PER_TASK'))"
    lumienv = project.command()[0]
    script = project.directory / "width.sh"
    script.write_text(
        f"""#!/bin/sh
srun -n1 sh -c 'echo "plain $SLURM_CPUS_ON_NODE"'
{lumienv} run -- python -c "{ask}"
{lumienv} run --srun -c1 -- python -c "{ask}"
SRUN_CPUS_PER_TASK=2 {lumienv} srun -- python -c "{ask}"
{lumienv} srun --print -- true
"""
    )
    out = project.directory / "width.out"
    words = ["sbatch", "--wait", "--quiet", "-n1", "-c3", f"--output={out}", str(script)]
    assert project.shell(words).status == 0
    lines = out.read_text().splitlines()
    assert lines[1:4] == ["3", "1", "2"]
    assert " srun --cpus-per-task=3 --export=ALL true" in lines[4]


def test_export_none_and_its_variable_change_nothing_for_the_plan(
    project: Workspace, room: Allocation
) -> None:
    ask = "import os, sys; print('VIRTUAL_ENV' in os.environ, os.environ.get('MINE'))"
    for typed, variables, mine in (
        (["--export=NONE"], {"MINE": "1"}, "None"),
        (["--export", "MINE"], {"MINE": "1"}, "1"),
        ([], {"MINE": "1", "SLURM_EXPORT_ENV": "NONE"}, "1"),
    ):
        said = project.try_("srun", "-n1", *typed, "--", "python", "-c", ask, **room.variables, **variables)
        assert said.out == f"True {mine}\n", said.err


def test_a_preset_for_gpus_sees_those_of_both_nodes(project: Workspace) -> None:
    ask = "import os; print(os.environ['RANK'], os.environ['LOCAL_RANK'], os.environ['SLURM_GPUS_ON_NODE'])"
    command = project.command("run", "--preset", "torch-srun", "--", "python", "-c", ask)
    said = project.shell(["salloc", "-Q", "-N2", "--ntasks-per-node=2", "--gpus-per-node=8", *command])
    assert sorted(said.out.splitlines()) == ["0 0 8", "1 1 8", "2 0 8", "3 1 8"], said.err


# -- the table of options ----------------------------------------------------------------------------------

# Of Slurm 23.02 and later, or not built into every Slurm.
NEWER = {"container-id", "tres-bind", "tres-per-task", "segment", "stepmgr", "oom-kill-step", "treewidth"}
NEWER |= {"external-launcher", "context", "version", "help", "usage", "wrap"}


@pytest.mark.parametrize("program", [SRUN, SBATCH], ids=lambda program: program.name)
def test_the_table_of_options_is_what_the_program_knows(program: SlurmProgram) -> None:
    """One after the other with nothing behind it, then with a value that is joined: getopt tells."""
    wrong = []
    for name in sorted((program.valued | program.optional | program.flags) - NEWER):
        said = _said(program, f"--{name}")
        kind = "valued" if "requires an argument" in said else ""
        if not kind:
            said = _said(program, f"--{name}=x", "--usage")
            kind = "flags" if "doesn't allow an argument" in said else "optional"
        if "unrecognized" in said or name not in getattr(program, kind):
            wrong.append((name, said.splitlines()[0]))
    assert wrong == []


def _said(program: SlurmProgram, *words: str) -> str:
    done = subprocess.run(
        [program.name, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return done.stderr or done.stdout


@pytest.mark.parametrize("program", [SRUN, SBATCH], ids=lambda program: program.name)
def test_the_short_options_are_those_that_the_program_knows(program: SlurmProgram) -> None:
    for letter in map(chr, range(ord("A"), ord("z") + 1)):
        if letter.isalpha() and letter not in "hV":
            said = _said(program, f"-{letter}")
            assert ("invalid option" not in said) == (letter in program.short), letter
            takes = program.short.get(letter, "") in program.valued
            assert ("requires an argument" in said) == takes, letter
