"""What is said of a launch before it starts."""

from pathlib import Path
from typing import Any

import pytest
from generations import described

from lumienv.launch.notes import loop_devices, missing_binds, mistyped_task, preset_notes
from lumienv.launch.shape import Shape
from lumienv.overlay.store import Store
from lumienv.site import Preset, Site, SiteBind

SITE = Site("here", loop_devices=256)
JOB = Shape(slurm=True, nodes=1, tasks=1, tasks_per_node=1)


def warned(
    tmp_path: Path, tasks: int, mode: str, builder: str = "", flavour: str = "singularity", **more: Any
) -> str:
    generation = described(Store(tmp_path), mode=mode, builder=builder, **more)
    return "\n".join(loop_devices(SITE, generation, flavour, Shape(slurm=True, tasks_per_node=tasks)))


@pytest.mark.parametrize(
    ("mode", "builder", "images"),
    [("venv", "", 1), ("squashfs", "", 2), ("sif", "append", 2), ("sif", "cotainr", 1)],
)
def test_a_warning_comes_when_the_images_of_all_tasks_reach_the_limit(
    tmp_path: Path, mode: str, builder: str, images: int
) -> None:
    enough = 256 // images
    assert warned(tmp_path, enough - 1, mode, builder) == ""
    said = warned(tmp_path, enough, mode, builder)
    assert f"{enough} tasks a node with {images} file-system image" in said
    assert "256 loop devices" in said
    assert ("--mode venv takes one a task" in said) == (images == 2)
    assert ("start fewer tasks" in said) == (images == 1)


def test_where_one_image_a_task_is_too_many_no_other_mode_is_proposed(tmp_path: Path) -> None:
    assert "start fewer tasks" in warned(tmp_path, 300, "squashfs")


def test_who_takes_no_loop_devices_is_not_warned(tmp_path: Path) -> None:
    assert warned(tmp_path, 300, "squashfs", flavour="apptainer") == ""
    assert warned(tmp_path, 300, "venv", base_kind="host") == ""
    generation = described(Store(tmp_path))
    assert loop_devices(Site("laptop"), generation, "singularity", Shape(tasks_per_node=999)) == []
    assert loop_devices(SITE, generation, "singularity", Shape()) == []


def test_a_preset_for_gpus_says_so_where_there_is_no_slurm() -> None:
    gpus = Preset("lumi-g", gpus=True)
    (said,) = preset_notes([gpus, Preset("torch-srun")], Shape(), [])
    assert "lumi-g is for GPU nodes" in said
    assert "--launcher srun" in said
    assert preset_notes([gpus], JOB, ["srun"]) == []


def test_several_tasks_a_node_are_told_to_who_starts_processes_itself() -> None:
    torchrun = Preset("torchrun", one_task_a_node=True)
    (said,) = preset_notes([torchrun], Shape(slurm=True, tasks_per_node=8), [])
    assert "8 are asked for: leave out ntasks" in said
    # One task a node starts, as ntasks is filled in; but with what was meant for one of eight.
    (said,) = preset_notes([torchrun], JOB, ["srun", "--nodes=4", "--ntasks-per-node=8", "--cpus-per-task=7"])
    assert "let --cpus-per-task be all" in said
    assert preset_notes([torchrun], JOB, ["srun"]) == []
    assert preset_notes([torchrun], JOB, ["srun", "--ntasks-per-node=1"]) == []
    assert preset_notes([torchrun], Shape(), []) == []


def test_all_missing_binds_are_told_in_one_line() -> None:
    (said,) = missing_binds(SITE, [SiteBind("/pfs"), SiteBind("/flash")])
    assert "/pfs, /flash" in said
    assert "LUMIENV_SITE" in said
    assert missing_binds(SITE, []) == []


@pytest.mark.parametrize("typed", ["trai", "trains", "rain", "trsin", "trian", "Train", "tarin"])
def test_a_command_that_is_a_slip_away_from_a_task_is_asked_about(typed: str) -> None:
    assert mistyped_task(["test", "train"], typed, {}) == [f"there is no task {typed}; did you mean train?"]


@pytest.mark.parametrize("typed", ["train", "python", "drains", "tr", "niart", "trai1ns", "zip", ""])
def test_other_commands_are_not(typed: str) -> None:
    assert mistyped_task(["pip", "train"], typed, {}) == []


def test_several_are_named_in_one_line() -> None:
    said = mistyped_task(["train1", "train2", "test"], "train", {})
    assert said == ["there is no task train; did you mean train1 or train2?"]


def test_programs_of_the_machine_are_no_slips_and_tasks_of_a_step_do_not_ask(tmp_path: Path) -> None:
    (tmp_path / "cmake").touch(0o755)
    assert mistyped_task(["make"], "cmake", {"PATH": f"/nowhere:{tmp_path}"}) == []
    assert mistyped_task(["make"], "cmake", {"PATH": "/nowhere"}) != []
    assert mistyped_task(["make"], "cmake", {"PATH": "/nowhere", "SLURM_STEP_ID": "0"}) == []
