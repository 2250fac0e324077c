"""Jupyter kernel specs: where they lie, whose they are, and what is never overwritten."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from place import Place, Told
from wheels import make_wheel

from lumienv.errors import StoreError, UsageError
from lumienv.project import Project
from lumienv.project.kernel import install_kernel, kernels_folder, remove_kernel
from lumienv.project.sync import sync


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.local/share/jupyter/kernels"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/x"}, "/x/jupyter/kernels"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/x", "JUPYTER_DATA_DIR": "/j"}, "/j/kernels"),
    ],
)
def test_kernels_lie_where_jupyter_looks_for_them(environ: Mapping[str, str], folder: str) -> None:
    assert kernels_folder(environ) == Path(folder)


@pytest.fixture
def project(place: Place, tmp_path: Path) -> Project:
    """A synced one without a container, with something that is called ipykernel."""
    make_wheel(place.server.directory, "ipykernel", "7.0")
    made = place.project(f'dependencies = ["ipykernel"]\n[image]\nhost = "{sys.executable}"\n')
    made = replace(made, environ={**made.environ, "JUPYTER_DATA_DIR": str(tmp_path / "jupyter")})
    sync(made, Told())
    return made


def test_a_kernel_starts_the_launcher_so_that_it_lasts_over_syncs(project: Project) -> None:
    kernel = install_kernel(project)

    spec = json.loads(kernel.path.read_bytes())
    assert spec["argv"] == [
        str(project.store.root / "bin/python"),
        *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
    ]
    assert (kernel.name, spec["language"]) == ("project", "python")
    assert spec["display_name"].startswith("project (")
    assert install_kernel(project) == kernel  # again: it is this project's


def test_the_kernel_of_another_is_neither_overwritten_nor_removed(project: Project) -> None:
    kernel = install_kernel(project, "Mine")
    assert kernel.name == "mine"
    spec = json.loads(kernel.path.read_bytes())
    for metadata in ({}, {"lumienv": {"project": "/scratch/project_465000000/other"}}):
        kernel.path.write_text(json.dumps(spec | {"metadata": metadata}))
        before = kernel.path.read_bytes()

        with pytest.raises(StoreError, match="there is a Jupyter kernel mine already"):
            install_kernel(project, "mine")
        with pytest.raises(StoreError, match="no Jupyter kernel mine of this project"):
            remove_kernel(project, "mine")

        assert kernel.path.read_bytes() == before


def test_removing_leaves_nothing_and_a_second_time_says_so(project: Project) -> None:
    kernel = install_kernel(project)
    remove_kernel(project)
    assert list(kernel.path.parents[1].iterdir()) == []
    with pytest.raises(StoreError, match="no Jupyter kernel project"):
        remove_kernel(project)


@pytest.mark.parametrize("name", ["../../x", "a b", ""])
def test_a_name_that_jupyter_does_not_take_is_refused(project: Project, name: str) -> None:
    with pytest.raises(UsageError):
        install_kernel(project, name)
