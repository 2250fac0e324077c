"""Presets, variables and options for srun out of a site's TOML, checked entry by entry."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lumienv.errors import ManifestError
from lumienv.site.facts import Preset, Setting, Site, SlurmOption

# Those of no site in particular: how processes find each other under Slurm.
_SHIPPED = Path(__file__).parent / "presets.toml"

# launch.shape tells which of them hold.
CONDITIONS: tuple[str, ...] = (
    *("slurm", "one-node", "several-nodes", "whole-node"),
    *("one-task-a-node", "task-a-gpu", "no-gpus"),
)


def preset_named(site: Site, own: Mapping[str, Preset], name: str) -> Preset:
    """The preset that `[run] preset` names: the project's own, the site's, or one that every site has.

    Raises ManifestError when there is none of that name.
    """
    for presets in (own, site.presets):
        if name in presets:
            return presets[name]
    import tomllib

    shipped = read_presets(tomllib.loads(_SHIPPED.read_text(encoding="utf-8")))
    if name in shipped:
        return shipped[name]
    import difflib

    known = sorted({*own, *site.presets, *shipped})
    close = difflib.get_close_matches(name, known, n=1)
    raise ManifestError(
        f"[run] preset names {name}, which the site {site.name} does not have",
        hint=f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}",
    )


def read_presets(data: Mapping[str, Any]) -> dict[str, Preset]:
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
        )
        for name, table in data.get("preset", {}).items()
    }


def read_settings(entries: Iterable[Mapping[str, Any]]) -> tuple[Setting, ...]:
    """`[[set]]` tables. Raises as `read_presets` does."""
    found = []
    for entry in entries:
        value = _value(entry)
        if value is True:
            raise ValueError(f"{entry['name']} = true: a variable holds text, or false for none")
        found.append(Setting(entry["name"], value or None, *_circumstances(entry)))
    return tuple(found)


def _value(entry: Mapping[str, Any]) -> str | bool:
    value = entry["value"]
    if not isinstance(value, (str, bool, int)):
        raise TypeError(f"{value} is not text")
    return value if isinstance(value, bool) else str(value)


def _circumstances(entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(source, conditions, families)."""
    when = _texts(entry.get("when", []))
    for condition in when:
        if condition not in CONDITIONS:
            raise ValueError(f"when = {condition}: it can be {', '.join(CONDITIONS)}")
    return str(entry.get("source", "")), when, _texts(entry.get("families", []))


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
