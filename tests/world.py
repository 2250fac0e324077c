"""A world to resolve in: an image made by hand, and a real index on loopback with generated wheels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from index_server import IndexServer
from packaging.version import Version
from universe import IMAGE, snapshot
from wheels import make_wheel

from lumienv.errors import ResolutionError
from lumienv.image.known import KnownImage
from lumienv.image.snapshot import ImagePackage
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.manifest.reader import read_manifest
from lumienv.resolve import Resolution
from lumienv.resolve.origin import Origin, SourceReader
from lumienv.resolve.resolver import Request, resolve


class World:
    """What the image provides, what the index offers, and `lumienv.toml` in between."""

    def __init__(self, directory: Path, server: IndexServer) -> None:
        self.directory = directory
        self.server = server
        self.snapshot = snapshot()
        self.others: list[KnownImage] = []
        self.reader: SourceReader | None = None
        self.locked: dict[str, Origin] = {}
        self._dates: dict[str, str] = {}

    def image(self, *packages: str | ImagePackage, **options: Any) -> None:
        self.snapshot = snapshot(*packages, **options)

    def offer(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        *,
        yanked: str | None = None,
        uploaded: str | None = None,
        **options: Any,
    ) -> None:
        """A wheel on the index; `options` as in `make_wheel`."""
        path = make_wheel(self.server.directory, name, version, requires, **options)
        if yanked is not None:
            self.server.yanked[path.name] = yanked
        if uploaded is not None:
            self._dates[path.name] = uploaded

    def offer_sources(self, name: str, version: str) -> None:
        (self.server.directory / f"{name}-{version}.tar.gz").write_bytes(b"never opened")

    def write(
        self,
        *dependencies: str,
        groups: Mapping[str, Sequence[str]] | None = None,
        assume: Mapping[str, str] | None = None,
        sources: Mapping[str, str] | None = None,
        **resolve: Any,
    ) -> Path:
        """`lumienv.toml`, a dependency a line, the first on line 2."""
        lines = ["dependencies = [", *(f"  {json.dumps(entry)}," for entry in dependencies), "]"]
        lines += ["[image]", f'path = "{IMAGE}"']
        lines += ["[image.assume]", *(f'{k} = "{v}"' for k, v in assume.items())] if assume else []
        if sources:
            lines += ["[sources]", *(f"{k} = {{ {v} }}" for k, v in sources.items())]
        if groups:
            lines += ["[dependency-groups]", *(f"{k} = {json.dumps(list(v))}" for k, v in groups.items())]
        if resolve:
            lines += ["[resolve]", *(f"{k.replace('_', '-')} = {json.dumps(v)}" for k, v in resolve.items())]
        path = self.directory / "lumienv.toml"
        path.write_text("\n".join([*lines, ""]))
        return path

    def resolve(
        self, *dependencies: str, preferred: Mapping[str, str] | None = None, **options: Any
    ) -> Resolution:
        manifest = read_manifest(self.write(*dependencies, **options))
        self._date_pages()
        kept = {name: Version(version) for name, version in (preferred or {}).items()}
        with IndexClient([index_source(self.server.url)], cache=None, workers=4, backoff=0.001) as client:
            request = Request(manifest, self.snapshot, kept, self.locked, lambda: self.others)
            return resolve(request, client, self.reader)

    def taken(self, *dependencies: str, **options: Any) -> dict[str, str]:
        """Name → version of all that would be installed."""
        return dict(self.resolve(*dependencies, **options).versions)

    def failure(self, *dependencies: str, **options: Any) -> str:
        """The complete message."""
        with pytest.raises(ResolutionError) as caught:
            self.resolve(*dependencies, **options)
        return f"error: {caught.value}"

    def serve_page(self, project: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """A page with these entries, whatever files there are."""
        page = {"meta": {"api-version": "1.1"}, "name": project, "files": entries}
        content_type = "application/vnd.pypi.simple.v1+json"
        self.server.pages[f"/simple/{project}/"] = (content_type, json.dumps(page).encode())

    def serve_renamed(self, project: str, old: str, new: str) -> None:
        """The page of a project, with `new` for `old` in the names of its files."""
        entries = [self.server.entry(path) for path in self.server.files(project)]
        assert any(old in entry["filename"] for entry in entries)
        for entry in entries:
            entry["filename"] = entry["filename"].replace(old, new)
        self.serve_page(project, entries)

    def _date_pages(self) -> None:
        for project in {filename.split("-")[0].replace("_", "-").lower() for filename in self._dates}:
            entries = [self.server.entry(path) for path in self.server.files(project)]
            for entry in entries:
                entry["upload-time"] = self._dates.get(entry["filename"], entry["upload-time"])
            self.serve_page(project, entries)
