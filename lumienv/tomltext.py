"""TOML as lumienv writes its locks: fast, and laid out so that a diff shows what changed.

tomlkit, which keeps what people wrote when `lumienv.toml` is edited, takes 60 ms for a lock of 128 packages;
tomli-w breaks an entry that is longer than 100 characters, as each wheel is, into tables of its own.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(data: Mapping[str, Any]) -> str:
    """A document of texts, numbers, booleans, times, lists and tables.

    A list of tables at the top becomes `[[name]]`; elsewhere it is written an entry a line, and tables inside
    an entry, or inside `[[name]]`, stay on one line.
    """
    return "\n".join(_table("", data)).lstrip("\n") + "\n"


def _table(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    later: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) or (not path and value and _holds_tables(value)):
            later.append((f"{path}.{_key(key)}" if path else _key(key), value))
        else:
            yield _line(key, value)
    for name, value in later:
        if isinstance(value, Mapping):
            if not value or not all(isinstance(inner, Mapping) for inner in value.values()):
                yield f"\n[{name}]"
            yield from _table(name, value)
        else:
            for entry in value:
                yield f"\n[[{name}]]"
                yield from (_line(key, inner) for key, inner in entry.items())


def _line(key: str, value: Any) -> str:
    if value and _holds_tables(value):
        entries = "".join(f"    {_value(entry)},\n" for entry in value)
        return f"{_key(key)} = [\n{entries}]"
    return f"{_key(key)} = {_value(value)}"


def _holds_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    raise TypeError(value)


def _text(text: str) -> str:
    # JSON's strings are TOML's basic strings, but for DEL, which TOML has escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
