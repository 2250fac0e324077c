"""The graph as SVG: the user's lines on the left, what only the image has to answer for on the right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lumienv.export.treepage import PagePackage, TreePage, UserLine
from lumienv.export.treepage.layers import Arc, Way, layers
from lumienv.export.treepage.placing import Layout, Place, place
from lumienv.export.treepage.words import anchor, cells, shortened, words
from lumienv.plaintext import megabytes

# Of one character of the page's fixed-width fonts in the two sizes of page.css: the widest of them, and so
# that a box is never too small for its words.
_NAME_CELL = 7.95
_NOTE_CELL = 6.75
_PADDING = 11.0
_LONGEST_NAME = 30
_LONGEST_NOTE = 34


@dataclass(frozen=True)
class Box:
    """What stands in one box of the picture."""

    kind: str
    """`line`, `overlay` or `image`: its class in page.css"""
    name: str
    note: str
    target: str
    """the id of the row in the table"""
    told: str
    """all of it, for those who hear the page"""
    marks: Sequence[str] = ()
    """further classes"""

    @property
    def width(self) -> float:
        """In pixels, with room for both rows."""
        return round(max(cells(self.name) * _NAME_CELL, cells(self.note) * _NOTE_CELL) + 2 * self.padding)

    @property
    def padding(self) -> float:
        """Left and right of the words."""
        return _PADDING * (2 if self.kind == "line" else 1)


def arcs_of(page: TreePage) -> list[Arc]:
    """What leads to what, by the numbers of the boxes: the lines come first, then the packages."""
    number = {package.name: len(page.lines) + at for at, package in enumerate(page.packages)}
    arcs = [(at, number[line.package]) for at, line in enumerate(page.lines)]
    arcs += [(number[package.name], number[name]) for package in page.packages for name in package.needs]
    return arcs


def picture(page: TreePage) -> str:
    """The picture as an SVG element."""
    boxes = [*map(_line_box, page.lines), *map(_package_box, page.packages)]
    lines = range(len(page.lines))
    image = [len(page.lines) + at for at, package in enumerate(page.packages) if package.image]
    layout = place(layers(len(boxes), arcs_of(page), lines, image), [box.width for box in boxes])
    parts = [
        f'<svg class="picture" width="{layout.width:g}" height="{layout.height:g}" '
        f'viewBox="0 0 {layout.width:g} {layout.height:g}" role="group" aria-label="what needs what">',
        *_headings(boxes, layout, len(page.lines)),
        '<g class="wires">',
        *(_wire(way, layout) for way in layout.ways),
        '</g><g class="boxes">',
        *(_drawn(box, number, layout.places[number]) for number, box in enumerate(boxes)),
        "</g></svg>",
    ]
    return "\n".join(parts)


def _line_box(line: UserLine) -> Box:
    notes = [line.where]
    notes += [f"group {line.group}"] if line.group else []
    notes += ["met by the image"] if line.stands_for else []
    return Box(
        "line",
        shortened(line.text, _LONGEST_NAME),
        shortened(" · ".join(notes), _LONGEST_NOTE),
        anchor(line.package),
        f"your line {line.text}, {', '.join(notes)}",
    )


def _package_box(package: PagePackage) -> Box:
    notes = [package.version]
    if package.latest:
        notes = [f"{package.version} → {package.latest}"]
    if package.image:
        notes += ["image"]
    elif package.replaces:
        notes += [f"replaces {package.replaces}"]
    elif package.size is not None:
        notes += [megabytes(package.size)]
    notes += [", ".join(package.groups)] if package.groups else []
    told = [f"{package.name} {package.version}", "of the image" if package.image else "of the overlay"]
    told += [f"replaces the image's {package.replaces}"] if package.replaces else []
    told += [f"newer: {package.latest}"] if package.latest else []
    marks = ["replaces"] if package.replaces else []
    marks += ["newer"] if package.latest else []
    return Box(
        "image" if package.image else "overlay",
        shortened(package.name, _LONGEST_NAME),
        shortened(" · ".join(notes), _LONGEST_NOTE),
        anchor(package.name),
        ", ".join(told),
        marks,
    )


def _headings(boxes: Sequence[Box], layout: Layout, lines: int) -> Iterator[str]:
    """Above the columns that are of one kind."""
    said = [""]
    for number, column in enumerate(layout.columns):
        kinds = {box.kind for at, box in enumerate(boxes) if layout.places[at].x == column.x}
        text = ""
        if number == 0 and kinds == {"line"}:
            text = "your lines"
        elif kinds == {"image"} and number > 1 and said[-1] != "from the image":
            text = "from the image"
        elif number == (1 if lines else 0):
            text = "packages"
        if text:
            said.append(text)
            yield f'<text class="heading" x="{column.x:g}" y="{column.y + 9:g}">{text}</text>'


def _drawn(box: Box, number: int, at: Place) -> str:
    classes = " ".join(["box", box.kind, *box.marks])
    x, width = at.x + box.padding, at.width
    radius = at.height / 2 if box.kind == "line" else 6
    mark = ""
    if box.marks:
        mark = f'<circle class="mark" cx="{at.x + width - 9:g}" cy="{at.y + 9:g}" r="4"/>'
    told = words(box.told)
    return (
        f'<a class="{classes}" href="#{box.target}" data-box="{number}" aria-label="{told}">'
        f"<title>{told}</title>"
        f'<rect x="{at.x:g}" y="{at.y:g}" width="{width:g}" height="{at.height:g}" rx="{radius:g}"/>'
        f'<text class="name" x="{x:g}" y="{at.y + 18:g}">{words(box.name)}</text>'
        f'<text class="note" x="{x:g}" y="{at.y + 33:g}">{words(box.note)}</text>{mark}</a>'
    )


def _wire(way: Way, layout: Layout) -> str:
    """One arc: level across columns, bent only between them, where no box is."""
    start = layout.places[way.slots[0]]
    x, y = start.x + start.width, start.middle
    steps = [f"M{x:g} {y:g}"]
    for slot in way.slots[1:]:
        to = layout.places[slot]
        middle = (x + to.x) / 2
        steps.append(f"C{middle:g} {y:g} {middle:g} {to.middle:g} {to.x:g} {to.middle:g}")
        x, y = to.x + to.width, to.middle
        if slot != way.slots[-1]:
            steps.append(f"H{x:g}")
    classes = "wire back" if way.back else "wire"
    return f'<path class="{classes}" data-from="{way.arc[0]}" data-to="{way.arc[1]}" d="{"".join(steps)}"/>'
