"""Text for the page: whatever it is made of, it stays text.

A lock may come with a clone, and names, versions and addresses in it are whatever somebody wrote.
"""

import json
import unicodedata
from html import escape
from urllib.parse import quote

from lumienv.plaintext import plain


def shown(text: str) -> str:
    """A text without what changes the text around it: controls, marks of direction, halves of characters.

    Addresses lose their query.
    """
    kept = "".join(one for one in plain(text) if unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp"))
    return kept.encode("utf-8", "replace").decode()


def words(text: str) -> str:
    """A text as HTML: between tags, and between the quotes of an attribute."""
    return escape(shown(text), quote=True)


def anchor(name: str) -> str:
    """The id of a package's row."""
    return f"package-{quote(shown(name), safe='')}"


def as_data(value: object) -> str:
    """A value as JSON that may stand in a script element: it has none of the characters that end one."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters: of a longer one its beginning and its end."""
    text = shown(text)
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 1]}…{text[-end:]}"


def cells(text: str) -> int:
    """How many cells of a fixed-width font a text takes."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
