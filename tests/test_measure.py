"""What measures the tests' reach sees every process that is lumienv, and is seen by none."""

import subprocess
import sys
from pathlib import Path

import pytest

from lumienv.image.probe import MARK
from lumienv.image.probing import probe_source

coverage = pytest.importorskip("coverage", reason="nothing is measured here: pip install 'lumienv[dev]'")
MEASURE = Path(__file__).with_name("measure.py")
BECOMES_ANOTHER = """
import os
import lumienv.shell
os.execve("/usr/bin/env", ["env"], dict(os.environ))
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of an environment that is measured, which has all that this one has."""
    root = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    (site,) = root.glob("lib/python3*/site-packages")
    (site / "all.pth").write_text("\n".join(entry for entry in sys.path if entry and Path(entry).is_dir()))
    subprocess.run([root / "bin/python", MEASURE, "on", tmp_path / "data"], check=True)
    return root / "bin" / "python"


def measured(folder: Path) -> set[str]:
    """The modules of which lines were seen to run."""
    found = set()
    for file in folder.iterdir():
        data = coverage.CoverageData(str(file))
        data.read()
        found |= {Path(name).name for name in data.measured_files() if data.lines(name)}
    return found


def test_what_becomes_another_program_has_been_measured_and_its_environment_is_its_own(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "lumienv").write_text(BECOMES_ANOTHER)
    words = [str(python), str(tmp_path / "lumienv")]
    done = subprocess.run(words, env={"A": "1", "LC_ALL": "C"}, capture_output=True, text=True, check=True)
    assert (sorted(done.stdout.splitlines()), done.stderr) == (["A=1", "LC_ALL=C"], "")
    assert measured(tmp_path / "data") == {"__init__.py", "shell.py"}


def test_a_program_that_is_fed_to_python_counts_by_its_own_name(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-I", "-"], input=probe_source(), capture_output=True, text=True, check=True
    )
    assert MARK in done.stdout
    assert measured(tmp_path / "data") == {"probe.py"}


def test_what_runs_tests_for_pytest_on_another_core_counts_too(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one():\n    import lumienv.shell\n")
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-n", "1", "test_one.py"]
    subprocess.run([python, *words], cwd=tmp_path, capture_output=True, check=True)
    assert measured(tmp_path / "data") >= {"__init__.py", "shell.py"}


@pytest.mark.parametrize(
    "words", [["-X", "importtime", "-m", "lumienv", "--version"], ["-c", "import lumienv"], ["-"]]
)
def test_other_programs_and_those_that_count_imports_are_left_alone(
    python: Path, tmp_path: Path, words: list[str]
) -> None:
    subprocess.run([python, *words], input="import lumienv", capture_output=True, text=True, check=True)
    assert list((tmp_path / "data").iterdir()) == []


def test_nothing_is_left_when_it_is_over(python: Path) -> None:
    (site,) = python.parents[1].glob("lib/python3*/site-packages")
    subprocess.run([python, MEASURE, "off"], check=True)
    assert [path for path in site.rglob("*") if "measured" in path.name and path.suffix != ".pyc"] == []
