"""A machine to examine: files of its system below a folder, programs on a PATH of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lumienv.manifest.reader import read_manifest
from lumienv.project import Project
from lumienv.project.finding import Case, Finding, Machine
from lumienv.runtime.singularity import Singularity
from lumienv.site import Site

Check = Callable[[Case], Iterator[Finding]]


@dataclass(frozen=True)
class Checkup:
    """What checks are asked about; all of it below `folder`."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def file(self, path: str, text: str = "") -> Path:
        """A file of the system."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def program(self, name: str, script: str) -> Path:
        """A program on PATH, as a script of sh: for what this machine does not have."""
        place = self.folder / "bin" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        return place

    def case(
        self,
        *,
        site: Site | None = None,
        toml: str | None = None,
        runtime: Singularity | None = None,
        programs: str = "/usr/bin:/bin",
        **environ: str,
    ) -> Case:
        """A case with this site, and a project whose lumienv.toml is `toml`."""
        self.home.mkdir(exist_ok=True)
        variables = {
            "HOME": str(self.home),
            "PATH": f"{self.folder}/bin:{programs}",
            "USER": "ada",
            **environ,
        }
        here = site or Site("generic", cache=self.folder / "cache", scratch=self.folder)
        return Case(Machine(variables, self.root), here, self._project(toml, here, variables), runtime)

    def _project(self, toml: str | None, site: Site, environ: Mapping[str, str]) -> Project | None:
        if toml is None:
            return None
        (self.folder / "project").mkdir(exist_ok=True)
        path = self.folder / "project" / "lumienv.toml"
        path.write_text(toml)
        return Project(read_manifest(path), site, environ)


def told(check: Check, case: Case, *, all_: bool = False) -> list[str]:
    """`verdict what: facts → remedy` of each finding; what is fine only with `all_`."""
    return [
        f"{one.verdict} {one.what}: {one.facts}" + (f" → {one.remedy}" if one.remedy else "")
        for one in check(case)
        if all_ or one.verdict != "fine"
    ]
