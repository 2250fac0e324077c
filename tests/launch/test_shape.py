"""How a launch is spread, as srun's words and Slurm's variables tell it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.launch.shape import Shape, evenly, gpus_in, shape_of
from lumienv.site import Site

SITE = Site("here", whole_node_partitions=("whole",))
# As salloc -N2 --ntasks-per-node=8 --gpus-per-node=8 tells its shell (Slurm 22.05).
JOB = {
    "SLURM_JOB_ID": "7",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "16",
    "SLURM_NPROCS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_TASKS_PER_NODE": "8(x2)",
    "SLURM_GPUS_PER_NODE": "8",
    "SLURM_JOB_PARTITION": "small",
}


def spread(shape: Shape) -> tuple[int | None, int | None, int | None]:
    return shape.nodes, shape.tasks, shape.tasks_per_node


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", (2, 16, 8)),
        ("-n4", (2, 4, 2)),
        ("-n3", (2, 3, None)),
        ("-N1 -n1", (1, 1, 1)),
        ("--nodes=1", (1, 16, 16)),
        ("-n 2 --ntasks-per-node 1", (2, 2, 1)),
        # SLURM_NTASKS is inherited: with plain srun, too, sixteen start.
        ("--ntasks-per-node=1", (2, 16, 8)),
    ],
)
def test_inside_an_allocation_words_go_before_what_it_was_made_with(
    words: str, expected: tuple[int | None, int | None, int | None]
) -> None:
    assert spread(shape_of(["srun", *words.split()], JOB, SITE)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-N2", (2, 2, 1)),
        ("-N2 --ntasks-per-node=8", (2, 16, 8)),
        ("-N2-4 -n8", (None, 8, None)),
        ("-N4-4 -n8", (4, 8, 2)),
        ("-n8", (None, 8, None)),
        ("", (None, None, None)),
    ],
)
def test_outside_an_allocation_the_words_are_all_that_is_known(
    words: str, expected: tuple[int | None, int | None, int | None]
) -> None:
    assert spread(shape_of(["srun", *words.split()], {}, SITE)) == expected


def test_nodes_with_different_numbers_of_tasks_have_no_number_each() -> None:
    environ = JOB | {"SLURM_TASKS_PER_NODE": "9,7"}
    assert spread(shape_of(["srun"], environ, SITE)) == (2, 16, None)


def test_in_a_step_its_own_numbers_count() -> None:
    step = {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_TASKS_PER_NODE": "4",
        "SLURM_GPUS_ON_NODE": "8",
    }
    shape = shape_of([], JOB | step, SITE)
    assert (shape.slurm, spread(shape)) == (True, (1, 4, 4))


@pytest.mark.parametrize(
    ("words", "environ", "each"),
    [
        ("--gpus-per-node=8", {}, 8),
        ("--gpus-per-node=mi250:8", {}, 8),
        ("-N2 -G8", {}, 4),
        ("-N2 --gpus 8", {}, 4),
        ("-N3 -G8", {}, None),
        ("-G8", {}, None),
        ("-N2 -n16 --gpus-per-task=1", {}, 8),
        ("--gres=gpu:8", {}, 8),
        ("--gres=gpu:mi250:4,tmp:1", {}, 4),
        ("", {"SLURM_GPUS_PER_NODE": "mi250:8"}, 8),
        ("", {"SLURM_GPUS": "16", "SLURM_NNODES": "2"}, 8),
        ("-n1", {"SLURM_GPUS_PER_TASK": "1", "SLURM_NNODES": "1", "SLURM_NTASKS": "8"}, 8),
        ("", {"SLURM_GPUS_ON_NODE": "4"}, 4),
        ("--gpus-per-node=2", {"SLURM_GPUS_PER_NODE": "8"}, 2),
        ("", {}, None),
    ],
)
def test_gpus_of_a_node_are_found_however_they_were_asked_for(
    words: str, environ: dict[str, str], each: int | None
) -> None:
    assert shape_of(["srun", *words.split()], environ, SITE).gpus_per_node == each


@pytest.mark.parametrize(
    ("words", "environ", "whole"),
    [
        ("--exclusive", {}, True),
        ("--exclusive=user", {}, False),
        ("--exclusive", JOB, False),
        ("", JOB | {"SBATCH_EXCLUSIVE": "1"}, True),
        ("", JOB | {"SBATCH_EXCLUSIVE": "user"}, False),
        ("", {"SBATCH_EXCLUSIVE": "1"}, False),
        ("-p whole", {}, True),
        ("", JOB | {"SLURM_JOB_PARTITION": "whole"}, True),
        ("-p whole", JOB, False),
        ("-n8", {}, False),
    ],
)
def test_whole_nodes_are_those_that_nobody_shares(words: str, environ: dict[str, str], whole: bool) -> None:
    assert shape_of(["srun", *words.split()], environ, SITE).whole_nodes is whole


@pytest.mark.parametrize(
    ("gres", "count"),
    [("gpu", 1), ("gpu:2(S:0-1)", 2), ("gpu:a:1,gpu:b:2", 3), ("tmp:3", None), ("none", None)],
)
def test_gpus_in_a_list_of_generic_resources(gres: str, count: int | None) -> None:
    assert gpus_in(gres) == count


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 9)), min_size=1, max_size=4))
@examples(100)
def test_tasks_per_node_are_even_only_where_all_are_the_same(groups: list[tuple[int, int]]) -> None:
    """Slurm writes 8(x2),3 for 8, 8, 3."""
    text = ",".join(f"{count}(x{times})" if times > 1 else str(count) for count, times in groups)
    counts = {count for count, _ in groups}
    assert evenly(text) == (counts.pop() if len(counts) == 1 else None)
