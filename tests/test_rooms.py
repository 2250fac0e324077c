"""The shape of the package: who imports whom, who prints, who starts processes (design: Rooms)."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

_SPEC = find_spec("lumienv")
assert _SPEC is not None
assert _SPEC.origin is not None
PACKAGE = Path(_SPEC.origin).parent

# From the bottom to the top. A room imports only from rooms that stand before it.
ORDER = (
    "values",
    "paths",
    "plainjson",
    "shell",
    "plaintext",
    "errors",
    "digest",
    "lockdigest",
    "files",
    "toml",
    "sealed",
    "runtime",
    "site",
    "manifest",
    "image",
    "index",
    "registry",
    "resolve",
    "build",
    "lockfile",
    "staleness",
    "export",
    "overlay",
    "launch",
    "project",
    "ui",
    "cli",
    "__main__",
)
# Run in the image, under its Python: they answer by printing, and are never imported for their functions.
IN_THE_IMAGE = {
    "lumienv.image.probe",
    "lumienv.overlay.audit",
    "lumienv.overlay.bytecode",
    "lumienv.overlay.inspection",
    "lumienv.build.hooks",
}

PAGE = Path(__file__).parents[1] / "docs/development.md"
DRAWING = Path(__file__).parents[1] / "docs/images/architecture.svg"

MODULES = {
    ".".join(("lumienv", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def room_of(module: str) -> str:
    """`lumienv.image.sif` → `image`; the package itself, which holds the version alone, has none."""
    return module.split(".")[1] if "." in module else ""


def imports_of(module: str, *, late: bool = True) -> Iterator[str]:
    """The modules of the package that `module` imports: anywhere, or only while it is imported itself."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "lumienv")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            if node.module and node.module.split(".")[0] == "lumienv":
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    yield name if name in MODULES else node.module


def names_used(module: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every name that the module's code mentions."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Name, ast.Attribute)):
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


# A module has one job, told in one paragraph at its top. Where it takes more lines than these, it has two.
LONGEST = 400


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room_of(module) for module in MODULES} - {""} == set(ORDER)


def test_the_page_for_contributors_lists_these_rooms_in_this_order() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    listed = [room.rstrip("/") for cell in first_cells for room in re.findall(r"`(\w+/?)`", cell)]
    assert listed == list(ORDER)


def test_the_drawing_names_every_room() -> None:
    drawing = ElementTree.fromstring(DRAWING.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    texts = " ".join(
        text for node in drawing.iter("{http://www.w3.org/2000/svg}text") for text in node.itertext()
    )
    assert set(ORDER) - {"__main__"} <= set(re.findall(r"\w+", texts))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_only_from_rooms_below_it(module: str) -> None:
    room = room_of(module)
    if not room:
        assert list(imports_of(module)) == []
        return
    allowed = {"", room, *ORDER[: ORDER.index(room)]}
    assert [name for name in imports_of(module) if room_of(name) not in allowed] == []


def test_the_modules_themselves_import_in_no_circle() -> None:
    graph = {module: set(imports_of(module, late=False)) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_no_module_has_more_than_one_job() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > LONGEST} == {}


def test_every_folder_of_tests_is_among_those_that_run(request: pytest.FixtureRequest) -> None:
    passed_over = request.config.getini("norecursedirs")
    folders = {path.parent for path in Path(__file__).parent.rglob("test_*.py")}
    assert [path for path in folders if any(path.match(pattern) for pattern in passed_over)] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", sorted(set(MODULES) - IN_THE_IMAGE))
def test_no_room_but_cli_and_ui_prints(module: str) -> None:
    if room_of(module) in ("cli", "ui"):
        return
    printing = {"print", "sys.stdout", "sys.stderr", "click.echo", "os.write"}
    assert [found for found in names_used(module) if found[1] in printing] == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - IN_THE_IMAGE))
def test_no_room_but_runtime_and_launch_starts_processes(module: str) -> None:
    if room_of(module) in ("runtime", "launch"):
        return
    starting = ("subprocess", "os.exec", "os.spawn", "os.fork", "os.system", "os.popen", "os.posix_spawn")
    assert [found for found in names_used(module) if found[1].startswith(starting)] == []


@pytest.mark.parametrize("module", sorted(IN_THE_IMAGE))
def test_what_runs_in_the_image_uses_the_standard_library_alone(module: str) -> None:
    assert list(imports_of(module)) == []
