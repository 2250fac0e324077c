"""A scene in which `lumienv lock` fails: a manifest, an image and an index, as people write them down.

The index is told a release a line, its particulars between bars:

    accel 2.0 | needs torch>=2.8 & numpy | python >=3.10 | wheel cp312-cp312-macosx_11_0_arm64 | yanked why
    accel 1.0 | sources | unstated | uploaded 2025-01-01 | extra audio | broken
    group: accel 0.9                           (on the second index)
    place mylib: mylib 1.2 | needs torch       (a folder in the project)

and so is the image: `numba 0.60 | needs numpy<2.1 | modules numba`.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent, indent
from unittest.mock import patch

import pytest
from entry_point import clean_environment, lumienv
from index_server import IndexServer
from universe import IMAGE, snapshot
from wheels import make_wheel

from lumienv.errors import LumienvError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.project import open_project
from lumienv.project.lock import lock
from lumienv.resolve import resolver
from lumienv.resolve.search import MAX_ROUNDS, search
from lumienv.ui import Output, show_error

HOME = "/scratch/project_465000000/me"
PUBLIC = "https://packages.example.org"
GROUP = "https://group.example.org"
_UPLOADED = "2025-06-01"


@dataclass(frozen=True)
class Scene:
    """What a user has, and what happens with it."""

    title: str
    manifest: str
    """lumienv.toml, without its [image] table"""
    index: str = ""
    image: str = ""
    python: str = "3.12.9"
    glibc: int = 31
    """the C library's, after `2.`"""
    words: Sequence[str] = ()
    """options of `lumienv lock`"""
    reachable: bool = True
    """whether the index answers at all"""
    resolved: bool = True
    """whether it comes to a resolution at all"""
    rounds: int | None = None
    """after how many rounds the search is given up; None: as it is"""

    @property
    def toml(self) -> str:
        """lumienv.toml."""
        return dedent(self.manifest).strip() + '\n\n[image]\nsnapshot = "image.json"\n'

    def shown(self, message: str) -> str:
        """The scene and its message, for the reviewed file."""
        numbered = "\n".join(
            f"{number:3} | {line}".rstrip() for number, line in enumerate(self.toml.splitlines(), 1)
        )
        image = dedent(self.image).strip() or "(nothing that matters here)"
        index = dedent(self.index).strip() or "(nothing that matters here)"
        index = index if self.reachable else "(does not answer)"
        return (
            f"{'=' * 110}\n{self.title}\n{'-' * 110}\n"
            f"lumienv.toml\n{numbered}\n"
            f"the image (Python {self.python}, glibc 2.{self.glibc})\n{indent(image, '    ')}\n"
            f"the index\n{indent(index, '    ')}\n\n"
            f"$ {' '.join(('lumienv lock', *self.words))}\n{message}\n"
        )


@dataclass(frozen=True)
class Stage:
    """A scene set up: a project folder and indexes that run."""

    scene: Scene
    directory: Path
    public: IndexServer
    group: IndexServer

    @property
    def environ(self) -> dict[str, str]:
        return {**clean_environment(self.directory), "UV_DEFAULT_INDEX": self.public.url}

    def write(self, toml: str) -> None:
        text = toml.replace(f"{GROUP}/simple", self.group.url)
        (self.directory / "lumienv.toml").write_text(text)

    def lock(self, toml: str) -> None:
        """The step behind `lumienv lock`, with this lumienv.toml. Raises LumienvError."""
        self.write(toml)
        project = open_project(str(self.directory), self.environ, offline="--offline" in self.scene.words)
        bound = partial(search, max_rounds=self.scene.rounds or MAX_ROUNDS)
        with patch.object(resolver, "search", bound):
            lock(project, Output(quiet=True), dry_run=True)

    def lock_on(self, scene: Scene) -> None:
        """The same with the image of another scene."""
        path = self.directory / "image.json"
        kept = path.read_text()
        try:
            path.write_text(_image(scene).to_json())
            self.lock(self.scene.toml)
        finally:
            path.write_text(kept)

    def message(self) -> str:
        """What is printed, complete, with the indexes' names in place of their ports."""
        text = self._bounded() if self.scene.rounds else self._printed()
        for server, shown in ((self.public, PUBLIC), (self.group, GROUP)):
            text = text.replace(server.root, shown)
            text = text.replace(f"127.0.0.1:{server.port}", shown.partition("//")[2])
        return text.replace(str(self.directory), HOME).rstrip("\n")

    def _printed(self) -> str:
        self.write(self.scene.toml)
        said = lumienv("lock", *self.scene.words, cwd=self.directory, env=self.environ)
        assert (said.returncode, said.stdout) == (1, ""), f"{self.scene.title}: {said}"
        return said.stderr

    def _bounded(self) -> str:
        """The same without the program: nobody waits for the rounds that it would take."""
        said = io.StringIO()
        with pytest.raises(LumienvError) as caught:
            self.lock(self.scene.toml)
        with redirect_stderr(said):
            show_error(caught.value, color=False)
        return said.getvalue()


@contextmanager
def staged(scene: Scene, directory: Path) -> Iterator[Stage]:
    """The scene set up in `directory`; the caller's environment counts for nothing."""
    with ExitStack() as stack:
        servers = []
        for name in ("public", "group"):
            (directory / name).mkdir(parents=True)
            servers.append(stack.enter_context(IndexServer(directory / name, sidecars=True)))
        public, group = servers
        _fill(dedent(scene.index).strip(), public, group, directory)
        (directory / "image.json").write_text(_image(scene).to_json())
        if not scene.reachable:
            public.close()
        yield Stage(scene, directory, public, group)


def _image(scene: Scene) -> Snapshot:
    packages = []
    for line in dedent(scene.image).strip().splitlines():
        (name, version), parts = _parts(line)
        packages.append(
            ImagePackage(
                name,
                version,
                requires=tuple(_all(parts, "needs", "&")),
                modules=tuple(_all(parts, "modules", "&")),
            )
        )
    libraries = [f"manylinux_2_{minor}_x86_64" for minor in range(scene.glibc, 16, -1)]
    made = snapshot(*packages, python=scene.python, platforms=libraries)
    assert made.image.name == IMAGE
    return made


def _fill(text: str, public: IndexServer, group: IndexServer, project: Path) -> None:
    """Puts the releases on their indexes, and the places into the project."""
    dates: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("place "):
            _place(project, *line[6:].split(": ", 1))
            continue
        server, line = (group, line[6:]) if line.startswith("group:") else (public, line)
        (name, version), parts = _parts(line)
        if "sources" in parts:
            files = [_sources(server.directory, name, version, parts)]
        else:
            files = [
                make_wheel(
                    server.directory,
                    name,
                    version,
                    _all(parts, "needs", "&"),
                    tag=tag,
                    extras=_all(parts, "extra", "&"),
                    requires_python=next(iter(parts.get("python", ())), None),
                    metadata=f"Metadata-Version: 2.1\nName: other\nVersion: {version}\n"
                    if "broken" in parts
                    else None,
                ).name
                for tag in parts.get("wheel", ["py3-none-any"])
            ]
        for filename in files:
            dates[filename] = parts.get("uploaded", [_UPLOADED])[0] + "T12:00:00Z"
            if "yanked" in parts:
                server.yanked[filename] = parts["yanked"][0]
    for server in (public, group):
        for project in {
            re.sub(r"[-_.]+", "-", path.name.split("-")[0]) for path in server.directory.iterdir()
        }:
            entries = [server.entry(path) for path in server.files(project)]
            for entry in entries:
                entry["upload-time"] = dates[entry["filename"]]
            page = {"meta": {"api-version": "1.1"}, "name": project, "files": entries}
            body = json.dumps(page).encode()
            server.pages[f"/simple/{project}/"] = ("application/vnd.pypi.simple.v1+json", body)


def _sources(folder: Path, name: str, version: str, parts: Mapping[str, Sequence[str]]) -> str:
    """A source distribution; what an `unstated` one needs only its build would tell (PEP 643)."""
    stem = f"{name.replace('-', '_')}-{version}"
    stated = "2.1" if "unstated" in parts else "2.2"
    lines = [f"Metadata-Version: {stated}", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in _all(parts, "needs", "&")]
    members = {
        "PKG-INFO": "\n".join([*lines, ""]),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n',
    }
    with tarfile.open(folder / f"{stem}.tar.gz", "w:gz") as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(f"{stem}/{member}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return f"{stem}.tar.gz"


def _place(project: Path, location: str, line: str) -> None:
    """A project in a folder, which states what it is."""
    (name, version), parts = _parts(line)
    folder = project / location
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "{version}"\n'
        f"dependencies = {json.dumps(_all(parts, 'needs', '&'))}\n"
        '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
    )


def _parts(line: str) -> tuple[tuple[str, str], dict[str, list[str]]]:
    """`name version | word text | …`"""
    first, *rest = (part.strip() for part in line.split(" | "))
    name, version = first.split()
    parts: dict[str, list[str]] = {}
    for part in rest:
        word, _, text = part.partition(" ")
        parts.setdefault(word, []).append(text)
    return (name, version), parts


def _all(parts: Mapping[str, Sequence[str]], word: str, between: str) -> list[str]:
    return [one.strip() for text in parts.get(word, ()) for one in text.split(between)]
