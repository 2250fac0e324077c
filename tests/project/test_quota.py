"""What `lfs quota` says, as figures."""

from pathlib import Path

import pytest
from checkup import Checkup

from lumienv.errors import ContainerError
from lumienv.project.quota import Quota, quota_of, read_quota

# As lustre 2.15 prints it, with and without headings; the values are made up.
WITH_HEADINGS = """\
Disk quotas for prj 465000000 (pid 465000000):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
 /pfs/lustrep1 19000000  20971520 22020096       -   99000  100000  110000       -
"""
LONG_NAME = """\
/pfs/lustrep2/scratch/project_465000000
                19000000       0 20971520       -   99000       0  100000       -
"""


@pytest.mark.parametrize("text", [WITH_HEADINGS, LONG_NAME])
def test_used_and_allowed_are_read_whatever_the_layout(text: str) -> None:
    assert read_quota(text) == Quota(19000000 * 1024, 20971520 * 1024, 99000, 100000)


def test_what_is_over_its_quota_has_a_star_and_a_time_of_grace() -> None:
    found = read_quota("/home 21000000* 20971520 22020096 6d23h59m50s 100001* 100000 110000 none\n")
    assert found == Quota(21000000 * 1024, 20971520 * 1024, 100001, 100000)
    assert found.share > 1


def test_figures_in_brackets_are_taken_as_they_are() -> None:
    found = read_quota("/scratch [500] 0 1000 - [20] 0 0 -\n")
    assert found == Quota(500 * 1024, 1000 * 1024, 20, 0)
    assert found.share == 0.5


def test_the_fuller_of_bytes_and_files_counts() -> None:
    assert Quota(1, 100, 90, 100).share == 0.9
    assert Quota(5, 0, 5, 0).share == 0


@pytest.mark.parametrize("text", ["", "lfs: unrecognized option", "Permission denied 1 2 3"])
def test_anything_else_is_no_quota(text: str) -> None:
    assert read_quota(text) is None


def test_the_quota_of_the_folders_project_goes_before_that_of_the_user(tmp_path: Path) -> None:
    here = Checkup(tmp_path)
    here.program(
        "lfs",
        'case "$1 $3" in\n'
        "  'project '*) echo '465000000 P /x';;\n"
        "  'quota -p') echo \"/x 10 0 100 - 5 0 $4 -\";;\n"
        "  'quota -u') echo '/x 1 0 2 - 3 0 4 -';;\n"
        "esac",
    )
    found = quota_of(tmp_path, here.case().machine)
    assert found == Quota(10 * 1024, 100 * 1024, 5, 465000000)


def test_without_a_project_the_users_counts(tmp_path: Path) -> None:
    here = Checkup(tmp_path)
    here.program(
        "lfs",
        "case \"$1 $3\" in 'project '*) echo '    0 - /x';; 'quota -u') echo '/x 1 0 2 - 3 0 4 -';; esac",
    )
    assert quota_of(tmp_path, here.case().machine) == Quota(1024, 2048, 3, 4)


def test_there_is_no_quota_without_lfs(tmp_path: Path) -> None:
    assert quota_of(tmp_path, Checkup(tmp_path).case(programs="").machine) is None


def test_an_lfs_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    here = Checkup(tmp_path)
    here.program("lfs", "").write_bytes(b"\x7fELF")
    with pytest.raises(ContainerError, match="cannot start lfs"):
        quota_of(tmp_path, here.case().machine)
