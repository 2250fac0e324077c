"""A snapshot made by hand: from what pip prints in an image, its Python version and its C library.

For images that lumienv cannot start here, as in CI or on a laptop. Understood are `pip list --format=freeze`,
`pip list` and, as far as it tells versions, `pip freeze`.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from lumienv.errors import ImageError
from lumienv.image.snapshot import Base, ImagePackage, Python, Snapshot, whole_markers
from lumienv.image.tags import wheel_tags

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PINNED = re.compile(rf"({_NAME})\s*={{2,3}}\s*([^\s;,#]+)")
_COLUMNS = re.compile(rf"({_NAME})\s+([^\s=<>!~@,]*\d[^\s=<>!~@,]*)(?:\s+/.*)?$")
_AT_ADDRESS = re.compile(rf"({_NAME})\s*@\s*(\S+)")
# What pip freeze puts above `-e /path`: `# Editable install with no version control (mylib==1.0)`.
_EDITABLE = re.compile(rf"# Editable .*\(({_NAME})={{2,3}}([^\s)]+)\)$")
_PYTHON = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_GLIBC = re.compile(r"2\.\d+(?:\.\d+)?")
_MACHINE = re.compile(r"[a-z0-9]\w*")
# pip's own remarks, which stand between the lines when its output was copied from a terminal.
_REMARKS = ("WARNING:", "DEPRECATION:", "[notice]")
_MOST_NAMED = 5


def snapshot_of_list(
    text: str, *, python: str, glibc: str, machine: str = "x86_64", name: str = "image"
) -> Snapshot:
    """The snapshot of an image called `name` that has the packages in `text`; without an identity.

    `python` is the full version (3.12.11), `glibc` the C library's (2.31). The packages have names and
    versions only. Raises ImageError for a line that tells no version, and for a list without any package.
    """
    for what, value, pattern, example in (
        ("Python version", python, _PYTHON, "3.12.11, as `python --version` prints it"),
        ("glibc version", glibc, _GLIBC, "2.31, as `ldd --version` prints it"),
        ("machine", machine, _MACHINE, "x86_64, as `uname -m` prints it"),
    ):
        if not pattern.fullmatch(value):
            raise ImageError(f'"{value}" is no {what}', hint=f"give it in full: {example}")
    libc = {"libc": ["glibc", glibc], "free_threaded": False, "debug": False, "machine": machine, "bits": 64}
    return Snapshot(
        image=Base("snapshot", "", name, "", architecture=machine),
        python=Python(python),
        markers=whole_markers({}, python, machine),
        tags=wheel_tags(python, libc),
        packages=listed_packages(text),
    )


def listed_packages(text: str) -> tuple[ImagePackage, ...]:
    """The packages that pip lists in `text`, in its order, each once. Raises ImageError."""
    found: dict[str, ImagePackage] = {}
    unclear: list[str] = []
    for number, line, entry in _entries(text):
        if entry is None:
            unclear.append(f"line {number}: {line[:100]}")
        else:
            found.setdefault(canonicalize_name(entry[0]), ImagePackage(*entry))
    if unclear:
        more = [f"and {len(unclear) - _MOST_NAMED} more"] if len(unclear) > _MOST_NAMED else []
        raise ImageError(
            "the list of packages has lines that tell no version",
            *unclear[:_MOST_NAMED],
            *more,
            hint="make the list in the image with: python -m pip list --format=freeze",
        )
    if not found:
        raise ImageError(
            "the list of packages is empty",
            hint="make the list in the image with: python -m pip list --format=freeze",
        )
    return tuple(found.values())


def _entries(text: str) -> Iterator[tuple[int, str, tuple[str, str] | None]]:
    """Line number, line, and the name and version that it tells; None where it tells none."""
    editable: tuple[str, str] | None = None
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            above = _EDITABLE.match(line)
            editable = (above[1], above[2]) if above else editable
        elif line.startswith(("-e ", "--editable")):
            yield number, line, editable
            editable = None
        elif line and not line.startswith(_REMARKS) and not _is_heading(line):
            yield number, line, _entry(line)


def _is_heading(line: str) -> bool:
    return line.split()[:2] == ["Package", "Version"] or set(line) <= {"-", " "}


def _entry(line: str) -> tuple[str, str] | None:
    found = _PINNED.match(line) or _COLUMNS.match(line)
    if found is not None:
        return found[1], found[2]
    located = _AT_ADDRESS.match(line)
    version = _version_in(located[2]) if located else None
    return (located[1], version) if located and version else None


def _version_in(address: str) -> str | None:
    """The version in the file name that an address ends in."""
    filename = unquote(urlsplit(address).path.rpartition("/")[2])
    try:
        parsed = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
        return str(parsed(filename)[1])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
