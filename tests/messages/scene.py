"""A scene in which `lumienv lock` fails: a manifest, an image and an index, as people write them down.

The index is told a release a line, its particulars between bars:

    accel 2.0 | needs torch>=2.8 & numpy | python >=3.10 | wheel cp312-cp312-macosx_11_0_arm64 | yanked why
    accel 1.0 | sources | uploaded 2025-01-01 | extra audio | name other | broken
    group: accel 0.9                           (on the second index)
    place https://example.org/mylib: mylib 1.2 (a source outside all indexes)

and so is the image: `numba 0.60 | needs numpy<2.1 | modules numba`.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import dedent, indent
from unittest.mock import patch

from index_server import IndexServer
from universe import IMAGE, MemoryReader, snapshot
from wheels import make_wheel

from lumienv.errors import LumienvError
from lumienv.image.snapshot import ImagePackage, Snapshot, snapshot_from_json
from lumienv.index.metadata import CoreMetadata
from lumienv.manifest import Manifest
from lumienv.project import index_client, open_project
from lumienv.resolve import Resolution, resolver
from lumienv.resolve.resolver import Request, resolve
from lumienv.resolve.search import MAX_ROUNDS, search
from lumienv.ui import show_error

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
    words: Sequence[str] = ()
    """options of `lumienv lock`"""
    reachable: bool = True
    """whether the index answers at all"""
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
            f"the image (Python {self.python}, glibc 2.31)\n{indent(image, '    ')}\n"
            f"the index\n{indent(index, '    ')}\n\n"
            f"$ {' '.join(('lumienv lock', *self.words))}\n{message}\n"
        )


@dataclass
class Stage:
    """A scene set up: a project folder and indexes that run."""

    scene: Scene
    directory: Path
    public: IndexServer
    group: IndexServer
    reader: MemoryReader
    environ: Mapping[str, str] = field(default_factory=dict)

    def lock(self, toml: str | None = None) -> Resolution:
        """What `lumienv lock` finds, with this lumienv.toml. Raises LumienvError."""
        text = (self.scene.toml if toml is None else toml).replace(f"{GROUP}/simple", self.group.url)
        (self.directory / "lumienv.toml").write_text(text)
        offline = "--offline" in self.scene.words
        project = open_project(str(self.directory), self.environ, offline=offline)
        search_for = partial(search, max_rounds=self.scene.rounds or MAX_ROUNDS)
        with index_client(project) as client, patch.object(resolver, "search", search_for):
            request = Request(project.manifest, self._snapshot(project.manifest), {})
            return resolve(request, client, self.reader)

    def _snapshot(self, manifest: Manifest) -> Snapshot:
        path = self.directory / manifest.image.value
        return snapshot_from_json(path.read_text(), str(path))

    def message(self) -> str:
        """What is printed, complete, with the indexes' names in place of their ports."""
        try:
            self.lock()
        except LumienvError as error:
            said = io.StringIO()
            with redirect_stderr(said):
                show_error(error, color=False)
        else:
            raise AssertionError(f"{self.scene.title}: this can be locked")
        text = said.getvalue().rstrip("\n")
        for server, shown in ((self.public, PUBLIC), (self.group, GROUP)):
            text = text.replace(server.root, shown).replace(
                f"127.0.0.1:{server.port}", shown.partition("//")[2]
            )
        return text.replace(str(self.directory), "/scratch/project_465000000/me")


@contextmanager
def staged(scene: Scene, directory: Path) -> Iterator[Stage]:
    """The scene set up in `directory`; the caller's environment counts for nothing."""
    with ExitStack() as stack:
        servers = []
        for name in ("public", "group"):
            (directory / name).mkdir(parents=True)
            servers.append(stack.enter_context(IndexServer(directory / name, sidecars=True)))
        public, group = servers
        reader = _fill(dedent(scene.index).strip(), public, group)
        (directory / "image.json").write_text(_image(scene).to_json())
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LUMIENV_SITE": "generic",
            "LUMIENV_CACHE_DIR": str(directory / "cache"),
            "UV_DEFAULT_INDEX": public.url,
        }
        if not scene.reachable:
            public.close()
        yield Stage(scene, directory, public, group, reader, environ)


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
    made = snapshot(*packages, python=scene.python)
    assert made.image.name == IMAGE
    return made


def _fill(text: str, public: IndexServer, group: IndexServer) -> MemoryReader:
    """Puts the releases on their indexes; returns what can be read of sources."""
    dates: dict[str, str] = {}
    sources: dict[str, CoreMetadata | str] = {}
    places: dict[str, CoreMetadata] = {}
    for line in text.splitlines():
        if line.startswith("place "):
            location, line = line[6:].split(": ", 1)
            (name, version), parts = _parts(line)
            places[location] = CoreMetadata(name, version, tuple(_all(parts, "needs", "&")))
            continue
        server, line = (group, line[6:]) if line.startswith("group:") else (public, line)
        (name, version), parts = _parts(line)
        if "sources" in parts:
            filename = f"{name.replace('-', '_')}-{version}.tar.gz"
            (server.directory / filename).write_bytes(b"never opened")
            sources[filename] = CoreMetadata(name, version, tuple(_all(parts, "needs", "&")))
            if "unbuildable" in parts:
                sources[filename] = parts["unbuildable"][0]
            files = [filename]
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
    return MemoryReader(sources, places)


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
