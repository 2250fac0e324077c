"""JSON by the half of the standard library's module that is written in C: the other one imports `re`.

That costs half as much as starting Python, and `lumienv run` reads two or three small files before every job.
"""

from __future__ import annotations

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    import _json
except ImportError:  # not of CPython
    from json import encoder, scanner

    _make_scanner: Any = scanner.py_make_scanner  # type: ignore[attr-defined]
    quoted: Callable[[str], str] = encoder.py_encode_basestring_ascii
else:
    _make_scanner, quoted = _json.make_scanner, _json.encode_basestring_ascii


class _Context:
    """What the scanner asks for, as `json.JSONDecoder` answers it.

    Which attributes those are, tells `scanner_new` in CPython's Modules/_json.c.
    """

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None  # since CPython 3.15
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}.__getitem__


try:
    _scan: Any = _make_scanner(_Context)
except AttributeError:  # a Python to come, which asks for more: `json` itself will do
    _scan = None


def loads(text: bytes) -> Any:
    """What `json.loads` makes of UTF-8. Raises ValueError, by `json` itself, for what is no JSON."""
    said = text.decode().strip(" \t\n\r")
    with suppress(Exception):  # without the other half the scanner cannot say what is wrong: SystemError
        value, end = _scan(said, 0)  # where there is no scanner, it is the same
        if end == len(said):
            return value
    import json

    try:
        return json.loads(said)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
