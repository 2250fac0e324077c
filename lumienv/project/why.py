"""Why a package is there: the chains that lead to it from the user's own lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from packaging.utils import canonicalize_name

from lumienv.errors import LockError
from lumienv.project.graph import Chain, Graph, Node, chains, graph_of, inverted
from lumienv.project.look import Look
from lumienv.resolve.standins import stand_ins


@dataclass(frozen=True)
class Why:
    """The answer."""

    asked: str
    """the name, normalised"""
    node: Node
    """the package that it is; another one where one of the image stands for it"""
    chains: tuple[Chain, ...]
    """none where the image has it, and the project does not need it"""
    number: int
    """of all chains; more than are in `chains` where they multiply"""
    needed_in_image: tuple[str, ...]
    """the image packages that need it there, as far as that is known"""
    graph: Graph


def why(look: Look, name: str) -> Why:
    """Why the package `name` is there. Raises LockError where it is not, or where there is no lock."""
    graph = project_graph(look)
    asked = str(canonicalize_name(name))
    there = asked if asked in graph.nodes else _stand_in(look, graph, asked)
    if there is None:
        raise _nowhere(look, graph, name, asked)
    found, number = chains(graph, there)
    in_image = inverted(graph.in_image).get(there, ())
    return Why(asked, graph.nodes[there], found, number, in_image, graph)


def project_graph(look: Look) -> Graph:
    """The graph of the project's lock. Raises LockError where there is none, ManifestError."""
    return graph_of(look.project.manifest, look.locked(), look.snapshot)


def close_names(name: str, graph: Graph) -> Sequence[str]:
    """The packages whose names are like this one, the likest first."""
    return get_close_matches(name, sorted(graph.nodes), n=3, cutoff=0.7)


def _stand_in(look: Look, graph: Graph, name: str) -> str | None:
    """The image package that stands for a name, as both own a module."""
    image = {node.name for node in graph.nodes.values() if node.image}
    replaced = {canonicalize_name(one) for one in look.project.manifest.resolve.replace}
    found = stand_ins(image, replaced, look.locked().origins().__contains__).get(name)
    return found.name if found is not None else None


def _nowhere(look: Look, graph: Graph, name: str, asked: str) -> LockError:
    message = f"nothing needs {name}: it is neither in the lock nor in the image"
    facts = []
    if look.snapshot is None:
        message = f"nothing needs {name}: it is not in the lock"
        facts.append(look.unknown)
    if look.stale:
        facts.append(f"the lock is stale: {look.stale}")
    close = close_names(asked, graph)
    if asked in {canonicalize_name(one) for one in look.project.manifest.resolve.omit}:
        hint = f"lumienv.toml says never to install it: take {name} out of [resolve] omit"
    elif close:
        hint = f"did you mean {' or '.join(close[:2])}?"
    elif look.snapshot is None:
        hint = look.remedy
    else:
        hint = f"have it installed: lumienv add {name}"
    return LockError(message, *facts, hint=hint)
