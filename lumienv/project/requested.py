"""What `lumienv add` was asked for: names, folders, archives, addresses, requirements files, as entries."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from lumienv.errors import UsageError
from lumienv.files import user_path
from lumienv.manifest import DISTRIBUTIONS, Source
from lumienv.manifest.edits import Entry, SourceTable
from lumienv.manifest.sources import source_of_url, without_secret
from lumienv.manifest.tables import is_name
from lumienv.project.local import name_in_file, name_in_folder, seen_from
from lumienv.project.other_tools import read_file

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LIKE_CONDA = re.compile(r"([A-Za-z0-9][\w.-]*)\s*[=\s]\s*v?(\d[\w.*+!-]*)")


@dataclass(frozen=True)
class Asked:
    """How words are to be read: options that say more about all of them."""

    project: Path
    """where paths in lumienv.toml start"""
    here: Path
    """where paths on the command line start"""
    editable: bool = False
    index: str | None = None
    revision: Mapping[str, str] | None = None
    """`rev`, `tag` or `branch` of a git repository"""


def entry_of(word: str, asked: Asked) -> Entry:
    """One word as an entry. Raises UsageError."""
    name, _, address = (part.strip() for part in word.partition("@"))
    bare, bracket, extras = name.partition("[")
    if is_name(bare.strip()) and _is_path(address):
        return _local(address + bracket + extras, asked, bare.strip())
    if _ADDRESS.match(word):
        return _remote(word, asked)
    if not _ADDRESS.match(address) and _is_path(word):
        return _local(word, asked, None)
    try:
        requirement = Requirement(word)
    except InvalidRequirement as error:
        raise _no_requirement(word, error) from None
    if requirement.url is not None:
        source = _source(requirement.url, f"the address of {requirement.name}")
        if source.kind != "git" or not asked.revision:
            _only(asked, word=requirement.name, index=False)
            return Entry(requirement)
        return _named(_without_address(requirement), _table(source, requirement.url, asked), asked)
    if word.endswith((".txt", ".in", ".toml")) and (asked.here / word).is_file():
        raise UsageError(f"{word} is a file", hint=f"to add what it lists: lumienv add -r {word}")
    _only(asked, word=requirement.name, index=True)
    return Entry(requirement, {"index": asked.index} if asked.index else None)


def _remote(url: str, asked: Asked) -> Entry:
    """An address alone: its name is in it, or has to be told."""
    source = _source(url, "the address")
    parts = urlsplit(url)
    filename = unquote(parts.path.rpartition("/")[2])
    name = parse_qs(parts.fragment).get("egg", [""])[0] or name_in_file(filename)
    if not name:
        likely = filename.partition("@")[0].removesuffix(".git") or "NAME"
        raise UsageError(
            f"no package's name can be told from the address of {filename or parts.hostname}",
            hint=f"say it in front: lumienv add '{likely} @ …'",
        )
    return _named(Requirement(name), _table(source, url, asked), asked)


def _named(requirement: Requirement, table: SourceTable, asked: Asked) -> Entry:
    if asked.editable or asked.index:
        option = "--editable" if asked.editable else "--index"
        raise UsageError(f"{option} says nothing of {requirement.name}, which comes from an address")
    if asked.revision and "git" not in table:
        raise _no_repository(requirement.name, asked)
    return Entry(requirement, table)


def _table(source: Source, url: str, asked: Asked) -> SourceTable:
    """A source as an entry of `[sources]`."""
    table: dict[str, str | bool] = {source.kind: source.location}
    if source.kind == "url" and source.sha256:
        table["url"] = f"{source.location}#sha256={source.sha256}"
    if source.kind == "path":
        table["path"] = unquote(urlsplit(url).path)
    if source.kind == "git" and asked.revision:
        table |= asked.revision
    elif source.revision:
        table["rev"] = source.revision
    if source.subdirectory:
        table["subdirectory"] = source.subdirectory
    return table


def _source(url: str, what: str) -> Source:
    try:
        return source_of_url(url)
    except ValueError as error:  # never the address itself: it may hold a password
        raise UsageError(
            f"{what} {error}", hint="for example: lumienv add 'NAME @ git+https://example.org/NAME@v1.2'"
        ) from None


def _local(word: str, asked: Asked, name: str | None) -> Entry:
    """A folder or archive of this machine, with extras behind it as pip has them: `./folder[audio]`."""
    path, _, extras = word.removesuffix("]").partition("[") if word.endswith("]") else (word, "", "")
    place = asked.here / user_path(path)
    if not place.exists():
        raise UsageError(
            f"there is no folder or file {path}", hint="names of packages are written without a slash"
        )
    if asked.index or asked.revision:
        option = "--index" if asked.index else f"--{next(iter(asked.revision or ()))}"
        raise UsageError(f"{option} says nothing of {path}, which is on this machine")
    if place.is_dir():
        name = name or _name_of_folder(place, path)
    elif not place.name.endswith(DISTRIBUTIONS):
        raise UsageError(
            f"{path} is no wheel and no source distribution",
            hint=f"they end in {', '.join(DISTRIBUTIONS)}; "
            f"what a requirements file lists: lumienv add -r {path}",
        )
    elif asked.editable:
        raise UsageError(f"{path} is a file: only a folder can be editable")
    else:
        name = name or name_in_file(place.name)
    if not name:
        raise UsageError(
            f"no package's name can be told from {path}", hint=f"say it in front: lumienv add 'NAME @ {path}'"
        )
    table: dict[str, str | bool] = {"path": seen_from(asked.project, path, asked.here)}
    if asked.editable:
        table["editable"] = True
    try:
        return Entry(Requirement(f"{name}[{extras}]" if extras else name), table)
    except InvalidRequirement as error:
        raise _no_requirement(name, error) from None


def _name_of_folder(folder: Path, shown: str) -> str:
    name = name_in_folder(folder)
    if not name and not any((folder / one).exists() for one in ("pyproject.toml", "setup.py", "setup.cfg")):
        raise UsageError(
            f"{shown} is no Python project: it has no pyproject.toml and no setup.py",
            hint="its code can be used without being installed, too: [run] env = { PYTHONPATH = … }",
        )
    return name


def _is_path(word: str) -> bool:
    bare = word.partition("[")[0]
    return not _ADDRESS.match(word) and (
        bare.startswith((".", "~", "/")) or os.sep in bare or bare.endswith(DISTRIBUTIONS)
    )


def _only(asked: Asked, *, word: str, index: bool) -> None:
    """Options that say nothing of a package by name."""
    if asked.editable:
        raise UsageError(
            f"--editable is for folders, and {word} is none", hint=f"lumienv add --editable ./{word}"
        )
    if asked.revision:
        raise _no_repository(word, asked)
    if asked.index and not index:
        raise UsageError(f"--index says nothing of {word}, which comes from an address")


def _no_repository(word: str, asked: Asked) -> UsageError:
    option = next(iter(asked.revision or {"rev": ""}))
    return UsageError(
        f"--{option} is for git repositories, and {word} comes from none",
        hint=f"lumienv add '{word} @ git+https://…' --{option} …",
    )


def _without_address(requirement: Requirement) -> Requirement:
    bare = Requirement(str(requirement))
    bare.url = None
    return bare


def _no_requirement(word: str, error: InvalidRequirement) -> UsageError:
    meant = _LIKE_CONDA.fullmatch(word.strip())
    if meant:
        return UsageError(
            f'"{word}" is not a requirement: a version is named with ==',
            hint=f'lumienv add "{meant[1]}=={meant[2]}"',
        )
    return UsageError(
        f'"{without_secret(word)}" is not a requirement: {str(error).splitlines()[0]}',
        hint='a name, with extras, versions and a marker as needed: lumienv add "datasets[audio]>=3"',
    )


def entries_of_file(path: Path, asked: Asked) -> Iterator[Entry | str]:
    """What a requirements file or `environment.yml` asks for: entries, and sentences on what is left out.

    Raises ManifestError for a file that cannot be read.
    """
    found = read_file(path, asked.project)
    for text in found.dependencies:
        requirement = Requirement(text)
        if requirement.name in found.sources:
            yield Entry(requirement, found.sources[requirement.name])
        else:
            yield entry_of(
                text, Asked(asked.project, asked.here, index=None if requirement.url else asked.index)
            )
    yield from found.notes
    for text in found.constraints:
        yield f"{text} is not taken over: limits on what others bring along stand in [resolve] constraints"
    for index in found.indexes:
        yield f"the index {index.url} is not taken over: lumienv.toml names indexes in [[index]]"
    for key, value in {"prerelease": found.prerelease, "build": found.build}.items():
        if value:
            yield f'not taken over: what [resolve] {key} = "{value}" would be here'
    for name in found.env:
        yield f"the variable {name} is not taken over: [run] env is the place for it"
