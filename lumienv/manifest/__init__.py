"""What `lumienv.toml` declares, as values; `manifest.reader` makes them.

`lumienv run` reads this file before every job, so nothing here imports more than the standard library;
requirements stay text until `resolve` parses them, with the line they stand on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from lumienv.digest import sha256
from lumienv.errors import ManifestError
from lumienv.paths import Path
from lumienv.plainjson import quoted
from lumienv.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = "lumienv.toml"
MODES = ("venv", "squashfs", "sif")
BUILDERS = ("cotainr", "append")
DISTRIBUTIONS = (".whl", ".tar.gz", ".zip")
"""how the names of wheels and source distributions end"""
INDEX_FORMATS = ("simple", "flat")

# Raised whenever the same lumienv.toml has to be resolved anew because the resolver's rules changed.
RESOLVER_SCHEMA = 2


@dataclass(frozen=True)
class Dependency:
    """One PEP 508 line as the user wrote it."""

    text: str
    key: str
    """the TOML key it stands under, for messages: `dependencies`, `dependency-groups.dev`, …"""
    line: int | None = None
    """1-based line in the manifest, None where it cannot be told"""
    typed: bool = False
    """it comes from the command line, and is not written yet"""

    @property
    def where(self) -> str:
        """`lumienv.toml:3`, or the key where the line is not known; of what was typed, the command."""
        if self.typed:
            return "in this command"
        return f"{FILE_NAME}:{self.line}" if self.line else f"{FILE_NAME}: {self.key}"


@dataclass(frozen=True)
class ImageTable:
    """`[image]`: exactly one way to name the base, and how it is read."""

    kind: str
    """`name`, `path`, `uri`, `host` or `snapshot`"""
    value: str
    selectors: Mapping[str, str] = field(default_factory=dict)
    activate: str = "auto"
    assume: Mapping[str, str] = field(default_factory=dict)

    def selection(self) -> dict[str, object]:
        """What picks the base and decides how it is entered; a generation remembers it."""
        return {
            "kind": self.kind,
            "value": self.value,
            "selectors": dict(self.selectors),
            "activate": self.activate,
        }


@dataclass(frozen=True)
class ResolveTable:
    """`[resolve]`: what the resolver may and may not do."""

    replace: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    constraints: tuple[Dependency, ...] = ()
    overrides: tuple[Dependency, ...] = ()
    exclude_newer: str | None = None
    prerelease: str = "if-necessary"
    resolution: str = "highest"
    build: str = "allow"


@dataclass(frozen=True)
class IndexTable:
    """One `[[index]]`."""

    url: str
    """as written; one that starts with `./` or `../` is a folder, seen from the project"""
    name: str | None = None
    explicit: bool = False
    format: str = "simple"
    """`simple`: a page a project; `flat`: one page of links or one folder of files for all"""

    def written(self) -> list[str]:
        """All that decides, for digests and messages."""
        found = [self.url, *([self.name] if self.name else []), *(["explicit"] if self.explicit else [])]
        return [*found, *([f"format={self.format}"] if self.format != "simple" else [])]


@dataclass(frozen=True)
class Source:
    """Where one package comes from, when the order of indexes does not say it.

    An entry of `[sources]`, or the address in a requirement (`mylib @ git+https://…`).
    """

    kind: str
    """`index`, `git`, `url` or `path`"""
    location: str
    """name of an index; URL, without revision and fragment; or path, as written"""
    revision: str = ""
    """git: the branch, tag or commit that is asked for; empty: the default branch"""
    subdirectory: str = ""
    """where the project lies in a repository or archive"""
    editable: bool = False
    sha256: str = ""
    """url: what the user says that the file's is (`…#sha256=…`), in hex; empty: nothing"""

    def written(self) -> list[str]:
        """All that decides, for digests and messages."""
        more = ("editable" if self.editable else "", f"sha256={self.sha256}" if self.sha256 else "")
        return list(filter(None, [self.kind, self.location, self.revision, self.subdirectory, *more]))


@dataclass(frozen=True)
class HostValue:
    """A `[run] env` value that is taken from the host when the command starts: never written down."""

    name: str


@dataclass(frozen=True)
class SifTable:
    """`[sif]`: how the one image of the mode `sif` is made."""

    builder: str = "cotainr"
    output: str = ""
    """where the user wants it, seen from the project; empty: in the store alone"""


@dataclass(frozen=True)
class RunTable:
    """`[run]`: what a command finds around it."""

    env: Mapping[str, str | HostValue] = field(default_factory=dict)
    bind: tuple[str, ...] = ()
    entry: str = "exec"
    presets: tuple[str, ...] = ()
    """`preset`: names of the site's, a later one going before an earlier one"""


@dataclass(frozen=True)
class Manifest:
    """All of `lumienv.toml`."""

    path: Path
    image: ImageTable
    dependencies: tuple[Dependency, ...] = ()
    groups: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    resolve: ResolveTable = ResolveTable()
    indexes: tuple[IndexTable, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    """package, as written → where it comes from"""
    mode: str = "venv"
    store: str = ".lumienv"
    sif: SifTable = SifTable()
    run: RunTable = RunTable()
    slurm: Mapping[str, str | bool] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    presets: Mapping[str, Any] = field(default_factory=dict)
    """`[preset.…]`: checked, and made values of where one is used (`site.presets`)"""

    @property
    def directory(self) -> Path:
        """The project: relative paths in the manifest start here."""
        return self.path.parent

    @property
    def dev_group(self) -> str | None:
        """The group that counts unless it is left out, called as the file calls it; None without one."""
        return group_key(self.groups, "dev")

    @property
    def store_path(self) -> Path:
        """Where generations are kept. Raises ManifestError as `place` does."""
        return self.place("[sync] store", self.store)

    def place(self, key: str, written: str) -> Path:
        """A path in the manifest; `~` and variables like `$USER` in it are the user's, and it starts here.

        `key` is where it stands. Raises ManifestError for a variable that is not set.
        """
        path = os.path.expanduser(os.path.expandvars(written))  # noqa: PTH111
        if "$" in path:
            raise ManifestError(
                f"{key} = {quoted(written)} has a variable that is not set",
                hint="export it first, or write the path itself",
            )
        return self.directory / path

    def declared(self) -> dict[str, list[str]]:
        """All that decides a resolution, as written: the key as messages name it → its values.

        The image has a guard of its own. Not in it: pip's configuration, credentials and absolute paths, else
        the same project's lock would be stale on every other machine.
        """
        table = self.resolve
        found: dict[str, list[str]] = {"dependencies": [entry.text for entry in self.dependencies]}
        for name, group in self.groups.items():
            found[f"[dependency-groups] {name}"] = [entry.text for entry in group]
        for name, source in self.sources.items():
            found[f"[sources] {name}"] = source.written()
        for name, version in self.image.assume.items():
            found[f"[image.assume] {name}"] = [version]
        found["[resolve] replace"] = list(table.replace)
        found["[resolve] omit"] = list(table.omit)
        found["[resolve] constraints"] = [entry.text for entry in table.constraints]
        found["[resolve] overrides"] = [entry.text for entry in table.overrides]
        defaults = ResolveTable()
        for key in ("exclude_newer", "prerelease", "resolution", "build"):
            value = getattr(table, key)
            if value != getattr(defaults, key):
                found[f"[resolve] {key.replace('_', '-')}"] = [value]
        found["[[index]]"] = [" ".join(index.written()) for index in self.indexes]
        for folder in local_folders(self):
            found[f"the metadata of {folder}"] = [metadata_digest(self.directory / Path(folder).expanduser())]
        return {key: values for key, values in found.items() if values}

    def inputs_digest(self) -> str:
        """`sha256:…` over `declared`, and the resolver's rules."""
        return inputs_of(self.declared(), RESOLVER_SCHEMA)


def normal_name(name: str) -> str:
    """A package's or a group's name as names are compared (PEP 503, PEP 735); a pattern takes longer."""
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(filter(None, words))


def group_key(groups: Iterable[str], wanted: str) -> str | None:
    """The one of `groups` that `wanted` names, as it is written there; None where there is none."""
    normal = normal_name(wanted)
    return next((name for name in groups if normal_name(name) == normal), None)


def inputs_of(declared: Mapping[str, Sequence[str]], schema: int) -> str:
    """`sha256:…` over what decides a resolution by the rules of this schema."""
    # As json.dumps(…, sort_keys=True, separators=(",", ":")) writes it.
    lists = (f"{quoted(key)}:[{','.join(map(quoted, declared[key]))}]" for key in sorted(declared))
    text = f'{{"declared":{{{",".join(lists)}}},"schema":{schema}}}'
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def local_folders(manifest: Manifest) -> list[str]:
    """The folders that `[sources]` and addresses in requirements name, as written, each once."""
    sources = list(manifest.sources.values())
    groups = (manifest.dependencies, *manifest.groups.values())
    for text in (entry.text for group in groups for entry in group if "@" in entry.text):
        from lumienv.manifest.sources import source_of_url  # imports urllib: only where there is an address

        with suppress(ValueError):
            sources.append(source_of_url(text.partition("@")[2].partition(" ;")[0].strip()))
    return list(
        dict.fromkeys(
            "/".join(filter(None, (source.location, source.subdirectory)))
            for source in sources
            if source.kind == "path" and not source.location.endswith(DISTRIBUTIONS)
        )
    )


def metadata_digest(folder: Path) -> str:
    """A digest over what a local project says about itself; where a build backend works that out, over all
    that the backend is configured with. Of a folder that is not there, an empty text."""
    import json

    from lumienv.toml import parse_toml

    digest = sha256()
    static = False
    with suppress(OSError):
        text = (folder / "pyproject.toml").read_bytes()
        try:
            project = parse_toml(text.decode())
            table = project.get("project")
            static = isinstance(table, dict) and not table.get("dynamic")
            tables = project if not static else {key: project.get(key) for key in ("project", "build-system")}
            digest.update(json.dumps(tables, sort_keys=True, default=str).encode())
        except (ValueError, RecursionError):  # no TOML, or dotted keys that nest without end
            digest.update(text)
    if not static:
        for name in ("setup.py", "setup.cfg"):
            with suppress(OSError):
                digest.update((folder / name).read_bytes())
    return str(digest.hexdigest()) if folder.is_dir() else ""


def start_folder(given: str | None, environ: Mapping[str, str]) -> Path:
    """Where to look for the manifest: the folder given, else the one the user stands in.

    `PWD` keeps the path by which they came there (on LUMI workspaces are links), but it is believed only
    where it is that folder: a program may have changed the folder and not the variable. Raises ManifestError.
    """
    if given is not None:
        if not Path(given).is_dir():
            raise ManifestError(f"{given} is not a directory", hint="-C takes the folder of a lumienv.toml")
        return Path(given).absolute()
    named = environ.get("PWD", "")
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise ManifestError("the current folder has been removed", hint="cd to one that is there") from None
    return Path(named) if named.startswith("/") and Path(named).is_dir() and here.samefile(named) else here


def find_manifest(start: Path) -> Path:
    """`lumienv.toml` in `start` or the nearest folder above it. Raises ManifestError."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise ManifestError(f"no {FILE_NAME} in {start} or any folder above it", hint="write one: lumienv init")
