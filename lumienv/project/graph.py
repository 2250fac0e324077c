"""What needs what: the user's lines, the locked packages, and the image's, as one value.

The lock knows it all (`packages.dependencies` of PEP 751, and what extras of image packages add), so nothing
is asked of an index. What the image's packages need of one another is known where the image was looked into;
it is kept apart, as lumienv does not follow it when it resolves.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from platform import python_version

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot, whole_markers
from lumienv.lockfile import Lock
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve.requirements import Environment, user_requirement
from lumienv.resolve.standins import stand_ins

Arcs = Mapping[str, tuple[str, ...]]
"""name → the names that it leads to"""


@dataclass(frozen=True)
class Line:
    """One of the user's own lines, and the package that it leads to."""

    name: str
    """normalised: a package of the graph"""
    text: str
    where: str
    """`lumienv.toml:3`"""
    group: str = ""
    """the dependency group that it stands in; empty for `dependencies`"""
    extras: tuple[str, ...] = ()
    stands_for: str = ""
    """what was asked for, where `name` is an image package that stands for it"""


@dataclass(frozen=True)
class Node:
    """One package, of the overlay or of the image."""

    name: str
    """normalised"""
    version: str
    """what tells one state of it from another: a version, a commit, or where it lies"""
    image: bool
    groups: tuple[str, ...] = ()
    """the dependency groups that alone need it"""
    replaces: str = ""
    """the version of the image's package of this name, which is shadowed (`[resolve] replace`)"""
    size: int | None = None
    """of the file that is installed, in bytes, where an index says it"""


@dataclass(frozen=True)
class Graph:
    """What needs what. Names in `needs` and `in_image` are those of `nodes`."""

    lines: tuple[Line, ...]
    nodes: Mapping[str, Node]
    needs: Arcs
    """of the overlay's packages, and what the extras of image packages add"""
    in_image: Arcs = field(default_factory=dict)
    """what image packages need, the overlay's where these shadow one of the image"""
    unlocked: tuple[str, ...] = ()
    """the user's lines that the lock does not know yet: `lumienv.toml:3 "h5py"`"""

    def arcs(self, *, image: bool = False) -> dict[str, tuple[str, ...]]:
        """All arcs; with those inside the image when `image` is set."""
        more = self.in_image if image else {}
        return {
            name: tuple(sorted({*self.needs.get(name, ()), *more.get(name, ())}))
            for name in sorted(self.needs.keys() | more.keys())
        }

    def roots(self) -> tuple[str, ...]:
        """The packages that the user's lines name, in the order of the file, each once."""
        return tuple(dict.fromkeys(line.name for line in self.lines))


@dataclass(frozen=True)
class Chain:
    """From one of the user's lines to a package, by as few steps as there are."""

    line: Line
    names: tuple[str, ...]
    """the package of the line first, the one that was asked for last"""


@dataclass(frozen=True)
class Twig:
    """One row of a tree."""

    name: str
    last: tuple[bool, ...]
    """of each level above the leaves, whether this is its last branch; empty for a root"""
    repeated: bool = False
    """its own branches are shown at another place"""


def graph_of(manifest: Manifest, lock: Lock, snapshot: Snapshot | None) -> Graph:
    """The graph of a lock; without a snapshot only those packages of the image that the lock rests on.

    Raises ManifestError for a line that is no requirement.
    """
    of_image = _of_image(lock, snapshot)
    labels, sizes = lock.labels(), _sizes(lock)
    groups = _groups(lock)
    nodes = {name: Node(name, version, image=True) for name, version in of_image.items()}
    for name, label in labels.items():
        nodes[name] = Node(
            name, label, False, groups.get(name, ()), replaces=of_image.get(name, ""), size=sizes.get(name)
        )
    environment = Environment(snapshot.markers if snapshot is not None else _markers(lock))
    lines, unlocked = _lines(manifest, environment, nodes, lock)
    needs = {
        name: tuple(sorted(set(names) & nodes.keys()))
        for name, names in lock.needs().items()
        if name in nodes
    }
    return Graph(lines, nodes, needs, _in_image(snapshot, environment, nodes), unlocked)


def _of_image(lock: Lock, snapshot: Snapshot | None) -> dict[str, str]:
    if snapshot is None:
        return {str(canonicalize_name(name)): version for name, version in lock.provided.items()}
    return {name: package.version for name, package in snapshot.by_name().items()}


def _sizes(lock: Lock) -> dict[str, int | None]:
    return {
        str(package.name): file.size
        for package in lock.pylock.packages
        for file in (*(package.wheels or ()), package.sdist, package.archive)
        if file is not None
    }


def _groups(lock: Lock) -> dict[str, tuple[str, ...]]:
    """name → the groups in its marker, as lumienv writes it: `'dev' in dependency_groups or …`."""
    return {
        str(package.name): tuple(
            re.findall(r"""['"]([^'"]+)['"] in dependency_groups""", str(package.marker))
        )
        for package in lock.pylock.packages
        if package.marker is not None
    }


def _markers(lock: Lock) -> dict[str, str]:
    """The image's markers, as far as the lock knows them."""
    said = lock.markers()
    return whole_markers(said, lock.python() or python_version(), said.get("platform_machine", "x86_64"))


def _lines(
    manifest: Manifest, environment: Environment, nodes: Mapping[str, Node], lock: Lock
) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """The lines that lead to a package, and those that lead to none although they should."""
    omit = {canonicalize_name(name) for name in manifest.resolve.omit}
    replaced = {canonicalize_name(name) for name in manifest.resolve.replace}
    kept = {name for name, node in nodes.items() if node.image}
    stands = stand_ins(kept, replaced, lock.origins().__contains__)
    found: list[Line] = []
    unlocked: list[str] = []
    for group, entry in _entries(manifest):
        requirement = user_requirement(entry)
        name = str(canonicalize_name(requirement.name))
        if name in omit or not environment.holds(requirement.marker):
            continue
        other = stands[name].name if name in stands and name not in nodes else ""
        if (other or name) not in nodes:
            unlocked.append(f'{entry.where} "{entry.text}"')
            continue
        extras = tuple(sorted(requirement.extras))
        found.append(Line(other or name, entry.text, entry.where, group, extras, name if other else ""))
    return tuple(found), tuple(unlocked)


def _entries(manifest: Manifest) -> Iterator[tuple[str, Dependency]]:
    yield from (("", entry) for entry in manifest.dependencies)
    for group, entries in manifest.groups.items():
        yield from ((group, entry) for entry in entries)


def _in_image(
    snapshot: Snapshot | None, environment: Environment, nodes: Mapping[str, Node]
) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(sorted(_needed(package.requires, environment) & nodes.keys() - {name}))
        for name, package in (snapshot.by_name().items() if snapshot is not None else ())
        if name in nodes and nodes[name].image
    }


def _needed(requires: Sequence[str], environment: Environment) -> set[str]:
    return {str(canonicalize_name(one.name)) for one in environment.readable(requires, frozenset())}


def inverted(arcs: Arcs) -> dict[str, tuple[str, ...]]:
    """The same arcs the other way round: name → who needs it."""
    found: dict[str, set[str]] = {}
    for name, others in arcs.items():
        for other in others:
            found.setdefault(other, set()).add(name)
    return {name: tuple(sorted(others)) for name, others in sorted(found.items())}


def reached(arcs: Arcs, roots: Iterable[str]) -> frozenset[str]:
    """All that the arcs lead to from `roots`, these included."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += arcs.get(name, ())
    return frozenset(seen)


def ends(arcs: Arcs, names: Iterable[str]) -> tuple[str, ...]:
    """Where an inverted tree begins: what needs nothing; of a ring that nothing else is part of, one each."""
    among = sorted(names)
    begins = [name for name in among if not arcs.get(name)]
    back = inverted(arcs)
    seen = set(reached(back, begins))
    for name in among:
        if name not in seen:
            begins.append(name)
            seen |= reached(back, [name])
    return tuple(begins)


def walk(arcs: Arcs, roots: Sequence[str], depth: int | None = None) -> Iterator[Twig]:
    """The rows of a tree; `depth` levels below the roots. The branches of a package are shown once."""
    shown: set[str] = set()
    waiting = [Twig(name, ()) for name in reversed(roots)]
    while waiting:
        twig = waiting.pop()
        below = arcs.get(twig.name, ())
        yield Twig(twig.name, twig.last, bool(below) and twig.name in shown)
        if twig.name in shown or (depth is not None and len(twig.last) >= depth):
            continue
        shown.add(twig.name)
        waiting += [Twig(name, (*twig.last, number == 0)) for number, name in enumerate(reversed(below))]


def chains(graph: Graph, name: str, most: int = 20) -> tuple[tuple[Chain, ...], int]:
    """Of each of the user's lines that leads to `name`, the shortest chains, the shortest first.

    At most `most` of them, and how many there are: where many packages share what they need, the chains
    multiply with each step.
    """
    arcs = graph.arcs()
    back = inverted(arcs)
    steps = _steps(back, name)
    lines = sorted((line for line in graph.lines if line.name in steps), key=lambda line: steps[line.name])
    ways = _ways(arcs, steps)
    every = (Chain(line, names) for line in lines for names in _paths(arcs, steps, line.name))
    return tuple(islice(every, most)), sum(ways[line.name] for line in lines)


def _steps(back: Arcs, name: str) -> dict[str, int]:
    """How many steps each package is from `name`."""
    found = {name: 0}
    waiting = [name]
    for one in waiting:
        for other in back.get(one, ()):
            if other not in found:
                found[other] = found[one] + 1
                waiting.append(other)
    return found


def _ways(arcs: Arcs, steps: Mapping[str, int]) -> dict[str, int]:
    """In how many ways each package leads to the one asked for, by as few steps as there are."""
    found: dict[str, int] = {}
    for name, far in sorted(steps.items(), key=lambda item: item[1]):
        nearer = (other for other in arcs.get(name, ()) if steps.get(other) == far - 1)
        found[name] = 1 if far == 0 else sum(found[other] for other in nearer)
    return found


def _paths(arcs: Arcs, steps: Mapping[str, int], start: str) -> Iterator[tuple[str, ...]]:
    waiting: list[tuple[str, ...]] = [(start,)]
    while waiting:
        path = waiting.pop()
        far = steps[path[-1]]
        if far == 0:
            yield path
        else:
            nearer = [other for other in arcs.get(path[-1], ()) if steps.get(other) == far - 1]
            waiting += [(*path, other) for other in reversed(nearer)]
