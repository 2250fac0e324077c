"""Dependencies put into the text of `lumienv.toml`, or taken out: all else stays byte for byte.

tomlkit finds the values; the text is edited where they stand, as tomlkit adds and moves commas and blank
lines when it writes lists and tables. In the end the new text is read anew: where it does not say what it
should, the file is written in a way that is better edited by hand, and stays as it is.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from tomlkit.items import InlineTable

from lumienv.manifest import group_key
from lumienv.manifest.listtext import elements, put_in, put_in_place, taken_out
from lumienv.manifest.tabletext import TableText, by_hand, key_text, value_text

GROUPS = "dependency-groups"

SourceTable = Mapping[str, str | bool]
"""An entry of `[sources]`"""


@dataclass(frozen=True)
class Entry:
    """One requirement to write, and what `[sources]` is to say of it."""

    requirement: Requirement
    source: SourceTable | None = None
    """None leaves what is there"""

    @property
    def name(self) -> str:
        """Normalised."""
        return str(canonicalize_name(self.requirement.name))


@dataclass(frozen=True)
class Edited:
    """A new text, and how it differs."""

    text: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[tuple[str, str], ...] = ()
    """before and after"""
    kept: tuple[str, ...] = ()
    """entries that said all of it before"""
    sources: tuple[str, ...] = ()
    """the packages whose entry in `[sources]` is another now, or gone"""


def added_to(text: str, entries: Sequence[Entry], group: str | None = None) -> Edited:
    """`text` with the entries among the dependencies, or in a dependency group.

    As in uv, an entry of the same name and marker is changed in place: extras are added, a range or address
    replaces the old one, and without one the old stays. Raises ManifestError where the text cannot be edited.
    """
    edit = _Edit(text)
    for entry in entries:
        path = edit.list_path(group)
        if path is None:
            edit.new_list(group)
            path = edit.list_path(group)
        assert path is not None
        edit.put(path, entry.requirement)
        if entry.source is not None and edit.source_of(entry.name)[1] != entry.source:
            edit.drop_source(entry.name)
            edit.put_source(entry.name, entry.source)
        elif entry.requirement.url is not None:
            edit.drop_source(entry.name)
    return edit.done()


def without(text: str, names: Sequence[str], group: str | None = None) -> Edited:
    """`text` without all entries of these names in the dependencies, or in a group.

    Their `[sources]` go with them, unless another list has the name. Names that are not there are passed
    over. Raises ManifestError as `added_to`.
    """
    edit = _Edit(text)
    for name in (str(canonicalize_name(name)) for name in names):
        path = edit.list_path(group)
        if path is not None and edit.take_out(path, name) and name not in names_in(edit.data):
            edit.drop_source(name)
    return edit.done()


def names_in(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Which lists have a name: normalised name → `""` for the dependencies, and names of groups."""
    found: dict[str, list[str]] = {}
    lists = {"": data.get("dependencies", []), **data.get(GROUPS, {})}
    for where, entries in lists.items():
        for entry in entries:
            name = _name(entry)
            if name:
                found.setdefault(name, []).append(where)
    return {name: list(dict.fromkeys(places)) for name, places in found.items()}


def written(requirement: Requirement) -> str:
    """A requirement as people write it: `>=` before `<`, a space before the marker."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    if requirement.url is not None:
        rest = f" @ {requirement.url}"
    else:
        rest = ",".join(sorted(map(str, requirement.specifier), key=lambda one: (one[0] != ">", one)))
    marker = f" ; {requirement.marker}" if requirement.marker is not None else ""
    return f"{requirement.name}{extras}{rest}{marker}"


@dataclass
class _Edit(TableText):
    """The edit of one text; `data` is what it has to say in the end."""

    data: dict[str, Any] = field(init=False)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = tomllib.loads(self.text)

    def done(self) -> Edited:
        """What came of it, once it was read anew."""
        try:
            right = tomllib.loads(self.text) == self.data
        except ValueError:
            right = False
        if not right:
            raise by_hand()
        parts = (tuple(self.added), tuple(self.removed), tuple(self.changed), tuple(self.kept))
        return Edited(self.text, *parts, tuple(dict.fromkeys(self.sources)))

    # -- lists of requirements ------------------------------------------------------------------------------

    def list_path(self, group: str | None) -> tuple[str, ...] | None:
        """Where a list stands; None where there is none yet."""
        if group is None:
            return ("dependencies",) if "dependencies" in self.data else None
        name = group_key(self.data.get(GROUPS, {}), group)
        return (GROUPS, name) if name is not None else None

    def new_list(self, group: str | None) -> None:
        if group is None:
            self.data["dependencies"] = []
            self.text = f"dependencies = []{self.newline}{self.text}"
            return
        known = GROUPS in self.data
        self.data.setdefault(GROUPS, {})[group] = []
        if known:
            self.beside((GROUPS,), group, "[]")
        else:
            self.at_the_end(f"[{GROUPS}]", f"{key_text(group)} = []")

    def put(self, path: tuple[str, ...], wanted: Requirement) -> None:
        """Change the entry of this name and marker, or add one."""
        texts = self._list(path)
        for number, text in enumerate(texts):
            old = _parsed(text)
            if old is None or canonicalize_name(old.name) != canonicalize_name(wanted.name):
                continue
            if str(old.marker) != str(wanted.marker):
                continue
            new = _merged(old, wanted)
            if str(new) == str(old):
                self.kept.append(text)
                return
            self.changed.append((text, written(new)))
            self._splice(path, partial(_exchanged, number, written(new)))
            texts[number] = written(new)
            return
        at = _place(texts, wanted)
        self.added.append(written(wanted))
        self._splice(path, lambda shown: put_in(shown, at, _quoted(shown, written(wanted))))
        texts.insert(at, written(wanted))

    def take_out(self, path: tuple[str, ...], name: str) -> bool:
        """Remove all entries of a name; whether there were any."""
        texts = self._list(path)
        numbers = [number for number, text in enumerate(texts) if _name(text) == name]
        for number in reversed(numbers):
            self.removed.append(texts[number])
            self._splice(path, partial(taken_out, number=number))
            del texts[number]
        return bool(numbers)

    def _list(self, path: tuple[str, ...]) -> list[Any]:
        found: Any = self.data
        for key in path:
            found = found[key]
        assert isinstance(found, list)
        return found

    def _splice(self, path: tuple[str, ...], change: Callable[[str], str]) -> None:
        """Edit the text of a list."""
        start, end = self.span(path)
        self.text = self.text[:start] + change(self.text[start:end]) + self.text[end:]

    # -- [sources] ------------------------------------------------------------------------------------------

    def source_of(self, name: str) -> tuple[str | None, SourceTable | None]:
        """A package's entry in `[sources]`: the key as written, and what it says."""
        sources = self.data.get("sources", {})
        key = next((key for key in sources if canonicalize_name(key) == name), None)
        return key, sources[key] if key is not None else None

    def put_source(self, name: str, source: SourceTable) -> None:
        self.sources.append(name)
        known = "sources" in self.data
        self.data.setdefault("sources", {})[name] = dict(source)
        lines = [f"{key_text(key)} = {value_text(value)}" for key, value in source.items()]
        if known:
            self.beside(("sources",), name, f"{{ {', '.join(lines)} }}", lines)
        else:
            self.at_the_end(f"[sources.{key_text(name)}]", *lines)

    def drop_source(self, name: str) -> None:
        key, table = self.source_of(name)
        if key is None or table is None:
            return
        self.sources.append(name)
        document: Any = self.document()
        entry = document["sources"][key]
        if isinstance(document["sources"], InlineTable):
            start, end = self.span(("sources",))
            shown = self.text[start:end]
            for number, one in reversed(list(enumerate(elements(shown)))):
                if key in tomllib.loads(shown[one.start : one.end]):
                    shown = taken_out(shown, number)
            self.text = self.text[:start] + shown + self.text[end:]
        elif isinstance(entry, InlineTable):
            self.cut_lines(*self.span(("sources", key)))
        else:
            spans = [self.span(("sources", key, option)) for option in table]
            for start, end in sorted(spans, reverse=True):
                self.cut_lines(start, end)
            self.cut_header(min(spans)[0])
        del self.data["sources"][key]
        if not self.data["sources"] and "sources" not in tomllib.loads(self.text):
            del self.data["sources"]


def _merged(old: Requirement, new: Requirement) -> Requirement:
    """What uv makes of an entry that is added once more."""
    merged = deepcopy(old)
    merged.extras = old.extras | new.extras
    if new.specifier or new.url is not None:
        merged.specifier, merged.url = new.specifier, new.url
    return merged


def _place(texts: Sequence[Any], wanted: Requirement) -> int:
    """Where a new entry goes: into its place where the others are sorted, else to the end."""
    keys = [_sorting(text) for text in texts]
    if None in keys or keys != sorted(key for key in keys if key is not None):
        return len(texts)
    new = _sorting(written(wanted)) or ""
    return sum(key is not None and key <= new for key in keys)


def _sorting(text: Any) -> str | None:
    return _name(text) or None


def _name(text: Any) -> str:
    """The normalised name in a list's entry; empty where there is none."""
    requirement = _parsed(text)
    return str(canonicalize_name(requirement.name)) if requirement is not None else ""


def _parsed(text: Any) -> Requirement | None:
    try:
        return Requirement(text) if isinstance(text, str) else None
    except InvalidRequirement:
        return None


def _exchanged(number: int, text: str, shown: str) -> str:
    return put_in_place(shown, number, _quoted(shown, text, number))


def _quoted(shown: str, text: str, like: int = 0) -> str:
    """A text quoted as an entry of the list is, where that can be."""
    there = elements(shown)
    single = len(there) > like and shown[there[like].start] == "'"
    literal = (single or '"' in text) and "'" not in text
    return f"'{text}'" if literal else json.dumps(text, ensure_ascii=False)
