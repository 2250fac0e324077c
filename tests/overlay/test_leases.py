"""Leases: who uses which generation."""

import os
import stat
from pathlib import Path

import pytest

from lumienv.overlay.leases import lease_name, read_leases, start_time, take_lease


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "generations" / "venv-0123456789abcdef-012345"
    folder.mkdir(parents=True)
    (tmp_path / "store" / "leases").mkdir()
    return folder


def test_a_job_is_known_by_its_cluster_and_its_number(generation: Path) -> None:
    name = lease_name({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "lumi.x"})
    assert name == "lumi_x.12"
    assert take_lease(generation, name)
    (lease,) = read_leases(generation.parents[1])
    assert (lease.cluster, lease.job, lease.pid) == ("lumi_x", "12", 0)
    assert lease.generations == {generation.name}
    assert lease.owner == os.geteuid()


def test_a_command_outside_of_jobs_is_known_by_its_node_its_number_and_its_start(generation: Path) -> None:
    assert take_lease(generation, lease_name({}))
    (lease,) = read_leases(generation.parents[1])
    assert (lease.job, lease.host, lease.pid) == ("", os.uname().nodename, os.getpid())
    assert lease.started == start_time(os.getpid())


def test_a_job_that_uses_a_second_environment_names_both(generation: Path) -> None:
    other = generation.with_name("squashfs-0123456789abcdef-012345")
    for path in (generation, other, other):
        assert take_lease(path, "lumi.7")
    (lease,) = read_leases(generation.parents[1])
    assert lease.generations == {generation.name, other.name}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_owner_of_a_shared_store_can_read_a_lease(generation: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        take_lease(generation, "lumi.7")
    finally:
        os.umask(before)
    (path,) = (generation.parents[1] / "leases").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("trap", ["link", "hard link", "pipe", "folder", "no folder"])
def test_what_stands_in_the_way_is_left_alone_and_keeps_no_command_from_running(
    generation: Path, tmp_path: Path, trap: str
) -> None:
    leases, mine = generation.parents[1] / "leases", tmp_path / "mine"
    mine.write_text("mine")
    way = leases / "lumi.7"
    if trap == "link":
        way.symlink_to(mine)
    elif trap == "hard link":
        way.hardlink_to(mine)
    elif trap == "pipe":
        os.mkfifo(way)
    elif trap == "folder":
        way.mkdir()
    else:
        leases.rmdir()
    assert not take_lease(generation, "lumi.7")
    assert mine.read_text() == "mine"


def test_a_file_that_is_no_lease_is_read_as_one_of_nobody(generation: Path) -> None:
    (generation.parents[1] / "leases" / "notes").write_text("x\n")
    (generation.parents[1] / "leases" / "link").symlink_to("/etc/passwd")
    link, notes = read_leases(generation.parents[1])
    assert (notes.job, notes.pid, notes.generations) == ("", 0, {"x"})
    assert not link.readable
    assert link.generations == frozenset()
