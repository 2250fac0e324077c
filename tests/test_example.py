"""`lumienv.toml.example` is complete, and everything in it is read."""

import re
from pathlib import Path

import pytest

from lumienv.manifest import Source
from lumienv.manifest.reader import read_manifest
from lumienv.manifest.tables import KEYS

EXAMPLE = Path(__file__).parents[1] / "lumienv.toml.example"

# `#` directly before a key, a table or the rest of an array of tables is something to be uncommented.
OPTIONAL = re.compile(r"^# (?=[a-zA-Z_-]+ = |\[)", re.MULTILINE)


def test_the_example_is_read_as_it_stands(tmp_path):
    path = tmp_path / "lumienv.toml"
    path.write_text(EXAMPLE.read_text())

    manifest = read_manifest(path)

    assert [entry.text for entry in manifest.dependencies] == ["h5py>=3.11", "datasets"]
    assert manifest.image.value == "pytorch"


def test_everything_in_the_example_is_read_when_it_is_uncommented(tmp_path):
    # Three of the four ways to name an image have to stay comments.
    text = OPTIONAL.sub("", EXAMPLE.read_text())
    for key in ("path", "uri", "host", "snapshot"):
        text = re.sub(rf"^{key} = ", f"# {key} = ", text, flags=re.MULTILINE)
    path = tmp_path / "lumienv.toml"
    path.write_text(text)

    manifest = read_manifest(path)

    assert manifest.resolve.replace == ("tqdm",)
    assert manifest.indexes[0].explicit
    assert manifest.sources["ourpackage"] == Source("index", "group")
    assert {source.kind for source in manifest.sources.values()} == {"index", "path", "git", "url"}
    assert manifest.slurm["exclusive"] is True
    assert set(manifest.groups) == {"dev", "test"}


@pytest.mark.parametrize(("table", "key"), [(table, key) for table, keys in KEYS.items() for key in keys])
def test_the_example_shows_every_key_that_is_read(table, key):
    assert re.search(rf"(^|[\[.]|# |\{{ |, ){re.escape(key)}( =|\]|\.)", EXAMPLE.read_text(), re.MULTILINE), (
        table
    )
