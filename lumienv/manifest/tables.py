"""Values out of the tables of `lumienv.toml`, checked; a complaint names the file, the line and the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lumienv.errors import ManifestError
from lumienv.manifest import Dependency
from lumienv.paths import Path
from lumienv.plainjson import quoted
from lumienv.toml import in_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

IMAGE_WAYS = ("name", "path", "uri", "host", "snapshot")
IMAGE_SELECTORS = ("rocm", "python", "version", "hash")

# Table → its keys. In [run.env], [slurm], [tasks], [dependency-groups], [image.assume] they are the user's.
KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        *("dependencies", "image", "dependency-groups", "sources", "resolve"),
        *("index", "sync", "sif", "run", "slurm", "tasks", "preset"),
    ),
    "image": (*IMAGE_WAYS, *IMAGE_SELECTORS, "activate", "assume"),
    "sources.*": ("index", "path", "editable", "git", "rev", "tag", "branch", "url", "subdirectory"),
    "resolve": (
        *("replace", "omit", "constraints", "overrides"),
        *("exclude-newer", "prerelease", "resolution", "build"),
    ),
    "index": ("name", "url", "explicit", "format"),
    "sync": ("mode", "store"),
    "sif": ("builder", "output"),
    "run": ("env", "bind", "entry", "preset"),
}


# What stands in a pyproject.toml, or in pixi's file, and the same here.
_OF_OTHERS = {
    "project": "that is pyproject.toml's: here `dependencies = […]` stands at the top, without a table",
    "tool": "that is pyproject.toml's: what lumienv is told stands in lumienv.toml alone",
    "workspace": "that is pixi's: here [image] names the base, and `dependencies = […]` stands at the top",
    "env": "variables stand under [run.env]",
}


class Tables:
    """Checks one file's tables; knows its text, so that a message can name the line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.table_number = 0
        """which of several tables of one name is being read: [[index]]"""

    def fail(self, key: str, problem: str, *, value: str | None = None, hint: str | None = None) -> NoReturn:
        line = self.line(key, value)
        where = f"{self.path.name}:{line}" if line else self.path.name
        raise ManifestError(f"{where}: {key} {problem}", hint=hint)

    def line(self, key: str, value: str | None = None) -> int | None:
        """The 1-based line on which `key` (dotted) stands, or `value` in it, as far as text search goes."""
        *tables, last = key.split(".")
        table, start = "", 0
        if tables:
            table = ".".join(tables)
            starts = [number + 1 for number, line in enumerate(self.lines) if _is_header(line, table)]
            if starts:
                start = starts[min(self.table_number, len(starts) - 1)]
            else:  # the table is written inline, or with dotted keys: its own line will do
                return self.line(table, value)
        for number in range(start, len(self.lines)):
            if _begins(self.lines[number], last):
                return self._value_line(number, value) + 1
            if table and self.lines[number].lstrip().startswith("["):
                break
        return start or None

    def _value_line(self, number: int, value: str | None) -> int:
        if value is not None:
            forms = (quoted(value), f"'{value}'")
            for later in range(number, len(self.lines)):
                if any(form in self.lines[later] for form in forms):
                    return later
        return number

    def known(self, table: Mapping[str, Any], name: str, shown: str | None = None) -> None:
        keys = KEYS[name]
        for key in table:
            if key not in keys:
                full = ".".join(filter(None, [shown or name, key]))
                close = _close(key, keys)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(keys)}"
                if name and key == "dependencies":
                    hint = "it is of no table: write it at the top, above all of them"
                elif not name:
                    hint = _OF_OTHERS.get(key, hint)
                self.fail(full, "is not a key that lumienv knows", hint=hint)

    def table(self, data: dict[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            name = prefix + key
            hint = f"write its keys under [{name}]"
            if name == "image" and isinstance(value, str):
                hint = f"under [image], write: {_kind_of_image(value)} = {in_toml(value)}"
            self.fail(name, "must be a table", hint=hint)
        return value

    def text(self, table: Mapping[str, Any], key: str, default: str, name: str | None = None) -> str:
        is_text: Callable[[Any], bool] = lambda value: isinstance(value, str)  # noqa: E731
        text = str(self._value(table, key, default, is_text, "must be text", name))
        if "\0" in text:
            self.fail(key, "contains a NUL character, which no command could be given")
        return text

    def named_text(self, table: Mapping[str, Any], prefix: str, name: str) -> str:
        """The text under a name that the user has chosen, dots and all."""
        return self.text(table, f"{prefix}.{name}", "", name)

    def flag(self, table: Mapping[str, Any], key: str) -> bool:
        is_flag: Callable[[Any], bool] = lambda value: isinstance(value, bool)  # noqa: E731
        return bool(self._value(table, key, False, is_flag, "must be true or false"))

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        return tuple(
            self._value(
                table,
                key,
                [],
                lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
                "must be a list of texts",
            )
        )

    def text_or_texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """A list, or the one text that would be alone in it."""
        if isinstance(table.get(key.rpartition(".")[2]), str):
            return (self.text(table, key, ""),)
        return self.texts(table, key)

    def names(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Names of packages: a range would be taken for a part of the name, and never match."""
        names = self.texts(table, key)
        for name in names:
            if not is_name(name):
                hint = "ranges go into [resolve] constraints"
                self.fail(key, f'takes names of packages alone, not "{name}"', value=name, hint=hint)
        return names

    def choice(self, table: Mapping[str, Any], key: str, choices: Sequence[str], default: str) -> str:
        value = self.text(table, key, default)
        if value not in choices:
            close = _close(value, choices)
            hint = f"did you mean {close[0]}?" if close else None
            self.fail(key, f'is "{value}"; it can be {", ".join(choices)}', value=value, hint=hint)
        return value

    def dependencies(self, table: Mapping[str, Any], key: str) -> tuple[Dependency, ...]:
        return tuple(Dependency(text, key, self.line(key, text)) for text in self.texts(table, key))

    def _value(
        self,
        table: Mapping[str, Any],
        key: str,
        default: Any,
        fits: Callable[[Any], bool],
        problem: str,
        name: str | None = None,
    ) -> Any:
        value = table.get(name or key.rpartition(".")[2], default)
        if not fits(value):
            import json

            number = isinstance(value, (int, float))
            self.fail(
                key,
                f"{problem}, not {json.dumps(value)}" if number else problem,
                hint=_written(key, value, default),
            )
        return value


def _written(key: str, value: Any, default: Any) -> str | None:
    """How a value of the wrong kind is most likely to be written, where that can be told."""
    import shlex

    last = key.rpartition(".")[2]
    if isinstance(default, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'write {last} = "{value}"'
    if isinstance(default, str) and isinstance(value, list) and all(isinstance(one, str) for one in value):
        if key.startswith("tasks."):
            return f"write {last} = {in_toml(shlex.join(value))}"
        return f"write {last} = {in_toml(value[0])}" if len(value) == 1 else None
    if isinstance(default, list) and isinstance(value, str):
        several = any(sign in value for sign in ", ")
        return f'write {last} = ["…", "…"]' if several else f"write {last} = [{in_toml(value)}]"
    return None


def _kind_of_image(text: str) -> str:
    """The key of [image] that a text most likely belongs to."""
    if "://" in text:
        return "uri"
    if text.endswith(".json"):
        return "snapshot"
    return "path" if "/" in text or text.endswith(".sif") else "name"


def is_name(text: str) -> bool:
    """Whether a package or a group can be called so (PEP 508, PEP 735); a pattern takes longer to compile."""
    inner = text.translate({ord(mark): "x" for mark in "._-"})
    return inner.isascii() and inner.isalnum() and text[0].isalnum() and text[-1].isalnum()


def _is_header(line: str, table: str) -> bool:
    """Whether a line is `[table]` or `[[table]]`."""
    begun = line.lstrip()
    rest = begun.removeprefix("[").removeprefix("[").lstrip()
    return begun.startswith("[") and rest.startswith(table) and rest[len(table) :].lstrip().startswith("]")


def _begins(line: str, key: str) -> bool:
    """Whether a line begins with a key, quoted or not, or is the header of a table that does."""
    rest = line.lstrip().removeprefix("[").removeprefix("[").lstrip()
    quote = rest[:1] if rest[:1] in ("'", '"') else ""
    rest = rest.removeprefix(quote)
    if not rest.startswith(key):
        return False
    return rest[len(key) :].removeprefix(quote).lstrip().startswith(("=", "]", "."))


def _close(word: str, known: Sequence[str]) -> list[str]:
    import difflib  # only for a mistake: every job reads a manifest

    return difflib.get_close_matches(word, known, n=1)
