"""Words for a POSIX shell."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")


def quote(text: str) -> str:
    """`text` as one word that no shell changes.

    `shlex` does it; its import costs half of what Python does, so a word that it would leave alone is not
    shown to it.
    """
    if text and _PLAIN.issuperset(text):
        return text
    import shlex

    return shlex.quote(text)
