"""What `lock` says of what it did."""

import pytest
from place import Place, Told
from wheels import make_wheel

from lumienv.image.handmade import snapshot_of_list
from lumienv.image.saved import save_snapshot
from lumienv.project import Project, open_project
from lumienv.project.lock import lock


@pytest.fixture
def project(place: Place) -> Project:
    made = snapshot_of_list("numpy==1.26.4\n", python="3.12.11", glibc="2.31", name="lumi.sif")
    save_snapshot(made, place.directory / "image.json")
    make_wheel(place.server.directory, "thing", "1.0", ["numpy"])
    sources = place.directory / "mylib"
    sources.mkdir()
    (sources / "pyproject.toml").write_text('[project]\nname = "mylib"\nversion = "1.0"\n')
    (place.directory / "lumienv.toml").write_text(
        'dependencies = ["thing", "mylib"]\n[image]\nsnapshot = "image.json"\n'
        '[sources]\nmylib = { path = "./mylib" }\n'
    )
    return open_project(str(place.directory), place.environ)


def test_what_has_no_version_is_counted_too(project: Project) -> None:
    assert lock(project, Told()).total == 2
    assert lock(project, Told()).total == 2


def test_a_name_to_upgrade_that_is_not_locked_is_told(project: Project) -> None:
    told = Told()
    lock(project, told, upgrade_packages=["thing", "numpy", "Thingg"])
    assert told.warnings == [
        "-P numpy changes nothing: numpy is the image's",
        "-P Thingg changes nothing: Thingg is not in the lock",
    ]
