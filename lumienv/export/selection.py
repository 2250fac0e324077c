"""What is exported: the locked packages of some dependency groups, and what they rest on."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from packaging.pylock import Package

from lumienv.errors import LockError
from lumienv.lockfile import Lock

# A lock may come with a clone. What is copied into a line, of a script even, must not end it or add an
# option; braces would be filled in, by Apptainer or, with a variable, by pip.
_PYTHON = re.compile(r"3\.\d+")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_IMAGE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029{}]+")
_ADDRESS = re.compile(r"[^\x00-\x20\x7f-\xa0\u2028\u2029\"'\\{}]+")
_PATH = re.compile(r"(?!.*\s[-#;@])[^\x00-\x1f\x7f-\x9f\u2028\u2029\"'\\{}]+")


@dataclass(frozen=True)
class Selection:
    """Packages of a lock, in its order."""

    lock: Lock
    packages: tuple[Package, ...]

    @property
    def image(self) -> str:
        """The image's file name; of a host Python, its program's."""
        return PurePosixPath(self.lock.image).name

    @property
    def python(self) -> str:
        """Of the image: `3.12`."""
        return str(self.lock.pylock.requires_python).removeprefix("==").removesuffix(".*")

    @property
    def provided(self) -> tuple[tuple[str, str], ...]:
        """Name and version of the image's packages that the lock rests on."""
        return tuple(sorted(self.lock.provided.items()))


def select(lock: Lock, groups: Collection[str]) -> Selection:
    """What an environment with these groups holds: the markers that lumienv writes tell groups alone.

    Raises LockError for a lock that lumienv has not written.
    """
    wanted = {"dependency_groups": frozenset(groups)}
    chosen = [
        package
        for package in lock.pylock.packages
        if package.marker is None or package.marker.evaluate(wanted, context="lock_file")
    ]
    selection = Selection(lock, tuple(chosen))
    for form, text in _copied(selection):
        if not form.fullmatch(text):
            raise LockError(
                f"the lock is damaged: {text!a} cannot stand in an exported file",
                hint="`lumienv lock` writes it anew; see who changed it, if it came with a clone",
            )
    return selection


def _copied(selection: Selection) -> Iterator[tuple[re.Pattern[str], str]]:
    """All that formats copy as it stands, each with the form that it has to have."""
    yield _IMAGE, selection.image
    yield _PYTHON, selection.python
    for name, version in selection.provided:
        yield _NAME, name
        yield _VERSION, version
    for package in selection.packages:
        files = (*(package.wheels or ()), package.sdist, package.archive)
        yield from ((_VERSION, file.hashes["sha256"]) for file in files if file is not None)
        for place in (package.archive, package.vcs, package.directory):
            if place is not None and place.subdirectory is not None:
                yield _PATH, place.subdirectory
        for source in (package.archive, package.vcs):
            if source is not None and source.url is not None:
                yield _ADDRESS, source.url
        if package.vcs is not None:
            yield _VERSION, package.vcs.commit_id
            if package.vcs.path is not None:
                yield _PATH, package.vcs.path
        path = local_path(package)
        if path is not None:
            yield _PATH, path


def local_path(package: Package) -> str | None:
    """Where on this machine a package lies, as the lock has it; None for one that is fetched."""
    files = (*(package.wheels or ()), package.sdist, package.archive, package.directory)
    return next((file.path for file in files if file is not None and file.path is not None), None)


def is_folder_or_git(package: Package) -> bool:
    """Whether there is no single file to have a hash of."""
    return package.directory is not None or package.vcs is not None
