"""The page of `lumienv tree --html`: what is known of a project, as `export.treepage` shows it.

Nothing is started. The network is used only where newer releases are asked for.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.export.target import check_target, write_target
from lumienv.export.treepage import MARK, Chain, Installed, PagePackage, TreePage, UserLine
from lumienv.export.treepage.write import page_text
from lumienv.overlay.generation import current_generation
from lumienv.project.graph import Graph, chains, reached
from lumienv.project.look import Look
from lumienv.project.packages import IMAGE, OVERLAY, listed

_CHAINS = 3


def check_page(target: Path) -> None:
    """Raises StoreError for a file that is somebody else's: asked before anything is looked up."""
    check_target(
        target,
        _is_ours,
        "a page that lumienv has written",
        "--html",
        "tree.html",
        "without a file the page is printed: --html -",
    )


def _is_ours(text: str) -> bool:
    """Whether it says by whom it was made, before it says anything of its own."""
    return MARK in text.partition("<title>")[0]


def write_page(page: TreePage, target: Path | None) -> str:
    """The page's text; written to `target`, if that is given. Raises StoreError."""
    text = page_text(page)
    if target is not None:
        check_page(target)
        write_target(target, text)
    return text


def tree_page(
    look: Look,
    graph: Graph,
    arcs: Mapping[str, tuple[str, ...]],
    names: frozenset[str],
    latest: Mapping[str, str] | None,
) -> TreePage:
    """The packages `names` with the `arcs` between them; `latest` is None where it was not asked for.

    Raises LockError where there is no lock.
    """
    lock = look.locked()
    lines = [line for line in graph.lines if line.name in names]
    number = {line: at for at, line in enumerate(lines)}
    known = {(one.origin, one.name): one for one in listed(look)}
    packages = []
    for name, node in sorted(graph.nodes.items()):
        if name not in names:
            continue
        found, ways = chains(graph, name, most=_CHAINS)
        one = known[IMAGE if node.image else OVERLAY, name]
        packages.append(
            PagePackage(
                name,
                node.version,
                node.image,
                needs=[other for other in arcs.get(name, ()) if other in names],
                groups=node.groups,
                replaces=node.replaces,
                size=node.size,
                latest=(latest or {}).get(name, ""),
                source=one.source,
                installer=one.installer,
                chains=[
                    Chain(number[chain.line], chain.names)
                    for chain in found
                    if chain.line in number and names.issuperset(chain.names)
                ],
                ways=ways,
            )
        )
    return TreePage(
        image=lock.image,
        python=lock.python(),
        lines=[UserLine(line.text, line.where, line.name, line.group, line.stands_for) for line in lines],
        packages=packages,
        notes=[*notes(look, graph)],
        installed=_installed(look),
        outdated=latest is not None,
    )


def notes(look: Look, graph: Graph) -> list[str]:
    """What whoever reads a tree has to know of it first."""
    found = []
    if look.stale:
        found.append(f"the lock is stale: {look.stale}; to mend it: lumienv lock")
    if look.unknown and look.project.manifest.resolve.replace:
        found.append(f"{look.unknown}: what the overlay shadows is not marked\n{look.remedy}")
    if graph.unlocked:
        found.append(f"not in the lock yet: {', '.join(graph.unlocked)}")
    return found


def all_locked(graph: Graph, arcs: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """What the lock installs, whether or not a line leads to it any more, and what that needs."""
    return reached(arcs, [*graph.roots(), *(name for name, node in graph.nodes.items() if not node.image)])


def _installed(look: Look) -> Installed | None:
    """The current environment, if it was made of this lock."""
    with suppress(StoreError, OSError):
        made = current_generation(look.project.store.root)
        if made.lock == look.locked().digest and made.size:
            return Installed(made.mode, made.size, made.files)
    return None
