"""The text of lumienv.toml, edited in place: where a value stands, a key beside others, a line that goes."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from lumienv.errors import ManifestError
from lumienv.manifest import FILE_NAME

_MARK = "lumienv-edits-this-value"


@dataclass
class TableText:
    """A text while it is edited. The methods raise ManifestError where it is written too strangely."""

    text: str

    @property
    def newline(self) -> str:
        """How its lines end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def beside(self, path: tuple[str], key: str, value: str, lines: Sequence[str] = ()) -> None:
        """A new key in a table, written like the last one there; `lines` are those of a table of its own."""
        (table,) = path
        found = tomllib.loads(self.text)[table]
        document: Any = self.document()
        if isinstance(document[table], InlineTable):
            start, end = self.span(path)
            inner = self.text[start + 1 : end - 1].rstrip()
            self.text = (
                f"{self.text[:start]}{{{inner}{',' if inner.strip() else ''} {key_text(key)} = {value} }}"
                f"{self.text[end:]}"
            )
            return
        if not found:  # a header with nothing behind it
            if lines:
                self.at_the_end(f"[{table}.{key_text(key)}]", *lines)
            else:
                self._under_header(table, f"{key_text(key)} = {value}")
            return
        spans = []
        for name, entry in found.items():
            whole = not isinstance(entry, dict) or isinstance(document[table][name], InlineTable)
            paths = [(table, name)] if whole else [(table, name, option) for option in entry]
            spans += [(self.span(one), name, whole) for one in paths]
        (start, end), name, whole = max(spans)
        begin = self.text.rfind("\n", 0, start) + 1
        line = self.text[begin:start]
        indent = line[: len(line) - len(line.lstrip())]
        bare = line.lstrip().lstrip("\"'")
        if bare.startswith(table) and bare[len(table) :].lstrip("\"' ").startswith("."):
            self.line_after(end, f"{indent}{table}.{key_text(key)} = {value}")
        elif whole or bare.startswith(name):
            self.line_after(end, f"{indent}{key_text(key)} = {value}")
        else:
            self.line_after(end, self.newline.join(["", f"[{table}.{key_text(key)}]", *lines]))

    def _under_header(self, table: str, line: str) -> None:
        at = 0
        for text in self.text.splitlines(keepends=True):
            at += len(text)
            if text.partition("#")[0].replace(" ", "").strip() == f"[{table}]":
                self.line_after(at - len(text), line)
                return
        raise by_hand()

    def line_after(self, end: int, line: str) -> None:
        """A new line behind the one on which a value ends."""
        after = self.text.find("\n", end)
        if after < 0:
            self.text += self.newline + line
        else:
            self.text = f"{self.text[: after + 1]}{line}{self.newline}{self.text[after + 1 :]}"

    def at_the_end(self, *lines: str) -> None:
        """New lines behind an empty one at the end."""
        gap = "" if self.text.endswith("\n") or not self.text else self.newline
        self.text += gap + self.newline + self.newline.join(lines) + self.newline

    def document(self) -> tomlkit.TOMLDocument:
        """What tomlkit makes of it, if that is all of it."""
        try:
            document = tomlkit.parse(self.text)
            if tomlkit.dumps(document) == self.text:
                return document
        except TOMLKitError as error:
            raise by_hand() from error
        raise by_hand()

    def span(self, path: tuple[str, ...]) -> tuple[int, int]:
        """Where the value under a key begins and ends: what another value in its place moves."""
        document: Any = self.document()
        table: Any = document
        for key in path[:-1]:
            table = table[key]
        shown = _shown(table, path[-1])
        table[path[-1]] = _MARK
        start = tomlkit.dumps(document).find(f'"{_MARK}"')
        if start < 0 or self.text[start : start + len(shown)] != shown:
            raise by_hand()
        return start, start + len(shown)

    def cut_lines(self, start: int, end: int) -> None:
        """Remove the lines on which a value stands, with its key and comment."""
        begin = self.text.rfind("\n", 0, start) + 1
        after = self.text.find("\n", end)
        self.text = self.text[:begin] + (self.text[after + 1 :] if after >= 0 else "")

    def cut_header(self, near: int) -> None:
        """Remove the header of a table that is empty now, with the blank lines before it."""
        before = self.text[: self.text.rfind("\n", 0, near) + 1].splitlines(keepends=True)
        number = len(before) - 1
        while number >= 0 and before[number].strip()[:1] in ("", "#"):
            number -= 1
        header = before[number].strip() if number >= 0 else ""
        if not header.removeprefix("[").lstrip().startswith(("sources", '"sources"')):
            return
        if not header.startswith("[") or header.partition("]")[0].strip("[ \"'") == "sources":
            return
        first = number
        while first > 0 and not before[first - 1].strip():
            first -= 1
        length = sum(map(len, before))
        self.text = "".join(before[:first] + before[number + 1 :]) + self.text[length:]


def key_text(name: str) -> str:
    """A TOML key: bare where it can be."""
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name, ensure_ascii=False)


def value_text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def by_hand() -> ManifestError:
    """To raise where an edit could change more than it should."""
    return ManifestError(
        f"{FILE_NAME} is written in a way that lumienv cannot edit without changing more of it",
        hint="edit it yourself, then type: lumienv sync",
    )


def _shown(table: Any, key: str) -> str:
    """A value as it is written: a table itself gives true and false as Python's."""
    item: Any = table.item(key) if isinstance(table, Container) else table[key]
    return str(item).lower() if isinstance(item, bool) else str(item.as_string())
