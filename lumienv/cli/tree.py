"""`lumienv tree`"""

import os
from collections.abc import Mapping
from dataclasses import asdict

import click

from lumienv.cli.main import Common, common_options
from lumienv.errors import UsageError
from lumienv.files import user_path
from lumienv.project import open_project
from lumienv.project.graph import Graph, Line, Node, Twig, ends, inverted, reached, walk
from lumienv.project.look import look
from lumienv.project.treepage import all_locked, check_page, notes, tree_page, write_page
from lumienv.project.why import close_names, project_graph
from lumienv.ui import Output, counted, plain, with_nulls


@click.command(name="tree")
@common_options
@click.option("--invert", is_flag=True, help="Show what needs each package, not what it needs.")
@click.option("-d", "--depth", type=click.IntRange(min=0), metavar="N", help="Show N levels below the roots.")
@click.option("--package", "names", metavar="NAME", multiple=True, help="Begin with this package.")
@click.option(
    "--image",
    is_flag=True,
    envvar="LUMIENV_TREE_IMAGE",
    help="Follow what image packages need of one another, too.",
)
@click.option("--outdated", is_flag=True, help="Add what the index has newer, fit for the image.")
@click.option(
    "--html",
    metavar="FILE",
    envvar="LUMIENV_TREE_HTML",
    help="Write it as a page for a browser; - prints it.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    invert: bool,
    depth: int | None,
    names: tuple[str, ...],
    image: bool,
    outdated: bool,
    html: str | None,
    as_json: bool,
) -> None:
    """Show what needs what, from your own lines on; packages of the image are marked.

    Starts nothing that lumienv.toml names.
    """
    output = common.output
    if html is not None and (invert or as_json or depth is not None):
        refused = "--invert" if invert else "--json" if as_json else "--depth"
        raise UsageError(
            f"--html and {refused} contradict each other", hint="the page shows both ways, to every depth"
        )
    page = user_path(html).absolute() if html is not None and html != "-" else None
    if page is not None:
        check_page(page)
    found = look(open_project(common.project, os.environ, offline=common.offline))
    graph = project_graph(found)
    chosen = [_known(name, graph) for name in names]
    if image:
        found.probed()
    needed = reached(graph.arcs(), graph.roots())
    if any(graph.nodes[name].image and not (invert and name in needed) for name in chosen):
        image = True  # what was asked for is in the image, and so are its branches
    arcs = graph.arcs(image=image)
    shown = reached(arcs, graph.roots())
    down = chosen or list(graph.roots())
    if invert:
        arcs = {
            name: tuple(o for o in others if o in shown or image) for name, others in inverted(arcs).items()
        }
        down = chosen or list(ends(graph.arcs(image=image), shown))
    among = reached(arcs, down) if chosen or html is None else all_locked(graph, arcs)
    latest: Mapping[str, str] = {}
    if outdated:
        from lumienv.project.outdated import newer_releases

        latest = newer_releases(found, among)
    if as_json:
        output.data(_json(graph, arcs, among, latest))
        return
    for note in notes(found, graph):
        output.note(note)
    if html is not None:
        text = write_page(tree_page(found, graph, arcs, among, latest if outdated else None), page)
        if page is None:
            output.text(text.rstrip("\n"))
        else:
            output.result(f"wrote {counted(len(among), 'package')} to {html}")
        return
    _show(output, graph, list(walk(arcs, down, depth)), latest, invert=invert)


def _known(name: str, graph: Graph) -> str:
    from packaging.utils import canonicalize_name

    normal = str(canonicalize_name(name))
    if normal not in graph.nodes:
        close = close_names(normal, graph)
        hint = f"did you mean {close[0]}?" if close else "see what there is: lumienv list"
        raise UsageError(f"neither the lock nor the image has a package {name}", hint=hint)
    return normal


def _show(
    output: Output, graph: Graph, twigs: list[Twig], latest: Mapping[str, str], *, invert: bool
) -> None:
    if not twigs:
        output.note("nothing is needed: lumienv.toml has no dependencies")
    for twig in twigs:
        lines = [line for line in graph.lines if line.name == twig.name] if invert or not twig.last else []
        words = _described(graph.nodes[twig.name], lines, latest.get(twig.name, ""), invert=invert)
        output.answer(_branches(twig.last) + words + (" (*)" if twig.repeated else ""))
    if any(twig.repeated for twig in twigs):
        output.answer("(*) shown above")
    image = {twig.name for twig in twigs if graph.nodes[twig.name].image}
    output.detail(f"{counted(len({twig.name for twig in twigs}), 'package')}, {len(image)} of the image")


def _branches(last: tuple[bool, ...]) -> str:
    if not last:
        return ""
    return "".join("    " if one else "│   " for one in last[:-1]) + ("└── " if last[-1] else "├── ")


def _described(node: Node, lines: list[Line], latest: str, *, invert: bool) -> str:
    extras = sorted({extra for line in lines for extra in line.extras})
    words = [f"{node.name}[{','.join(extras)}]" if extras and not invert else node.name, node.version]
    words += ["(image)"] if node.image else []
    words += [f"(replaces the image's {node.replaces})"] if node.replaces else []
    words += [f"(for {line.stands_for})" for line in lines if line.stands_for]
    groups = {line.group for line in lines}
    words += [f"(group: {', '.join(sorted(groups))})"] if groups and "" not in groups and not invert else []
    words += [f"(latest: {latest})"] if latest else []
    words += [f'← {line.where} "{line.text}"' for line in lines] if invert else []
    return plain(" ".join(words))


def _json(
    graph: Graph, arcs: Mapping[str, tuple[str, ...]], names: frozenset[str], latest: Mapping[str, str]
) -> dict[str, object]:
    return {
        "lines": [with_nulls(asdict(line)) for line in graph.lines if line.name in names],
        "packages": [
            {
                "name": node.name,
                "version": node.version,
                "origin": "image" if node.image else "overlay",
                "groups": node.groups,
                "replaces": node.replaces or None,
                "latest": latest.get(name),
                "branches": arcs.get(name, ()),
            }
            for name, node in sorted(graph.nodes.items())
            if name in names
        ],
    }
