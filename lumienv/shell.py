"""Words for a POSIX shell."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
# A terminal acts on these where a line is shown, and a line editor where it is pasted; C0 and C1 of ECMA-48
# without tab and newline, and DEL.
_CONTROLS = frozenset(map(chr, (*range(1, 9), *range(11, 32), *range(127, 160))))


def quote(text: str) -> str:
    """`text` as one word that no shell changes, and no terminal.

    `shlex` does it; its import costs half of what Python does, so a word that it would leave alone is not
    shown to it.
    """
    if text and _PLAIN.issuperset(text):
        return text
    if not _CONTROLS.isdisjoint(text):
        return in_octal(text)
    import shlex

    return shlex.quote(text)


def in_octal(text: str) -> str:
    """A shell's word for any bytes but NUL, in ASCII. Newlines at the end, which `$(…)` drops, follow."""
    raw = text.encode("utf-8", "surrogateescape")
    body = raw.rstrip(b"\n")
    octal = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03o}" for byte in body)
    ends = "\n" * (len(raw) - len(body))
    return f"\"$(printf '{octal}')\"" + (f"'{ends}'" if ends else "")
