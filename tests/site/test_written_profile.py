"""The profile that docs/sites.md writes as an example is one, and does what the page says."""

import re
import tomllib
from pathlib import Path

import pytest

from lumienv.launch.presets import apply_presets
from lumienv.site import Site, load_site
from lumienv.site.presets import preset_named

PAGE = (Path(__file__).parents[2] / "docs/sites.md").read_text(encoding="utf-8")
FENCE = re.compile(r'^```toml title="fjord\.toml"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
IN_JOB = {"SLURM_JOB_ID": "42", "SLURM_JOB_PARTITION": "gpu"}
FULL_NODE = ["srun", "--nodes=1", "--ntasks-per-node=4", "--cpus-per-task=16", "--gpus-per-node=4"]


def text_of_the_profile() -> str:
    (text,) = FENCE.findall(PAGE)
    return str(text)


@pytest.fixture
def fjord(tmp_path: Path) -> Site:
    path = tmp_path / "fjord.toml"
    path.write_text(text_of_the_profile(), encoding="utf-8")
    return load_site({"LUMIENV_SITE": str(path), "HOME": "/home/ada", "USER": "ada"})


def test_the_profile_on_the_page_is_read(fjord: Site) -> None:
    assert fjord.name == "fjord"
    assert fjord.image_folders == (Path("/software/fjord/images"), Path("/software/common/images"))
    assert fjord.family_of("/opt/venv") == "rocm"
    assert [bind.path for bind in fjord.binds if bind.families == ("rocm",)] == ["/usr/lib64/libfabric.so.1"]
    assert [bind.path for bind in fjord.binds if bind.in_jobs] == ["/var/spool/slurmd"]
    assert fjord.whole_node_partitions == ("gpu",)


def test_each_of_its_facts_has_a_source_as_the_page_asks_for() -> None:
    data = tomllib.loads(text_of_the_profile())
    preset = data["preset"]["fjord-gpu"]
    entries = [*data["family"], *data["bind"], *preset["set"], *preset["srun"]]
    entries += [data[name] for name in ("images", "cache", "scratch", "login", "slurm")]
    assert [entry for entry in entries if not entry.get("source")] == []


def test_its_preset_puts_each_task_of_a_whole_node_beside_its_gpu(fjord: Site) -> None:
    presets = [preset_named(fjord, {}, "fjord-gpu")]
    found = apply_presets(fjord, presets, "rocm", FULL_NODE, IN_JOB)
    (mask,) = [word for word in found.options if word.startswith("--cpu-bind=")]
    masks = [int(part, 16) for part in mask.partition("mask_cpu:")[2].split(",")]
    assert masks == [0xFFFF << 16 * task for task in range(4)]
    assert found.of_the_task["ROCR_VISIBLE_DEVICES"] == "{SLURM_LOCALID}"

    shared = apply_presets(fjord, presets, "rocm", FULL_NODE, IN_JOB | {"SLURM_JOB_PARTITION": "small"})
    assert [word for word in shared.options if word.startswith("--cpu-bind=")] == []


def test_every_key_of_a_site_file_that_the_page_lists_is_one() -> None:
    from lumienv.site.form import _SITE

    listed = set(re.findall(r"^\| `\[+([a-z]+)(?:\.NAME)?\]+` \|", PAGE, re.MULTILINE))
    assert listed == set(_SITE) - {"name"}
