"""The graph's own questions, where a real project would be too large or too dull."""

from lumienv.project.graph import Graph, Line, Node, chains, ends, inverted, reached, walk


def graph(arcs: dict[str, tuple[str, ...]], *lines: str) -> Graph:
    names = {*arcs, *(name for others in arcs.values() for name in others)}
    return Graph(
        tuple(Line(name, name, f"lumienv.toml:{number}") for number, name in enumerate(lines, 2)),
        {name: Node(name, "1", image=False) for name in names},
        arcs,
    )


def ladder(steps: int) -> dict[str, tuple[str, ...]]:
    """Two packages a step, each of which needs both of the next: 2 ** steps chains."""
    arcs = {"top": ("a0", "b0")}
    for step in range(steps - 1):
        arcs |= {f"{side}{step}": (f"a{step + 1}", f"b{step + 1}") for side in "ab"}
    return arcs | {f"{side}{steps - 1}": ("end",) for side in "ab"}


def test_every_shortest_chain_is_given_and_no_longer_one() -> None:
    made = graph({"a": ("b", "c", "d"), "b": ("z",), "c": ("z",), "d": ("e",), "e": ("z",)}, "a", "e")
    found, number = chains(made, "z")
    assert [(chain.line.where, chain.names) for chain in found] == [
        ("lumienv.toml:3", ("e", "z")),
        ("lumienv.toml:2", ("a", "b", "z")),
        ("lumienv.toml:2", ("a", "c", "z")),
    ]
    assert number == 3


def test_chains_that_multiply_are_counted_and_not_all_made() -> None:
    found, number = chains(graph(ladder(60), "top"), "end")
    assert (len(found), number) == (20, 2**60)


def test_a_ring_is_walked_once() -> None:
    arcs = {"a": ("b",), "b": ("c",), "c": ("a",)}
    assert [(twig.name, twig.repeated) for twig in walk(arcs, ["a"])] == [
        ("a", False),
        ("b", False),
        ("c", False),
        ("a", True),
    ]
    assert chains(graph(arcs, "a"), "c")[1] == 1


def test_a_ring_that_nothing_ends_has_one_beginning_when_inverted() -> None:
    arcs = {"a": ("b",), "b": ("a",), "c": ("d",)}
    assert ends(arcs, "abcd") == ("d", "a")


def test_what_is_reached_and_what_is_inverted() -> None:
    arcs = {"a": ("b",), "b": ("c",), "x": ("c",)}
    assert reached(arcs, ["a"]) == {"a", "b", "c"}
    assert inverted(arcs) == {"b": ("a",), "c": ("b", "x")}
