"""Metadata that is read, not prepared."""

import pytest

from lumienv.build.static import BuildSystem, from_pkg_info, from_pyproject, stated
from lumienv.errors import BrokenReleaseError
from lumienv.index.metadata import CoreMetadata


def pkg_info(*lines: str, version: str = "2.2") -> bytes:
    return "\n".join(
        [f"Metadata-Version: {version}", "Name: Thing", "Version: 1.0", *lines, "", "text"]
    ).encode()


def test_pkg_info_of_version_2_2_is_believed() -> None:
    found = from_pkg_info(pkg_info("Requires-Dist: six>=1", "Requires-Python: >=3.9", "Provides-Extra: fast"))
    assert found == CoreMetadata("Thing", "1.0", ("six>=1",), ">=3.9", ("fast",))


def test_older_pkg_info_is_not_believed() -> None:
    assert from_pkg_info(pkg_info("Requires-Dist: six", version="2.1")) is None


@pytest.mark.parametrize("field", ["Requires-Dist", "requires-python", "Provides-Extra", "Version"])
def test_pkg_info_with_a_dynamic_field_that_decides_is_not_believed(field: str) -> None:
    assert from_pkg_info(pkg_info(f"Dynamic: {field}")) is None


def test_dynamic_fields_that_decide_nothing_do_no_harm() -> None:
    assert from_pkg_info(pkg_info("Dynamic: Description", "Dynamic: License")) is not None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"Metadata-Version: new\nName: x\nVersion: 1\n"])
def test_what_is_no_pkg_info_says_nothing(content: bytes) -> None:
    assert from_pkg_info(content) is None


def test_a_project_table_without_dynamic_fields_is_believed() -> None:
    project = {
        "name": "Thing",
        "version": "1.0",
        "requires-python": ">=3.9",
        "dependencies": ["six >= 1", "tomli; python_version < '3.11'"],
        "optional-dependencies": {"Fast_Math": ["numba", "cython>=3; sys_platform == 'linux'"]},
    }
    assert from_pyproject({"project": project}) == CoreMetadata(
        "Thing",
        "1.0",
        (
            "six>=1",
            'tomli; python_version < "3.11"',
            'numba; extra == "fast-math"',
            'cython>=3; sys_platform == "linux" and extra == "fast-math"',
        ),
        ">=3.9",
        ("fast-math",),
    )


def test_an_alternative_in_a_marker_of_an_extra_is_kept_together() -> None:
    lines = ["a; sys_platform == 'linux' or sys_platform == 'darwin'"]
    found = from_pyproject({"project": {"name": "x", "version": "1", "optional-dependencies": {"e": lines}}})
    assert found is not None
    assert found.requires_dist == (
        'a; (sys_platform == "linux" or sys_platform == "darwin") and extra == "e"',
    )


@pytest.mark.parametrize("key", ["version", "dependencies", "optional-dependencies", "requires-python"])
def test_a_dynamic_field_that_decides_needs_a_build(key: str) -> None:
    project = {"name": "thing", "version": "1.0", "dynamic": [key]}
    assert from_pyproject({"project": project}) is None


@pytest.mark.parametrize(
    "project",
    [
        {"name": "thing"},
        {"name": "thing", "version": 1},
        {"name": "thing", "version": "one"},
        {"name": "thing", "version": "1", "dependencies": ["no such thing !"]},
        {"name": "thing", "version": "1", "dependencies": "six"},
        {"name": "thing", "version": "1", "dependencies": [3]},
        {"name": "thing", "version": "1", "dependencies": ["part @ {root:uri}/part"]},
        {"name": "thing", "version": "1", "optional-dependencies": ["six"]},
        {"name": "thing", "version": "1", "requires-python": 3},
        {"name": "thing", "version": "1", "dynamic": "version"},
        "thing",
    ],
)
def test_a_project_table_that_cannot_be_read_needs_a_build(project: object) -> None:
    assert from_pyproject({"project": project}) is None


def test_pkg_info_counts_more_than_pyproject() -> None:
    pyproject = b'[project]\nname = "thing"\nversion = "0"\n'
    found = stated(pyproject, pkg_info("Requires-Dist: six"), "thing")
    assert found.metadata is not None
    assert found.metadata.version == "1.0"


def test_without_a_build_system_setuptools_builds_as_it_always_did() -> None:
    assert stated(None, None, "thing").build == BuildSystem()
    assert BuildSystem().backend == "setuptools.build_meta:__legacy__"


def test_a_build_system_without_a_backend_is_setuptools_with_its_requirements() -> None:
    found = stated(b'[build-system]\nrequires = ["setuptools", "numpy"]\n', None, "thing")
    assert found.build == BuildSystem(("setuptools", "numpy"))


def test_the_backend_and_its_path_are_read() -> None:
    text = b'[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["tools"]\n'
    assert stated(text, None, "thing").build == BuildSystem((), "own", ("tools",))


@pytest.mark.parametrize(
    "text", [b"[build-system]\n", b"build-system = 3", b"[build-system]\nrequires = [1]", b"[", b"\xff"]
)
def test_a_broken_pyproject_is_an_error_that_names_the_project(text: bytes) -> None:
    with pytest.raises(BrokenReleaseError) as caught:
        stated(text, None, "thing 1.0")
    assert "pyproject.toml of thing 1.0" in caught.value.message
