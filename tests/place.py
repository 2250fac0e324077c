"""A project folder with an index on loopback beside it, for tests of the project's steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from index_server import IndexServer

from lumienv.project import Project, open_project
from lumienv.ui import Output


@dataclass(frozen=True)
class Told(Output):
    """What a step reported."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)


@dataclass(frozen=True)
class Place:
    """A folder with an index beside it."""

    directory: Path
    server: IndexServer
    environ: Mapping[str, str]

    def project(self, manifest: str, **options: bool) -> Project:
        """The project with this lumienv.toml."""
        (self.directory / "lumienv.toml").write_text(manifest)
        return open_project(str(self.directory), self.environ, **options)
