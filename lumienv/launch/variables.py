"""The user's variables: from `[run] env`, from `--env`, and what a runtime cannot take."""

from collections.abc import Mapping, Sequence

from lumienv.errors import LumienvError, ManifestError, UsageError
from lumienv.manifest import HostValue, Manifest
from lumienv.shell import in_octal

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

# The runtimes' shell (mvdan.cc/sh, syntax/lexer.go) reads the values of variables in a script. To it U+0080
# is the end of that script, so that all of them are lost, U+0081 a line that goes on, and of \r\n it keeps
# the \n. Seen with Apptainer 1.4.5.
_NO_VALUE = ("\x80", "\x81", "\r\n")
_OF_A_SHELL = """
IFS OPTIND OPTARG PPID LINENO RANDOM SRANDOM SECONDS EPOCHSECONDS EPOCHREALTIME SHLVL SHELLOPTS BASHOPTS
BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL
BASH_VERSINFO HISTCMD UID EUID DIRSTACK FUNCNAME GROUPS PWD OLDPWD _"""
OF_A_SHELL = frozenset(_OF_A_SHELL.split())
"""variables that shells do not take from their environment but set themselves (POSIX, bash's manual)"""


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
    for name in hosts:
        if name in OF_A_SHELL:
            raise UsageError(
                f"{name} cannot be taken from the host: shells set it themselves",
                "its value would have to stand on a command line, where others of this machine can read it",
                hint="take it under another name, and let the command set this one",
            )
        if container and not _is_value(values[name]):
            raise UsageError(
                f"the host's {hosts[name]} has characters that the runtime would lose or replace",
                "it takes UTF-8 without U+0080, U+0081 and carriage returns in front of newlines",
                hint="export it in another form, or let the program read it from a file",
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
    try:
        value.encode()
    except UnicodeEncodeError:  # Python keeps bytes that are no UTF-8 as surrogates
        return False
    return True


def _is_value(value: str) -> bool:
    """Whether a runtime hands on a variable of this value as it is."""
    return is_text(value) and not any(part in value for part in _NO_VALUE)


def carried(command: Sequence[str], values: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """A command and variables that a runtime carries whole, with the same effect.

    As a rule nothing is changed. Else a line of POSIX shell in the container writes anew what the runtime
    would lose, and becomes the command: bytes that are no UTF-8 would each arrive as U+FFFD. Raises
    UsageError where they are in PATH.
    """
    if all(map(_is_value, values.values())) and all(map(is_text, command)):
        return list(command), dict(values)
    if not _is_value(values.get("PATH", "")):
        raise UsageError("--env PATH: it has characters that the runtime loses", hint="rename the folder")
    odd = {name: value for name, value in values.items() if name in OF_A_SHELL or not _is_value(value)}
    words = ['"$@"']  # all that will be there: launchers put arguments behind the command
    if not all(map(is_text, command)):
        words = [f'"${{{at}}}"' if is_text(word) else in_octal(word) for at, word in enumerate(command, 1)]
    line = " ".join((becoming(odd), *words))
    kept = {name: value for name, value in values.items() if name not in odd}
    return ["/bin/sh", "-c", line, "sh", *(word if is_text(word) else "" for word in command)], kept


def becoming(values: Mapping[str, str]) -> str:
    """The beginning of a shell's line that sets variables and becomes the command behind it, in ASCII."""
    # env, not export: a shell has a few variables of its own.
    written = (f"{name}={in_octal(value)}" for name, value in values.items())
    return " ".join(["exec", *(["env"] if values else []), *written])


def check_size(words: Sequence[str], env: Mapping[str, str]) -> None:
    """Raises UsageError where words and environment are more than the runtimes hand on."""
    size = sum(map(len, words)) + sum(len(name) + len(value) for name, value in env.items())
    if size > _LARGEST:
        raise UsageError(
            f"the command and its environment are {size / 1e6:.1f} MB long; the runtime takes 1 MB",
            hint="put long values, or the list of arguments, into a file",
        )
