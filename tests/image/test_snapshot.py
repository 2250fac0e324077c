"""The snapshot and its file format."""

import hashlib
import json
from typing import Any

import pytest

from lumienv.errors import ImageError
from lumienv.image.snapshot import Activation, ImagePackage, ImageScript, Snapshot, snapshot_from_json

# The example of the specification (design: Formats, Snapshot).
WRITTEN: dict[str, Any] = {
    "schema": 1,
    "image": {"kind": "sif", "name": "lumi.sif", "identity": "sif:00", "size": 13421772800},
    "python": {
        "executable": "/opt/miniconda3/envs/pytorch/bin/python",
        "prefix": "/opt/miniconda3/envs/pytorch",
        "base_prefix": "/opt/miniconda3/envs/pytorch",
        "version": "3.12.9",
        "implementation": "cpython",
        "site_packages": ["/opt/miniconda3/envs/pytorch/lib/python3.12/site-packages"],
    },
    "markers": {"python_full_version": "3.12.9", "sys_platform": "linux"},
    "tags": ["cp312-cp312-manylinux_2_35_x86_64", "py3-none-any"],
    "packages": [
        {
            "name": "torch",
            "version": "2.7.1+rocm6.2.4",
            "requires": ["numpy"],
            "extras": ["opt"],
            "modules": ["torch", "torchgen"],
            "location": "/opt/site",
            "installer": "conda",
        }
    ],
    "scripts": [
        {"name": "torchrun", "entry": "torch.distributed.run:main"},
        {"name": "tool", "file": "/opt/bin/tool"},
    ],
    "compilers": {"cc": "gcc-12", "cxx": "g++-12"},
    "activation": {
        "kind": "with-conda",
        "command": "source /opt/miniconda3/bin/activate pytorch",
        "set": {"CONDA_PREFIX": "/opt/miniconda3/envs/pytorch"},
        "prepend_path": ["/opt/miniconda3/envs/pytorch/bin"],
    },
}
LEAST: dict[str, Any] = {
    "schema": 1,
    "image": {"name": "lumi.sif"},
    "python": {"version": "3.12.9"},
    "markers": {"sys_platform": "linux"},
    "tags": ["py3-none-any"],
    "packages": [{"name": "torch", "version": "2.7.1"}],
}


def read(data: object) -> Snapshot:
    return snapshot_from_json(json.dumps(data), "saved.json")


def test_every_field_of_the_format_is_read() -> None:
    snapshot = read(WRITTEN)
    assert (snapshot.image.name, snapshot.image.identity) == ("lumi.sif", "sif:00")
    assert snapshot.image.size == 13421772800
    assert snapshot.python.executable == "/opt/miniconda3/envs/pytorch/bin/python"
    assert snapshot.python.site_packages == ("/opt/miniconda3/envs/pytorch/lib/python3.12/site-packages",)
    assert snapshot.markers.items() >= WRITTEN["markers"].items()
    assert snapshot.tags == ("cp312-cp312-manylinux_2_35_x86_64", "py3-none-any")
    assert snapshot.packages == (
        ImagePackage(
            "torch",
            "2.7.1+rocm6.2.4",
            ("numpy",),
            ("opt",),
            ("torch", "torchgen"),
            "/opt/site",
            "conda",
        ),
    )
    assert snapshot.scripts == (
        ImageScript("torchrun", entry="torch.distributed.run:main"),
        ImageScript("tool", file="/opt/bin/tool"),
    )
    assert snapshot.compilers == {"cc": "gcc-12", "cxx": "g++-12"}
    assert snapshot.activation == Activation(
        "with-conda",
        "source /opt/miniconda3/bin/activate pytorch",
        {"CONDA_PREFIX": "/opt/miniconda3/envs/pytorch"},
        ("/opt/miniconda3/envs/pytorch/bin",),
    )


@pytest.mark.parametrize("data", [WRITTEN, LEAST], ids=["whole", "least"])
def test_what_is_written_is_read_again(data: dict[str, Any]) -> None:
    snapshot = read(data)
    assert snapshot_from_json(snapshot.to_json(), "again") == snapshot
    assert snapshot_from_json(snapshot.saved(), "again") == snapshot
    assert json.loads(snapshot.to_json())["schema"] == json.loads(snapshot.saved())["schema"] == 1


def test_what_is_saved_does_not_tell_where_the_image_lies_and_has_a_line_for_each_package() -> None:
    snapshot = read({**WRITTEN, "image": {**WRITTEN["image"], "path": "/scratch/project_465000000/my.sif"}})
    assert snapshot.image.path != ""
    assert "project_465000000" not in snapshot.saved()
    (line,) = [line for line in snapshot.saved().splitlines() if '"name": "torch"' in line]
    assert '"version": "2.7.1+rocm6.2.4"' in line


def test_a_variable_that_activation_empties_is_kept() -> None:
    emptied = read({**LEAST, "activation": {"kind": "command", "set": {"PS1": ""}}})
    assert snapshot_from_json(emptied.saved(), "again").activation.set == {"PS1": ""}


def test_a_hand_made_snapshot_needs_only_the_least() -> None:
    snapshot = read(LEAST)
    assert (snapshot.image.identity, snapshot.python.version) == ("", "3.12.9")
    assert [(package.name, package.version) for package in snapshot.packages] == [("torch", "2.7.1")]


def test_fields_of_a_later_lumienv_are_passed_over() -> None:
    later = json.loads(json.dumps(WRITTEN))
    later["packages"][0]["colour"] = "red"
    later["python"]["jit"] = True
    later["weather"] = "fine"
    assert read(later) == read(WRITTEN)


@pytest.mark.parametrize(
    "key", ["schema", "image", "image.name", "python", "python.version", "markers", "tags", "packages"]
)
def test_a_snapshot_without_what_it_needs_says_what_is_missing(key: str) -> None:
    data = json.loads(json.dumps(LEAST))
    table, _, last = key.rpartition(".")
    del (data[table] if table else data)[last]
    with pytest.raises(ImageError, match=f"saved.json is not a snapshot of an image: {key} is missing"):
        read(data)


@pytest.mark.parametrize("key", ["name", "version"])
def test_a_package_without_name_or_version_is_named_by_its_place(key: str) -> None:
    data = json.loads(json.dumps(LEAST))
    data["packages"].append({"name": "numpy", "version": "1.26.4"})
    del data["packages"][1][key]
    with pytest.raises(ImageError, match=rf"not a snapshot of an image: packages\[1\]\.{key} is missing"):
        read(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tags": "py3-none-any"}, "tags is not a list"),
        ({"tags": ["py3-none-any", "cp312"]}, 'tags has "cp312", which is no wheel tag'),
        ({"tags": [3]}, "tags has something else than text in it"),
        ({"packages": {"torch": "2.7.1"}}, "packages is not a list"),
        ({"packages": ["torch==2.7.1"]}, r"packages\[0\] is not an object"),
        ({"packages": [{"name": "torch", "version": 2.7}]}, r"packages\[0\].version is not a text"),
        ({"markers": {"os_name": None}}, "markers.os_name is not a text"),
        ({"python": {"version": "three"}}, 'python.version is "three", which is no version'),
        ({"python": "3.12.9"}, "python is not an object"),
        ({"image": {"name": "lumi.sif", "size": "big"}}, "image.size is not a number"),
        ({"schema": True}, "schema is not a number"),
    ],
)
def test_what_is_not_of_its_kind_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ImageError, match=f"not a snapshot of an image: {problem}"):
        read(LEAST | change)


def test_variables_of_markers_that_are_left_out_are_not_those_of_this_machine() -> None:
    markers = read(LEAST).markers
    assert markers["python_full_version"] == "3.12.9"
    assert (markers["python_version"], markers["platform_machine"]) == ("3.12", "x86_64")
    assert (markers["platform_release"], markers["platform_version"]) == ("", "")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "5", '{"schema": 1, "image": []}'])
def test_what_is_no_snapshot_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ImageError, match=r"saved\.json is not a snapshot of an image"):
        snapshot_from_json(text, "saved.json")


def test_a_snapshot_of_another_format_says_which() -> None:
    with pytest.raises(ImageError, match=r"has format 2, this lumienv reads 1"):
        read(LEAST | {"schema": 2})


def test_the_frozen_digest_is_that_of_the_sorted_list() -> None:
    packages = [{"name": "torch", "version": "2.7.1+rocm6.2.4"}, {"name": "numpy", "version": "1.26.4"}]
    expected = hashlib.sha256(b"numpy==1.26.4\ntorch==2.7.1+rocm6.2.4").hexdigest()
    for order in (packages, packages[::-1]):
        assert read(LEAST | {"packages": order}).frozen_digest() == f"sha256:{expected}"


def test_the_frozen_digest_knows_a_package_by_its_normal_name() -> None:
    spelt = [[{"name": name, "version": "6"}] for name in ("PyYAML", "pyyaml", "PYyaml")]
    assert len({read(LEAST | {"packages": packages}).frozen_digest() for packages in spelt}) == 1


@pytest.mark.parametrize(
    "packages",
    [
        [],
        [{"name": "torch", "version": "2.7.2"}],
        [{"name": "torchvision", "version": "2.7.1"}],
        [{"name": "torch", "version": "2.7.1"}, {"name": "numpy", "version": "2"}],
    ],
)
def test_any_change_of_the_packages_changes_the_frozen_digest(packages: list[dict[str, str]]) -> None:
    assert read(LEAST | {"packages": packages}).frozen_digest() != read(LEAST).frozen_digest()


def test_of_two_packages_with_one_name_the_one_that_imports_find_counts() -> None:
    packages = [
        {"name": "Num_Py", "version": "1.26.4"},
        {"name": "num.py", "version": "2.0"},
        {"name": "rich", "version": "14"},
    ]
    found = read(LEAST | {"packages": packages}).by_name()
    assert {name: package.version for name, package in found.items()} == {"num-py": "1.26.4", "rich": "14"}
