"""`lumienv.toml` → `Manifest`, checked key by key; every complaint names the file, the line and the key."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from lumienv.errors import ManifestError
from lumienv.manifest import (
    BUILDERS,
    INDEX_FORMATS,
    MODES,
    Dependency,
    HostValue,
    ImageTable,
    IndexTable,
    Manifest,
    ResolveTable,
    RunTable,
    SifTable,
    Source,
)

IMAGE_WAYS = ("name", "path", "uri", "host", "snapshot")
IMAGE_SELECTORS = ("rocm", "python", "version", "hash")
SOURCE_WAYS = ("index", "path", "git", "url")
# What may stand beside each of these.
_SOURCE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "index": (),
    "path": ("editable", "subdirectory"),
    "git": ("rev", "tag", "branch", "subdirectory"),
    "url": ("subdirectory",),
}

# Table → its keys. In [run.env], [slurm], [tasks], [dependency-groups], [image.assume] they are the user's.
KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        *("dependencies", "image", "dependency-groups", "sources", "resolve"),
        *("index", "sync", "sif", "run", "slurm", "tasks"),
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
    "run": ("env", "bind", "entry"),
}


_NAME = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?"  # of a package or group (PEP 508, PEP 735)


def read_manifest(path: Path) -> Manifest:
    """Read and check `path`. Raises ManifestError, with the key and the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"{path} does not exist", hint="-C names the folder of another") from None
    except (UnicodeDecodeError, PermissionError, IsADirectoryError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ManifestError(f"{path} cannot be read: {reason}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib shows the name of a table as a tuple: ('sync', 'run')
        problem = re.sub(
            r"\('[^()]*\)", lambda found: ".".join(re.findall("'([^']*)'", found[0])), str(error)
        )
        raise ManifestError(f"{path} is not valid TOML: {problem}", hint="nothing was changed") from None
    return _Reader(path, text).manifest(data)


class _Reader:
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
            header = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]")
            starts = [number + 1 for number, line in enumerate(self.lines) if header.match(line)]
            if starts:
                start = starts[min(self.table_number, len(starts) - 1)]
            else:  # the table is written inline, or with dotted keys: its own line will do
                return self.line(table, value)
        pattern = re.compile(rf"""\s*(?:\[\[?\s*)?["']?{re.escape(last)}["']?\s*(?:=|\]|\.)""")
        for number in range(start, len(self.lines)):
            if pattern.match(self.lines[number]):
                return self._value_line(number, value) + 1
            if table and re.match(r"\s*\[", self.lines[number]):
                break
        return start or None

    def _value_line(self, number: int, value: str | None) -> int:
        if value is not None:
            quoted = {json.dumps(value), f"'{value}'"}
            for later in range(number, len(self.lines)):
                if any(form in self.lines[later] for form in quoted):
                    return later
        return number

    def manifest(self, data: dict[str, Any]) -> Manifest:
        self.known(data, "")
        if "image" not in data:
            raise ManifestError(
                f"{self.path.name} has no [image] table: lumienv does not know what to build on",
                hint='for example: [image]\nname = "pytorch"',
            )
        sync = self.table(data, "sync")
        self.known(sync, "sync")
        sif = self.table(data, "sif")
        self.known(sif, "sif")
        return Manifest(
            path=self.path,
            image=self.image(self.table(data, "image")),
            dependencies=self.dependencies(data, "dependencies"),
            groups=self.groups(data),
            resolve=self.resolve(self.table(data, "resolve")),
            indexes=self.indexes(data),
            sources=self.sources(data),
            mode=self.choice(sync, "sync.mode", MODES, "venv"),
            store=self.text(sync, "sync.store", ".lumienv"),
            sif=SifTable(
                self.choice(sif, "sif.builder", BUILDERS, "cotainr"), self.text(sif, "sif.output", "")
            ),
            run=self.run(self.table(data, "run")),
            slurm=self.slurm(self.table(data, "slurm")),
            tasks=self.tasks(self.table(data, "tasks")),
        )

    # -- tables ------------------------------------------------------------------------------------------

    def image(self, table: dict[str, Any]) -> ImageTable:
        self.known(table, "image")
        given = [way for way in IMAGE_WAYS if way in table]
        if len(given) != 1:
            problem = "names no image" if not given else f"names {' and '.join(given)} at once"
            self.fail("image", problem, hint=f"give exactly one of: {', '.join(IMAGE_WAYS)}")
        (kind,) = given
        narrowing = {key: self.text(table, f"image.{key}", "") for key in IMAGE_SELECTORS if key in table}
        if narrowing and kind != "name":
            self.fail(f"image.{next(iter(narrowing))}", f"narrows a search by name, but {kind} is given")
        assume = self.table(table, "assume", "image.")
        return ImageTable(
            kind=kind,
            value=self.text(table, f"image.{kind}", ""),
            selectors=narrowing,
            activate=self.text(table, "image.activate", "auto"),
            assume={name: self.named_text(assume, "image.assume", name) for name in assume},
        )

    def resolve(self, table: dict[str, Any]) -> ResolveTable:
        self.known(table, "resolve")
        newest = table.get("exclude-newer")
        if newest is not None and not isinstance(newest, (str, date)):  # a datetime is a date
            self.fail("resolve.exclude-newer", 'must be a date, such as "2026-11-01"')
        return ResolveTable(
            replace=self.names(table, "resolve.replace"),
            omit=self.names(table, "resolve.omit"),
            constraints=self.dependencies(table, "resolve.constraints"),
            overrides=self.dependencies(table, "resolve.overrides"),
            # TOML has dates of its own: `2026-11-01` without quotes means the same.
            exclude_newer=newest if newest is None or isinstance(newest, str) else newest.isoformat(),
            prerelease=self.choice(
                table, "resolve.prerelease", ("disallow", "if-necessary", "allow"), "if-necessary"
            ),
            resolution=self.choice(
                table, "resolve.resolution", ("highest", "lowest", "lowest-direct"), "highest"
            ),
            build=self.choice(table, "resolve.build", ("allow", "never"), "allow"),
        )

    def groups(self, data: dict[str, Any]) -> dict[str, tuple[Dependency, ...]]:
        table = self.table(data, "dependency-groups")
        seen: dict[str, str] = {}
        for name in table:
            # PEP 735: names as of packages, compared in their normal form.
            if not re.fullmatch(_NAME, name, re.ASCII):
                self.fail(f"dependency-groups.{name}", "has a name that no group can have")
            other = seen.setdefault(re.sub(r"[-_.]+", "-", name).lower(), name)
            if other != name:
                self.fail(f"dependency-groups.{name}", f"has the same name as {other}")
        return {name: self._group(table, name, ()) for name in table}

    def _group(self, table: dict[str, Any], name: str, above: tuple[str, ...]) -> tuple[Dependency, ...]:
        key = f"dependency-groups.{name}"
        if name in above:
            self.fail(key, f"includes itself: {' → '.join((*above, name))}")
        if not isinstance(table[name], list):
            self.fail(key, "must be a list of requirements")
        entries: list[Dependency] = []
        for item in table[name]:
            if isinstance(item, str):
                entries.append(Dependency(item, key, self.line(key, item)))
            elif isinstance(item, dict) and set(item) == {"include-group"}:
                other = item["include-group"]
                if not isinstance(other, str) or other not in table:
                    self.fail(key, f"includes the group {other!s}, which does not exist")
                entries += self._group(table, other, (*above, name))
            else:
                self.fail(key, 'takes requirements and { include-group = "…" } only')
        return tuple(entries)

    def indexes(self, data: dict[str, Any]) -> tuple[IndexTable, ...]:
        tables = data.get("index", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.fail("index", "is a list of tables: write [[index]], with two brackets")
        found = []
        for number, table in enumerate(tables):
            self.table_number = number
            self.known(table, "index")
            if "url" not in table:
                self.fail("index", "has no url")
            url = self.text(table, "index.url", "")
            if "@" in url.partition("://")[2].partition("/")[0]:
                self.fail(
                    "index.url",
                    "contains a user name or password, which would be shared with this file",
                    hint="put them into ~/.netrc: machine <host> login <user> password <password>",
                )
            found.append(
                IndexTable(
                    url=url,
                    name=self.text(table, "index.name", "") or None,
                    explicit=self.flag(table, "index.explicit"),
                    format=self.choice(table, "index.format", INDEX_FORMATS, "simple"),
                )
            )
            if found[-1].explicit and found[-1].name is None:
                self.fail("index", "is explicit, but has no name that [sources] could give")
            if found[-1].name is not None and found[-1].name in [other.name for other in found[:-1]]:
                self.fail("index.name", f"is {found[-1].name}, and so is that of another index")
        self.table_number = 0
        return tuple(found)

    def sources(self, data: dict[str, Any]) -> dict[str, Source]:
        known = {table.get("name") for table in data.get("index", []) if isinstance(table, dict)}
        found = {}
        for package, table in self.table(data, "sources").items():
            key = f"sources.{package}"
            if not isinstance(table, dict):
                self.fail(key, "must be a table")
            self.known(table, "sources.*", key)
            found[package] = self._source(table, key)
            if found[package].kind == "index" and found[package].location not in known:
                self.fail(f"{key}.index", f"names {found[package].location}, but no [[index]] has that name")
        return found

    def _source(self, table: dict[str, Any], key: str) -> Source:
        given = [way for way in SOURCE_WAYS if way in table]
        if len(given) != 1:
            problem = "names no source" if not given else f"names {' and '.join(given)} at once"
            self.fail(key, problem, hint='write it as { path = "./folder" }, or with git, url or index')
        (kind,) = given
        for option in table:
            if option != kind and option not in _SOURCE_OPTIONS[kind]:
                self.fail(f"{key}.{option}", f"says nothing beside {kind}")
        location = self.text(table, f"{key}.{kind}", "")
        subdirectory = self.text(table, f"{key}.subdirectory", "")
        revisions = [self.text(table, f"{key}.{way}", "") for way in ("rev", "tag", "branch") if way in table]
        if len(revisions) > 1:
            self.fail(key, "names more than one of rev, tag and branch")
        if not location:
            self.fail(f"{key}.{kind}", "is empty")
        try:
            if kind in ("git", "url"):
                from lumienv.manifest.sources import git_source, url_source  # import urllib: seldom needed
            if kind == "git":
                return git_source(location, "".join(revisions), subdirectory)
            if kind == "url":
                return url_source(location, subdirectory)
        except ValueError as error:
            self.fail(f"{key}.{kind}", str(error))
        return Source(kind, location, "", subdirectory, self.flag(table, f"{key}.editable"))

    def run(self, table: dict[str, Any]) -> RunTable:
        self.known(table, "run")
        env: dict[str, str | HostValue] = {}
        for name, value in self.table(table, "env", "run.").items():
            key = f"run.env.{name}"
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self.fail("run.env", f"has a name that no shell could read: {name}")
            if isinstance(value, dict):
                if value != {"from": "host"}:
                    self.fail(key, 'is a table; the only one known is { from = "host" }')
                env[name] = HostValue(name)
            elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
                self.fail(key, "must be text or a number")
            else:
                env[name] = str(value)
                if "\0" in str(value):
                    self.fail(key, "contains a NUL character, which no environment variable can hold")
        return RunTable(
            env=env,
            bind=self.texts(table, "run.bind"),
            entry=self.choice(table, "run.entry", ("exec", "run"), "exec"),
        )

    def slurm(self, table: dict[str, Any]) -> dict[str, str | bool]:
        options: dict[str, str | bool] = {}
        for name, value in table.items():
            key = f"slurm.{name}"
            if not re.fullmatch(r"[a-z][a-z0-9-]+", name):
                self.fail(key, "is not a long option of srun (lower case, with hyphens)")
            if isinstance(value, bool):
                options[name] = value
            elif isinstance(value, (str, int)):
                options[name] = self.text({name: str(value)}, key, "")
            else:
                self.fail(key, "must be text, a number, or true for an option without a value")
        return options

    def tasks(self, table: dict[str, Any]) -> dict[str, str]:
        return {name: self.named_text(table, "tasks", name) for name in table}

    # -- values ------------------------------------------------------------------------------------------

    def known(self, table: Mapping[str, Any], name: str, shown: str | None = None) -> None:
        keys = KEYS[name]
        for key in table:
            if key not in keys:
                full = ".".join(filter(None, [shown or name, key]))
                close = _close(key, keys)
                self.fail(
                    full,
                    "is not a key that lumienv knows",
                    hint=f"did you mean {close[0]}?" if close else f"known here: {', '.join(keys)}",
                )

    def table(self, data: dict[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            self.fail(prefix + key, "must be a table")
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

    def names(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Names of packages: a range would be taken for a part of the name, and never match."""
        names = self.texts(table, key)
        for name in names:
            if not re.fullmatch(_NAME, name, re.ASCII):
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
            number = isinstance(value, (int, float))
            self.fail(key, f"{problem}, not {json.dumps(value)}" if number else problem)
        return value


def _close(word: str, known: Sequence[str]) -> list[str]:
    import difflib  # only for a mistake: every job reads a manifest

    return difflib.get_close_matches(word, known, n=1)
