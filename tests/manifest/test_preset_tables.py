"""`[preset.…]` in `lumienv.toml`: the form of a site's, checked with the line on which a mistake stands."""

from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.manifest import Manifest
from lumienv.manifest.reader import read_manifest
from lumienv.site.presets import read_presets

HOST = '[image]\nhost = "python3"\n'


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "lumienv.toml"
    path.write_text(HOST + text, encoding="utf-8")
    return read_manifest(path)


def test_a_project_has_presets_of_its_own_and_names_several(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        '[run]\npreset = ["lumi-g", "ours"]\n[preset.ours]\nabout = "our runs"\nset = [\n'
        '    { name = "OMP_NUM_THREADS", value = 7 },\n]\n[[preset.ours.srun]]\noption = "hint"\n'
        'value = "nomultithread"\nwhen = "gpus"\n',
    )
    ours = read_presets(manifest.presets)["ours"]
    assert manifest.run.presets == ("lumi-g", "ours")
    assert [(setting.name, setting.value) for setting in ours.settings] == [("OMP_NUM_THREADS", "7")]
    assert [(option.name, option.value, option.when) for option in ours.options] == [
        ("hint", "nomultithread", ("gpus",))
    ]


@pytest.mark.parametrize(
    ("text", "said", "way_out"),
    [
        ("[preset.p]\ngpu = true\n", r"lumienv\.toml:4: preset\.p\.gpu is not a key", "did you mean gpus?"),
        (
            '[preset.p]\nset = [\n  { name = "A", valeu = "1" },\n]\n',
            r"lumienv\.toml:5: preset\.p\.set has an entry without value: A",
            "",
        ),
        (
            '[[preset.p.set]]\nname = "A"\nvalue = "1"\nwhen = "slrum"\n',
            r"lumienv\.toml:6: preset\.p\.set\.when names slrum, which is no condition",
            "did you mean slurm?",
        ),
        (
            '[[preset.p.srun]]\noption = "ntasks"\nvalue = "{node}"\n',
            r"lumienv\.toml:\d: preset\.p\.srun\.value of ntasks has \{node\}",
            "did you mean {nodes}?",
        ),
        ('[preset]\np = "x"\n', r"lumienv\.toml:4: preset\.p must be a table", ""),
        ("[run]\npreset = 5\n", r"lumienv\.toml:4: run\.preset must be a list of texts", ""),
    ],
)
def test_a_mistake_names_the_line_and_the_entry(tmp_path: Path, text: str, said: str, way_out: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        read(tmp_path, text)
    assert way_out in (caught.value.hint or "")
