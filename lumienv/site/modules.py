"""Which distributions own the same module, and which modules bear another name than their distribution.

True of every cluster, unlike the rest of a site's facts, but data all the same: `modules.toml` has the source
of each.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "modules.toml"


@dataclass(frozen=True)
class ModuleGroup:
    """Distributions of which one can be installed, as all bring the same module; names are normalised."""

    module: str
    members: frozenset[str]
    own_versions: frozenset[str] = frozenset()
    """members whose versions cannot be compared with those of the others"""
    more: frozenset[str] = frozenset()
    """members that bring more than the others"""


@cache
def module_groups() -> tuple[ModuleGroup, ...]:
    """The groups that are known."""
    return tuple(
        ModuleGroup(
            table["module"],
            frozenset(table["members"]),
            frozenset(table.get("own_versions", ())),
            frozenset(table.get("more", ())),
        )
        for table in _data()["group"]
    )


@cache
def import_names() -> Mapping[str, tuple[str, ...]]:
    """Name of a module, normalised as that of a project → the distributions that bring it."""
    return {_normalised(module): tuple(names) for module, names in _data()["imports"].items()}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
