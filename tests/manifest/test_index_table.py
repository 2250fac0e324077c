"""`[[index]]`: its formats, its folders, and what of it decides a resolution."""

from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.manifest import Manifest
from lumienv.manifest.reader import read_manifest

HOST = '[image]\nhost = "python3"\n'


def read(folder: Path, text: str) -> Manifest:
    folder.mkdir(exist_ok=True)
    path = folder / "lumienv.toml"
    path.write_text(HOST + text)
    return read_manifest(path)


def test_an_index_is_simple_unless_it_says_flat(tmp_path: Path) -> None:
    text = '[[index]]\nurl = "https://packages.example.org/simple"\n'
    text += '[[index]]\nurl = "./wheels"\nformat = "flat"\n'
    assert [(index.url, index.format) for index in read(tmp_path, text).indexes] == [
        ("https://packages.example.org/simple", "simple"),
        ("./wheels", "flat"),
    ]


def test_another_format_names_its_line_and_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, '[[index]]\nurl = "./wheels"\nformat = "flt"\n')
    assert caught.value.message == 'lumienv.toml:5: index.format is "flt"; it can be simple, flat'
    assert caught.value.hint == "did you mean flat?"


def test_two_indexes_with_one_name_are_refused(tmp_path: Path) -> None:
    index = '[[index]]\nname = "group"\nurl = "https://packages.example.org/simple"\n'
    with pytest.raises(ManifestError, match=r"lumienv.toml:7: index.name is group, and so is"):
        read(tmp_path, index + index)


def test_the_format_decides_and_the_place_of_the_project_does_not(tmp_path: Path) -> None:
    simple, flat = ('[[index]]\nurl = "./wheels"\n' + more for more in ("", 'format = "flat"\n'))
    named = '[[index]]\nurl = "./wheels"\nformat = "simple"\n'
    digests = [
        read(tmp_path / folder, text).inputs_digest()
        for folder, text in (("a", simple), ("a", named), ("a", flat), ("b", flat))
    ]
    assert digests[0] == digests[1] != digests[2] == digests[3]
