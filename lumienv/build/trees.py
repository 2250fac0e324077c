"""Source trees: how each kind is looked into, and how it is laid out for a build."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename

from lumienv.build.archives import unpack
from lumienv.build.failures import not_as_promised
from lumienv.build.folders import copy_project
from lumienv.build.git import Repository, take_configuration_away, write_description
from lumienv.build.static import Stated, stated, stated_in
from lumienv.errors import BrokenReleaseError, ManifestError
from lumienv.index.metadata import CoreMetadata
from lumienv.index.wheelhouse import Kept

# Backends that read the version, or the list of files, out of version control.
_READS_HISTORY = re.compile(r"scm|vcs|git|versioneer|dunamai|\bpbr\b", re.IGNORECASE)


@dataclass(frozen=True)
class Tree:
    """The sources of one project."""

    label: str
    """as messages name it: `flash-attn 2.8.0`, or `mylib`"""
    whence: str
    """completes "building …": `from its sources`, `from ../mylib`"""
    key: tuple[str, ...]
    """exactly what it is; empty for a folder, which may change any time"""
    lay: Callable[[Path, bool], Path]
    """puts the tree into a folder that does not exist yet, and returns the project's folder in it; the flag
    asks for the history of version control too"""
    look: Callable[[], Stated] | None = None
    """reads what is stated without laying it out"""
    version: str | None = None
    """what it has to be, where that is known beforehand"""
    uploaded: str | None = None
    """when an index got it, in ISO 8601 and UTC"""


def needs_history(found: Stated) -> bool:
    """Whether a build may look at commits and tags: for a version, or for the list of files."""
    return found.metadata is None or any(_READS_HISTORY.search(line) for line in found.build.requires)


def sdist_tree(kept: Kept, uploaded: str | None) -> Tree:
    """A source distribution of an index. Raises BrokenReleaseError for a file name that is none of one."""
    try:
        name, version = parse_sdist_filename(kept.filename)
    except InvalidSdistFilename as error:
        raise BrokenReleaseError(
            f"{kept.filename} is not named as a source distribution",
            hint="choose another version, and tell those who run the index",
        ) from error

    def lay(target: Path, _history: bool) -> Path:
        project = _unpacked(kept, target)
        if not _is_project(project):
            raise not_as_promised(label, "they have no pyproject.toml and no setup.py")
        return project

    label = f"{name} {version}"
    return Tree(
        label=label,
        whence="from its sources",
        key=("archive", kept.sha256, ""),
        lay=lay,
        version=str(version),
        uploaded=uploaded,
    )


def archive_tree(name: str, kept: Kept, shown: str, subdirectory: str) -> Tree:
    """An archive of sources at an address or path, `shown` in messages."""
    inside = _inside(name, subdirectory)

    def lay(target: Path, _history: bool) -> Path:
        return _project(name, _unpacked(kept, target), inside, shown)

    return Tree(name, f"from {shown}", ("archive", kept.sha256, subdirectory), lay)


def git_tree(name: str, repository: Repository, commit: str, subdirectory: str) -> Tree:
    """A project in a commit that is in the cache."""
    inside = _inside(name, subdirectory)

    def look() -> Stated:
        repository.commit("", commit)  # it may have gone from the cache since it was locked
        pyproject = repository.content(commit, str(inside / "pyproject.toml"))
        if pyproject is None and repository.content(commit, str(inside / "setup.py")) is None:
            raise _no_project(name, f"{repository.location} at {commit[:12]}", inside)
        return stated(pyproject, None, name)

    def lay(target: Path, history: bool) -> Path:
        repository.check_out(commit, target, history=history)
        return target / inside

    where = f"from {repository.location} at {commit[:12]}"
    return Tree(name, where, ("git", commit, subdirectory), lay, look)


def folder_tree(name: str, folder: Path, shown: str, subdirectory: str) -> Tree:
    """A local project."""
    inside = _inside(name, subdirectory)

    def lay(target: Path, history: bool) -> Path:
        copy_project(folder, target, history=history)
        if history and take_configuration_away(target):
            write_description(target, shown)
        return target / inside

    def look() -> Stated:
        return stated_in(_project(name, folder, inside, shown), name, sdist=False)

    return Tree(name, f"from {shown}", (), lay, look)


def check_name(name: str, metadata: CoreMetadata, shown: str) -> None:
    """Raises ManifestError when what was found is another package than was asked for."""
    if canonicalize_name(metadata.name) != canonicalize_name(name):
        raise ManifestError(
            f"{shown} is {metadata.name}, not {name}",
            hint=f"correct the name in lumienv.toml, or the place that {name} comes from",
        )


def _unpacked(kept: Kept, target: Path) -> Path:
    target.mkdir()
    return unpack(kept.path, target)


def _inside(name: str, subdirectory: str) -> PurePosixPath:
    path = PurePosixPath(subdirectory)
    if path.is_absolute() or ".." in path.parts:
        raise ManifestError(
            f"the subdirectory of {name} leads out of its sources: {subdirectory}",
            hint='name a folder in them: subdirectory = "python"',
        )
    return path


def _project(name: str, folder: Path, inside: PurePosixPath, shown: str) -> Path:
    project = folder / inside
    if not _is_project(project):
        raise _no_project(name, shown, inside)
    return project


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _no_project(name: str, shown: str, inside: PurePosixPath) -> ManifestError:
    where = shown if inside == PurePosixPath() else f"{inside} in {shown}"
    return ManifestError(
        f"{where} is no Python project: it has no pyproject.toml and no setup.py",
        hint=f"correct where {name} comes from; a project below it is named with subdirectory = …",
    )
