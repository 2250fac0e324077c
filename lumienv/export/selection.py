"""What is exported: the locked packages of some dependency groups, and what they rest on."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from packaging.pylock import Package

from lumienv.lockfile import Lock


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
    """What an environment with these groups holds: the markers that lumienv writes tell groups alone."""
    wanted = {"dependency_groups": frozenset(groups)}
    chosen = [
        package
        for package in lock.pylock.packages
        if package.marker is None or package.marker.evaluate(wanted, context="lock_file")
    ]
    return Selection(lock, tuple(chosen))


def local_path(package: Package) -> str | None:
    """Where on this machine a package lies, as the lock has it; None for one that is fetched."""
    files = (*(package.wheels or ()), package.sdist, package.archive, package.directory)
    return next((file.path for file in files if file is not None and file.path is not None), None)


def is_folder_or_git(package: Package) -> bool:
    """Whether there is no single file to have a hash of."""
    return package.directory is not None or package.vcs is not None
