"""What a user's shell may hold that gets in the way of containers: data, in `conflicts.toml`.

Read by `lumienv doctor` alone, and so apart from the sites' profiles, which are read before every job.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parent / "conflicts.toml"


@dataclass(frozen=True)
class Conflict:
    """Something that was found."""

    what: str
    """the module as it was loaded, or the folder on PATH"""
    is_problem: bool
    why: str
    """completes "WHAT …"."""
    remedy: str
    source: str


def conflicts(site: str, environ: Mapping[str, str]) -> Iterator[Conflict]:
    """What of the known conflicts this environment has: loaded modules (LOADEDMODULES, as Lmod and
    Environment Modules set it), and folders on PATH."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    loaded = [name for name in environ.get("LOADEDMODULES", "").split(":") if name]
    for table in data["module"]:
        for module in loaded if _is_of(site, table) else ():
            name, _, version = module.partition("/")
            if table.get("name", name) == name and table.get("version", "") in version:
                yield _conflict(module, table)
    for table in data["path"]:
        for folder in environ.get("PATH", "").split(":") if _is_of(site, table) else ():
            if f"{folder}/".startswith(f"{table['folder']}/"):
                yield _conflict(folder, table)


def _is_of(site: str, table: Mapping[str, list[str]]) -> bool:
    return site in table.get("sites", [site])


def _conflict(what: str, table: Mapping[str, str]) -> Conflict:
    remedy = table["remedy"].replace("{module}", what.partition("/")[0])
    return Conflict(what, table["verdict"] == "problem", table["why"], remedy, table["source"])
