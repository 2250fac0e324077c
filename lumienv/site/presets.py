"""Presets, variables and options for srun out of a site's TOML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lumienv.errors import ManifestError
from lumienv.paths import Path
from lumienv.site.facts import Preset, Setting, Site, SlurmOption
from lumienv.toml import read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Those of no site in particular: how processes find each other under Slurm.
_SHIPPED = Path(__file__).parent / "presets.toml"

# launch.conditions tells which of them hold.
CONDITIONS: tuple[str, ...] = (
    *("slurm", "allocated", "one-node", "several-nodes", "whole-node"),
    *("one-task-a-node", "task-a-gpu", "gpus", "no-gpus"),
)
NUMBERS: tuple[str, ...] = ("nodes", "tasks-per-node", "gpus-per-node", "cpus-per-task")
"""what `tasks-per-node=8` may compare; `cpus-per-task=7` holds also where nobody asks for another number"""

KNOWN: tuple[str, ...] = (*NUMBERS, "tasks", "cpus-per-node")
"""names in braces that are filled before the start; an entry whose number is not known is left out"""
FILLED: tuple[str, ...] = (*KNOWN, "first-node", "port", "tasks-on-node", "node-cache")
"""those, and the ones that a task works out: for variables only"""


def preset_named(site: Site, own: Mapping[str, Preset], name: str) -> Preset:
    """The preset that `[run] preset` names: the project's own, the site's, or one that every site has.

    Raises ManifestError when there is none of that name.
    """
    for presets in (own, site.presets):
        if name in presets:
            return presets[name]
    shipped = shipped_presets()
    if name in shipped:
        return shipped[name]
    import difflib

    known = sorted({*own, *site.presets, *shipped})
    close = difflib.get_close_matches(name, known, n=1)
    raise ManifestError(
        f"[run] preset names {name}, which the site {site.name} does not have",
        hint=f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}",
    )


def shipped_presets() -> dict[str, Preset]:
    """Those that every site has."""
    return read_presets(read_toml(_SHIPPED.read_text(encoding="utf-8")).get("preset", {}))


def read_presets(tables: Mapping[str, Any]) -> dict[str, Preset]:
    """The `[preset.…]` tables. Raises KeyError, TypeError or ValueError for what has another form."""
    return {
        name: Preset(
            name=name,
            about=str(table.get("about", "")),
            settings=read_settings(table.get("set", [])),
            options=tuple(
                SlurmOption(entry["option"], _value(entry), *_circumstances(entry))
                for entry in table.get("srun", [])
            ),
            gpus=bool(table.get("gpus", False)),
            one_task_a_node=bool(table.get("one-task-a-node", False)),
        )
        for name, table in tables.items()
    }


def read_settings(entries: Iterable[Mapping[str, Any]]) -> tuple[Setting, ...]:
    """`[[set]]` tables. Raises as `read_presets` does."""
    found = []
    for entry in entries:
        value = _value(entry)
        if value is True:
            raise ValueError(f"{entry['name']} = true: a variable holds text, or false for none")
        found.append(Setting(entry["name"], None if value is False else value, *_circumstances(entry)))
    return tuple(found)


def is_condition(text: str) -> bool:
    """Whether `when` may say this: a condition, a number that is compared, or a variable.

    `NAME=value` of the host's variables (nothing behind `=`: unset or empty), `NAME`: it has a value.
    """
    name, compared, value = text.partition("=")
    if name.isupper() and name.isidentifier():
        return True
    return (name in NUMBERS and value.isdigit()) if compared else text in CONDITIONS


def placeholders_of(template: str) -> list[str]:
    """The names in braces."""
    return parts_of(template)[1::2]


def parts_of(template: str) -> list[str]:
    """Text and names in braces in turn, text first and last."""
    first, *pieces = template.split("{")
    parts = [first]
    for piece in pieces:
        name, closed, after = piece.partition("}")
        if closed and name[:1].isalpha() and name.replace("-", "_").isidentifier():
            parts += [name, after]
        else:
            parts[-1] += "{" + piece
    return parts


def _value(entry: Mapping[str, Any]) -> str | bool:
    value = entry["value"]
    if not isinstance(value, (str, bool, int)):
        raise TypeError(f"{value} is not text")
    return value if isinstance(value, bool) else str(value)


def _circumstances(
    entry: Mapping[str, Any],
) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(source, conditions, families, what it gives way to)."""
    when = _texts(entry.get("when", []))
    for condition in when:
        if not is_condition(condition):
            raise ValueError(f"when = {condition}: it can be {', '.join(CONDITIONS)}")
    families, unless = _texts(entry.get("families", [])), _texts(entry.get("unless", []))
    return str(entry.get("source", "")), when, families, unless


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
