"""Which of a site's variables and options a launch gets: conditions, families, who goes before whom."""

from collections.abc import Mapping
from typing import Any

import pytest

from lumienv.launch.presets import Applied, apply_presets
from lumienv.site import Preset, Setting, Site, SlurmOption, load_site
from lumienv.site.presets import preset_named

LUMI = load_site({"LUMIENV_SITE": "lumi", "HOME": "/home/ada"})
GENERIC = load_site({"LUMIENV_SITE": "generic", "HOME": "/home/ada"})

IN_JOB = {"SLURM_JOB_ID": "42", "SLURM_JOB_PARTITION": "standard-g"}
FULL_NODE = ["srun", "--partition=standard-g", "--nodes=1", "--ntasks-per-node=8", "--gpus-per-node=8"]
# A job of two nodes with eight tasks of seven cores each, as a batch script finds it.
JOB = {
    "SLURM_JOB_ID": "42",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_TASKS_PER_NODE": "8(x2)",
    "SLURM_CPUS_PER_TASK": "7",
    "SLURM_GPUS_PER_NODE": "8",
    "SLURM_JOB_PARTITION": "standard-g",
}


def applied(
    *names: str,
    launcher: list[str] | None = None,
    environ: Mapping[str, str] | None = None,
    family: str = "",
    site: Site = LUMI,
) -> Applied:
    presets = [preset_named(site, {}, name) for name in names]
    return apply_presets(site, presets, family, launcher or [], environ or {})


def given(found: Applied) -> dict[str, str]:
    return {**found.values, **found.of_the_task}


def option(found: Applied, name: str) -> str | None:
    words = [word.partition("=") for word in found.options]
    return next((value for key, _, value in words if key == f"--{name}"), None)


# -- LUMI-G ----------------------------------------------------------------------------------------------


def test_eight_tasks_on_a_whole_node_stand_beside_their_gpus() -> None:
    found = applied("lumi-g", launcher=FULL_NODE, environ=IN_JOB)
    mask = option(found, "cpu-bind") or ""
    masks = [int(part, 16) for part in mask.removeprefix("mask_cpu:").split(",")]
    assert [bin(part).count("1") for part in masks] == [7] * 8
    # The first core of each region of eight is the system's; no core is given twice.
    assert sum(masks) & sum(1 << core for core in range(0, 64, 8)) == 0
    assert sum(masks) == sum(0xFE << shift for shift in range(0, 64, 8))
    # The first cores of the tasks are those of the user guide's map_cpu, in the order of the GPUs.
    assert [(part & -part).bit_length() - 1 for part in masks] == [49, 57, 17, 25, 1, 9, 33, 41]
    assert given(found)["ROCR_VISIBLE_DEVICES"] == "{SLURM_LOCALID}"


@pytest.mark.parametrize(
    "launcher",
    [
        ["srun", "--nodes=1", "--ntasks-per-node=4", "--gpus-per-node=8"],
        [*FULL_NODE, "--cpus-per-task=6"],
        [*FULL_NODE, "-c", "14"],
        [*FULL_NODE, "--cpu-bind=cores"],
        [*FULL_NODE, "--hint=multithread"],
        [*FULL_NODE, "--gpu-bind=closest"],
        [*FULL_NODE, "--distribution=cyclic:cyclic"],
    ],
)
def test_masks_are_left_out_where_they_would_contradict_what_is_asked_for(launcher: list[str]) -> None:
    assert option(applied("lumi-g", launcher=launcher, environ=IN_JOB), "cpu-bind") is None


def test_a_part_of_a_node_gets_no_masks() -> None:
    part = JOB | {"SLURM_JOB_PARTITION": "small-g"}
    assert option(applied("lumi-g", launcher=["srun"], environ=part), "cpu-bind") is None


def test_a_login_node_asks_for_no_masks() -> None:
    assert option(applied("lumi-g", launcher=FULL_NODE), "cpu-bind") is None


def test_an_exclusive_node_is_a_whole_one() -> None:
    # As `lumienv sbatch` foresees a job.
    job = {
        "SLURM_JOB_ID": "0",
        "SBATCH_EXCLUSIVE": "",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": "8",
        "SLURM_GPUS_PER_NODE": "8",
    }
    assert option(applied("lumi-g", launcher=["srun"], environ=job), "cpu-bind") is not None


def test_masks_hold_for_a_job_of_seven_cores_a_task_and_for_no_other() -> None:
    assert option(applied("lumi-g", launcher=["srun"], environ=JOB), "cpu-bind") is not None
    other = JOB | {"SLURM_CPUS_PER_TASK": "6"}
    assert option(applied("lumi-g", launcher=["srun"], environ=other), "cpu-bind") is None


def test_a_binding_that_the_user_exports_is_respected_and_that_of_a_step_is_slurms_own() -> None:
    bound = JOB | {"SLURM_CPU_BIND": "cores"}
    assert option(applied("lumi-g", launcher=["srun"], environ=bound), "cpu-bind") is None
    interactive = bound | {"SLURM_STEP_ID": "4294967290"}
    assert option(applied("lumi-g", launcher=["srun"], environ=interactive), "cpu-bind") is not None


def test_no_task_is_given_a_gpu_where_slurm_does_that_or_where_there_are_others() -> None:
    def devices(*more: str) -> str | None:
        return given(applied("lumi-g", launcher=["srun", "--nodes=1", *more])).get("ROCR_VISIBLE_DEVICES")

    assert devices("--ntasks-per-node=4", "--gpus-per-node=4") == "{SLURM_LOCALID}"
    assert devices("--ntasks-per-node=2", "--gpus-per-node=8") is None
    assert devices("--ntasks-per-node=1", "--gpus-per-node=8") is None
    assert devices("--ntasks-per-node=8", "--gpus-per-node=8", "--gpu-bind=closest") is None
    assert devices("--ntasks-per-node=8", "--gpus-per-task=1") is None
    # srun inherits what the job was made with.
    job = {"SLURM_JOB_ID": "1", "SLURM_NNODES": "1", "SLURM_NTASKS": "8", "SLURM_GPUS_PER_TASK": "1"}
    assert "ROCR_VISIBLE_DEVICES" not in given(applied("lumi-g", launcher=["srun"], environ=job))


def test_communication_differs_between_the_families_of_images() -> None:
    amd, laif = (applied("lumi-g", launcher=FULL_NODE, family=family).values for family in ("amd", "laif"))
    assert amd["NCCL_SOCKET_IFNAME"] == laif["NCCL_SOCKET_IFNAME"] == "hsn0,hsn1,hsn2,hsn3"
    assert (amd["NCCL_NET_GDR_LEVEL"], amd["FI_MR_CACHE_MONITOR"]) == ("PHB", "userfaultfd")
    assert {"NCCL_NET_GDR_LEVEL", "FI_MR_CACHE_MONITOR"} & laif.keys() == set()


def test_what_compilers_cache_lies_on_the_node() -> None:
    found = applied("lumi-g", launcher=FULL_NODE).of_the_task
    names = {name for name, value in found.items() if value.startswith("{node-cache}/")}
    compilers = {"TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR"}
    assert names == compilers | {"MIOPEN_USER_DB_PATH", "MIOPEN_CUSTOM_CACHE_DIR"}


# -- what LAIF's runscript does --------------------------------------------------------------------------


def test_on_one_node_without_gpus_laif_images_find_what_their_runscript_sets() -> None:
    def disabled(*words: str, family: str = "laif", environ: Mapping[str, str] | None = None) -> str | None:
        return applied(launcher=["srun", *words], family=family, environ=environ).values.get(
            "FI_HMEM_DISABLE_P2P"
        )

    assert disabled("-N1", "-n4") == "1"
    assert disabled("-N2", "-n4") is None
    assert disabled("-N1", "-n4", "--gpus-per-node=1") is None
    assert disabled("-N1", "-n4", environ={"SLURM_GPUS_ON_NODE": "1"}) is None
    assert disabled("-N1", "-n4", family="amd") is None


def test_a_switch_of_laifs_runscript_works_without_it() -> None:
    asked = {"ROCR_USE_SLURM_LOCALID": "1"}
    found = applied(launcher=["srun", "-n2"], family="laif", environ=asked)
    assert found.of_the_task == {"ROCR_VISIBLE_DEVICES": "{SLURM_LOCALID}"}
    assert applied(launcher=["srun", "-n2"], family="laif").of_the_task == {}


# -- torch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("lumi-g", "torch-srun"), ("torch-srun", "lumi-g")])
def test_ranks_that_pick_their_device_see_all_of_them_in_whatever_order_presets_are_named(
    names: tuple[str, str],
) -> None:
    found = given(applied(*names, launcher=FULL_NODE))
    assert "ROCR_VISIBLE_DEVICES" not in found
    assert found["LOCAL_RANK"] == "{SLURM_LOCALID}"


@pytest.mark.parametrize(
    ("words", "environ", "each"),
    [
        (["--nodes=2", "--ntasks-per-node=8"], {}, "8"),
        ([], JOB, "8"),
        (["--nodes=2", "--ntasks=3", "--ntasks-per-node=2"], {}, None),
        (["--ntasks=3"], JOB, None),
        # Nothing says how srun spreads eight tasks over two nodes whose free processors differ.
        (["--nodes=2", "--ntasks=8"], {}, None),
        (
            [],
            {"SLURM_JOB_ID": "1", "SLURM_NNODES": "2", "SLURM_NTASKS": "8", "SLURM_TASKS_PER_NODE": "6,2"},
            None,
        ),
    ],
)
def test_how_many_ranks_a_node_has_is_a_plain_number_where_each_has_as_many(
    words: list[str], environ: dict[str, str], each: str | None
) -> None:
    found = applied("torch-srun", launcher=["srun", *words], environ=environ, site=GENERIC)
    assert found.values == ({"LOCAL_WORLD_SIZE": each} if each else {})
    assert ("LOCAL_WORLD_SIZE" in found.of_the_task) == (each is None)


def test_without_slurm_a_program_finds_no_ranks() -> None:
    assert given(applied("torch-srun", site=GENERIC)) == given(applied("torchrun", site=GENERIC)) == {}


def test_torchrun_gets_one_task_on_each_node_with_all_of_the_jobs_cores() -> None:
    found = applied("torchrun", launcher=["srun"], environ=JOB)
    assert found.options == ("--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=56")
    assert found.shape.tasks_per_node == 1
    assert found.of_the_task["PET_NPROC_PER_NODE"] == "{SLURM_GPUS_ON_NODE}"


def test_torchrun_has_one_process_a_node_where_there_are_no_gpus() -> None:
    job = {name: value for name, value in JOB.items() if "GPU" not in name}
    assert "PET_NPROC_PER_NODE" not in given(applied("torchrun", launcher=["srun"], environ=job))


def test_torchruns_task_gets_all_gpus_where_the_job_had_some_a_task() -> None:
    job = {**JOB, "SLURM_GPUS_PER_TASK": "1"}
    assert option(applied("torchrun", launcher=["srun"], environ=job), "gpus-per-task") == "8"


def test_masks_for_eight_tasks_are_not_given_to_torchruns_one() -> None:
    assert option(applied("lumi-g", "torchrun", launcher=["srun"], environ=JOB), "cpu-bind") is None


def test_what_the_user_asks_of_srun_goes_before_torchruns_options() -> None:
    found = applied("torchrun", launcher=["srun", "-n4", "--cpus-per-task=3"], environ=JOB)
    assert found.options == ("--ntasks-per-node=1",)


# -- LUMI-C ----------------------------------------------------------------------------------------------


def test_a_task_on_lumi_c_has_as_many_threads_as_cores() -> None:
    job = {name: value for name, value in JOB.items() if "GPU" not in name}
    job |= {"SLURM_JOB_PARTITION": "standard", "SLURM_CPUS_PER_TASK": "16"}
    found = applied("lumi-c", launcher=["srun"], environ=job)
    assert found.values["OMP_NUM_THREADS"] == "16"
    masks = [int(part, 16) for part in (option(found, "cpu-bind") or "").removeprefix("mask_cpu:").split(",")]
    assert sum(masks) == 2**128 - 1
    assert [bin(part).count("1") for part in masks] == [16] * 8


def test_a_number_that_nobody_knows_leaves_its_variable_out() -> None:
    assert "OMP_NUM_THREADS" not in given(applied("lumi-c"))


# -- in general ------------------------------------------------------------------------------------------


def preset(name: str = "mine", **more: Any) -> Preset:
    return Preset(name, **more)


def test_a_later_preset_goes_before_an_earlier_one_and_the_site_comes_first() -> None:
    site = Site("here", settings=(Setting("A", "site"), Setting("B", "site"), Setting("C", "site")))
    first = preset("first", settings=(Setting("B", "first"), Setting("C", "first")))
    second = preset("second", settings=(Setting("C", "second", "the manual"),))
    found = apply_presets(site, [first, second], "", [], {})
    assert found.values == {"A": "site", "B": "first", "C": "second"}
    assert found.sources == {"A": "site here", "B": "preset first", "C": "preset second: the manual"}


def test_options_are_for_srun_alone() -> None:
    asks = preset(options=(SlurmOption("hint", "nomultithread"), SlurmOption("overlap", True)))
    assert apply_presets(Site("here"), [asks], "", [], {}).options == ()
    assert apply_presets(Site("here"), [asks], "", ["srun"], {}).options == (
        "--hint=nomultithread",
        "--overlap",
    )


@pytest.mark.parametrize(
    ("condition", "environ", "holds"),
    [
        ("SWITCH=1", {"SWITCH": "1"}, True),
        ("SWITCH=1", {"SWITCH": "2"}, False),
        ("SWITCH=", {}, True),
        ("SWITCH=", {"SWITCH": "1"}, False),
        ("SWITCH", {"SWITCH": "1"}, True),
        ("SWITCH", {}, False),
        ("nodes=2", {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "2"}, True),
        ("allocated", {"SLURM_JOB_ID": "1"}, True),
        ("allocated", {}, False),
        ("nodes=2", {}, False),
        ("cpus-per-task=7", {}, True),
        ("cpus-per-task=7", {"SLURM_CPUS_PER_TASK": "8"}, False),
        ("gpus", {"SLURM_STEP_ID": "0", "SLURM_GPUS_ON_NODE": "2"}, True),
        ("gpus", {"SLURM_STEP_ID": "0"}, False),
        ("no-gpus", {"SLURM_STEP_ID": "0"}, True),
        ("no-gpus", {}, False),
    ],
)
def test_conditions_are_judged_by_what_is_known(condition: str, environ: dict[str, str], holds: bool) -> None:
    site = Site("here", settings=(Setting("A", "1", when=(condition,)),))
    assert ("A" in apply_presets(site, [], "", [], environ).values) == holds


def test_a_variable_gives_way_to_one_of_the_hosts() -> None:
    site = Site("here", settings=(Setting("A", "1", unless=("THEIRS",)),))
    assert apply_presets(site, [], "", [], {"THEIRS": "x"}).values == {}
    assert apply_presets(site, [], "", [], {"THEIRS": ""}).values == {"A": "1"}


def test_an_empty_value_is_a_value() -> None:
    site = Site("here", settings=(Setting("A", ""),))
    assert apply_presets(site, [], "", [], {}).values == {"A": ""}
