"""A place to build sources in: a project folder, an index on loopback, and builders for a base."""

from pathlib import Path
from typing import Any

from index_server import IndexServer

from lumienv.build.builder import SourceBuilder
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.index.pages import File
from lumienv.index.wheelhouse import Wheelhouse
from lumienv.runtime.host import Host


class Bench:
    """A project folder, an index on loopback, and builders that share one cache."""

    def __init__(self, folder: Path, server: IndexServer, snapshot: Snapshot) -> None:
        self.folder = folder
        self.server = server
        self.snapshot = snapshot
        self.project = folder / "project"
        self.cache = folder / "cache"
        self.scratch = folder / "scratch"
        self.said: list[str] = []
        self._clients: list[IndexClient] = []
        for path in (self.project, self.cache, self.scratch):
            path.mkdir()

    @property
    def offered(self) -> Path:
        """The folder whose files the index offers."""
        return self.server.directory

    def builder(self, *, offline: bool = False, **options: Any) -> SourceBuilder:
        client = IndexClient(
            [index_source(self.server.url)], cache=None, offline=offline, workers=4, backoff=0.001
        )
        self._clients.append(client)
        snapshot = options.pop("snapshot", self.snapshot)
        given = {"project": self.project, "cache": self.cache, "scratch": self.scratch, "runtime": Host()}
        wheelhouse = Wheelhouse(self.cache / "wheels", client)
        return SourceBuilder(snapshot, client, wheelhouse, **{**given, "say": self.said.append, **options})

    def file(self, path: Path) -> File:
        """An offered file as a page lists it."""
        return File(path.name, f"{self.server.root}/files/{path.name}", self.server.digest(path))

    def close(self) -> None:
        for client in self._clients:
            client.close()
