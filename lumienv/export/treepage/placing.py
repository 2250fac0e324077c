"""Where the boxes of the picture lie: in columns, as level with their neighbours as fits.

The order in a column is given (`layers`). Each slot wants to be level with those that it is joined to; those
of long arcs want it most, so that these run straight. What a column can give all its slots at once is found
exactly: heights that keep order and distance, and are nearest to the wanted ones (isotonic regression).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lumienv.export.treepage.layers import Layers, Way

HEIGHT = 42.0
"""of a box, in pixels of the picture, as are all lengths here"""
_APART = {2: 12.0, 1: 9.0, 0: 7.0}
"""between two slots of a column, by how many of them are boxes"""
_PULL = {2: 1.0, 1: 2.0, 0: 8.0}
_ROUNDS = 60
MARGIN = 16.0
_HEAD = 26.0
"""above the boxes, for the headings of the columns"""


@dataclass(frozen=True)
class Place:
    """Where something lies: its upper left corner, and how large it is."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The height at which lines come and go."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """A picture without words."""

    places: Mapping[int, Place]
    """of the boxes, and of the slots for what passes by, which are as wide as their column"""
    ways: Sequence[Way]
    columns: Sequence[Place]
    width: float
    height: float


def place(layers: Layers, widths: Sequence[float]) -> Layout:
    """The layout of a graph whose boxes are so wide."""
    middles = _middles(layers)
    tops = [y - _half(slot, layers.boxes) for slot, y in middles.items()]
    shift = MARGIN + _HEAD - min(tops, default=0.0)
    bottom = max((y + _half(slot, layers.boxes) for slot, y in middles.items()), default=0.0)
    height = bottom + shift + MARGIN
    places: dict[int, Place] = {}
    columns: list[Place] = []
    x = MARGIN
    _, right = layers.neighbours()
    for column in layers.columns:
        width = max((widths[slot] for slot in column if slot < layers.boxes), default=0.0)
        columns.append(Place(x, MARGIN, width, height - 2 * MARGIN))
        for slot in column:
            half = _half(slot, layers.boxes)
            places[slot] = Place(x, round(middles[slot] + shift - half, 1), width, 2 * half)
        steepest = max(
            (abs(middles[slot] - middles[other]) for slot in column for other in right.get(slot, ())),
            default=0.0,
        )
        x += width + round(min(max(60.0, 44 + steepest / 9), 150.0))
    end = columns[-1].x + columns[-1].width if columns else 0.0
    return Layout(places, layers.ways, columns, end + MARGIN, height)


def _half(slot: int, boxes: int) -> float:
    return HEIGHT / 2 if slot < boxes else 0.0


def _middles(layers: Layers) -> dict[int, float]:
    """slot → how far down its middle is."""
    distances = [_distances(column, layers.boxes) for column in layers.columns]
    found: dict[int, float] = {}
    for column, below in zip(layers.columns, distances, strict=True):
        centred = (height - below[-1] / 2 for height in below)
        found.update(zip(column, centred, strict=True))
    left, right = layers.neighbours()
    every = range(len(layers.columns))
    for number in range(_ROUNDS):
        last = number >= _ROUNDS - 4
        sides = (left, right) if last else (left,) if number % 2 == 0 else (right,)
        for at in every if number % 2 == 0 else reversed(every):
            column = layers.columns[at]
            wanted, weights = [], []
            for slot in column:
                height, weight = _wanted(slot, found, sides, layers.boxes)
                wanted.append(height)
                weights.append(weight)
            levels = _nearest(wanted, weights, distances[at])
            found.update(zip(column, levels, strict=True))
    return found


def _distances(column: Sequence[int], boxes: int) -> list[float]:
    """How far below the first each slot is at least."""
    found = [0.0][: len(column)]
    for upper, lower in pairwise(column):
        apart = _APART[(upper < boxes) + (lower < boxes)]
        found.append(found[-1] + _half(upper, boxes) + apart + _half(lower, boxes))
    return found


def _wanted(
    slot: int, middles: Mapping[int, float], sides: Sequence[Mapping[int, Sequence[int]]], boxes: int
) -> tuple[float, float]:
    """The height that a slot's neighbours ask for, and how strongly."""
    total = weight = 0.0
    for side in sides:
        for other in side.get(slot, ()):
            pull = _PULL[(slot < boxes) + (other < boxes)]
            total += pull * middles[other]
            weight += pull
    return (total / weight, weight) if weight else (middles[slot], 0.05)


def _nearest(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """The heights nearest to the wanted ones, by least squares, of those that keep these distances."""
    blocks: list[tuple[float, float, int]] = []  # level, weight, how many
    for height, weight, distance in zip(wanted, weights, distances, strict=True):
        level, heavy, many = height - distance, weight, 1
        while blocks and blocks[-1][0] > level:
            before, other, number = blocks.pop()
            level = (level * heavy + before * other) / (heavy + other)
            heavy, many = heavy + other, many + number
        blocks.append((level, heavy, many))
    levels = [level for level, _, many in blocks for _ in range(many)]
    return [level + distance for level, distance in zip(levels, distances, strict=True)]
