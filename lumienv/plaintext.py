"""Other people's text, made fit to be shown: on a terminal, or in a page."""

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
