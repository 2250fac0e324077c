"""From `[image]` to the base that is meant."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sif_files import DataObject, sif

from lumienv.errors import ImageError
from lumienv.image.base import find_base, host_base, sif_base
from lumienv.image.hostpython import host_fingerprint
from lumienv.image.probing import take_snapshot
from lumienv.manifest import ImageTable
from lumienv.runtime.host import Host
from lumienv.site import Site

MACHINE = os.uname().machine
SIF = sif([DataObject(b"root")], machine=MACHINE)
OLD = "lumi-pytorch-rocm-6.1.3-python-3.12-pytorch-v2.6.0.sif"
NEW = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    return root


def site_packages(venv: Path) -> Path:
    (folder,) = venv.glob("lib/python3*/site-packages")
    return folder


# -- SIF -------------------------------------------------------------------------------------------------


def test_a_relative_path_starts_at_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "deep").mkdir(parents=True)
    (tmp_path / "image.sif").write_bytes(SIF)
    monkeypatch.chdir(tmp_path / "project" / "deep")
    base = find_base(ImageTable("path", "../image.sif"), tmp_path / "project", Site("here"))
    assert (base.kind, base.path, base.name) == ("sif", str(tmp_path / "image.sif"), "image.sif")
    assert (base.size, base.architecture) == (len(SIF), MACHINE)


def test_a_home_directory_in_a_path_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image.sif").write_bytes(SIF)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = find_base(ImageTable("path", "~/image.sif"), Path("/"), Site("here"))
    assert found.path == str(tmp_path / "image.sif")


def test_an_image_by_name_comes_from_the_sites_folders(tmp_path: Path) -> None:
    (tmp_path / NEW).write_bytes(SIF)
    (tmp_path / OLD).write_bytes(SIF)
    site = Site("here", image_folders=(tmp_path,))
    assert find_base(ImageTable("name", "pytorch"), tmp_path, site).name == NEW
    narrowed = ImageTable("name", "pytorch", {"rocm": "6.1"})
    assert find_base(narrowed, tmp_path, site).name == OLD


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a_newer_image_does_not_take_the_place_of_the_locked_one(tmp_path: Path, link: bool) -> None:
    """LUMI's `sif-images` are links to files with other names."""
    folder = tmp_path / "sif-images"
    folder.mkdir()
    target = tmp_path / OLD.replace(".sif", "-dockerhash-0d479e852886.sif") if link else folder / OLD
    target.write_bytes(SIF)
    if link:
        (folder / OLD).symlink_to(target)
    site, table = Site("here", image_folders=(folder,)), ImageTable("name", "pytorch")
    locked = find_base(table, tmp_path, site)
    (folder / NEW).write_bytes(SIF)
    assert find_base(table, tmp_path, site, preferred=locked.name) == locked


def test_an_image_for_another_machine_is_refused(tmp_path: Path) -> None:
    other = "aarch64" if MACHINE == "x86_64" else "x86_64"
    (tmp_path / "image.sif").write_bytes(sif([DataObject(b"root")], machine=other))
    with pytest.raises(ImageError, match=f"is for {other}, this machine is {MACHINE}"):
        sif_base(tmp_path / "image.sif")


def test_a_saved_snapshot_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="snapshot") as caught:
        find_base(ImageTable("snapshot", "value"), tmp_path, Site("here"))
    assert caught.value.hint


# -- host ------------------------------------------------------------------------------------------------


def test_a_host_python_is_found_by_name_and_by_path(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{venv / 'bin'}:{os.environ['PATH']}")
    by_name, by_path = host_base("python3"), host_base(str(venv / "bin" / "python3"))
    assert by_name == by_path
    assert (by_name.kind, Path(by_name.path).parent) == ("host", venv / "bin")
    assert by_name.fingerprint.startswith("host:")


def test_a_name_is_not_looked_for_in_the_environment_that_lumienv_runs_in(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who installs lumienv as the README says has its folder first on PATH."""
    monkeypatch.setenv("PATH", f"{venv / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "prefix", str(venv))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    assert Path(host_base("python3").path).parent != venv / "bin"
    assert Path(host_base(str(venv / "bin" / "python3")).path).parent == venv / "bin"


def test_a_relative_host_python_starts_at_the_project(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "src"
    deep.mkdir()
    monkeypatch.chdir(deep)
    base = find_base(ImageTable("host", "env/bin/python3"), tmp_path, Site("here"))
    assert Path(base.path).parent == venv / "bin"


def test_a_shim_leads_to_the_interpreter_behind_it(venv: Path, tmp_path: Path) -> None:
    shim = tmp_path / "python-shim"
    shim.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" "$@"\n')
    shim.chmod(0o755)
    assert host_base(str(shim)).path == host_base(str(venv / "bin" / "python")).path


@pytest.mark.parametrize("name", ["no-such-python", "/no/such/python", ""])
def test_a_python_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ImageError, match="there is no Python called") as caught:
        host_base(name)
    assert "python3" in (caught.value.hint or "")


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="this Python is of no virtual environment")
def test_lumienvs_own_python_is_passed_over_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin")
    with pytest.raises(ImageError, match="lumienv's own virtual environment") as caught:
        host_base("python3")
    assert f'[image] host = "{os.path.realpath(sys.executable)}"' in (caught.value.hint or "")


@pytest.mark.parametrize("program", ["true", "false", "cat"])
def test_a_program_that_is_no_python_is_refused(program: str) -> None:
    path = shutil.which(program)
    assert path is not None
    with pytest.raises(ImageError, match="is not a Python that works"):
        host_base(path)


def identity(python: Path) -> str:
    return take_snapshot(host_base(str(python)), "auto", Host(), None).image.identity


def test_a_host_that_did_not_change_keeps_its_identity(venv: Path) -> None:
    assert identity(venv / "bin" / "python") == identity(venv / "bin" / "python")


def test_an_installed_or_removed_distribution_changes_fingerprint_and_identity(venv: Path) -> None:
    python = venv / "bin" / "python"
    before = identity(python), host_fingerprint(str(python))
    os.utime(site_packages(venv), (0, 0))
    info = site_packages(venv) / "six-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: six\nVersion: 1.0\n")
    after = identity(python), host_fingerprint(str(python))
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_bytecode_that_python_writes_does_not_change_the_identity(venv: Path) -> None:
    """Importing a single-file module for the first time makes `__pycache__` beside it: nothing changed."""
    (site_packages(venv) / "single.py").write_text("")
    python = venv / "bin" / "python"
    before = identity(python)
    subprocess.run([str(python), "-Ic", "import single"], check=True)
    assert (site_packages(venv) / "__pycache__").is_dir()
    assert identity(python) == before


def test_the_dates_of_files_do_not_make_it_another_host(venv: Path) -> None:
    """Identity is over the real path, the version, the prefix and the frozen list (design: Formats)."""
    python = venv / "bin" / "python"
    before = identity(python)
    os.utime(site_packages(venv), (0, 0))
    assert identity(python) == before


def test_a_host_python_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is gone"):
        host_fingerprint(str(tmp_path / "bin" / "python"))
