"""Text for people, on a terminal or in a page: other people's made fit to be shown, numbers and sizes."""

import re

# What a terminal would obey rather than show: sequences of colours, titles and links, and lone controls.
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\].*?(?:\x07|\x1b\\)"
    r"|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


# What stands behind the `?` of an address: some carry a token or a signature there.
_QUERY = re.compile(r"""(\b[a-z][a-z0-9+.-]*://[^\s?#"'<>]*)\?[^\s#"'<>]*""", re.IGNORECASE)


def plain(text: str) -> str:
    """A text as a terminal may get it: messages quote build backends, servers and other people's files.

    Addresses lose their query.
    """
    return _QUERY.sub(r"\1", _CONTROLS.sub("", text.replace("\t", " ")))


def counted(number: int, what: str) -> str:
    """`1 package`, `2 packages`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"
