"""pip's requirements files, as pip's documentation ("Requirements File Format") has them.

Nothing is run, fetched or expanded: `${TOKEN}` in a line stands for a secret as often as not.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser, Error
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from lumienv.errors import ManifestError
from lumienv.manifest import ARCHIVES, IndexTable
from lumienv.manifest.sources import source_of_url
from lumienv.project.imported import Imported

_OPTION = re.compile(r"(?:(--[a-z][a-z-]*)(?:\s*=\s*|\s+|$)|(-[a-zA-Z])\s*)(.*)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_SHORT = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
_CUDA_INDEX = re.compile(r"/cu\d{2,3}/?$")
# What has nothing to say here, and why.
_NEEDLESS: Mapping[str, str] = {
    "--require-hashes": "the lock has the hash of every file",
    "--prefer-binary": 'wheels are preferred anyway; [resolve] build = "never" takes nothing else',
    "--no-index": "offline is a matter of the call: lumienv lock --offline",
    "--trusted-host": "lumienv checks every server's certificate",
    "--no-binary": "lumienv takes wheels where there are any",
}


def read_requirements(path: Path, folder: Path) -> Imported:
    """What a requirements file asks for, nested ones included; paths are seen from the project, `folder`.

    Raises ManifestError where a file cannot be read.
    """
    reader = _Reader(folder)
    reader.file(path, constraints=False)
    return reader.imported()


def read_lines(lines: list[str], where: str, beside: Path, folder: Path) -> Imported:
    """What lines of that form ask for; they stand in another file (conda's `pip:`), in `beside`."""
    reader = _Reader(folder)
    for line in lines:
        reader.line(line, where, beside, constraints=False)
    return reader.imported()


def requirements_text(path: Path) -> str:
    """The text of a file that is taken over. Raises ManifestError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else (error.strerror or "").lower()
        raise ManifestError(
            f"{path} cannot be read: {reason}", hint="name another file with -r; nothing was written"
        ) from None


class _Reader:
    """Collects what the lines say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[tuple[str, bool]] = set()
        self.dependencies: list[str] = []
        self.constraints: list[str] = []
        self.sources: dict[str, dict[str, str | bool]] = {}
        self.extra: list[IndexTable] = []
        self.main: list[IndexTable] = []
        self.notes: list[str] = []
        self.prerelease = self.build = ""
        self.hashes = 0

    def imported(self) -> Imported:
        notes = list(self.notes)
        indexes = (*self.extra, *self.main)
        if self.hashes:
            notes.append(f"left out: the hashes of {self.hashes} of the requirements (the lock has its own)")
        return Imported(
            tuple(dict.fromkeys(self.dependencies)),
            self.sources,
            tuple(dict.fromkeys(self.constraints)),
            tuple(dict.fromkeys(indexes)),
            self.prerelease,
            self.build,
            notes=tuple(notes),
        )

    def file(self, path: Path, *, constraints: bool) -> None:
        key = (os.path.realpath(path), constraints)
        if key in self.seen:
            return
        self.seen.add(key)
        for number, line in _joined(requirements_text(path)):
            self.line(line, f"{path.name}:{number}", path.parent, constraints=constraints)

    def line(self, line: str, where: str, beside: Path, *, constraints: bool) -> None:
        if "${" in line:
            self.left_out(
                where, _without_secret(line), "lumienv reads passwords from ~/.netrc, not from variables"
            )
        elif line.startswith("-"):
            self.option(line, where, beside, constraints=constraints)
        elif constraints:
            self.constraint(line, where)
        else:
            self.requirement(line, where, beside)

    def left_out(self, where: str, what: str, why: str) -> None:
        self.notes.append(f"{where}: left out: {what} ({why})")

    def option(self, line: str, where: str, beside: Path, *, constraints: bool) -> None:
        found = _OPTION.fullmatch(line)
        if found is None:
            self.left_out(where, line, "no option that lumienv knows")
            return
        name = found[1] or _SHORT.get(found[2], found[2])
        value = found[3].strip().strip("\"'")
        taken: Mapping[str, Callable[[], None]] = {
            "--requirement": lambda: self.file(beside / value, constraints=constraints),
            "--constraint": lambda: self.file(beside / value, constraints=True),
            "--editable": lambda: self.requirement(value, where, beside, editable=True),
            "--index-url": lambda: self.index(value, where, self.main),
            "--extra-index-url": lambda: self.index(value, where, self.extra),
            "--find-links": lambda: self.find_links(value, where, beside),
            "--pre": lambda: setattr(self, "prerelease", "allow"),
        }
        if name in taken:
            taken[name]()
        elif name == "--only-binary" and value == ":all:":
            self.build = "never"
        else:
            self.left_out(where, _without_secret(line), _NEEDLESS.get(name, "an option of pip's alone"))

    def index(self, url: str, where: str, found: list[IndexTable]) -> None:
        bare = _without_secret(url)
        if _CUDA_INDEX.search(url):
            self.left_out(where, bare, "it has builds for NVIDIA's GPUs; the image has its own")
            return
        if bare != url:
            self.notes.append(f"{where}: {bare} is written without its password: that belongs into ~/.netrc")
        found.append(IndexTable(bare))

    def find_links(self, value: str, where: str, beside: Path) -> None:
        if "://" in value:
            self.index(value, where, [])
            if not _CUDA_INDEX.search(value):
                self.extra.append(IndexTable(_without_secret(value), format="flat"))
        else:
            self.extra.append(IndexTable(self.from_project(value, beside), format="flat"))

    def constraint(self, line: str, where: str) -> None:
        text = re.split(r"\s+--", line, maxsplit=1)[0]
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            self.left_out(where, _without_secret(text), "a constraint has a name and a range")
            return
        if requirement.url:
            self.left_out(where, _without_secret(text), "an address is no range: it belongs into [sources]")
        elif requirement.specifier:
            marker = f"; {requirement.marker}" if requirement.marker else ""
            self.constraints.append(f"{requirement.name}{requirement.specifier}{marker}")

    def requirement(self, line: str, where: str, beside: Path, *, editable: bool = False) -> None:
        text, *options = re.split(r"\s+--(?=[a-z])", line)
        self.hashes += any(option.startswith("hash") for option in options)
        for option in options:
            if not option.startswith("hash"):
                self.left_out(where, f"--{option}", "an option of pip's alone")
        if _is_place(text):
            self.place(text, where, beside, editable=editable)
            return
        try:
            requirement = Requirement(text)
            if requirement.url:
                source_of_url(requirement.url)
        except InvalidRequirement:
            self.left_out(
                where, _without_secret(text), "it is no requirement: name, extras, versions, marker"
            )
        except ValueError as error:
            self.left_out(where, _without_secret(text), f"it {error}")
        else:
            self.dependencies.append(text)

    def place(self, text: str, where: str, beside: Path, *, editable: bool) -> None:
        """A requirement without a name: a folder, a file, an address."""
        place, _, marker = (part.strip() for part in text.partition(";" if "://" not in text else " ;"))
        extras = ""
        if found := re.fullmatch(r"([^#]*[^]#])(\[[\w,. -]+\])", place):
            place, extras = found.groups()
        behind = extras + (f"; {marker}" if marker else "")
        if "://" in place and not place.startswith("file:"):
            self.address(place, behind, where, editable=editable)
            return
        written = place.removeprefix("file://").removeprefix("file:").partition("#")[0]
        name = _project_name(beside / Path(written).expanduser())
        if not name:
            self.left_out(where, place, "its name is not known: write it, and [sources] NAME = { path = … }")
            return
        self.sources[name] = {"path": self.from_project(written, beside)} | (
            {"editable": True} if editable else {}
        )
        self.dependencies.append(name + behind)

    def address(self, url: str, behind: str, where: str, *, editable: bool) -> None:
        parts = urlsplit(url)
        fragment = dict(parse_qsl(parts.fragment))
        egg, _, extras = fragment.pop("egg", "").partition("[")
        name = egg or _file_name(parts.path)
        bare = urlunsplit(parts._replace(fragment=urlencode(fragment, safe="/")))
        if not name:
            self.left_out(where, _without_secret(url), "its name is not known: write NAME @ in front of it")
            return
        try:
            source_of_url(bare)
        except ValueError as error:
            self.left_out(where, _without_secret(url), f"it {error}")
            return
        if editable:
            self.notes.append(f"{where}: {name} is installed as it is, not editable: it has no folder here")
        own = f"[{extras}" if extras else ""
        marker = behind.partition(";")[2].strip()
        self.dependencies.append(
            f"{name}{own or behind.partition(';')[0]} @ {bare}" + (f" ; {marker}" if marker else "")
        )

    def from_project(self, written: str, beside: Path) -> str:
        """A path in a file that lies `beside`, as the project sees it."""
        if written.startswith(("/", "~")):
            return written
        path = os.path.relpath(beside / written, self.folder)
        return path if path.startswith("..") else f"./{path}"


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, each with the number of its first; continued ones are one."""
    held, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        first = first if held else number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            held += raw[:-1] + " "
            continue
        line = _COMMENT.sub("", held + raw).strip()
        held = ""
        if line:
            yield first, line
    if held.strip():
        yield first, held.strip()


def _is_place(text: str) -> bool:
    if re.match(r"[A-Za-z0-9][\w.-]*\s*(\[[^]]*\])?\s*@", text):
        return False
    bare = text.partition(";")[0].partition("#")[0].strip()
    return text.startswith((".", "/", "~", "file:")) or "://" in text or bare.endswith(ARCHIVES)


def _project_name(path: Path) -> str:
    """How the project in a folder, or in an archive, is called; empty where only its code says it."""
    if path.name.endswith(ARCHIVES):
        return _file_name(path.name)
    with suppress(OSError, ValueError):
        project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        if isinstance(project, dict) and project.get("name"):
            return str(project["name"])
    parser = ConfigParser(interpolation=None)
    with suppress(OSError, ValueError, Error):
        parser.read(path / "setup.cfg", encoding="utf-8")
        return parser.get("metadata", "name")
    return ""


def _file_name(path: str) -> str:
    """The name in that of a wheel or a source distribution; empty where it is neither."""
    file = path.rpartition("/")[2]
    with suppress(ValueError):
        if file.endswith(".whl"):
            return str(parse_wheel_filename(file)[0])
    found = re.fullmatch(r"(.+)-\d[^-]*(?:\.tar\.gz|\.zip)", file)
    return str(canonicalize_name(found[1])) if found else ""


def _without_secret(text: str) -> str:
    """A line without the user name and password that an address in it may have."""
    return re.sub(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@]*@", r"\1", text)
