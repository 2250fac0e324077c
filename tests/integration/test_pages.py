"""The tutorial and each how-to does what it shows: files are written and commands typed as they stand.

What is typed goes to a bash on a terminal, page by page in a fresh folder, and what comes is held against
what the page shows. Addresses below example.org stand for servers of the test's own.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from console import Written, steps
from index_server import IndexServer
from sources import commit, git, make_repository, tiny_project
from terminal import Terminal
from wheels import make_wheel
from workspace import Workspace, typing_environment

pytestmark = pytest.mark.unprivileged

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]


@dataclass(frozen=True)
class Scene:
    """Where a page's reader sits: a folder, the variables there, and what the page's addresses stand for."""

    directory: Path
    environment: Mapping[str, str]
    stands_for: Mapping[str, str]

    def file(self, name: str, folder: Path) -> Path:
        """Where a file is that the page shows under this name, for a shell in `folder`."""
        home = Path(self.environment["HOME"])
        return home / name.removeprefix("~/") if name.startswith("~/") else folder / name

    def real(self, text: str) -> str:
        for shown, real in self.stands_for.items():
            text = text.replace(shown, real)
        return text


def site_as_far_as_it_is_here() -> dict[str, Any]:
    """LUMI's profile without the folders that only LUMI has: each launch would say that they are left out."""
    site = tomllib.loads((CHECKOUT / "lumienv/site/lumi.toml").read_text())
    return {**site, "bind": [bind for bind in site["bind"] if Path(bind["path"]).exists()]}


@pytest.fixture
def scene(lab, workspace: Workspace, tmp_path: Path, conda_python: str) -> Iterator[Scene]:
    """LUMI, as far as the laboratory goes: its site, its images, a home, and a group's packages elsewhere."""
    home, packages, group = tmp_path / "home", tmp_path / "packages", tmp_path / "group"
    for folder in (home, packages, group / "project", group / "scratch"):
        folder.mkdir(parents=True)
    make_wheel(packages, "grouptools", "1.4", modules={"grouptools.py": "def hello():\n    return 'hello'\n"})
    repository = tmp_path / "mylib"
    make_repository(repository, tiny_project("mylib", "1.2"))
    git(repository, "tag", "v1.2")
    commit(repository, tiny_project("mylib", "1.3"))
    site = tmp_path / "lumi.toml"
    site.write_text(tomli_w.dumps(site_as_far_as_it_is_here()))
    environment = {
        **typing_environment(workspace, lab.directory),
        "HOME": str(home),
        "LUMIENV_SITE": str(site),
        "APPTAINER_QUIET": "1",  # it tells users, and not root, which programs for encryption it misses
        "SLURM_MPI_TYPE": "pmi2",  # as LUMI's Slurm does unasked
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache/pip")),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{f"GIT_{role}_NAME": "reader" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "reader@example.org" for role in ("AUTHOR", "COMMITTER")},
    }
    with IndexServer(packages, password=("reader", "a-password")) as index:
        yield Scene(
            workspace.directory,
            environment,
            {
                "install --quiet ./lumienv": f"install --quiet {CHECKOUT}",
                "/project/project_465000000": str(group / "project"),
                "/scratch/project_465000000": str(group / "scratch"),
                "https://packages.example.org": index.root,
                "packages.example.org": "127.0.0.1",
                "https://git.example.org/group/mylib": repository.as_uri(),
                **{
                    shown: shown.replace("3.12", conda_python)
                    for shown in ("lib/python3.12/", "~ Python 3.12…", "Python: 3.12…")
                },
            },
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page, slurm, real_index, scene):
    with Terminal(scene.directory, scene.environment) as terminal:
        for step in steps(scene.real(page.read_text())):
            if isinstance(step, Written):
                path = scene.file(step.path, terminal.folder())
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text)
                continue
            said = terminal.type_(step)
            whole = f"$ {step.command}\n{said.out}exit status {said.status}"
            assert step.differences(said.out) == [], whole
            assert (said.status != 0) == step.fails, whole
