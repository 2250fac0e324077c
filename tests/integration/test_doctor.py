"""`lumienv doctor` on a real machine: a real runtime, a real image, a real Slurm."""

import json
import os

import pytest

# LUMI's facts that a node can be held against (LUMI AI Guide, 05; LUMI user guide, partitions).
SITE = """\
name = "lumi"
[slurm]
whole-node-partitions = ["standard-g"]
[preset.lumi-g]
gpus = true
[[preset.lumi-g.srun]]
option = "cpu-bind"
value = "mask_cpu:0x00fe000000000000,0xfe00000000000000,0x0000000000fe0000,0x00000000fe000000"
[[preset.lumi-g.set]]
name = "NCCL_SOCKET_IFNAME"
value = "hsn0,hsn1,hsn2,hsn3"
"""


def findings(said):
    """The findings of `doctor --json`, with its exit status checked."""
    answer = json.loads(said.out)
    assert said.status == (0 if answer["sound"] else 1), said.err
    return answer["findings"]


def of(found, group, what):
    return [(one["verdict"], one["facts"]) for one in found if (one["group"], one["what"]) == (group, what)]


def test_a_healthy_machine_has_no_problem_with_a_project_that_is_locked(small_image, local):
    local.write(f'path = "{small_image}"')
    local.lumienv("sync")

    said = local.try_("doctor", "--json", LUMIENV_SITE="generic")
    found = findings(said)

    assert [one for one in found if one["verdict"] in ("problem", "not checked")] == []
    assert of(found, "project", "image") == [("fine", "small.sif is found and starts")]
    assert of(found, "project", "environment") == [("fine", "up to date, venv")]
    (runtime,) = of(found, "machine", "runtime")
    assert "apptainer 1." in runtime[1] or "singularity " in runtime[1]
    (privileges,) = of(found, "machine", "privileges")
    assert ("root" in privileges[1]) == (os.geteuid() == 0 or "setuid" in privileges[1])


def test_a_recorded_activation_is_compared_with_a_live_one_when_asked(lab, local):
    local.write(f'path = "{lab.images["mpi4py"]}"')
    local.lumienv("sync")

    plain, deep = (findings(local.try_("doctor", "--json", *more)) for more in ((), ("--deep",)))

    assert of(plain, "project", "activation") == []
    ((verdict, facts),) = of(deep, "project", "activation")
    assert (verdict, facts.partition(" `")[0]) == ("fine", "recorded, and the same as by"), facts


def test_the_profile_of_lumi_can_be_held_against_any_machine(local, small_image):
    local.write(f'path = "{small_image}"', more='[run]\npreset = "lumi-g"\n')

    found = findings(local.try_("doctor", "--json", LUMIENV_SITE="lumi"))

    assert of(found, "site", "profile") == [("fine", "lumi, named by LUMIENV_SITE=lumi")]
    assert [verdict for verdict, _ in of(found, "site", "preset lumi-g")] == ["fine"]


def test_an_image_that_is_damaged_is_a_problem_with_a_way_out(small_image, local):
    copy = local.directory / "copy.sif"
    copy.write_bytes(small_image.read_bytes()[:-100_000])
    local.write('path = "copy.sif"')

    (problem,) = of(findings(local.try_("doctor", "--json")), "project", "image")

    assert problem[0] == "problem"
    assert "truncated" in problem[1]


def test_folders_that_are_closed_end_nothing(local, small_image, tmp_path):
    local.write(f'path = "{small_image}"')
    closed = tmp_path / "closed"
    places = {name: str(closed / name) for name in ("HOME", "XDG_CONFIG_HOME", "TMPDIR", "LUMIENV_CACHE_DIR")}
    (local.directory / ".lumienv").mkdir(mode=0)
    closed.mkdir(mode=0)
    try:
        said = local.try_("doctor", "--json", SINGULARITY_BIND=str(closed / "bind"), **places)
    finally:
        closed.chmod(0o700)

    assert [one for one in findings(said) if "lumienv itself" in one["facts"]] == []


@pytest.mark.usefixtures("slurm")
def test_slurm_is_asked_about_partitions_and_access(local, small_image):
    local.write(f'path = "{small_image}"', more='[slurm]\npartition = "standard-g"\naccount = "project_1"\n')
    taken = of(findings(local.try_("doctor", "--json")), "slurm", "[slurm]")
    local.write(f'path = "{small_image}"', more='[slurm]\npartition = "debug"\ntime = "10:00:00"\n')
    refused = findings(local.try_("doctor", "--json"))
    local.write(f'path = "{small_image}"', more='[slurm]\npartition = "standrad-g"\n')
    unknown = of(findings(local.try_("doctor", "--json")), "slurm", "[slurm]")

    assert taken == [("fine", "a job with --partition=standard-g --account=project_1 would be taken")]
    assert of(refused, "slurm", "cluster")[0][1].endswith("answers, with 5 partitions")
    assert of(refused, "slurm", "[slurm]")[0][0] in ("fine", "problem")  # EnforcePartLimits decides
    assert unknown == [("problem", "[slurm] partition: this cluster has no standrad-g")]


@pytest.mark.usefixtures("slurm")
def test_on_a_compute_node_the_profile_of_lumi_is_held_against_it(local, small_image):
    """A virtual node has neither LUMI's CPUs nor its network: a project that counts on them is told so."""
    local.write(f'path = "{small_image}"', more='[run]\npreset = "lumi-g"\n')
    command = ["srun", "-Q", "-n1", "-p", "small", "--gpus-per-node=1"]

    site = local.directory / "site.toml"
    site.write_text(SITE)

    login = local.try_("doctor", "--json", LUMIENV_SITE=str(site))
    node = local.shell([*command, *local.command("doctor", "--json")], LUMIENV_SITE=str(site))

    assert of(findings(login), "site", "profile") == [("fine", f"lumi, named by LUMIENV_SITE={site}")]
    (whole,) = of(findings(login), "slurm", "partitions")
    assert "standard-g" in whole[1]
    assert {verdict for verdict, _ in of(findings(login), "site", "preset lumi-g")} == {"fine"}
    said = [facts for verdict, facts in of(findings(node), "site", "preset lumi-g") if verdict == "problem"]
    assert any("name CPUs that this node does not have" in facts for facts in said), node.err
    assert any("NCCL_SOCKET_IFNAME names hsn0" in facts for facts in said)
    assert any("/dev/kfd is not there" in facts for facts in said)
