"""The text of a new manifest: read back as every command reads it."""

import re
from pathlib import Path

import pytest

from lumienv.manifest import HostValue, IndexTable, Manifest
from lumienv.manifest.reader import read_manifest
from lumienv.manifest.template import Draft, manifest_text

FULL = Draft(
    image={"name": "pytorch", "rocm": "6.2.4"},
    image_file="lumi-pytorch.sif",
    dependencies=('h5py>=3; python_version < "4"', "local-pkg[dev]"),
    sources={"local-pkg": {"path": "./local", "editable": True}, "other.pkg": {"index": "group"}},
    constraints=("pyarrow<19",),
    prerelease="allow",
    build="never",
    indexes=(
        IndexTable("https://packages.example.org/simple", name="group"),
        IndexTable("./w", format="flat"),
    ),
    env={"HF_HOME": 'a "quoted" \\ $HOME\x7f', "TOKEN": HostValue("TOKEN")},
)


def read(text: str, folder: Path) -> Manifest:
    path = folder / "lumienv.toml"
    path.write_text(text)
    return read_manifest(path)


def test_all_that_a_draft_says_is_what_a_reader_finds(tmp_path: Path) -> None:
    found = read(manifest_text(FULL), tmp_path)
    assert (found.image.kind, found.image.value, found.image.selectors) == (
        "name",
        "pytorch",
        {"rocm": "6.2.4"},
    )
    assert [entry.text for entry in found.dependencies] == list(FULL.dependencies)
    assert found.sources["local-pkg"].editable
    assert found.sources["other.pkg"].location == "group"
    assert [entry.text for entry in found.resolve.constraints] == ["pyarrow<19"]
    assert (found.resolve.prerelease, found.resolve.build) == ("allow", "never")
    assert found.indexes == FULL.indexes
    assert found.run.env == FULL.env


@pytest.mark.parametrize("draft", [FULL, Draft({"host": "python3"})], ids=["full", "bare"])
def test_every_example_in_a_comment_may_be_used_as_it_stands(tmp_path: Path, draft: Draft) -> None:
    text = re.sub(r"^# (\[|[\w-]+ = )", r"\1", manifest_text(draft), flags=re.MULTILINE)
    found = read(text, tmp_path)
    assert found.tasks == {"train": "python train.py --epochs 10"}
    assert found.slurm["account"] == "project_465000000"
    assert found.resolve.replace == ("tqdm",)
    assert found.mode == "squashfs"
    assert found.run.presets == ("torch-srun",)


def test_a_draft_without_dependencies_shows_what_one_looks_like() -> None:
    assert '    # "h5py>=3.11",\n' in manifest_text(Draft({"host": "python3"}))
