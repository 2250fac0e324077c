"""What is told of a build that failed, and what is advised."""

import pytest
from universe import snapshot

from lumienv.build.failures import build_failed, telling_lines
from lumienv.errors import StoreError
from lumienv.manifest import Dependency

COMPILER = """\
running build_ext
building 'fast' extension
gcc-14 -fPIC -c fast.c -o build/fast.o
fast.c:1:10: fatal error: hip/hip_runtime.h: No such file or directory
    1 | #include <hip/hip_runtime.h>
compilation terminated.
error: command '/usr/bin/gcc-14' failed with exit code 1
"""
NO_COMPILER = "running build_ext\nerror: command 'gcc' failed: No such file or directory\n"
TRACEBACK = """\
Traceback (most recent call last):
  File "/.lumienv/build/env/lib/python3.12/site-packages/_in_process.py", line 389, in <module>
    main()
  File "<string>", line 12, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
"""
WARNED = """\
/env/setuptools/dist.py:759: SetuptoolsDeprecationWarning: License classifiers are deprecated.
!!

        ********************************************************************************
        Please consider an error that this is not.
        ********************************************************************************

!!
  self._finalize_license_expression()
Cython>=0.22 and NumPy are required.
"""


def failure(said: str, what: str = "wheel", label: str = "fast 1.0", line: str = "fast") -> str:
    lines = [Dependency(line, "dependencies", 3)]
    return str(build_failed(label, what, "", said, snapshot(), lines))


def test_the_compilers_own_words_are_told_and_the_missing_header_is_named() -> None:
    said = failure(COMPILER)
    assert "fast.c:1:10: fatal error: hip/hip_runtime.h: No such file or directory" in said
    assert "error: command '/usr/bin/gcc-14' failed with exit code 1" in said
    assert "running build_ext" not in said
    assert "help: the image has no hip/hip_runtime.h" in said


def test_an_image_without_a_compiler_is_said_to_lack_it() -> None:
    assert "help: the image lacks a compiler that it needs" in failure(NO_COMPILER)


def test_of_a_traceback_only_its_last_line_is_told() -> None:
    assert telling_lines(TRACEBACK) == ["ModuleNotFoundError: No module named 'torch'"]


def test_a_module_that_a_build_does_not_ask_for_is_named() -> None:
    assert "its build imports torch, which it asks for nowhere" in failure(TRACEBACK, "metadata")


def test_warnings_of_setuptools_are_left_out() -> None:
    assert telling_lines(WARNED) == ["Cython>=0.22 and NumPy are required."]


def test_a_full_disk_is_called_by_its_name() -> None:
    said = failure("cc1: error: write failed: No space left on device\n")
    assert said.startswith("fast 1.0 cannot be built: the disk is full")
    assert "TMPDIR" in said


def test_a_full_disk_speaks_against_no_release() -> None:
    error = build_failed("fast 1.0", "wheel", "", "OSError: [Errno 28] No space left on device", snapshot())
    assert isinstance(error, StoreError)  # else an older release would be taken for it


def test_an_older_release_is_advised_only_where_there_are_releases() -> None:
    assert 'constraints = ["fast<1.0"]' in failure(COMPILER)
    said = failure(COMPILER, label="fast")
    assert said.startswith("fast comes from its sources, and it cannot be built in")
    assert "constraints" not in said
    assert "mend its build, or take a release of fast from an index" in said


@pytest.mark.parametrize("line", ["Fast==1.0", "fast[mpi]==1.0.0", "fast>=1", "fast~=1.0", "fast==1.0.*"])
def test_a_line_that_allows_no_older_release_is_named_in_place_of_a_constraint(line: str) -> None:
    said = failure(COMPILER, line=line)
    assert "[resolve]" not in said
    assert f'name another version in\n      "{line}" (lumienv.toml:3)' in said


@pytest.mark.parametrize(
    "line", ["fast>=0.9", "fast==1.*", "fast<2", "faster==1.1", "fast==1.1; python_version < '3'"]
)
def test_a_line_that_allows_older_releases_is_not(line: str) -> None:
    assert 'constraints = ["fast<1.1"]' in failure(COMPILER, label="fast 1.1", line=line)


@pytest.mark.parametrize(
    ("said", "aged"),
    [
        ("TypeError: new_compiler() got an unexpected keyword argument 'dry_run'", True),
        ("ModuleNotFoundError: No module named 'pkg_resources'", True),
        ("ModuleNotFoundError: No module named 'numpy.distutils'", True),
        ("AttributeError: module 'pkgutil' has no attribute 'ImpImporter'", True),
        ("error: invalid command 'bdist_wheel'", True),
        ("ModuleNotFoundError: No module named 'torch'", False),
        ("error: command '/usr/bin/gcc-14' failed with exit code 1", False),
        ("RuntimeError: CUDA is required", False),
        ("", False),
    ],
)
def test_sources_that_are_older_than_their_tools_are_told_from_others(said: str, aged: bool) -> None:
    assert build_failed("fast 1.0", "wheel", "", said, snapshot()).aged is aged
