"""What a manifest decides: where it is found, and what its digest covers."""

from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.manifest import Dependency, Manifest, find_manifest, metadata_digest, start_folder
from lumienv.manifest.reader import read_manifest

BASIC = 'dependencies = ["h5py"]\n[image]\nhost = "python3"\n'


def manifest(tmp_path: Path, text: str, name: str = "lumienv.toml") -> Manifest:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read_manifest(path)


def test_a_current_folder_that_is_gone_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ManifestError, match="the current folder has been removed"):
        start_folder(None, {})


def test_the_nearest_manifest_above_is_found(tmp_path: Path) -> None:
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "lumienv.toml").write_text("")
    assert find_manifest(deep) == tmp_path / "lumienv.toml"
    (tmp_path / "src" / "lumienv.toml").write_text("")
    assert find_manifest(deep) == tmp_path / "src" / "lumienv.toml"


def test_a_folder_called_lumienv_toml_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "lumienv.toml").write_text("")
    (tmp_path / "src" / "lumienv.toml").mkdir(parents=True)
    assert find_manifest(tmp_path / "src") == tmp_path / "lumienv.toml"


def test_without_a_manifest_the_message_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=f"no lumienv.toml in {tmp_path}") as caught:
        find_manifest(tmp_path)
    assert caught.value.hint == "write one: lumienv init"


@pytest.mark.parametrize(
    "text",
    [
        'dependencies = ["h5py>=3"]\n[image]\nhost = "python3"\n',
        BASIC + '[dependency-groups]\ndev = ["pytest"]\n',
        BASIC + '[image.assume]\ntorch = "2.8.0"\n',
        BASIC + '[resolve]\nreplace = ["numpy"]\n',
        BASIC + '[resolve]\nomit = ["numpy"]\n',
        BASIC + '[resolve]\nconstraints = ["numpy<2"]\n',
        BASIC + '[resolve]\noverrides = ["numpy<2"]\n',
        BASIC + '[resolve]\nexclude-newer = "2026-11-01"\n',
        BASIC + '[resolve]\nprerelease = "allow"\n',
        BASIC + '[resolve]\nresolution = "lowest"\n',
        BASIC + '[resolve]\nbuild = "never"\n',
        BASIC + '[[index]]\nurl = "https://packages.example.org/simple"\n',
        BASIC + '[[index]]\nurl = "https://packages.example.org/simple"\nname = "group"\n',
        BASIC + '[[index]]\nurl = "https://packages.example.org/simple"\nname = "group"\nexplicit = true\n',
        BASIC
        + '[[index]]\nurl = "https://packages.example.org/simple"\nname = "group"\nexplicit = true\n'
        + '[sources.h5py]\nindex = "group"\n',
    ],
)
def test_whatever_decides_a_resolution_changes_the_digest(tmp_path: Path, text: str) -> None:
    variants = [manifest(tmp_path, each).inputs_digest() for each in (BASIC, text)]
    assert variants[0] != variants[1]
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in variants)


def test_no_two_ways_to_name_a_package_in_resolve_are_taken_for_one(tmp_path: Path) -> None:
    keys = ("replace", "omit", "constraints", "overrides")
    digests = {manifest(tmp_path, f'{BASIC}[resolve]\n{key} = ["numpy"]\n').inputs_digest() for key in keys}
    assert len(digests) == len(keys)


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + BASIC,
        'dependencies = [\n  "h5py",  # needed\n]\n[image]\nhost = "python3"\n',
        BASIC + '[run]\nenv = { A = "1" }\nbind = ["/scratch"]\n',
        BASIC + '[slurm]\naccount = "project_1"\n',
        BASIC + '[tasks]\ntrain = "python train.py"\n',
        BASIC + '[sync]\nstore = "/scratch/store"\n',
        'dependencies = ["h5py"]\n[image]\nname = "pytorch"\n',
    ],
)
def test_what_does_not_decide_a_resolution_leaves_the_digest(tmp_path: Path, text: str) -> None:
    """The image has a guard of its own."""
    assert manifest(tmp_path, text).inputs_digest() == manifest(tmp_path, BASIC).inputs_digest()


def test_the_digest_does_not_know_where_the_project_lies(tmp_path: Path) -> None:
    here = manifest(tmp_path / "here", BASIC)
    there = manifest(tmp_path / "there" / "deep", BASIC)
    assert here.inputs_digest() == there.inputs_digest()


def test_the_selection_of_the_image_covers_how_it_is_entered(tmp_path: Path) -> None:
    texts = [
        '[image]\nname = "pytorch"\n',
        '[image]\nname = "pytorch"\nrocm = "6.2"\n',
        '[image]\nname = "pytorch"\nactivate = "none"\n',
        '[image]\nname = "mpi4py"\n',
        '[image]\npath = "pytorch"\n',
    ]
    selections = [manifest(tmp_path, text).image.selection() for text in texts]
    assert all(one != other for i, one in enumerate(selections) for other in selections[:i])


def test_relative_places_start_at_the_project(tmp_path: Path) -> None:
    read = manifest(tmp_path, BASIC + '[sync]\nstore = "deep/store"\n')
    assert (read.directory, read.store_path) == (tmp_path, tmp_path / "deep" / "store")
    assert manifest(tmp_path, BASIC + '[sync]\nstore = "/scratch/s"\n').store_path == Path("/scratch/s")
    assert manifest(tmp_path, BASIC).store_path == tmp_path / ".lumienv"


def test_a_path_with_a_variable_that_is_not_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    read = manifest(tmp_path, BASIC + '[sync]\nstore = "$NOWHERE/store"\n')
    with pytest.raises(ManifestError, match=r"^\[sync\] store = \"\$NOWHERE/store\" has a variable"):
        assert read.store_path


@pytest.mark.parametrize(
    ("dependency", "where"),
    [
        (Dependency("h5py", "dependencies", 3), "lumienv.toml:3"),
        (Dependency("h5py", "dependency-groups.dev"), "lumienv.toml: dependency-groups.dev"),
    ],
)
def test_a_dependency_says_where_it_stands(dependency: Dependency, where: str) -> None:
    assert dependency.where == where


@pytest.mark.parametrize("table", ["project = 3", 'project = ["dynamic"]', "project = {"])
def test_a_local_project_whose_table_is_none_has_its_setup_py_in_its_digest(
    tmp_path: Path, table: str
) -> None:
    """What is wrong with it, says the build; the digest is asked for by `status`, too."""
    (tmp_path / "pyproject.toml").write_text(table + "\n")
    (tmp_path / "setup.py").write_text("setup(version=1)")
    before = metadata_digest(tmp_path)
    (tmp_path / "setup.py").write_text("setup(version=2)")
    assert metadata_digest(tmp_path) != before
