"""The packages of a project, each with where it comes from: what `lumienv list` shows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import Lock
from lumienv.project.graph import graph_of
from lumienv.project.look import Look

OVERLAY, IMAGE = "overlay", "image"


@dataclass(frozen=True)
class Listed:
    """One package."""

    name: str
    version: str
    """or what else tells one state of it from another"""
    origin: str
    """`overlay` or `image`"""
    source: str = ""
    """of the overlay: the index, the address or the folder; of the image: the folder that it lies in"""
    installer: str = ""
    """of the image: what installed it there, such as `conda`"""
    groups: tuple[str, ...] = ()
    """the dependency groups that alone need it"""
    needed: bool = True
    """whether the lock installs it, or rests on it"""
    replaces: str = ""
    """of the overlay: the version of the image's package that it shadows"""
    shadowed_by: str = ""
    """of the image: the version that goes before it"""
    shadowed_in: str = ""
    """… and where that is: `overlay` or `image`"""
    latest: str = ""
    """a newer release that runs on the image, where that was asked for"""


def listed(look: Look, *, overlay: bool = True, image: bool = True) -> tuple[Listed, ...]:
    """The overlay's packages, the image's, or both, by name.

    Where it is not known what the image provides, those of its packages that the lock rests on stand for it.
    Raises LockError where there is no lock and the overlay alone is asked for, or the image is not known
    either; ImageError where the image alone is asked for, and it is not known what it provides.
    """
    found: list[Listed] = []
    if overlay and (look.lock is not None or look.snapshot is None or not image):
        found += _of_overlay(look, look.locked())
    if image and look.snapshot is None and overlay:
        provided = look.locked().provided
        found += [Listed(str(canonicalize_name(name)), provided[name], IMAGE) for name in provided]
    elif image:
        found += _of_image(look, look.probed())
    return tuple(sorted(found, key=lambda one: (one.name, one.origin != OVERLAY)))


def outdated(packages: Iterable[Listed], latest: Mapping[str, str]) -> tuple[Listed, ...]:
    """The packages of the overlay of which there is a newer release, with it."""
    return tuple(
        replace(one, latest=latest[one.name])
        for one in packages
        if one.origin == OVERLAY and one.name in latest
    )


def _of_overlay(look: Look, lock: Lock) -> Iterator[Listed]:
    origins = lock.origins()
    indexes = {str(package.name): package.index or "" for package in lock.pylock.packages}
    graph = graph_of(look.project.manifest, lock, look.snapshot)
    for name in lock.labels():
        node = graph.nodes[name]
        source = origins[name].location if name in origins else indexes[name]
        yield Listed(name, node.version, OVERLAY, source, groups=node.groups, replaces=node.replaces)


def _of_image(look: Look, snapshot: Snapshot) -> Iterator[Listed]:
    lock = look.lock
    locked = lock.labels() if lock is not None else {}
    relied = {canonicalize_name(name) for name in lock.provided} if lock is not None else set()
    first: dict[str, str] = {}
    for package in snapshot.packages:
        name = str(canonicalize_name(package.name))
        shadow = locked.get(name) or first.get(name, "")
        where = "" if not shadow else OVERLAY if name in locked else IMAGE
        first.setdefault(name, package.version)
        yield Listed(
            name,
            package.version,
            IMAGE,
            package.location,
            package.installer,
            needed=name in relied and not shadow,
            shadowed_by=shadow,
            shadowed_in=where,
        )
