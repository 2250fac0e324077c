"""`list`, `tree`, `why` and `diff` on a real image, which they do not start."""

import json

import pytest
from wheels import make_wheel
from workspace import make_workspace

pytestmark = pytest.mark.unprivileged

UNSTARTED = {"LUMIENV_RUNTIME": "/bin/false"}


@pytest.fixture
def project(small_image, local, wheels):
    make_wheel(wheels, "thing", "1.0", ["imgtool", "other"])
    make_wheel(wheels, "other", "1.0")
    local.write(f'path = "{small_image}"', ["thing"])
    local.lumienv("lock")
    return local


def test_after_a_lock_the_image_is_known_and_not_started(project):
    assert project.lumienv("tree", **UNSTARTED) == "thing 1.0\n├── imgtool 1.0 (image)\n└── other 1.0\n"
    assert "imgtool 1.0 (image)" in project.lumienv("why", "imgtool", **UNSTARTED)
    assert "shipped 2.1 is in the image only" in project.lumienv("why", "shipped", **UNSTARTED)
    listed = json.loads(project.lumienv("list", "--json", **UNSTARTED))
    origins = {one["name"]: one["origin"] for one in listed}
    assert (origins["imgtool"], origins["thing"]) == ("image", "overlay")


def test_an_image_that_was_never_looked_into_is_said_to_be_unknown(project, tmp_path):
    other = make_workspace(project.directory, tmp_path / "another cache", **UNSTARTED)

    said = other.try_("list")

    assert [line.split()[0] for line in said.out.splitlines()] == ["package", "imgtool", "other", "thing"]
    assert "lumienv image show" in said.err
    assert other.try_("list", "--image").status == 1
    assert "imgtool 1.0 (image)" in other.lumienv("tree")
