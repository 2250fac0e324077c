"""What is written for a lock with everything that a lock can hold."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.pylock import Pylock

from lumienv.errors import LockError
from lumienv.export.conda import conda_environment
from lumienv.export.definition import definition
from lumienv.export.pylock import plain_pylock
from lumienv.export.requirements import requirements
from lumienv.export.sbom import cyclonedx
from lumienv.export.selection import select
from lumienv.lockfile import read_lock

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEAD = """\
lock-version = "1.0"
environments = ["python_full_version == \\"3.12.9\\" and sys_platform == \\"linux\\""]
requires-python = "==3.12.*"
extras = []
dependency-groups = ["dev"]
default-groups = []
created-by = "lumienv"
"""
WHEELS = f"""
[[packages]]
name = "thing"
version = "1.0"
dependencies = [{{name = "built"}}, {{name = "torch"}}]
index = "https://packages.example.org/simple"

[[packages.wheels]]
name = "thing-1.0-py3-none-any.whl"
url = "https://packages.example.org/files/thing-1.0-py3-none-any.whl"

[packages.wheels.hashes]
sha256 = "{"a" * 64}"

[[packages]]
name = "built"
version = "2.0"

[packages.sdist]
name = "built-2.0.tar.gz"
url = "https://packages.example.org/files/built-2.0.tar.gz"

[packages.sdist.hashes]
sha256 = "{"b" * 64}"

[[packages]]
name = "archived"
version = "3.0"

[packages.archive]
url = "https://example.org/archived-3.0.tar.gz"
subdirectory = "python"

[packages.archive.hashes]
sha256 = "{"c" * 64}"

[[packages]]
name = "tool"
version = "4.0"
marker = "'dev' in dependency_groups"

[[packages.wheels]]
name = "tool-4.0-py3-none-any.whl"
url = "https://packages.example.org/files/tool-4.0-py3-none-any.whl"

[packages.wheels.hashes]
sha256 = "{"d" * 64}"
"""
FLAT = f"""
[[packages]]
name = "flat"
version = "5.0"

[[packages.wheels]]
name = "flat-5.0-py3-none-any.whl"
path = "wheels/flat-5.0-py3-none-any.whl"

[packages.wheels.hashes]
sha256 = "{"e" * 64}"
"""
GIT = f"""
[[packages]]
name = "cloned"

[packages.vcs]
type = "git"
url = "https://example.org/cloned"
requested-revision = "main"
commit-id = "{COMMIT}"
subdirectory = "python"
"""
FOLDER = """
[[packages]]
name = "local"

[packages.directory]
path = "local"
editable = true
"""
GUARD = """
[tool.lumienv]
schema = 1
inputs = "sha256:1"

[tool.lumienv.image]
name = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
identity = "sif:2"
frozen = "sha256:3"

[[tool.lumienv.provided]]
name = "torch"
version = "2.7.1+rocm6.2.4"
"""


@pytest.fixture
def selected(tmp_path):
    """The selection of a lock with these packages."""

    def of(*packages: str, groups=()):
        path = tmp_path / "pylock.lumienv.toml"
        path.write_text(HEAD + "".join(packages) + GUARD)
        return select(read_lock(path), groups)

    return of


def stated(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_requirements_pin_each_package_with_its_hash(selected):
    assert stated(requirements(selected(WHEELS), hashes=True)) == [
        "thing==1.0 \\",
        f"    --hash=sha256:{'a' * 64}",
        "built==2.0 \\",
        f"    --hash=sha256:{'b' * 64}",
        "archived @ https://example.org/archived-3.0.tar.gz#subdirectory=python \\",
        f"    --hash=sha256:{'c' * 64}",
    ]


def test_packages_of_the_image_are_named_and_never_required(selected):
    text = requirements(selected(WHEELS), hashes=True)
    assert "#   torch==2.7.1+rocm6.2.4" in text.splitlines()
    assert not any(line.startswith("torch") for line in text.splitlines())


def test_a_group_brings_its_packages(selected):
    assert "tool==4.0" not in requirements(selected(WHEELS), hashes=False)
    assert "tool==4.0" in requirements(selected(WHEELS, groups=["dev"]), hashes=False)
    assert len(plain(selected(WHEELS, groups=["dev"])).packages) == 4
    assert len(plain(selected(WHEELS)).packages) == 3


def test_what_has_no_hash_is_told_where_hashes_are_wanted(selected):
    for selection, why in (
        (selected(WHEELS, GIT), "cloned comes from git"),
        (selected(WHEELS, FOLDER), "local is a folder"),
    ):
        with pytest.raises(LockError, match=why) as failed:
            requirements(selection, hashes=True)
        assert "lumienv export --no-hashes" in str(failed.value.hint)


def test_sources_are_named_as_pip_names_them(selected):
    assert stated(requirements(selected(FLAT, GIT, FOLDER), hashes=False)) == [
        "./wheels/flat-5.0-py3-none-any.whl",
        f"cloned @ git+https://example.org/cloned@{COMMIT}#subdirectory=python",
        "-e ./local",
    ]


def plain(selection, folder: Path | None = None) -> Pylock:
    text = plain_pylock(selection, folder or selection.lock.folder)
    return Pylock.from_dict(tomllib.loads(text))


def test_a_plain_pylock_has_no_groups_no_guards_and_all_files(selected):
    made = plain(selected(WHEELS, FLAT, GIT, FOLDER, groups=["dev"]))
    assert made.tool is None
    assert not made.dependency_groups
    assert [package.marker for package in made.packages] == [None] * 7
    assert made.packages[0].dependencies == [{"name": "built"}]


def test_paths_in_a_plain_pylock_start_where_it_lies(selected, tmp_path):
    made = plain(selected(FLAT, FOLDER), tmp_path / "elsewhere" / "deep")
    assert made.packages[0].wheels[0].path == "../../wheels/flat-5.0-py3-none-any.whl"
    assert made.packages[1].directory.path == "../../local"


def test_a_conda_environment_brings_what_the_image_would(selected):
    made = yaml.safe_load(conda_environment(selected(WHEELS, GIT)))
    assert made == {
        "name": "lumienv",
        "channels": ["conda-forge"],
        "dependencies": [
            "python=3.12",
            "pip",
            {
                "pip": [
                    "torch==2.7.1+rocm6.2.4",
                    "thing==1.0",
                    "built==2.0",
                    "archived @ https://example.org/archived-3.0.tar.gz#subdirectory=python",
                    f"cloned @ git+https://example.org/cloned@{COMMIT}#subdirectory=python",
                ]
            },
        ],
    }


def test_a_definition_file_holds_its_requirements_and_no_place_of_this_machine(selected, tmp_path):
    text = definition(selected(WHEELS), hashes=True)
    assert "From: {{ sif }}\n" in text
    assert "    sif=lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif\n" in text
    assert f"thing==1.0 \\\n    --hash=sha256:{'a' * 64}\n" in text
    assert "--require-hashes" in text
    assert "\ntorch==2.7.1+rocm6.2.4\n" in text
    assert str(tmp_path) not in text
    assert "--require-hashes" not in definition(selected(WHEELS, GIT), hashes=False)


@pytest.mark.parametrize("package", [FLAT, FOLDER])
def test_a_definition_file_takes_nothing_that_lies_in_the_project(selected, package):
    with pytest.raises(LockError, match="lies on this machine") as failed:
        definition(selected(WHEELS, package), hashes=False)
    assert "lumienv sync --mode sif" in str(failed.value.hint)


def test_a_bill_of_materials_is_valid_and_tells_image_from_overlay(selected):
    text = cyclonedx(selected(WHEELS, FLAT, GIT, FOLDER))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    made = json.loads(text)
    assert made["specVersion"] == "1.6"
    origins = {
        one["name"]: next(p["value"] for p in one["properties"] if p["name"] == "lumienv:origin")
        for one in made["components"]
    }
    overlay = dict.fromkeys(("thing", "built", "archived", "flat", "cloned", "local"), "overlay")
    image = dict.fromkeys(("torch", "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"), "image")
    assert origins == overlay | image
    needs = {one["ref"]: one.get("dependsOn", []) for one in made["dependencies"]}
    assert needs["overlay:thing"] == ["image:torch", "overlay:built"]
    assert needs["image"] == ["image:torch"]
    addresses = {one["name"]: one.get("purl") for one in made["components"]}
    assert addresses["torch"] == "pkg:pypi/torch@2.7.1%2Brocm6.2.4"
    assert COMMIT in addresses["cloned"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "lumi-pytorch', r'name = "x.sif\n%post\n    id\n#'),
        ('version = "2.7.1+rocm6.2.4"', "version = \"1'''\\nimport os\""),
        ('version = "2.7.1+rocm6.2.4"', r'version = "1\nEND\nid"'),
        ('name = "torch"\nversion', 'name = "--index-url=https://example.org"\nversion'),
        ("https://example.org/cloned", "https://example.org/cloned --pre"),
        ("https://example.org/cloned", "https://example.org/$(id){{ sif }}"),
        ("https://example.org/archived", r"https://example.org/a\nb"),
        ('path = "wheels/flat', 'path = "wheels/x --index-url https://example.org/flat'),
        (COMMIT, r"main\n-e ."),
        ("a" * 64, r"a\n--pre"),
    ],
)
def test_a_lock_that_somebody_has_tampered_with_writes_no_line_of_its_own(tmp_path, old, new):
    text = HEAD + WHEELS + FLAT + GIT + GUARD
    assert old in text
    path = tmp_path / "pylock.lumienv.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LockError, match="the lock is damaged"):
        select(read_lock(path), ())


def test_the_same_lock_gives_the_same_bytes(selected):
    for write in (cyclonedx, conda_environment):
        assert write(selected(WHEELS)) == write(selected(WHEELS))


def test_another_choice_of_groups_is_another_bill_of_materials(selected):
    numbers = {json.loads(cyclonedx(selected(WHEELS, groups=g)))["serialNumber"] for g in ([], ["dev"])}
    assert len(numbers) == 2
