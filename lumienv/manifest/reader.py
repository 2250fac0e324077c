"""`lumienv.toml` → `Manifest`, checked key by key; every complaint names the file, the line and the key."""

from __future__ import annotations

from collections.abc import Mapping

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
    group_key,
    normal_name,
)
from lumienv.manifest.tables import IMAGE_SELECTORS, IMAGE_WAYS, Tables, is_name
from lumienv.paths import Path
from lumienv.toml import read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SOURCE_WAYS = ("index", "path", "git", "url")
# What may stand beside each of these.
_SOURCE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "index": (),
    "path": ("editable", "subdirectory"),
    "git": ("rev", "tag", "branch", "subdirectory"),
    "url": ("subdirectory",),
}


def read_manifest(path: Path) -> Manifest:
    """Read and check `path`. Raises ManifestError, with the key and the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"{path} does not exist", hint="-C names the folder of another") from None
    except (UnicodeDecodeError, PermissionError, IsADirectoryError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ManifestError(f"{path} cannot be read: {reason}") from None
    return manifest_of(path, text)


def manifest_of(path: Path, text: str) -> Manifest:
    """What `path` declares, or would if this were its text. Raises ManifestError as `read_manifest`."""
    try:
        data = read_toml(text)
    except ValueError as error:
        import re

        # tomllib shows the name of a table as a tuple: ('sync', 'run')
        problem = re.sub(
            r"\('[^()]*\)", lambda found: ".".join(re.findall("'([^']*)'", found[0])), str(error)
        )
        if text.startswith("\ufeff"):
            problem = "it begins with a byte order mark: have your editor save it as UTF-8 without one"
        raise ManifestError(f"{path} is not valid TOML: {problem}", hint="nothing was changed") from None
    return _Reader(path, text).manifest(data)


class _Reader(Tables):
    """Makes the parts of a manifest, table by table."""

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
            presets=self.presets(self.table(data, "preset")),
        )

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
        value = self.text(table, f"image.{kind}", "")
        if kind == "uri":
            self._check_uri(value)
        return ImageTable(
            kind=kind,
            value=value,
            selectors=narrowing,
            activate=self.text(table, "image.activate", "auto"),
            assume={name: self.named_text(assume, "image.assume", name) for name in assume},
        )

    def _check_uri(self, uri: str) -> None:
        from lumienv.manifest.imageaddress import REGISTRY, parse_address

        hint = 'uri = "docker://org/image:tag"; `lumienv image pull` fetches it'
        try:
            address = parse_address(uri)
        except ValueError as error:
            self.fail("image.uri", str(error), hint=hint)
        if address.transport != REGISTRY:
            problem = "names an image in a registry, and this is a file or folder"
            hint = f'make an image of it: lumienv image pull {address}\nand name that: path = "/…/image.sif"'
            self.fail("image.uri", problem, hint=hint)

    def resolve(self, table: dict[str, Any]) -> ResolveTable:
        self.known(table, "resolve")
        newest = table.get("exclude-newer")
        if newest is not None and not isinstance(newest, str):
            from datetime import date

            # TOML has dates of its own: `2026-11-01` without quotes means the same. A datetime is a date.
            if not isinstance(newest, date):
                self.fail("resolve.exclude-newer", 'must be a date, such as "2026-11-01"')
            newest = newest.isoformat()
        return ResolveTable(
            replace=self.names(table, "resolve.replace"),
            omit=self.names(table, "resolve.omit"),
            constraints=self.dependencies(table, "resolve.constraints"),
            overrides=self.dependencies(table, "resolve.overrides"),
            exclude_newer=newest,
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
            if not is_name(name):
                self.fail(f"dependency-groups.{name}", "has a name that no group can have")
            other = seen.setdefault(normal_name(name), name)
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
                wanted = item["include-group"]
                other = group_key(table, wanted) if isinstance(wanted, str) else None
                if other is None:
                    self.fail(key, f"includes the group {wanted!s}, which does not exist")
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
            if not (name.isascii() and name.isidentifier()):
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
            presets=self.text_or_texts(table, "run.preset"),
        )

    def slurm(self, table: dict[str, Any]) -> dict[str, str | bool]:
        options: dict[str, str | bool] = {}
        for name, value in table.items():
            key = f"slurm.{name}"
            letters = name.replace("-", "")
            plain = letters.isascii() and letters.isalnum() and letters.islower()
            if not plain or len(name) < 2 or not name[0].isalpha():
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

    def presets(self, table: dict[str, Any]) -> dict[str, Any]:
        if table:
            from lumienv.site.form import check_presets  # only where a project has its own

            check_presets(table, self.fail)
        return table
