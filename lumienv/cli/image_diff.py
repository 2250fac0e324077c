"""How `lumienv image diff` reads."""

from dataclasses import asdict

from lumienv.project.image_diff import ImageDiff, Move
from lumienv.project.suggest import DOES_NOT_FIT, FITS, UNCLEAR
from lumienv.ui import Output, counted


def show_diff(output: Output, found: ImageDiff) -> None:
    """A line a difference; then, where there is a project, what a move would change for it."""
    output.note(f"from {found.before} to {found.after}")
    if found.same:
        output.answer("both are the same image")
    elif not (found.facts or found.added or found.removed or found.changed):
        output.answer("both have the same Python and the same packages")
    for one in found.facts:
        output.answer(f"{one.name} {one.before or 'none'} → {one.after or 'none'}", "~")
    for name, version in found.removed:
        output.answer(f"{name} {version}", "-")
    for one in found.changed:
        output.answer(f"{one.name} {one.before} → {one.after}", "~")
    for name, version in found.added:
        output.answer(f"{name} {version}", "+")
    if found.move is not None:
        _show_move(output, found.move)


def _show_move(output: Output, move: Move) -> None:
    output.answer("for this project:")
    lines = [
        *(f"{clash}: a clash" for clash in move.clashes),
        *(
            f"{one.name} {one.before} is locked, and would be the image's {one.after}"
            for one in move.becomes_image
        ),
        *(f"{one.name} {one.before} is the image's now, and would have to be installed" for one in move.gone),
        *(
            f"{one.name}, which the lock rests on, goes from {one.before} to {one.after}"
            for one in move.otherwise
        ),
    ]
    for line in lines:
        output.answer(f"  {line}")
    if move.verdict == FITS:
        added, provided = counted(len(move.added), "package"), len(move.provided)
        output.answer(f"  the dependencies fit: {added} on top of {provided} of the image's")
    elif move.verdict == DOES_NOT_FIT:
        output.answer(f"  the dependencies do not fit: {move.reason}")
    elif move.verdict == UNCLEAR:
        output.answer(f"  whether all dependencies fit is unclear: {move.reason}")
    else:
        output.answer(f"  the dependencies fit, but {move.reason}")


def diff_data(found: ImageDiff) -> dict[str, object]:
    """As `--json` gives it."""
    return asdict(found) | {
        "added": [{"name": name, "version": version} for name, version in found.added],
        "removed": [{"name": name, "version": version} for name, version in found.removed],
    }
