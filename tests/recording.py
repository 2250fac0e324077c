"""What a terminal shows of a program, as lines of coloured words, and as a picture of it in SVG."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fcntl import ioctl
from html import escape
from pathlib import Path
from xml.etree import ElementTree

_SGR = re.compile(r"\x1b\[([\d;]*)m")
# Columns, pixels a column, pixels a line, and around it: of the font that every browser has.
WIDTH = 100
_CHARACTER, _LINE, _MARGIN, _BAR = 8.4, 19, 16, 34
# By the numbers of SGR; the rest of the palette is not used.
_COLORS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 36: "#76e3ea"}
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
_INK, _FAINT, _PAPER, _FRAME = "#e6edf3", "#8b949e", "#0d1117", "#30363d"


@dataclass(frozen=True)
class Span:
    """Words of one look."""

    text: str
    color: int = 0
    bold: bool = False
    dim: bool = False


Line = tuple[Span, ...]


def on_terminal(
    command: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    answers: Sequence[tuple[str, str]] = (),
    width: int = WIDTH,
    height: int = 40,
) -> tuple[int, str]:
    """The exit status of a program, and all that it writes to its terminal of so many columns and lines.

    Of each of `answers` the second is typed as soon as the first is shown.
    """
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environ),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=_controlling,
    )
    os.close(its)
    shown, waiting = b"", list(answers)
    while select.select([ours], [], [], 300)[0]:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if waiting and waiting[0][0].encode() in shown:
            os.write(ours, waiting.pop(0)[1].encode())
    os.close(ours)
    assert waiting == [], shown.decode()
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def _controlling() -> None:
    """In a child: take its standard input for the terminal that it is controlled by."""
    ioctl(0, termios.TIOCSCTTY, 0)


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a terminal's text, which has colours and no other sequences."""
    look = Span("")
    for line in text.removesuffix("\n").split("\n"):
        spans = []
        # The text before, and then in turn: the numbers of a sequence, the text behind it.
        first, *rest = _SGR.split(line)
        pieces = [(None, first), *zip(rest[::2], rest[1::2], strict=True)]
        for numbers, words in pieces:
            look = look if numbers is None else _after(look, numbers)
            if words:
                spans.append(Span(words, look.color, look.bold, look.dim))
        yield tuple(spans)


def _after(look: Span, numbers: str) -> Span:
    """The look of what stands behind a sequence."""
    color, bold, dim = look.color, look.bold, look.dim
    for number in (int(part or 0) for part in numbers.split(";")):
        if number == 0:
            color, bold, dim = 0, False, False
        elif number in _COLORS:
            color = number
        else:
            bold, dim = bold or number == 1, dim or number == 2
    return Span("", color, bold, dim)


def wrapped(line: Line, width: int = WIDTH) -> Iterator[Line]:
    """The line as a terminal of this width breaks it: after the last column, wherever that is."""
    row: list[Span] = []
    room = width
    for span in line:
        rest = span.text
        while rest:
            if not room:
                yield tuple(row)
                row, room = [], width
            row.append(replace(span, text=rest[:room]))
            rest, room = rest[room:], room - len(rest[:room])
    yield tuple(row)


def plain(line: Line) -> str:
    """The words of a line."""
    return "".join(span.text for span in line)


def picture(lines: Sequence[Line], title: str) -> str:
    """A window with these lines: one SVG that needs nothing else, and whose text can be searched."""
    lines = [row for line in lines for row in wrapped(line)]
    width = _MARGIN * 2 + round(WIDTH * _CHARACTER)
    height = _BAR + _MARGIN + len(lines) * _LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" fill="{_INK}"'
        f' font-family="{_FONTS}" font-size="14" xml:space="preserve">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{_PAPER}" stroke="{_FRAME}"/>',
        *(
            f'<circle cx="{20 + 20 * number}" cy="18" r="6" fill="{color}"/>'
            for number, color in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
        ),
    ]
    for number, line in enumerate(lines):
        column, y = 0, _BAR + _LINE * (number + 1) - 5
        for span in line:
            # Each word in its columns, whatever the width of the font that is found.
            place = f'x="{_MARGIN + column * _CHARACTER:.1f}" y="{y}"'
            length = f'textLength="{len(span.text) * _CHARACTER:.1f}"'
            parts.append(f"<text {place} {length}{_look(span)}>{escape(span.text)}</text>")
            column += len(span.text)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _look(span: Span) -> str:
    color = _COLORS.get(span.color, _FAINT if span.dim else "")
    return (f' fill="{color}"' if color else "") + (' font-weight="bold"' if span.bold else "")


def shown_in(picture: str) -> list[str]:
    """The lines of text in a picture that are not empty."""
    lines: dict[str, str] = {}
    for found in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - ours
        lines[found.attrib["y"]] = lines.get(found.attrib["y"], "") + (found.text or "")
    return list(lines.values())
