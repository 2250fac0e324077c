"""What fills a home directory, and what room is left."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from checkup import Checkup, told

from lumienv.project import checks_home
from lumienv.project.checks_home import (
    Extent,
    check_caches,
    check_own_cache,
    check_room,
    check_temporary,
    extent,
)
from lumienv.site import Site

LFS = """\
case "$1" in
  project) echo '465000000 P x';;
  quota) echo '/pfs {quota}';;
esac
"""


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


def fill(folder: Path, files: int, size: int = 10) -> None:
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / str(number)).write_bytes(b"x" * size)


# -- caches


def test_files_and_bytes_below_a_folder_are_counted(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b", 3)
    found = extent(tmp_path / "a")
    assert (found.files, found.whole) == (4, True)
    assert found.size >= 30


def test_no_more_than_so_many_files_are_looked_at(tmp_path: Path) -> None:
    fill(tmp_path / "a", 30)
    assert (extent(tmp_path / "a", most=20).files, extent(tmp_path / "a", most=20).whole) == (20, False)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", 5)
    fill(tmp_path / "a", 1)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "elsewhere")
    assert extent(tmp_path / "a").files == 2


def test_a_large_cache_is_noted_with_what_empties_it_and_what_moves_it(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_home, "extent", lambda folder: Extent(12_345_678_901, 4321, whole=True))
    (here.home / ".cache" / "pip").mkdir(parents=True)
    (here.home / ".cache" / "huggingface").mkdir()
    assert told(check_caches, here.case()) == [
        f"note caches: ~/.cache/pip (pip) has 12.3 GB in 4,321 files → rm -r ~/.cache/pip\n"
        f"export PIP_CACHE_DIR={here.folder}/pip",
        f"note caches: ~/.cache/huggingface (Hugging Face) has 12.3 GB in 4,321 files → "
        f"mv ~/.cache/huggingface {here.folder}/hugging-face\nexport HF_HOME={here.folder}/hugging-face",
    ]


def test_a_cache_of_very_many_files_is_noted_however_small_it_is(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_home, "extent", lambda folder: extent(folder, most=20))
    fill(here.home / ".triton", 25)
    (said,) = told(check_caches, here.case())
    assert said.startswith("note caches: ~/.triton (Triton) has at least 0 kB in 20 files")


def test_small_caches_are_fine_and_those_moved_by_a_link_are_none(here: Checkup) -> None:
    fill(here.home / ".cache" / "uv", 2)
    fill(here.folder / "moved", 2)
    (here.home / ".triton").symlink_to(here.folder / "moved")
    assert told(check_caches, here.case(), all_=True)[0].startswith("fine caches: ~/.cache/uv ")


def test_an_empty_home_directory_is_fine(here: Checkup) -> None:
    assert told(check_caches, here.case(), all_=True) == ["fine caches: none in the home directory"]


# -- lumienv's own cache


def test_on_a_cluster_the_cache_belongs_out_of_the_home_directory(here: Checkup) -> None:
    site = Site("lumi", cache=here.home / ".cache" / "lumienv")
    (said,) = told(check_own_cache, here.case(site=site))
    assert said.startswith("note cache of lumienv: lumienv's cache is ~/.cache/lumienv")
    assert told(check_own_cache, here.case(site=replace(site, name="generic"))) == []


def test_a_cache_that_is_a_link_is_a_problem(here: Checkup) -> None:
    (here.folder / "cache").symlink_to(here.folder)
    (said,) = told(check_own_cache, here.case())
    assert said.startswith(f"problem cache of lumienv: {here.folder}/cache is not a folder of its own")


# -- temporary files


def test_a_tmpdir_that_is_not_there_is_a_problem(here: Checkup) -> None:
    site = Site("generic", scratch=here.folder / "gone")
    (said,) = told(check_temporary, here.case(site=site))
    assert said == (
        f"problem temporary files: TMPDIR is {here.folder}/gone, which is not there → "
        f"unset TMPDIR, or: mkdir -p {here.folder}/gone"
    )


def test_temporary_files_on_lustre_are_noted(here: Checkup) -> None:
    here.file("/proc/self/mountinfo", mounts(here, "lustre"))
    assert told(check_temporary, here.case()) == [
        f"note temporary files: temporary files go to {here.folder} (lustre): environments are built there, "
        "file by file → unset TMPDIR"
    ]


def test_temporary_files_in_memory_are_fine_and_called_so(here: Checkup) -> None:
    here.file("/proc/self/mountinfo", mounts(here, "tmpfs"))
    assert told(check_temporary, here.case(), all_=True) == [
        f"fine temporary files: {here.folder} (tmpfs), which is memory"
    ]


def test_a_cache_of_the_runtime_in_the_home_directory_is_noted(here: Checkup) -> None:
    case = here.case(SINGULARITY_CACHEDIR=f"{here.home}/sing", APPTAINER_TMPDIR=str(here.folder))
    assert told(check_temporary, case) == [
        "note temporary files: SINGULARITY_CACHEDIR is ~/sing: images fill the home directory → "
        "export SINGULARITY_CACHEDIR=/tmp/$USER"
    ]


def test_a_temporary_folder_of_the_runtime_that_is_a_file_is_a_problem(here: Checkup) -> None:
    place = here.file("/tmp/file")
    (said,) = told(check_temporary, here.case(SINGULARITY_TMPDIR=str(place)))
    assert said.startswith(f"problem temporary files: SINGULARITY_TMPDIR is {place}, which is not a folder")


# -- room


def mounts(here: Checkup, kind: str) -> str:
    folder = str(here.folder).replace(" ", "\\040")
    return f"1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {folder} rw shared:1 - {kind} server rw\n"


def test_room_is_told_once_for_each_file_system(here: Checkup) -> None:
    (said,) = told(check_room, here.case(toml='[image]\nhost = "python3"\n'), all_=True)
    assert "room of temporary files and the cache and environments and home" in said


def test_a_disk_with_little_room_is_noted_and_a_full_one_is_a_problem(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = list(os.statvfs(here.folder))

    def statvfs(path: object, free: int) -> os.statvfs_result:
        # f_bsize, f_frsize, f_blocks, f_bfree, f_bavail
        return os.statvfs_result([4096, 4096, disk[2], disk[3], free // 4096, *disk[5:]])

    verdicts = []
    for free in (10_000_000_000, 1_000_000_000, 100_000_000):
        monkeypatch.setattr(os, "statvfs", lambda path, free=free: statvfs(path, free))
        verdicts += [finding.verdict for finding in check_room(here.case())]
    assert verdicts == ["fine", "note", "problem"]


@pytest.mark.parametrize(
    ("quota", "verdict"),
    [
        ("1000 0 20971520 - 10 0 100000 -", "fine"),
        ("1000 0 20971520 - 95000 0 100000 -", "note"),
        ("1000 0 20971520 - 100000* 0 100000 -", "problem"),
        ("21000000* 20971520 22020096 6d 10 0 100000 -", "problem"),
    ],
)
def test_on_lustre_the_quota_counts(here: Checkup, quota: str, verdict: str) -> None:
    here.file("/proc/self/mountinfo", mounts(here, "lustre"))
    here.program("lfs", LFS.format(quota=quota))
    found = list(check_room(here.case(site=Site("lumi", cache=here.folder, scratch=here.folder))))
    assert {finding.verdict for finding in found} == {verdict}


def test_a_quota_of_files_that_is_used_up_proposes_one_file_instead_of_thousands(here: Checkup) -> None:
    here.file("/proc/self/mountinfo", mounts(here, "lustre"))
    here.program("lfs", LFS.format(quota="1000 0 20971520 - 100000* 0 100000 -"))
    said = told(check_room, here.case(toml='[image]\nhost = "python3"\n'))
    assert any("lumienv clean, or: lumienv sync --mode squashfs" in line for line in said)
    assert any("1 MB of 21.5 GB and 100,000 of 100,000 files" in line for line in said)


def test_lustre_without_a_quota_that_can_be_asked_for_is_not_checked(here: Checkup) -> None:
    here.file("/proc/self/mountinfo", mounts(here, "lustre"))
    found = list(check_room(here.case(programs="")))
    assert {finding.verdict for finding in found} == {"not checked"}
