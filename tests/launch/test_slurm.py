"""Is a command to go through `srun`, and with which words?"""

import pytest

from lumienv.errors import UsageError
from lumienv.launch.slurm import launcher_words, reaching, starts_step, typed_words, with_processors

ALLOCATED = {"SLURM_JOB_ID": "7"}
INTERACTIVE = ALLOCATED | {"SLURM_STEP_ID": "4294967290"}
IN_STEP = ALLOCATED | {"SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("choice", "environ", "through_srun"),
    [
        ("auto", {}, False),
        ("auto", ALLOCATED, True),
        ("auto", INTERACTIVE, True),
        ("auto", IN_STEP, False),
        ("direct", ALLOCATED, False),
        ("direct", {}, False),
        ("srun", {}, True),
        ("srun", IN_STEP, True),
    ],
)
def test_srun_is_put_in_front_inside_an_allocation_and_not_in_a_step(
    choice: str, environ: dict[str, str], through_srun: bool
) -> None:
    assert starts_step(choice, environ) is through_srun


def test_outside_an_allocation_the_manifests_options_ask_for_one() -> None:
    options = {"account": "project_1", "gpus-per-node": "8", "exclusive": True, "overcommit": False}
    words = launcher_words(options, [], {})
    assert words[:4] == ["srun", "--account=project_1", "--gpus-per-node=8", "--exclusive"]
    assert not [word for word in words if "overcommit" in word]


@pytest.mark.parametrize(
    "settled",
    [
        *("account", "partition", "qos", "reservation", "time", "mem", "nodes", "exclusive", "constraint"),
        *("gpus-per-node", "gpus", "gres", "job-name", "output", "licenses", "signal", "array"),
    ],
)
def test_inside_an_allocation_what_makes_a_job_is_not_asked_again(settled: str) -> None:
    words = launcher_words({settled: "x", "ntasks": "4", "cpu-bind": "cores"}, [], ALLOCATED)
    assert {"--ntasks=4", "--cpu-bind=cores"} < set(words)
    assert not [word for word in words if settled in word]
    # Another's allocation is one, too.
    assert launcher_words({settled: "x"}, ["--jobid=7"], {}) == ["srun", "--export=ALL", "--jobid=7"]
    # Typed, it is asked all the same.
    assert launcher_words({}, [f"--{settled}=x"], ALLOCATED)[-1] == f"--{settled}=x"


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        *(
            ("ntasks", "SLURM_NTASKS"),
            ("ntasks-per-node", "SLURM_NTASKS_PER_NODE"),
            ("ntasks", "SLURM_NPROCS"),
        ),
        ("cpus-per-task", "SLURM_CPUS_PER_TASK"),
    ],
)
def test_what_an_allocation_was_made_with_goes_before_the_manifest(name: str, variable: str) -> None:
    assert f"--{name}=4" in launcher_words({name: "4"}, [], ALLOCATED)
    assert launcher_words({name: "4"}, [], ALLOCATED | {variable: "2"}) == ["srun", "--export=ALL"]


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"cpus-per-task": "7"}, True),
        ({"cpus-per-task": "8"}, False),
        ({"ntasks": "112"}, True),
        ({"ntasks": "113"}, False),
        ({"ntasks": "113", "overcommit": True}, True),
        ({"ntasks-per-node": "56"}, True),
        ({"ntasks-per-node": "57"}, False),
        ({"ntasks": "16", "cpus-per-task": "7"}, True),
    ],
)
def test_what_an_allocation_has_no_room_for_is_left_out_and_told(
    options: dict[str, str | bool], fits: bool
) -> None:
    environ = ALLOCATED | {"SLURM_JOB_CPUS_PER_NODE": "56(x2)", "SLURM_TASKS_PER_NODE": "8,7"}
    told: list[str] = []
    words = launcher_words(options, [], environ, told.append)
    (name, value), *_ = options.items()
    assert (f"--{name}={value}" in words) is fits
    assert bool(told) is not fits


@pytest.mark.parametrize(
    ("manifest", "typed"),
    [
        ("gpus-per-node", "-G2"),
        ("gpus", "--gres=gpu:2"),
        ("mem", "--mem-per-cpu=1G"),
        ("ntasks", "-n2"),
        ("ntasks", "--ntasks-per-node=2"),
        ("cpus-per-task", "-c2"),
        ("partition", "--part=debug"),
        ("partition", "-pdebug"),
    ],
)
def test_what_is_typed_replaces_what_it_could_not_stand_beside(manifest: str, typed: str) -> None:
    assert launcher_words({manifest: "8"}, [typed], {}) == ["srun", "--export=ALL", typed]


@pytest.mark.parametrize(
    ("words", "presets", "environ", "added"),
    [
        ([], [], {}, True),
        (["-n2"], [], {}, True),
        (["-c2"], [], {}, False),
        (["--cpus-per-gpu", "2"], [], {}, False),
        (["--pty"], [], {}, False),
        ([], [], {"SRUN_CPUS_PER_TASK": "3"}, False),
        (["--ntasks=2"], ["--ntasks=2", "--ntasks-per-node=1"], {}, False),
        (["--cpu-bind=cores"], ["--cpu-bind=cores"], {}, True),
    ],
)
def test_srun_is_told_how_many_processors_a_task_of_the_job_has(
    words: list[str], presets: list[str], environ: dict[str, str], added: bool
) -> None:
    made = with_processors(["srun", *words], presets, ALLOCATED | {"SLURM_CPUS_PER_TASK": "7"} | environ)
    assert made == ["srun", *(["--cpus-per-task=7"] if added else []), *words]


def test_what_is_typed_comes_last_and_is_split_as_a_shell_does() -> None:
    words = launcher_words({"mpi": "pmi2"}, typed_words("-n 8 --comment='two words'"), ALLOCATED)
    assert words[-3:] == ["-n", "8", "--comment=two words"]
    assert words.index("--mpi=pmi2") < words.index("-n")


def test_text_that_no_shell_could_split_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--srun"):
        typed_words("--comment='half")


def exported(words: list[str]) -> set[str]:
    """What srun exports: the last --export wins."""
    return set([word for word in words if word.startswith("--export=")][-1].partition("=")[2].split(","))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", {"ALL"}),
        ("--export=ALL", {"ALL"}),
        ("--export=ALL,X=1", {"ALL", "X=1"}),
        ("--export=NONE", {"A", "B"}),
        ("--export NONE", {"A", "B"}),
        ("--export=X,A", {"X", "A", "B"}),
        ("--export X=1 -n 2", {"X=1", "A", "B"}),
    ],
)
def test_the_plan_reaches_the_tasks_whatever_export_is_asked_for(typed: str, expected: set[str]) -> None:
    words = reaching(launcher_words({}, typed_words(typed), ALLOCATED), ["A", "B"])
    assert exported(words) == expected


def test_an_export_of_the_manifest_is_kept_and_the_plan_still_reaches_the_tasks() -> None:
    words = reaching(launcher_words({"export": "NONE"}, [], ALLOCATED), ["A", "B"])
    assert exported(words) == {"A", "B"}


def test_other_words_stay_as_they_are() -> None:
    words = ["srun", "-N", "2", "--mpi=pmi2", "--exclusive"]
    assert reaching(words, ["A"]) == words


def test_values_stand_on_no_command_line() -> None:
    words = reaching(launcher_words({}, ["--export=NONE"], ALLOCATED), ["SECRET"])
    assert not [word for word in words if "SECRET=" in word]
