"""The examples' variants for LUMI are read, name what LUMI has, and differ only where LUMI does."""

import re
import tomllib
from pathlib import Path

import pytest
from console import Shown, shown_commands

from lumienv.manifest.reader import read_manifest
from lumienv.site import load_site
from lumienv.site.presets import preset_named

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(folder.parent.name for folder in EXAMPLES.glob("*/lumi"))
# Those that no project's account may be asked for by accident.
PLACEHOLDER = "project_465000000"


def test_every_example_but_the_quickstart_has_a_readme_and_a_variant_for_lumi():
    folders = {path.parent.name for path in EXAMPLES.glob("*/lumienv.toml")} - {"quickstart"}
    assert folders == set(NAMES) == {page.parent.name for page in EXAMPLES.glob("*/README.md")}
    assert len(folders) == 6


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_for_lumi_names_presets_that_lumi_has(name):
    site = load_site({"LUMIENV_SITE": "lumi", "LUMIENV_CACHE_DIR": "/none"})

    manifest = read_manifest(EXAMPLES / name / "lumi" / "lumienv.toml")

    assert manifest.run.presets
    for preset in manifest.run.presets:
        assert preset_named(site, {}, preset).name == preset
    assert manifest.slurm["account"] == PLACEHOLDER
    assert "partition" in manifest.slurm


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_for_lumi_differs_in_image_presets_and_slurm_alone(name):
    small, lumi = (
        tomllib.loads((EXAMPLES / name / path / "lumienv.toml").read_text()) for path in (".", "lumi")
    )

    assert {key for key in small.keys() | lumi.keys() if small.get(key) != lumi.get(key)} <= {
        "image",
        "run",
        "slurm",
    }
    assert lumi["image"]["name"] == small["image"]["name"]
    assert set(small.get("run", {})) <= {"preset"} == set(lumi["run"])


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*/lumi/*.sh")), ids=lambda path: path.parts[-3])
def test_a_batch_script_for_lumi_runs_the_same_command(script):
    def parts(path: Path) -> tuple[dict[str, str], list[str]]:
        lines = path.read_text().splitlines()
        asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", path.read_text(), re.MULTILINE))
        return asked, [line for line in lines if not line.startswith("#SBATCH")]

    small, lumi = parts(script.parents[1] / script.name), parts(script)

    assert small[1] == lumi[1]
    assert lumi[0].keys() >= small[0].keys() | {"account", "partition"}
    assert lumi[0]["account"] == PLACEHOLDER


def test_both_ways_to_start_ranks_start_the_same_program():
    both = [(EXAMPLES / name / "train.py").read_text() for name in ("ddp-srun", "ddp-torchrun")]
    assert both[0] == both[1]


def test_the_page_of_the_examples_lists_each_of_them():
    page = (EXAMPLES.parent / "docs/examples.md").read_text()
    assert re.findall(r"^\| `examples/([\w-]+)`", page, re.MULTILINE) == ["quickstart", *ORDER]


# From one process to many, as somebody would read them.
ORDER = ["single-gpu", "job-array", "ddp-srun", "ddp-torchrun", "mpi", "jupyter"]


def test_commands_and_what_is_shown_of_their_output_are_read_off_a_page():
    page = "text\n\n```console\n$ one --two\nout\n…\n$ three\n```\n\n```toml\nx = 1\n```\n"
    assert shown_commands(page) == [Shown("one --two", ("out", "…")), Shown("three", ())]


def test_output_that_is_not_as_shown_is_told_line_by_line():
    shown = Shown("c", ("rank 0", "rank 1", "took … s"))
    assert shown.differences("rank 1\nrank 0\ntook 0.5 s\n") == []
    assert shown.differences("rank 0\nrank 0\ntook 0.5 s\n") == ["- rank 1", "+ rank 0"]
    assert Shown("c", ("rank 0", "…")).differences("rank 0\nrank 7\n") == []
    assert Shown("c", ()).differences("surprise\n") == ["+ surprise"]
