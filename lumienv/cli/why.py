"""`lumienv why`"""

import os
from dataclasses import asdict

import click

from lumienv.cli.main import Common, common_options
from lumienv.project import open_project
from lumienv.project.graph import Chain, Node
from lumienv.project.look import look
from lumienv.project.why import Why, why
from lumienv.ui import Output, with_nulls

_NAMES = 6  # image packages that are named in one line


@click.command(name="why")
@common_options
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, name: str, as_json: bool) -> None:
    """Show how your own lines lead to the package NAME, by as few steps as there are.

    Starts nothing that lumienv.toml names.
    """
    found = look(open_project(common.project, os.environ, offline=common.offline))
    answer = why(found, name)
    if as_json:
        common.output.data(_json(answer))
        return
    if found.stale:
        common.output.note(f"the lock is stale: {found.stale}; to mend it: lumienv lock")
    _show(common.output, answer)


def _show(output: Output, answer: Why) -> None:
    node = answer.node
    if node.name != answer.asked:
        output.answer(
            f"{answer.asked} is not installed: the image's {node.name} {node.version} stands for it"
        )
    if not answer.chains:
        output.answer(f"{node.name} {node.version} is in the image only: the lock does not rest on it")
    for chain in answer.chains:
        output.answer(f'{chain.line.where} "{chain.line.text}"{_group(chain)}')
        for level, name in enumerate(chain.names):
            output.answer(f"{'    ' * level}└── {_described(answer.graph.nodes[name])}")
    more = answer.number - len(answer.chains)
    if more > 0:
        output.answer(
            f"and {more:,} more that are no shorter; all of it: lumienv tree --invert --package {node.name}"
        )
    if answer.needed_in_image:
        names = ", ".join(answer.needed_in_image[:_NAMES])
        rest = len(answer.needed_in_image) - _NAMES
        output.answer(f"in the image it is needed by {names}{f' and {rest} more' if rest > 0 else ''}")


def _group(chain: Chain) -> str:
    return f" (group: {chain.line.group})" if chain.line.group else ""


def _described(node: Node) -> str:
    where = " (image)" if node.image else ""
    return f"{node.name} {node.version}{where}" + (
        f" (replaces the image's {node.replaces})" if node.replaces else ""
    )


def _json(answer: Why) -> dict[str, object]:
    node = answer.node
    return {
        "name": node.name,
        "version": node.version,
        "origin": "image" if node.image else "overlay",
        "stands_for": answer.asked if answer.asked != node.name else None,
        "replaces": node.replaces or None,
        "chains": [
            {"line": with_nulls(asdict(chain.line)), "packages": chain.names} for chain in answer.chains
        ],
        "chains_in_all": answer.number,
        "needed_in_image": answer.needed_in_image,
    }
