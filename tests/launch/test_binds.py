"""Which host paths a command sees, and in which order they are laid out."""

from pathlib import Path
from typing import Any

import pytest
from generations import described

from lumienv.errors import ManifestError
from lumienv.launch.binds import merged, ordered, unseen_folder, with_project
from lumienv.manifest import ImageTable, Manifest, RunTable
from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store
from lumienv.runtime import Bind


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    return described(Store(tmp_path), image_prefix="/opt/venv")


def manifest(folder: Path, *bind: str) -> Manifest:
    return Manifest(folder / "lumienv.toml", ImageTable("path", "b.sif"), run=RunTable(bind=bind))


def targets(binds: Any) -> list[str]:
    return [bind.target for bind in binds]


def test_what_is_typed_goes_before_the_manifest_and_that_before_the_site(tmp_path, generation):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    site = [Bind("/usr", "/data"), Bind("/usr", "/more")]
    chosen = merged(site, manifest(tmp_path, "a:/data", "b:/in"), ["c:/in", "a:/in:ro"], generation)
    assert chosen == [
        Bind(f"{tmp_path}/a", "/data", writable=True),
        Bind("/usr", "/more"),
        Bind(f"{tmp_path}/a", "/in", writable=False),
    ]


def test_one_target_for_two_sources_in_the_file_is_a_mistake(tmp_path, generation):
    (tmp_path / "a").mkdir()
    with pytest.raises(ManifestError, match=r"the target /in twice: for /usr and for .*/a"):
        merged([], manifest(tmp_path, "/usr:/in", "a:/in/"), [], generation)
    assert targets(merged([], manifest(tmp_path, "/usr:/in", "/usr:/in"), [], generation)) == ["/in"]


@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        ("/", "environment"),
        ("/opt", "environment"),
        ("/opt/lumienv", "environment"),
        ("/opt/lumienv/lib/x", "environment"),
        ("/opt/venv", "image's Python"),
        ("/opt/venv/bin", "image's Python"),
        ("/opt/venv/lib", "image's Python"),
        ("/opt/venv/lib/python3.12/site-packages/", "image's Python"),
    ],
)
def test_nothing_is_bound_over_the_environment_or_the_images_python(tmp_path, generation, target, hidden):
    with pytest.raises(ManifestError, match=f"would hide the {hidden}") as caught:
        merged([], manifest(tmp_path), [f"/usr:{target}"], generation)
    assert "/usr:/data" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "target", ["/opt/cray", "/opt/venv/share/x", "/usr/lib64/libcxi.so.1", "/opt/lumienv-2"]
)
def test_what_lies_beside_them_may_be_bound(tmp_path, generation, target):
    assert targets(merged([], manifest(tmp_path), [f"/usr:{target}"], generation)) == [target]


def test_a_path_that_no_runtime_takes_is_refused(tmp_path, generation):
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    with pytest.raises(ManifestError, match="not UTF-8"):
        merged([], manifest(tmp_path), [str(odd)], generation)


def test_outer_binds_come_before_those_within_them_and_the_rest_stays_in_order():
    binds = [
        Bind("/1", "/data/in"),
        Bind("/2", "/b"),
        Bind("/3", "/data"),
        Bind("/4", "/database"),
        Bind("/5", "/a"),
    ]
    assert targets(ordered(binds)) == ["/data", "/data/in", "/b", "/database", "/a"]


def test_the_folder_of_the_project_is_shown_where_nothing_else_does():
    assert targets(with_project([], "/srv/p")) == ["/srv/p"]
    assert with_project([Bind("/srv", "/srv")], "/srv/p") == [Bind("/srv", "/srv")]
    assert with_project([], "/tmp/p") == []
    assert with_project([], "/opt") == []


def test_a_project_behind_a_link_is_shown_under_both_names(tmp_path, monkeypatch):
    monkeypatch.setattr("lumienv.launch.binds._MOUNTED", ())
    (tmp_path / "pfs" / "p").mkdir(parents=True)
    (tmp_path / "scratch").symlink_to("pfs")
    real, link = f"{tmp_path}/pfs/p", f"{tmp_path}/scratch/p"
    assert with_project([], link) == [Bind(real, real, writable=True), Bind(real, link, writable=True)]
    assert len(with_project([Bind("x", f"{tmp_path}/pfs")], link)) == 2


def test_a_folder_that_is_the_images_own_in_the_container_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir("/opt")
    assert (
        unseen_folder([])
        == "the command starts in the image's own /opt: this machine's is not seen in a container"
    )
    assert unseen_folder([Bind("/opt", "/opt")]) is None
    monkeypatch.chdir(tmp_path)
    assert unseen_folder([]) is None
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert "not UTF-8" in (unseen_folder([]) or "")
    odd.rmdir()
    assert "is gone" in (unseen_folder([]) or "")
