"""The columns of the picture: which box stands in which, and in which order, so that few lines cross.

The usual steps (Sugiyama's): turn those arcs round that close a ring, give each box the column behind the
last of those that need it, lead long arcs through slots in the columns between, sort each column by where
its neighbours are. All arcs to one box share their slots, so that they run together instead of side by side.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Arc = tuple[int, int]
_SWEEPS = 24
_PATIENCE = 12_000
"""slots to be sorted in all sweeps: a graph of a whole image takes a second or two, not ten"""
_SWAPS = 6
_TALL = 16
"""as many boxes are no tall column"""


@dataclass(frozen=True)
class Way:
    """How an arc is led: by which slots, from the left to the right."""

    arc: Arc
    slots: Sequence[int]
    """the first and the last are boxes"""

    @property
    def back(self) -> bool:
        """Whether it leads from the right to the left, as it closes a ring."""
        return self.slots[0] != self.arc[0]


@dataclass(frozen=True)
class Layers:
    """Numbers below `boxes` are boxes, those from there on are slots for what passes by."""

    boxes: int
    columns: Sequence[Sequence[int]]
    """each from the top to the bottom"""
    ways: Sequence[Way]

    def neighbours(self) -> tuple[Mapping[int, Sequence[int]], Mapping[int, Sequence[int]]]:
        """Of each slot those to its left, and those to its right."""
        return _neighbours(_segments(self.ways))


def layers(boxes: int, arcs: Iterable[Arc], first: Collection[int], last: Collection[int]) -> Layers:
    """The columns of a graph: `first` in the leftmost, whatever of `last` needs nothing in the rightmost.

    The same arcs give the same columns.
    """
    known = sorted({arc for arc in arcs if arc[0] != arc[1]})
    back = _closing(boxes, known)
    forward = sorted({(end, start) if (start, end) in back else (start, end) for start, end in known})
    column = _columns(boxes, forward, first, last)
    slots, passing = _slots(boxes, forward, column)
    ways = [_way(arc, arc in back, column, passing) for arc in known]
    left, right = _neighbours(_segments(ways))
    return Layers(boxes, _sorted(_begun(slots, right), left, right), ways)


def _closing(boxes: int, arcs: Sequence[Arc]) -> set[Arc]:
    """The arcs that lead back to where a walk has come from: without them there is no ring."""
    below: dict[int, list[int]] = {}
    for start, end in arcs:
        below.setdefault(start, []).append(end)
    found: set[Arc] = set()
    seen: set[int] = set()
    needed = {end for _, end in arcs}
    for root in sorted(range(boxes), key=lambda box: (box in needed, box)):
        walk, inside = [(root, iter(below.get(root, ())))], {root}
        if root in seen:
            continue
        seen.add(root)
        while walk:
            box, rest = walk[-1]
            following = next(rest, None)
            if following is None:
                inside.discard(box)
                walk.pop()
            elif following in inside:
                found.add((box, following))
            elif following not in seen:
                seen.add(following)
                inside.add(following)
                walk.append((following, iter(below.get(following, ()))))
    return found


def _columns(
    boxes: int, arcs: Sequence[Arc], first: Collection[int], last: Collection[int]
) -> Mapping[int, int]:
    """box → the number of its column."""
    column = {box: 0 if box in first or not first else 1 for box in range(boxes)}
    open_arcs = dict.fromkeys(range(boxes), 0)
    above, below = _neighbours(arcs)
    for _, end in arcs:
        open_arcs[end] += 1
    waiting = [box for box in range(boxes) if not open_arcs[box]]
    for box in waiting:
        for following in below.get(box, ()):
            column[following] = max(column[following], column[box] + 1)
            open_arcs[following] -= 1
            if not open_arcs[following]:
                waiting.append(following)
    ends = sorted(box for box in last if box not in below)
    others = Counter(column[box] for box in range(boxes) if box not in {*ends})
    begin = max(others, default=-1) + 1
    height = max([_TALL, *others.values()])
    # One column of them would be far taller than all others: what few need stands nearer.
    ends.sort(
        key=lambda box: (len(above.get(box, ())), max(map(column.__getitem__, above.get(box, ())), default=0))
    )
    parts = -(-len(ends) // height)
    return column | {box: begin + at * parts // len(ends) for at, box in enumerate(ends)}


def _slots(
    boxes: int, arcs: Sequence[Arc], column: Mapping[int, int]
) -> tuple[list[list[int]], dict[Arc, int]]:
    """The columns with their boxes and slots, and (box that is led to, column) → the slot."""
    columns: list[list[int]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for box in range(boxes):
        columns[column[box]].append(box)
    passing: dict[Arc, int] = {}
    for start, end in arcs:
        for number in range(column[start] + 1, column[end]):
            if (end, number) not in passing:
                passing[end, number] = boxes + len(passing)
                columns[number].append(passing[end, number])
    return columns, passing


def _way(arc: Arc, back: bool, column: Mapping[int, int], passing: Mapping[Arc, int]) -> Way:
    start, end = arc[::-1] if back else arc
    between = [passing[end, number] for number in range(column[start] + 1, column[end])]
    return Way(arc, (start, *between, end))


def _segments(ways: Iterable[Way]) -> list[Arc]:
    return sorted({pair for way in ways for pair in pairwise(way.slots)})


def _neighbours(segments: Sequence[Arc]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    left: dict[int, list[int]] = {}
    right: dict[int, list[int]] = {}
    for start, end in segments:
        left.setdefault(end, []).append(start)
        right.setdefault(start, []).append(end)
    return left, right


def _begun(columns: Sequence[Sequence[int]], right: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The columns in the order in which a walk from the left comes by: what belongs together is together."""
    seen: dict[int, int] = {}
    waiting = [slot for column in reversed(columns) for slot in reversed(column)]
    while waiting:
        slot = waiting.pop()
        if slot not in seen:
            seen[slot] = len(seen)
            waiting += reversed(right.get(slot, ()))
    return [sorted(column, key=seen.__getitem__) for column in columns]


def _sorted(
    columns: list[list[int]], left: Mapping[int, Sequence[int]], right: Mapping[int, Sequence[int]]
) -> list[list[int]]:
    """The order with the fewest crossings of those that some sweeps to and fro come by."""
    best, fewest = columns, _crossings(columns, right)
    if not fewest:
        return best
    for sweep in range(max(4, min(_SWEEPS, _PATIENCE // sum(map(len, columns))))):
        if not fewest:
            break
        numbers = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        beside, step = (left, -1) if sweep % 2 == 0 else (right, 1)
        columns = [list(column) for column in columns]
        for number in numbers:
            columns[number] = _by_middle(columns[number], columns[number + step], beside)
        columns = _swapped(columns, left, right)
        found = _crossings(columns, right)
        if found < fewest:
            best, fewest = columns, found
    return best


def _by_middle(column: Sequence[int], fixed: Sequence[int], beside: Mapping[int, Sequence[int]]) -> list[int]:
    """A column by the middle of each slot's neighbours; one that has none stays about where it is."""
    place = {slot: number for number, slot in enumerate(fixed)}
    share = max(len(fixed), 1) / max(len(column), 1)
    middle = {}
    for number, slot in enumerate(column):
        places = [place[other] for other in beside.get(slot, ())]
        middle[slot] = sum(places) / len(places) if places else number * share
    return sorted(column, key=middle.__getitem__)


def _swapped(
    columns: list[list[int]], left: Mapping[int, Sequence[int]], right: Mapping[int, Sequence[int]]
) -> list[list[int]]:
    """Neighbours in a column changed with each other as long as that leaves fewer crossings."""
    for _ in range(_SWAPS):
        changed = False
        for number, column in enumerate(columns):
            sides = [
                (beside, {slot: at for at, slot in enumerate(columns[other])})
                for beside, other in ((left, number - 1), (right, number + 1))
                if 0 <= other < len(columns)
            ]
            ends = [
                {slot: sorted(place[one] for one in beside.get(slot, ())) for slot in column}
                for beside, place in sides
            ]
            for at in range(len(column) - 1):
                upper, lower = column[at], column[at + 1]
                now = sum(_between(end[upper], end[lower]) for end in ends)
                if now and sum(_between(end[lower], end[upper]) for end in ends) < now:
                    column[at], column[at + 1] = lower, upper
                    changed = True
        if not changed:
            break
    return columns


def _between(upper: Sequence[int], lower: Sequence[int]) -> int:
    """How many lines cross of two slots, one above the other, to these places in the next column."""
    return sum(len(upper) - bisect_right(upper, place) for place in lower)


def _crossings(columns: Sequence[Sequence[int]], right: Mapping[int, Sequence[int]]) -> int:
    total = 0
    for column, following in pairwise(columns):
        place = {slot: number for number, slot in enumerate(following)}
        seen: list[int] = []
        for slot in column:
            places = sorted(place[other] for other in right.get(slot, ()))
            total += sum(len(seen) - bisect_right(seen, one) for one in places)
            for one in places:
                insort(seen, one)
    return total
