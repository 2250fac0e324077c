"""A site's profile held against a machine."""

from dataclasses import replace
from pathlib import Path

import pytest
from checkup import Checkup, told
from sif_files import DataObject, sif

from lumienv.image.snapshot import Base, Python, Snapshot
from lumienv.project.checks_site import check_binds, check_image_folders, check_presets, check_profile, cpus
from lumienv.site import Family, Preset, Setting, Site, SiteBind, SlurmOption

HOST = '[image]\nhost = "python3"\n'
# Two tasks of LUMI-G's eight, from the LUMI AI Guide.
GOOD = "v,mask_cpu=0x00fe000000000000,0xfe00000000000000"


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


def preset(*settings: Setting, mask: str = "", gpus: bool = False) -> Site:
    options = (SlurmOption("cpu-bind", mask, "the guide"),) if mask else ()
    made = Preset("lumi-g", settings=settings, options=options, gpus=gpus)
    return Site("lumi", presets={"lumi-g": made})


# -- the profile, folders, binds


@pytest.mark.parametrize(
    ("site", "environ", "said"),
    [
        ("generic", {}, "generic, no site was recognised"),
        ("lumi", {}, "lumi, recognised by its folders"),
        ("lumi", {"LUMIENV_SITE": "lumi"}, "lumi, named by LUMIENV_SITE=lumi"),
    ],
)
def test_the_profile_is_told_with_how_it_came_about(
    here: Checkup, site: str, environ: dict[str, str], said: str
) -> None:
    (found,) = check_profile(here.case(site=Site(site), **environ))
    assert found.facts == said


def test_additions_of_the_user_are_named(here: Checkup) -> None:
    own = here.home / ".config" / "lumienv" / "site.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    (found,) = check_profile(here.case(site=Site("lumi")))
    assert found.facts == "lumi, recognised by its folders, with ~/.config/lumienv/site.toml"


def test_images_are_counted_and_folders_that_are_missing_named(here: Checkup) -> None:
    folder = here.folder / "images"
    folder.mkdir()
    (folder / "one.sif").write_bytes(sif([DataObject(b"x")]))
    case = here.case(site=Site("lumi", image_folders=(here.folder / "gone", folder)))
    assert told(check_image_folders, case, all_=True) == [
        f"note image folders: {here.folder}/gone is not here → "
        "LUMIENV_IMAGE_PATH names other folders, separated by colons",
        f"fine image folders: images: 1 in {folder}",
    ]


def test_no_image_at_all_is_a_problem_for_a_project_that_names_one(here: Checkup) -> None:
    site = Site("lumi", image_folders=(here.folder,))
    assert [one.verdict for one in check_image_folders(here.case(site=site))] == ["note"]
    named = here.case(site=site, toml='[image]\nname = "pytorch"\n')
    assert [one.verdict for one in check_image_folders(named)] == ["problem"]


def test_an_optional_bind_is_left_out_and_another_is_a_problem(here: Checkup) -> None:
    binds = (
        SiteBind(str(here.folder)),
        SiteBind("/no/optional"),
        SiteBind("/no/needed", optional=False, families=("amd",), source="the guide"),
    )
    assert told(check_binds, here.case(site=Site("lumi", binds=binds))) == [
        "problem binds: /no/needed is not on this node, and containers need it for images of the family "
        "amd → try another node; where it is the same, tell the site's support",
        "note binds: /no/optional is not on this node: left out",
    ]


def test_binds_that_are_all_there_are_fine(here: Checkup) -> None:
    case = here.case(site=Site("lumi", binds=(SiteBind(str(here.folder)),)))
    assert told(check_binds, case, all_=True) == [f"fine binds: all of {here.folder} are there"]


def test_a_bind_of_compute_nodes_is_looked_for_there_alone(here: Checkup) -> None:
    site = Site("lumi", binds=(SiteBind("/no/slurmd", in_jobs=True),))
    assert told(check_binds, here.case(site=site)) == []
    assert len(told(check_binds, here.case(site=site, SLURMD_NODENAME="n"))) == 1


def test_a_bind_of_another_family_than_the_images_is_no_news(here: Checkup) -> None:
    amd = SiteBind("/no/cray", families=("amd",))
    families = (Family("laif", ("/opt/venv",)), Family("amd", ("/opt/miniconda3",)))
    case = here.case(site=Site("lumi", binds=(amd,), families=families))
    python = Python(executable="/opt/venv/bin/python", prefix="/opt/venv", version="3.12.9")
    image = Snapshot(Base("sif", "/x.sif", "x.sif", "sif:0", 1), python, {}, (), ())
    assert len(told(check_binds, case)) == 1
    assert told(check_binds, replace(case, snapshot=image)) == []


# -- presets


def test_a_preset_of_the_projects_own_is_looked_at_too(here: Checkup) -> None:
    option = '{ option = "cpu-bind", value = "mask_cpu:0x0" }'
    toml = HOST + f'[run]\npreset = "mine"\n[preset.mine]\nsrun = [{option}]\n'
    (said,) = told(check_presets, here.case(toml=toml))
    assert said == (
        "problem preset mine: mask 1 of --cpu-bind names no CPU → mend [preset.mine] in lumienv.toml"
    )


def test_a_list_of_the_kernels_is_read_as_numbers() -> None:
    assert cpus("0-3,8\n") == {0, 1, 2, 3, 8}
    assert cpus("") == set()


def test_a_preset_that_the_project_names_has_to_be_there(here: Checkup) -> None:
    (said,) = told(check_presets, here.case(toml=HOST + '[run]\npreset = "torch-srn"\n'))
    assert said.startswith("problem preset torch-srn: [run] preset names torch-srn")
    assert said.endswith("→ did you mean torch-srun?")


def test_masks_that_name_each_cpu_once_are_fine_on_a_login_node(here: Checkup) -> None:
    assert told(check_presets, here.case(site=preset(mask=GOOD))) == []


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ("mask_cpu:0xff,0x0", "mask 2 of --cpu-bind names no CPU"),
        ("mask_cpu:ff,80", "mask 2 of --cpu-bind names CPUs that another task has"),
    ],
)
def test_masks_that_cannot_work_are_a_problem_for_whom_uses_them(here: Checkup, mask: str, said: str) -> None:
    site = preset(mask=mask)
    (noted,) = told(check_presets, here.case(site=site))
    (problem,) = told(check_presets, here.case(site=site, toml=HOST + '[run]\npreset = "lumi-g"\n'))
    assert noted.startswith(f"note preset lumi-g: {said}")
    assert problem.startswith(f"problem preset lumi-g: {said}")


def test_on_a_compute_node_masks_are_held_against_its_cpus(here: Checkup) -> None:
    here.file("/sys/devices/system/cpu/online", "0-127\n")
    case = here.case(site=preset(mask=GOOD), SLURMD_NODENAME="nid005001")
    assert told(check_presets, case) == []
    here.file("/sys/devices/system/cpu/online", "0-55\n")
    (said,) = told(check_presets, case)
    assert said == (
        "note preset lumi-g: the masks of --cpu-bind name CPUs that this node does not have: "
        "57, 58, 59, 60 and 3 more → use the preset on nodes of its kind"
    )


def test_interfaces_are_looked_for_on_a_compute_node_by_how_their_names_begin(here: Checkup) -> None:
    for name in ("lo", "hsn0", "hsn1"):
        here.file(f"/sys/class/net/{name}/address")
    both = preset(Setting("NCCL_SOCKET_IFNAME", "hsn0,hsn1"), Setting("GLOO_SOCKET_IFNAME", "hsn"))
    four = preset(Setting("NCCL_SOCKET_IFNAME", "hsn0,hsn1,hsn2,hsn3", "the guide"))
    assert told(check_presets, here.case(site=both, SLURMD_NODENAME="n")) == []
    assert told(check_presets, here.case(site=four)) == []  # a login node has others
    (said,) = told(check_presets, here.case(site=four, SLURMD_NODENAME="n"))
    assert "NCCL_SOCKET_IFNAME names hsn2 and hsn3, and this node has hsn0, hsn1 and lo" in said


def test_gpus_that_were_asked_for_have_their_devices(here: Checkup) -> None:
    site, toml = preset(Setting("A", "b"), gpus=True), HOST + '[run]\npreset = "lumi-g"\n'
    job = {"SLURMD_NODENAME": "n", "SLURM_GPUS_ON_NODE": "8"}
    said = told(check_presets, here.case(site=site, toml=toml, **job))
    assert [line.partition(":")[0] for line in said] == ["problem preset lumi-g"] * 2
    assert "the job has GPUs, and /dev/kfd is not there: containers will see none" in said[0]

    here.file("/dev/kfd")
    here.file("/dev/dri/renderD128")
    assert told(check_presets, here.case(site=site, toml=toml, **job)) == []


def test_a_job_without_gpus_is_a_problem_for_a_project_that_needs_them_only(here: Checkup) -> None:
    site = preset(Setting("A", "b"), gpus=True)
    node = {"SLURMD_NODENAME": "n"}
    (used,) = told(check_presets, here.case(site=site, toml=HOST + '[run]\npreset = "lumi-g"\n', **node))
    (unused,) = told(check_presets, here.case(site=site, toml=HOST, **node))
    assert used.endswith("which the preset is for → ask for some: --gpus-per-node=8")
    assert unused == "not checked preset lumi-g: this node has no GPUs, which the preset is for"


def test_a_variable_that_names_a_path_is_looked_up(here: Checkup) -> None:
    site = preset(
        Setting("HF_HOME", "/no/such/place"), Setting("GOOD", str(here.folder)), Setting("OFF", None)
    )
    assert told(check_presets, here.case(site=site)) == [
        "note preset lumi-g: HF_HOME is /no/such/place, which is not on this node"
    ]


def test_node_local_caches_need_a_folder_that_can_be_written_to(here: Checkup) -> None:
    cached = Preset("p", settings=(Setting("TRITON_CACHE_DIR", "{node-cache}/triton"),))
    good = Site("lumi", presets={"p": cached}, node_local=here.folder)
    bad = Site("lumi", presets={"p": cached}, node_local=here.folder / "gone")
    assert told(check_presets, here.case(site=good)) == []
    (said,) = told(check_presets, here.case(site=bad))
    assert f"TRITON_CACHE_DIR is to lie in {here.folder}/gone of each node" in said


def test_variables_of_the_site_itself_concern_everybody(here: Checkup) -> None:
    here.file("/sys/class/net/lo/address")
    site = Site("lumi", settings=(Setting("NCCL_SOCKET_IFNAME", "hsn"),))
    (said,) = told(check_presets, here.case(site=site, SLURMD_NODENAME="n"))
    assert said.startswith("problem variables: NCCL_SOCKET_IFNAME names hsn")
