"""The table in docs/agreement.md: a row a set, a column a list."""

import re
from collections.abc import Mapping
from pathlib import Path

from agreement.compare import Comparison, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"
_PLACE = re.compile(r"(?<=<!-- the table begins -->\n).*(?=<!-- the table ends -->)", re.DOTALL)

Compared = Mapping[str, Mapping[str, Comparison]]
"""list → set → what came of it"""


def table(sets: Mapping[str, tuple[str, ...]], compared: Compared) -> str:
    """The table as Markdown, ending in a line break."""
    lists = sorted(compared)
    lines = ["| dependencies | " + " | ".join(lists) + " |", "|---" * (len(lists) + 1) + "|"]
    for name, wanted in sets.items():
        cells = [_cell(compared[image][name]) for image in lists]
        lines.append(f"| {' '.join(f'`{line}`' for line in wanted)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(comparison: Comparison) -> str:
    if comparison.outcome is Outcome.NEITHER:
        return "nothing fits"
    same, of = comparison.agreeing
    if comparison.outcome is Outcome.SAME:
        return "all of the image" if not of else f"{same} of {of}"
    told = "; ".join(comparison.differing)
    if comparison.outcome is Outcome.STAND_IN:
        told = f"for {', '.join(comparison.why)}; else {same} of {of}"
    elif comparison.theirs is None:
        told = "uv finds nothing"
    return f"**{comparison.outcome.value}**: {told}"


def written() -> str:
    """The table that the page has."""
    found = _PLACE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None, f"{PAGE} has lost the marks around its table"
    return found[0]


def write(new: str) -> None:
    """Put another table into the page."""
    PAGE.write_text(_PLACE.sub(lambda _: new, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
