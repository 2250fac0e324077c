"""The text of a TOML list or inline table: an element put in or taken out, in the style of the others."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+|"(?:\\.|[^"\\])*"|\'[^\']*\'|#[^\r\n]*|[\[\]{},]|\s+|[^\s\[\]{},"\'#]+',
    re.DOTALL,
)
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?")


@dataclass(frozen=True)
class Element:
    """Where an element begins and ends, and its comma, if it has one."""

    start: int
    end: int
    comma: int | None

    @property
    def after(self) -> int:
        """Behind the element and its comma."""
        return self.end if self.comma is None else self.comma + 1


def elements(text: str) -> list[Element]:
    """The elements of the list or inline table that `text` is, brackets and all."""
    found: list[Element] = []
    depth, start, end = 0, -1, -1
    for token in _TOKEN.finditer(text):
        word = token[0]
        if depth == 1 and word == ",":
            found.append(Element(start, end, token.start()))
            start = -1
            continue
        depth -= word in ("]", "}")
        if depth >= 1 and not word.isspace() and not word.startswith("#"):
            start = token.start() if start < 0 else start
            end = token.end()
        depth += word in ("[", "{")
    if start >= 0:
        found.append(Element(start, end, None))
    return found


def put_in(text: str, number: int, element: str) -> str:
    """The list with `element` as the one of this number, counted from 0."""
    newline = "\r\n" if "\r\n" in text else "\n"
    there = elements(text)
    if not there:
        if "\n" not in text:
            return f"[{element}]"
        head, closing = text[:-1].rstrip(" \t"), text[len(text[:-1].rstrip(" \t")) :]
        return f"{head}{_indent(text, len(head)) or '    '}{element},{newline}{closing}"
    multiline = "\n" in text[: there[-1].end]
    if number < len(there):
        here = there[number]
        line = text[text.rfind("\n", 0, here.start) + 1 : here.start]
        if not multiline:
            return f"{text[: here.start]}{element}{_separator(text, there)}{text[here.start :]}"
        if line.strip():  # others stand on its line
            return f"{text[: here.start]}{element}, {text[here.start :]}"
        at = _end_of_line(text, there[number - 1].after if number else 1)
        return f"{text[:at]}{newline}{line}{element},{text[at:]}"
    last = there[-1]
    if not multiline:
        return f"{text[: last.end]}{_separator(text, there)}{element}{text[last.end :]}"
    line = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    indent = line[: len(line) - len(line.lstrip())]
    if last.comma is not None:
        at = _end_of_line(text, last.after)
        return f"{text[:at]}{newline}{indent}{element},{text[at:]}"
    at = _end_of_line(text, last.end)
    return f"{text[: last.end]},{text[last.end : at]}{newline}{indent}{element}{text[at:]}"


def put_in_place(text: str, number: int, element: str) -> str:
    """The list with `element` instead of the one of this number."""
    here = elements(text)[number]
    return text[: here.start] + element + text[here.end :]


def taken_out(text: str, number: int) -> str:
    """The list without the element of this number, and without what is said of it on its line."""
    there = elements(text)
    here = there[number]
    last = number == len(there) - 1
    begin = text.rfind("\n", 0, here.start) + 1
    end = _end_of_line(text, here.after)
    alone = begin > 0 and not text[begin : here.start].strip()
    closes = re.compile(r"\r?\n").match(text, end)
    if alone and closes:  # its line is its own
        text = text[:begin] + text[closes.end() :]
        before = there[number - 1] if number else None
        if last and here.comma is None and before is not None and before.comma is not None:
            text = text[: before.comma] + text[before.comma + 1 :]  # the last one had none
        return text
    if not last and "\n" not in text[here.end : there[number + 1].start]:
        return text[: here.start] + text[there[number + 1].start :]
    if not last:
        return text[: here.start].rstrip(" \t") + text[end:]
    if number and text[there[number - 1].end : here.start].strip() == ",":
        return text[: there[number - 1].end] + text[here.end :]
    if number:  # a comment stands in between
        return text[: here.start] + text[here.after :].lstrip(" \t")
    return "[]" if text.startswith("[") and "\n" not in text else text[: here.start] + text[here.after :]


def _separator(text: str, there: list[Element]) -> str:
    """What stands between two elements on one line."""
    return text[there[0].end : there[1].start] if len(there) > 1 else ", "


def _end_of_line(text: str, at: int) -> int:
    """Behind the comment that follows on the same line, if any."""
    found = _REST_OF_LINE.match(text, at)
    assert found is not None
    return found.end() if "#" in found[0] else at


def _indent(text: str, before: int) -> str:
    """The indentation of the last comment that stands alone on its line."""
    lines = [line for line in text[:before].splitlines() if line.lstrip().startswith("#")]
    return lines[-1][: len(lines[-1]) - len(lines[-1].lstrip())] if lines else ""
