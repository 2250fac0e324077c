"""Sites: a cluster's facts as data."""

import os
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.site import SiteBind, load_site


def site_file(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return {"LUMIENV_SITE": str(path), "HOME": "/home/ada", "USER": "ada", "PWD": "/"}


def test_an_unknown_machine_is_a_generic_site_with_the_xdg_cache(tmp_path: Path) -> None:
    site = load_site({"LUMIENV_SITE": "generic", "HOME": "/home/ada"})
    assert (site.name, site.image_folders, site.binds) == ("generic", (), ())
    assert site.cache == Path("/home/ada/.cache/lumienv")
    assert load_site({"LUMIENV_SITE": "generic", "XDG_CACHE_HOME": "/c"}).cache == Path("/c/lumienv")


def test_a_site_is_recognised_by_its_directory() -> None:
    here = "lumi" if Path("/appl/local/containers").is_dir() else "generic"
    assert load_site({"HOME": "/home/ada"}).name == here


def test_the_users_variables_go_before_the_sites_facts(tmp_path: Path) -> None:
    environ = site_file(
        tmp_path, '[images]\nfolders = ["/site"]\n[cache]\nfolder = "/c"\n[scratch]\nfolder = "/s"\n'
    )
    site = load_site(environ)
    assert (site.image_folders, site.scratch) == ((Path("/site"),), Path("/s"))
    own = {"LUMIENV_IMAGE_PATH": "/mine::/other", "LUMIENV_CACHE_DIR": "/mycache", "TMPDIR": "/mytmp"}
    site = load_site(environ | own)
    assert site.image_folders == (Path("/mine"), Path("/other"))
    assert (site.cache, site.scratch) == (Path("/mycache"), Path("/mytmp"))


def test_binds_are_optional_unless_the_site_says_otherwise(tmp_path: Path) -> None:
    environ = site_file(tmp_path, '[[bind]]\npath = "/a"\n[[bind]]\npath = "/b"\noptional = false\n')
    assert load_site(environ).binds == (SiteBind("/a", True), SiteBind("/b", False))


def test_a_site_without_a_name_is_called_as_its_file(tmp_path: Path) -> None:
    assert load_site(site_file(tmp_path, "")).name == "mine"


def test_the_cache_lies_in_the_project_that_the_user_stands_in(tmp_path: Path) -> None:
    (tmp_path / "project_1").mkdir()
    (tmp_path / "project_2").mkdir()
    environ = site_file(tmp_path, f'[cache]\nfolder = "{tmp_path}/{{project}}/{{user}}/.cache/lumienv"\n')
    inside = Path("/projappl/project_1/code")
    assert load_site(environ, inside).cache == tmp_path / "project_1/ada/.cache/lumienv"
    asked = environ | {"SLURM_JOB_ACCOUNT": "project_2"}
    assert load_site(asked, Path("/")).cache == tmp_path / "project_2/ada/.cache/lumienv"
    assert load_site(asked, inside).cache == tmp_path / "project_1/ada/.cache/lumienv"


def test_a_workspace_that_is_a_link_into_a_project_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "project_1/work").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "project_1/work")
    environ = site_file(tmp_path, f'[cache]\nfolder = "{tmp_path}/{{project}}/{{user}}"\n')
    assert load_site(environ, tmp_path / "link").cache == tmp_path / "project_1/ada"


def test_relative_places_are_settled_at_once_as_builds_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {"LUMIENV_CACHE_DIR": "c", "TMPDIR": "t", "LUMIENV_IMAGE_PATH": "i:~/j"}
    site = load_site(site_file(tmp_path, "") | relative)
    assert (site.cache, site.scratch) == (tmp_path / "c", tmp_path / "t")
    assert site.image_folders == (tmp_path / "i", Path.home() / "j")


def test_a_project_folder_that_is_not_there_is_no_cache(tmp_path: Path) -> None:
    environ = site_file(tmp_path, f'[cache]\nfolder = "{tmp_path}/{{project}}/{{user}}"\n')
    assert load_site(environ, Path("/scratch/project_9")).cache == Path("/home/ada/.cache/lumienv")


def test_a_site_without_projects_has_its_caches_by_user(tmp_path: Path) -> None:
    environ = site_file(tmp_path, f'[cache]\nfolder = "{tmp_path}/caches/{{user}}/.cache/lumienv"\n')
    assert load_site(environ, Path("/")).cache == tmp_path / "caches/ada/.cache/lumienv"


def test_a_cache_folder_that_cannot_be_made_is_no_cache(tmp_path: Path) -> None:
    environ = site_file(tmp_path, '[cache]\nfolder = "/dev/null/{user}/.cache"\n')
    assert load_site(environ, Path("/")).cache == Path("/home/ada/.cache/lumienv")


@pytest.mark.parametrize("wanted", ["nowhere", "/does/not/exist.toml"])
def test_a_missing_site_file_names_those_that_come_with_lumienv(wanted: str) -> None:
    with pytest.raises(ManifestError, match="there is no site file") as caught:
        load_site({"LUMIENV_SITE": wanted})
    assert "generic" in (caught.value.hint or "")
    assert "lumi" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "name = " + "[" * 3000,
        '[[bind]]\nsource = "/a"\n',
        '[bind]\npath = "/a"\n',
        'images = "/a"\n',
        '[images]\nfolders = "/a"\n',
        '[cache]\nfolder = "/{nonsense}/{project}"\n',
        "[cache]\nfolder = 5\n",
    ],
)
def test_a_broken_site_file_is_named_in_a_sentence(tmp_path: Path, text: str) -> None:
    environ = site_file(tmp_path, text)
    with pytest.raises(ManifestError) as caught:
        load_site(environ | {"PWD": "/project_1"})
    assert "mine.toml" in caught.value.message


def test_a_site_file_that_is_a_directory_is_named_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        load_site({"LUMIENV_SITE": str(tmp_path)})


@pytest.mark.parametrize("name", ["lumi", "generic"])
def test_the_sites_that_are_shipped_can_be_read(name: str) -> None:
    text = files("lumienv.site").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["name"] == name
    assert load_site({"LUMIENV_SITE": name, "HOME": "/h"}).name == name


def test_lumis_caches_are_on_scratch_and_its_hashed_images_come_first() -> None:
    data = tomllib.loads(files("lumienv.site").joinpath("lumi.toml").read_text(encoding="utf-8"))
    assert data["cache"]["folder"] == "/scratch/{project}/{user}/.cache/lumienv"
    assert data["images"]["folders"][0].endswith("easybuild-sif-images")
    assert "/appl/local/laifs/containers" in data["images"]["folders"]


def test_a_login_nodes_processors_are_shared_and_a_jobs_are_its_own(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[login]\nprocessors = 1\n")
    environ = {"LUMIENV_SITE": str(site), "HOME": str(tmp_path)}
    allowed = len(os.sched_getaffinity(0))

    assert load_site(environ).processors == 1
    assert load_site(environ | {"SLURM_JOB_ID": "7"}).processors == allowed


def test_no_more_processors_are_taken_than_the_process_may_use(tmp_path: Path) -> None:
    environ = {"LUMIENV_SITE": "lumi", "HOME": str(tmp_path)}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert load_site(environ).processors == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("value", ['"many"', "0", "-1"])
def test_a_number_of_processors_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    site = tmp_path / "site.toml"
    site.write_text(f"[login]\nprocessors = {value}\n")
    with pytest.raises(ManifestError, match="processors"):
        load_site({"LUMIENV_SITE": str(site), "HOME": str(tmp_path)})
