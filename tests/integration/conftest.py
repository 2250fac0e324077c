"""What the integration tests need of the machine, and the rule for what is missing.

Where a part of the laboratory (tests/lab) is missing, its tests skip and say what to do. With
`LUMIENV_TEST_STRICT=1`, as in CI, a missing part and any other skip is a failure.
"""

import getpass
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from index_server import IndexServer
from small_image import make_small_image
from workspace import Workspace, make_workspace

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index

STRICT = os.environ.get("LUMIENV_TEST_STRICT") == "1"
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

LAB = Path(__file__).parents[1] / "lab"
IMAGE_FILES = {
    "mpi4py": "lumi-mpi4py-*.sif",
    "pytorch": "lumi-pytorch-*.sif",
    "multitorch": "lumi-multitorch-*.sif",
    "no_python": "no-python.sif",
}


@dataclass(frozen=True)
class Lab:
    """The laboratory as these tests see it.

    `images` maps `mpi4py` (old conda), `pytorch` (auto-activated conda), `multitorch` (LAIF) and
    `no_python` to their SIF files, all of which lie in `directory` under the names LUMI gives them.
    """

    images: Mapping[str, Path]
    directory: Path
    slurm: bool
    user: str


def skip_unless(present: bool, missing: str) -> None:
    """Skip the test, or fail it when strict, unless `present`; `missing` says what to do."""
    if not present:
        (pytest.fail if STRICT else pytest.skip)(missing)


@pytest.fixture(scope="session")
def require() -> Callable[[bool, str], None]:
    """`skip_unless` for a test that needs something of its own."""
    return skip_unless


def images_directory() -> Path:
    """The built images: `LUMIENV_LAB_IMAGES`, else where build-images.sh puts this checkout's."""
    told = os.environ.get("LUMIENV_LAB_IMAGES")
    where = ["bash", str(LAB / "build-images.sh"), "--where"]
    return Path(told or subprocess.run(where, capture_output=True, text=True).stdout.strip())


def slurm_runs() -> bool:
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo", "-h"], capture_output=True, timeout=30).returncode == 0


@pytest.fixture(scope="session")
def runtime() -> str:
    """The path of the container runtime."""
    found = shutil.which("singularity") or shutil.which("apptainer") or ""
    skip_unless(found != "", "no singularity or apptainer here: run tests/lab/install-runtime.sh as root")
    return found


@pytest.fixture(scope="session")
def lab(runtime: str) -> Lab:
    """The laboratory with its images; Slurm may or may not run (ask for `slurm` where it must)."""
    directory = images_directory()
    images = {name: next(directory.glob(file), None) for name, file in IMAGE_FILES.items()}
    skip_unless(
        None not in images.values(),
        f"no images in {directory}: run tests/lab/build-images.sh as root, "
        "or name the directory that holds them in LUMIENV_LAB_IMAGES",
    )
    found = {name: path.resolve() for name, path in images.items() if path}
    return Lab(images=found, directory=directory, slurm=slurm_runs(), user=getpass.getuser())


@pytest.fixture(scope="session")
def conda_python(lab: Lab, runtime: str) -> str:
    """Which Python the images of the conda families have: LUMI's 3.12, or what tests/lab could build here."""
    shown = "import sys; print('%d.%d' % sys.version_info[:2])"
    command = [runtime, "exec", "--containall", str(lab.images["pytorch"]), "python", "-c", shown]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def slurm() -> None:
    """A Slurm cluster that answers."""
    skip_unless(slurm_runs(), "no Slurm answers here: run tests/lab/slurm-up.sh as root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return failed_if_skipped((yield))


def failed_if_skipped(report: Report) -> Report:
    """The report, with a skip (other than an expected failure) turned into a failure when strict."""
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (LUMIENV_TEST_STRICT=1: an integration test must not skip)"
    return report


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lumienv's cache for this run of the tests: empty at its start, shared by its projects."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def real_index(cache: Path) -> Iterator[IndexClient]:
    """The index of this machine; what it says is kept where LUMIENV_TEST_INDEX_CACHE says, if it says."""
    kept = Path(os.environ.get("LUMIENV_TEST_INDEX_CACHE") or cache / "index")
    with ExitStack() as stack:
        try:
            client = stack.enter_context(IndexClient([default_index()], cache=kept))
            page = client.page("pip").result()
        except PackageIndexError as error:
            skip_unless(False, f"no package index answers here: {error.message}")
        dated = page is not None and page.files[0].upload_time is not None
        skip_unless(dated, "the package index here tells no upload times: exclude-newer has no effect")
        yield client


@pytest.fixture
def workspace(tmp_path: Path, cache: Path) -> Workspace:
    """An empty project folder."""
    return make_workspace(tmp_path / "project", cache)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """An empty folder for wheels."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def index(wheels: Path) -> Iterator[IndexServer]:
    """A package index on loopback that serves `wheels`."""
    with IndexServer(wheels) as server:
        yield server


@pytest.fixture
def local(tmp_path: Path, index: IndexServer) -> Workspace:
    """A project folder whose only index is `index`, with a cache of its own."""
    return make_workspace(tmp_path / "project", tmp_path / "cache", PIP_INDEX_URL=index.url)


@pytest.fixture(scope="session")
def small_image(lab: Lab, runtime: str) -> Path:
    """A small image for tests that sync again and again: CPython, imgtool 1.0 and shipped 2.1."""
    return make_small_image(lab.images["no_python"], runtime)
