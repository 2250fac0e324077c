"""Write the lock as a file that other tools read: nothing is started, resolved or fetched."""

import difflib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.pylock import is_valid_pylock_path

from lumienv.errors import LockError, UsageError
from lumienv.export import FIRST_WORDS, FORMATS, MARK
from lumienv.export.conda import conda_environment, of_the_image_alone
from lumienv.export.definition import definition
from lumienv.export.pylock import plain_pylock
from lumienv.export.requirements import requirements
from lumienv.export.sbom import cyclonedx
from lumienv.export.selection import Selection, is_folder_or_git, select
from lumienv.export.target import check_target, write_target
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import read_lock
from lumienv.manifest.changes import what_changed
from lumienv.project import Project
from lumienv.project.wanted import groups_of

_ALSO = {
    "pylock": "pylock.toml",
    "requirements": "requirements.txt",
    "requirements-txt": "requirements.txt",
    "conda": "environment.yml",
}
_ENDINGS = {
    ".txt": "requirements.txt",
    ".toml": "pylock.toml",
    ".yml": "environment.yml",
    ".yaml": "environment.yml",
    ".def": "def",
    ".json": "cyclonedx",
}


@dataclass(frozen=True)
class Exported:
    """The text of a file, and what is to be known about it."""

    format: str
    text: str
    packages: int
    warnings: tuple[str, ...] = ()


def export(
    project: Project,
    format_: str | None,
    target: Path | None,
    *,
    groups: Sequence[str] = (),
    no_groups: Sequence[str] = (),
    hashes: bool = True,
) -> Exported:
    """The lock in another format, by default the one that `target` is named after; written there, if given.

    Raises UsageError, LockError where there is no lock or it cannot be told in this format, StoreError for a
    file that lumienv did not write.
    """
    chosen = format_of(format_, target)
    if target is not None:
        _check_target(chosen, target)
    lock = read_lock(project.lock_path)
    if lock is None:
        raise LockError(f"there is no {LOCK_NAME} to export", hint="make one: lumienv lock")
    selection = select(lock, groups_of(project.manifest, groups, no_groups))
    warnings = []
    if lock.inputs != project.manifest.inputs_digest():
        why = what_changed(lock.declared, project.manifest.declared())
        warnings.append(
            f"the lock is not up to date: {why}; exported is what it says: lumienv lock renews it"
        )
    folder = target.parent if target is not None else project.manifest.directory
    text = _text(chosen, selection, folder, hashes=hashes)
    if chosen == "environment.yml":
        warnings += [
            f"{one} is the image's own build: say under pip: in the file where such a build is to be found, "
            "or take another version"
            for one in of_the_image_alone(selection)
        ]
    if chosen == "pylock.toml":
        warnings += _read_by_uv_alone(selection)
    if target is not None:
        write_target(target, text)
    return Exported(chosen, text, len(selection.packages), tuple(warnings))


def _read_by_uv_alone(selection: Selection) -> list[str]:
    """What pip (26) does not take: what has no hash beside what has one, as a lock's files always have."""
    without = [str(package.name) for package in selection.packages if is_folder_or_git(package)]
    if not without or len(without) == len(selection.packages):
        return []
    return [
        f"pip takes hashes for all packages or for none, and {', '.join(without)} cannot have one: "
        "uv reads this file, for pip there is: lumienv export --no-hashes -o requirements.txt"
    ]


def format_of(typed: str | None, target: Path | None) -> str:
    """What was asked for, else what the file's name says, else requirements.txt. Raises UsageError."""
    if typed is None:
        return _ENDINGS.get(target.suffix, FORMATS[0]) if target is not None else FORMATS[0]
    known = _ALSO.get(typed, typed)
    if known not in FORMATS:
        close = difflib.get_close_matches(typed, (*FORMATS, *_ALSO), n=1)
        raise UsageError(
            f"--format {typed} is not known",
            hint=(f"did you mean {close[0]}? " if close else "") + f"it is one of: {', '.join(FORMATS)}",
        )
    return known


def _text(chosen: str, selection: Selection, folder: Path, *, hashes: bool) -> str:
    if chosen == "pylock.toml":
        return plain_pylock(selection, folder)
    if chosen == "environment.yml":
        return conda_environment(selection)
    if chosen == "def":
        return definition(selection, hashes=hashes)
    if chosen == "cyclonedx":
        return cyclonedx(selection)
    return requirements(selection, hashes=hashes)


def _check_target(chosen: str, target: Path) -> None:
    """Raises UsageError for a name that no tool reads, StoreError for a file that is somebody else's."""
    if chosen == "pylock.toml" and not is_valid_pylock_path(target):
        raise UsageError(
            f"pip and uv know a lock by its name, and {target.name} is none",
            hint="call it pylock.toml or pylock.NAME.toml: lumienv export -o pylock.toml",
        )
    check_target(
        target,
        _is_ours,
        "a file that lumienv has exported",
        "-o",
        chosen,
        "without -o the export is printed: lumienv export",
    )


def _is_ours(text: str) -> bool:
    """Whether it begins as an export does, or is a bill of materials that says by whom it was made."""
    if text.startswith(FIRST_WORDS):
        return True
    with suppress(ValueError, LookupError, TypeError):
        return any(tool["name"] == MARK for tool in json.loads(text)["metadata"]["tools"]["components"])
    return False
