"""Put the page together: one file that asks for nothing else, and is told so."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

from lumienv.export.treepage import MARK, TreePage
from lumienv.export.treepage.picture import picture
from lumienv.export.treepage.tables import data, largest, legend, notes, table, totals
from lumienv.export.treepage.words import as_data, words

_PLACE = re.compile(r"\{\{ (\w+) \}\}")


def page_text(page: TreePage) -> str:
    """The page's HTML: the same for the same values."""
    style, script = _part("page.css"), _part("page.js")
    python = f", Python {page.python}" if page.python else ""
    return _filled(
        _part("page.html"),
        {
            "policy": _policy(style, script),
            "mark": MARK,
            "title": words(f"What needs what on {page.image}"),
            "style": style,
            "image": words(page.image),
            "python": words(python),
            "totals": totals(page),
            "notes": notes(page),
            "picture": picture(page),
            "legend": legend(page),
            "largest": largest(page),
            "table": table(page),
            "data": as_data(data(page)),
            "script": script,
        },
    )


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: use its own style and script, and load nothing at all."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """In one go: what is put in is not looked at again."""
    return _PLACE.sub(lambda place: parts[place[1]], template)
