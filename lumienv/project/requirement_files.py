"""pip's requirements files, as pip's documentation ("Requirements File Format") has them.

Nothing is run, fetched or expanded: `${TOKEN}` in a line stands for a secret as often as not. A file may come
with a clone: what it includes is read where it lies beside it or in the project, and nowhere else, as lines
end in lumienv.toml, in messages and in questions to an index.
"""

import codecs
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement

from lumienv.errors import ManifestError
from lumienv.files import user_path
from lumienv.manifest import DISTRIBUTIONS, IndexTable
from lumienv.manifest.sources import source_of_url, without_secret
from lumienv.project.imported import Imported
from lumienv.project.local import name_in_file, name_in_folder, seen_from

_OPTION = re.compile(r"(?:(--[a-z][a-z-]*)(?:\s*=\s*|\s+|$)|(-[a-zA-Z])\s*)(.*)")
_NEXT_OPTION = re.compile(r"\s+(?=--?[a-zA-Z])")
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
    reader = _Reader(folder, path.parent)
    reader.file(path, constraints=False)
    return reader.imported()


def read_lines(lines: list[str], where: str, beside: Path, folder: Path) -> Imported:
    """What lines of that form ask for; they stand in another file (conda's `pip:`), in `beside`."""
    reader = _Reader(folder, beside)
    for line in lines:
        reader.line(line, where, beside, constraints=False)
    return reader.imported()


def requirements_text(path: Path, *facts: str) -> str:
    """The text of a file that is taken over: UTF-8, or what Windows' PowerShell writes.

    Raises ManifestError, with `facts`.
    """
    try:
        raw = path.read_bytes()
        is_wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return raw.decode("utf-16" if is_wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else (error.strerror or "").lower()
        raise ManifestError(
            f"{path} cannot be read: {reason}", *facts, hint="name another file with -r; nothing was written"
        ) from None


class _Reader:
    """Collects what the lines say."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.homes = (Path(os.path.realpath(home)), Path(os.path.realpath(folder)))
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

    def file(self, path: Path, *facts: str, constraints: bool) -> None:
        key = (os.path.realpath(path), constraints)
        if key in self.seen:
            return
        self.seen.add(key)
        for number, line in _joined(requirements_text(path, *facts)):
            self.line(line, f"{path.name}:{number}", path.parent, constraints=constraints)

    def line(self, line: str, where: str, beside: Path, *, constraints: bool) -> None:
        if "${" in line:
            self.left_out(where, line, "lumienv reads passwords from ~/.netrc, not from variables")
        elif line.startswith("-"):
            for option in _NEXT_OPTION.split(line):
                self.option(option, where, beside, constraints=constraints)
        elif constraints:
            self.constraint(line, where)
        else:
            self.requirement(line, where, beside)

    def left_out(self, where: str, what: str, why: str) -> None:
        self.notes.append(f"{where}: left out: {without_secret(what)} ({why})")

    def option(self, line: str, where: str, beside: Path, *, constraints: bool) -> None:
        found = _OPTION.fullmatch(line)
        if found is None:
            self.left_out(where, line, "no option that lumienv knows")
            return
        name = found[1] or _SHORT.get(found[2], found[2])
        value = found[3].strip().strip("\"'")
        taken: Mapping[str, Callable[[], None]] = {
            "--requirement": lambda: self.included(line, value, where, beside, constraints=constraints),
            "--constraint": lambda: self.included(line, value, where, beside, constraints=True),
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
            self.left_out(where, line, _NEEDLESS.get(name, "an option of pip's alone"))

    def included(self, line: str, written: str, where: str, beside: Path, *, constraints: bool) -> None:
        path = Path(os.path.realpath(beside / written.partition("\0")[0]))
        if not written or "\0" in written:
            self.left_out(where, line, "it names no file")
        elif "://" in written:
            self.left_out(where, line, "nothing is fetched: save it, and name it with -r")
        elif not any(path.is_relative_to(home) for home in self.homes):
            self.left_out(where, line, "it lies elsewhere: name it yourself with -r if it is meant")
        elif path.exists() and not path.is_file():
            self.left_out(where, line, "it is no file")
        else:
            self.file(beside / written, f"{where} names it", constraints=constraints)

    def index(self, url: str, where: str, found: list[IndexTable], form: str = "simple") -> None:
        bare = without_secret(url).partition("?")[0]
        if _CUDA_INDEX.search(bare):
            self.left_out(where, bare, "it has builds for NVIDIA's GPUs; the image has its own")
            return
        if "?" in url:
            self.notes.append(f"{where}: {bare} is written without its query, as files are shared")
        elif bare != url:
            self.notes.append(f"{where}: {bare} is written without its password: that belongs into ~/.netrc")
        found.append(IndexTable(bare, format=form))

    def find_links(self, value: str, where: str, beside: Path) -> None:
        if "://" in value:
            self.index(value, where, self.extra, "flat")
        else:
            self.extra.append(IndexTable(seen_from(self.folder, value, beside), format="flat"))

    def constraint(self, line: str, where: str) -> None:
        text = re.split(r"\s+--", line, maxsplit=1)[0]
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            self.left_out(where, text, "a constraint has a name and a range")
            return
        if requirement.url:
            self.left_out(where, text, "an address is no range: it belongs into [sources]")
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
            self.left_out(where, text, "it is no requirement: name, extras, versions, marker")
        except ValueError as error:
            self.left_out(where, text, f"it {error}")
        else:
            gone = _gone(requirement.url or "")
            if gone:  # as `pip freeze` in a conda environment has it: where the package was built
                self.notes.append(
                    f"{where}: {requirement.name} is taken without its address: there is no {gone} here"
                )
                requirement.url = None
            self.warn_of_query(requirement.url or "", requirement.name, where)
            self.dependencies.append(str(requirement) if gone else text)

    def warn_of_query(self, url: str, name: str, where: str) -> None:
        if urlsplit(url).query:
            self.notes.append(
                f"{where}: the address of {name} has a query: see that it is no secret, as files are shared"
            )

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
        path = beside / user_path(written)
        name = name_in_file(path.name) if path.name.endswith(DISTRIBUTIONS) else name_in_folder(path)
        if not name:
            self.left_out(where, place, "its name is not known: write it, and [sources] NAME = { path = … }")
            return
        self.sources[name] = {"path": seen_from(self.folder, written, beside)} | (
            {"editable": True} if editable else {}
        )
        self.dependencies.append(name + behind)

    def address(self, url: str, behind: str, where: str, *, editable: bool) -> None:
        try:
            parts = urlsplit(url)
        except ValueError:
            self.left_out(where, url, "it is no address")
            return
        fragment = dict(parse_qsl(parts.fragment))
        egg, _, extras = fragment.pop("egg", "").partition("[")
        name = egg or name_in_file(unquote(parts.path.rpartition("/")[2]))
        bare = urlunsplit(parts._replace(fragment=urlencode(fragment, safe="/")))
        if not name:
            self.left_out(where, url, "its name is not known: write NAME @ in front of it")
            return
        try:
            source_of_url(bare)
        except ValueError as error:
            self.left_out(where, url, f"it {error}")
            return
        if editable:
            self.notes.append(f"{where}: {name} is installed as it is, not editable: it has no folder here")
        self.warn_of_query(bare, name, where)
        own = f"[{extras}" if extras else ""
        marker = behind.partition(";")[2].strip()
        self.dependencies.append(
            f"{name}{own or behind.partition(';')[0]} @ {bare}" + (f" ; {marker}" if marker else "")
        )


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
    return text.startswith((".", "/", "~", "file:")) or "://" in text or bare.endswith(DISTRIBUTIONS)


def _gone(url: str) -> str:
    """The path of a `file:` address that leads nowhere on this machine; empty for any other address."""
    path = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    return path if path and not Path(path).exists() else ""
