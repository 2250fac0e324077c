"""Is a command to go through `srun`, and with which words?"""

import pytest

from lumienv.errors import UsageError
from lumienv.launch.slurm import launcher_words, reaching

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
    words = launcher_words(choice, {}, "", environ)
    assert words[:1] == (["srun"] if through_srun else [])


def test_outside_an_allocation_the_manifests_options_ask_for_one() -> None:
    options = {"account": "project_1", "gpus-per-node": "8", "exclusive": True, "overcommit": False}
    words = launcher_words("srun", options, "", {})
    assert words[:4] == ["srun", "--account=project_1", "--gpus-per-node=8", "--exclusive"]
    assert not [word for word in words if "overcommit" in word]


@pytest.mark.parametrize("settled", ["account", "partition", "qos", "reservation"])
def test_inside_an_allocation_what_is_settled_is_not_asked_again(settled: str) -> None:
    words = launcher_words("auto", {settled: "x", "ntasks": "4"}, "", ALLOCATED)
    assert "--ntasks=4" in words
    assert not [word for word in words if settled in word]


def test_what_is_typed_comes_last_and_is_split_as_a_shell_does() -> None:
    words = launcher_words("auto", {"ntasks": "4"}, "-n 8 --comment='two words'", ALLOCATED)
    assert words[-3:] == ["-n", "8", "--comment=two words"]
    assert words.index("--ntasks=4") < words.index("-n")


def test_text_that_no_shell_could_split_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--srun"):
        launcher_words("auto", {}, "--comment='half", ALLOCATED)


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
    words = reaching(launcher_words("auto", {}, typed, ALLOCATED), ["A", "B"])
    assert exported(words) == expected


def test_an_export_of_the_manifest_is_kept_and_the_plan_still_reaches_the_tasks() -> None:
    words = reaching(launcher_words("auto", {"export": "NONE"}, "", ALLOCATED), ["A", "B"])
    assert exported(words) == {"A", "B"}


def test_other_words_stay_as_they_are() -> None:
    words = ["srun", "-N", "2", "--mpi=pmi2", "--exclusive"]
    assert reaching(words, ["A"]) == words


def test_values_stand_on_no_command_line() -> None:
    words = reaching(launcher_words("auto", {}, "--export=NONE", ALLOCATED), ["SECRET"])
    assert not [word for word in words if "SECRET=" in word]
