"""The user's variables: from `[run] env`, from `--env`, and what a runtime cannot take."""

import re
from collections.abc import Mapping, Sequence

from lumienv.errors import LumienvError, ManifestError, UsageError
from lumienv.manifest import HostValue, Manifest

# Their shell (mvdan.cc/sh) holds the ids read-only, HOME is the user database's, and the others they read
# themselves. Tried with Apptainer 1.4.5: the first are dropped with a line on standard error.
_NOT_IN_A_CONTAINER = {
    **dict.fromkeys(("UID", "EUID", "GID"), "the runtime's shell does not let it be set"),
    "HOME": "the runtime takes it from the user database",
    **dict.fromkeys(("PREPEND_PATH", "APPEND_PATH"), "to the runtime it means a part of PATH"),
}

# Bytes of a start's description, which the runtimes hand on in variables (Apptainer 1.4.5: "engine
# configuration too big > 1048448"); some of it is their own.
_LARGEST = 1_000_000

# What is no UTF-8 in an argument or a variable: Python keeps such bytes as these.
_NO_TEXT = re.compile("[\udc80-\udcff]")


def variables(
    manifest: Manifest, environ: Mapping[str, str], typed: Sequence[str], *, container: bool = True
) -> tuple[dict[str, str], dict[str, str]]:
    """The user's variables with their values, and which of them are the host's: name → the host's name.

    Raises ManifestError or UsageError, by who named the variable, for one that is not set on the host or that
    no command in a `container` could be given.
    """
    values: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for name, value in manifest.run.env.items():
        _check(name, f"[run] env: {name}", ManifestError, container=container)
        if not isinstance(value, HostValue):
            values[name] = value
        elif value.name in environ:
            values[name] = environ[value.name]
            hosts[name] = value.name
        else:
            raise ManifestError(
                f"[run] env: {name} is taken from the host, and is not set there",
                hint=f"export {name}=… first",
            )
    for entry in typed:
        name, given, text = entry.partition("=")
        if not (name.isascii() and name.isidentifier()) or "\0" in text:
            raise UsageError(f"--env {entry}: write NAME=value, or NAME to take it from the host")
        _check(name, f"--env {name}", UsageError, container=container)
        if not given:
            if name not in environ:
                raise UsageError(f"--env {name}: it is not set on the host", hint=f"export {name}=… first")
            text = environ[name]
            hosts[name] = name
        else:
            hosts.pop(name, None)
        values[name] = text
    for name in hosts if container else ():
        if not is_text(values[name]):
            raise UsageError(
                f"the host's {hosts[name]} has bytes that are not UTF-8, which the runtime would replace",
                hint=f'convert it: {hosts[name]}=$(printf %s "${hosts[name]}" | iconv -f latin1 -t utf8)',
            )
    return values, hosts


def _check(name: str, what: str, error: type[LumienvError], *, container: bool) -> None:
    if not container or name not in _NOT_IN_A_CONTAINER:
        return
    other = "PATH=…" if name.endswith("_PATH") else ""
    raise error(
        f"{what} cannot be given to a container: {_NOT_IN_A_CONTAINER[name]}",
        hint="set PATH as a whole; the environment's own folders stay in front of it"
        if other
        else f"set it in front of the command: lumienv run -- env {name}=… COMMAND",
    )


def is_text(value: str) -> bool:
    """Whether it is UTF-8, which is all that the runtimes carry: they pass it on as JSON."""
    return value.isascii() or _NO_TEXT.search(value) is None


def carried(command: Sequence[str], values: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """A command and variables that a runtime carries whole, with the same effect.

    Nothing is changed where all is UTF-8. Else a line of POSIX shell in the container writes the other bytes
    anew, and becomes the command: the runtimes put a U+FFFD for each of them. Raises UsageError for a PATH
    with such bytes.
    """
    odd = {name: value for name, value in values.items() if not is_text(value)}
    if "PATH" in odd:
        raise UsageError("--env PATH: it has bytes that are not UTF-8", hint="rename the folder")
    if not odd and all(map(is_text, command)):
        return list(command), dict(values)
    words = [f'"${{{number}}}"' if is_text(word) else _bytes(word) for number, word in enumerate(command, 1)]
    exports = [f"export {name}={_bytes(value)}; " for name, value in odd.items()]
    line = "".join(exports) + "exec " + " ".join(words)
    kept = {name: value for name, value in values.items() if name not in odd}
    return ["/bin/sh", "-c", line, "sh", *(word if is_text(word) else "" for word in command)], kept


def check_size(words: Sequence[str], env: Mapping[str, str]) -> None:
    """Raises UsageError where words and environment are more than the runtimes hand on."""
    size = sum(map(len, words)) + sum(len(name) + len(value) for name, value in env.items())
    if size > _LARGEST:
        raise UsageError(
            f"the command and its environment are {size / 1e6:.1f} MB long; the runtime takes 1 MB",
            hint="put long values, or the list of arguments, into a file",
        )


def _bytes(text: str) -> str:
    """A shell's word for any bytes but NUL, in ASCII. Newlines at the end, which `$(…)` drops, follow."""
    raw = text.encode("utf-8", "surrogateescape")
    body = raw.rstrip(b"\n")
    octal = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03o}" for byte in body)
    ends = "\n" * (len(raw) - len(body))
    return f"\"$(printf '{octal}')\"" + (f"'{ends}'" if ends else "")
