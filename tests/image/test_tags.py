"""The wheel tags of an image, in order of preference."""

import json
import subprocess
from pathlib import Path
from typing import Any

import packaging
import pytest
from interpreters import each_interpreter, skip_where_packaging_does_not_run
from packaging.tags import parse_tag

from lumienv.image.tags import wheel_tags

X86 = {"libc": ["glibc", "2.35"], "free_threaded": False, "debug": False, "machine": "x86_64", "bits": 64}


def tags(version: str = "3.12.9", **abi: Any) -> tuple[str, ...]:
    return wheel_tags(version, X86 | abi)


def test_the_images_glibc_decides_not_this_machines() -> None:
    found = tags()
    assert found[0] == "cp312-cp312-manylinux_2_35_x86_64"
    assert not any("manylinux_2_36" in tag for tag in found)
    assert not any("musllinux" in tag for tag in found)
    assert {"cp312-abi3-manylinux_2_17_x86_64", "cp32-abi3-manylinux2014_x86_64"} <= set(found)
    assert {"py3-none-any", "cp312-none-any", "cp312-cp312-linux_x86_64"} <= set(found)


@pytest.mark.parametrize(("old", "new"), [(17, "2014"), (12, "2010"), (5, "1")])
def test_a_legacy_name_follows_the_version_it_stands_for(old: int, new: str) -> None:
    found = tags()
    place = found.index(f"cp312-cp312-manylinux_2_{old}_x86_64")
    assert found[place + 1] == f"cp312-cp312-manylinux{new}_x86_64"


def test_other_machines_start_at_glibc_2_17() -> None:
    found = tags(machine="aarch64")
    assert "cp312-cp312-manylinux2014_aarch64" in found
    assert not [tag for tag in found if "manylinux_2_16_" in tag or "manylinux1" in tag]
    assert not [tag for tag in found if "x86_64" in tag]


def test_an_image_with_musl_takes_musllinux_only() -> None:
    found = tags(libc=["musl", "1.2"])
    assert found[0] == "cp312-cp312-musllinux_1_2_x86_64"
    assert "cp312-cp312-musllinux_1_1_x86_64" in found
    assert not [tag for tag in found if "manylinux" in tag]


def test_without_a_known_c_library_only_plain_platforms_remain() -> None:
    found = tags(libc=["", ""])
    assert found[0] == "cp312-cp312-linux_x86_64"
    assert "py3-none-any" in found


def test_a_free_threaded_python_takes_its_own_abi_and_no_stable_one() -> None:
    found = tags("3.13.1", free_threaded=True)
    assert found[0] == "cp313-cp313t-manylinux_2_35_x86_64"
    assert not [tag for tag in found if "-cp313-" in tag or "-abi3-" in tag]


def test_a_32_bit_python_on_a_64_bit_machine_takes_32_bit_wheels() -> None:
    assert tags(bits=32)[0] == "cp312-cp312-manylinux_2_35_i686"


@pytest.mark.parametrize(("version", "abi"), [("3.6.15", "cp36m"), ("3.7.16", "cp37m"), ("3.8.18", "cp38")])
def test_a_python_older_than_3_8_has_an_m_in_its_abi(version: str, abi: str) -> None:
    """PEP 3149: the flag for pymalloc went with Python 3.8 (bpo-36707)."""
    major, minor, _ = version.split(".")
    assert tags(version)[0] == f"cp{major}{minor}-{abi}-manylinux_2_35_x86_64"


def test_each_tag_stands_there_once() -> None:
    assert len(set(tags())) == len(tags())


_ASK = """
import json, os, platform, sys, sysconfig
sys.path.insert(0, sys.argv[1])
from packaging.tags import sys_tags
name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
abi = {"libc": [name, version], "machine": platform.machine(), "bits": 64 if sys.maxsize > 2**32 else 32,
       "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
       "debug": bool(sysconfig.get_config_var("Py_DEBUG"))}
print(json.dumps([platform.python_version(), abi, [str(tag) for tag in sys_tags()]]))
"""


@pytest.mark.parametrize("interpreter", each_interpreter("3.9", "3.10", "3.11", "3.12", "3.13", "3.14"))
def test_a_real_python_says_the_same_of_itself(interpreter: tuple[str, str]) -> None:
    skip_where_packaging_does_not_run(interpreter[0])
    library = Path(packaging.__file__).parents[1]
    answer = subprocess.run(
        [interpreter[1], "-Ic", _ASK, str(library)], capture_output=True, text=True, check=True
    )
    version, abi, expected = json.loads(answer.stdout)
    found = list(wheel_tags(version, abi))
    assert sorted(found) == sorted(expected)
    # A wheel for plain `linux` comes last here and in uv; newer releases of packaging put it first.
    plain = f"-linux_{abi['machine']}"
    assert [tag for tag in found if plain not in tag] == [tag for tag in expected if plain not in tag]
    assert all(len(parse_tag(tag)) == 1 for tag in expected)
