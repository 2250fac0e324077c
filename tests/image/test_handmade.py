"""Snapshots made by hand: pip's lists, and what they do not say."""

import pytest

from lumienv.errors import ImageError
from lumienv.image.handmade import listed_packages, snapshot_of_list
from lumienv.image.snapshot import Snapshot, snapshot_from_json


def made(text: str, **options: str) -> Snapshot:
    return snapshot_of_list(text, **{"python": "3.12.11", "glibc": "2.31", "name": "lumi.sif", **options})


def listed(text: str) -> list[tuple[str, str]]:
    return [(package.name, package.version) for package in listed_packages(text)]


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("torch==2.7.1+rocm6.2.4", ("torch", "2.7.1+rocm6.2.4")),
        ("odd===2.8.0a0-git1", ("odd", "2.8.0a0-git1")),
        ("  spaced == 1.0  # why", ("spaced", "1.0")),
        ("numpy==1.26.4 ; python_version < '3.13'", ("numpy", "1.26.4")),
        ("h5py==3.11 --hash=sha256:00", ("h5py", "3.11")),
        ("torch @ file:///opt/wheels/torch-2.7.1%2Brocm6.2.4-cp312-cp312-linux_x86_64.whl#sha256=00",
         ("torch", "2.7.1+rocm6.2.4")),
        ("mylib @ https://example.org/mylib-1.2.tar.gz", ("mylib", "1.2")),
        ("PyYAML                  6.0.2", ("PyYAML", "6.0.2")),
        ("mylib                   1.0      /opt/mylib", ("mylib", "1.0")),
    ],
)  # fmt: skip
def test_a_line_tells_name_and_version(line: str, package: tuple[str, str]) -> None:
    assert listed(f"first==1\n{line}\nlast==2\n") == [("first", "1"), package, ("last", "2")]


def test_headings_comments_remarks_and_line_ends_of_other_systems_are_passed_over() -> None:
    text = (
        "\ufeff# the image of May\r\nPackage    Version\r\n---------- -------\r\nnumpy      1.26.4\r\n\r\n"
        "WARNING: pip is old\r\n[notice] A new release of pip is available: 24.0 -> 25.0\r\n"
    )
    assert listed(text) == [("numpy", "1.26.4")]


def test_an_editable_package_has_the_version_that_pip_writes_above_it() -> None:
    text = "# Editable install with no version control (mylib==1.0)\n-e /opt/mylib\nnumpy==1.26.4\n"
    assert listed(text) == [("mylib", "1.0"), ("numpy", "1.26.4")]


def test_a_package_that_is_listed_twice_counts_once_as_it_stands_first() -> None:
    assert listed("My_Lib==1.0\nmy-lib==2.0\n") == [("My_Lib", "1.0")]


@pytest.mark.parametrize(
    "line", ["numpy @ file:///croot/numpy_1707/work", "-e git+https://example.org/x#egg=x", "h5py>=3", "h5py"]
)
def test_a_line_without_a_version_is_named_with_the_command_that_tells_it(line: str) -> None:
    with pytest.raises(ImageError) as caught:
        listed_packages(f"numpy==1\n{line}\n")
    assert caught.value.facts == (f"line 2: {line}",)
    assert "pip list --format=freeze" in (caught.value.hint or "")


def test_of_many_unclear_lines_some_are_named() -> None:
    with pytest.raises(ImageError) as caught:
        listed_packages("\n".join(f"thing{number}" for number in range(9)))
    assert caught.value.facts[-1] == "and 4 more"


def test_a_list_without_packages_is_refused() -> None:
    with pytest.raises(ImageError, match="the list of packages is empty"):
        listed_packages("# nothing\n")


@pytest.mark.parametrize(
    ("option", "value"), [("python", "3.12"), ("python", "three"), ("glibc", "31"), ("machine", "x86 64")]
)
def test_facts_that_are_none_are_refused_with_an_example(option: str, value: str) -> None:
    with pytest.raises(ImageError, match=f'"{value}" is no'):
        made("numpy==1", **{option: value})


def test_tags_are_those_of_the_c_library_not_of_this_machine() -> None:
    old = made("numpy==1", glibc="2.17", machine="aarch64")
    assert old.tags[0] == "cp312-cp312-manylinux_2_17_aarch64"
    assert old.markers["platform_machine"] == "aarch64"


def test_it_says_every_variable_of_a_marker_and_has_no_identity() -> None:
    snapshot = made("numpy==1")
    assert snapshot.image.identity == ""
    assert (snapshot.markers["python_version"], snapshot.markers["sys_platform"]) == ("3.12", "linux")
    assert len(snapshot.markers) == 11
    assert snapshot_from_json(snapshot.to_json(), "again") == snapshot


def test_pip_normalises_versions_and_metadata_need_not() -> None:
    assert made("thing==1.0-1").frozen_digest() == made("Thing==1.0.post1").frozen_digest()
