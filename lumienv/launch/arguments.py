"""The words of `lumienv run`, read without importing click: this runs before every job.

One table describes the options; `cli.run` builds click's options from it, for help, completion and errors.
"""

from collections.abc import Mapping, Sequence

from lumienv.values import dataclass


@dataclass(frozen=True)
class Option:
    """One option of `run`."""

    names: tuple[str, ...]
    field: str
    help: str
    metavar: str = ""
    """empty for a flag"""
    repeated: bool = False
    choices: tuple[str, ...] = ()


OPTIONS = (
    Option(("--print",), "print_only", "Show the command line that would run, and run nothing."),
    Option(
        ("--launcher",),
        "launcher",
        "How to start: auto (srun inside an allocation), srun, or direct.",
        "auto|srun|direct",
        choices=("auto", "srun", "direct"),
    ),
    Option(("--srun",), "srun", "Options for srun, as one text.", '"OPTIONS"'),
    Option(
        ("--mode",),
        "mode",
        "Run in the newest environment of this mode, not in the one synced last.",
        "venv|squashfs|sif",
        choices=("venv", "squashfs", "sif"),
    ),
    Option(("--no-sync",), "no_sync", "Run in the environment as it is, stale or not."),
    Option(
        ("--env",),
        "env",
        "Set a variable in the environment; without a value, the host's.",
        "NAME[=VALUE]",
        True,
    ),
    Option(("--bind",), "bind", "Make a host path visible in the container.", "SRC[:DST[:ro]]", True),
    Option(("--preset",), "presets", "Use this preset of the site, not those of [run].", "NAME", True),
    Option(("-C", "--project"), "project", "Use the lumienv.toml in DIR or above it.", "DIR"),
    Option(("--offline",), "offline", "Use no network: caches only."),
    Option(("-q", "--quiet"), "quiet", "Say less."),
    Option(("-v", "--verbose"), "verbose", "Say more."),
    Option(("--color",), "color", "Use colour.", "auto|always|never", choices=("auto", "always", "never")),
    Option(("--no-progress",), "no_progress", "Show no progress bars."),
)


@dataclass(frozen=True)
class RunArguments:
    """What was typed after `lumienv run`, and what `LUMIENV_…` variables say."""

    command: tuple[str, ...]
    project: str | None = None
    print_only: bool = False
    launcher: str = "auto"
    srun: str = ""
    mode: str | None = None
    no_sync: bool = False
    env: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"
    no_progress: bool = False
    offline: bool = False
    options: tuple[str, ...] = ()
    """srun's or sbatch's own words"""
    beside: "tuple[RunArguments, ...]" = ()
    """what else the same srun starts, behind `:`; of these only `options` and `command` count"""


def parse(words: Sequence[str], environ: Mapping[str, str]) -> RunArguments | None:
    """Read the words after `run`; None for anything unusual (help, a mistake), which click then explains."""
    by_name = {name: option for option in OPTIONS for name in option.names}
    values = from_environment(environ)
    chosen = ((option, values.get(option.field)) for option in OPTIONS if option.choices)
    if any(value is not None and value not in option.choices for option, value in chosen):
        return None
    waiting = list(words)
    while waiting:
        word = waiting[0]
        if word == "--":
            waiting.pop(0)
            break
        if not word.startswith("-") or word == "-":
            break
        waiting.pop(0)
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = by_name.get(name)
        if option is None or (joined and not option.metavar):
            return None
        if option.metavar and not joined:
            if not waiting:
                return None
            value = waiting.pop(0)
        if option.choices and value not in option.choices:
            return None
        put(values, option, value)
    if not waiting:
        return None
    return arguments(waiting, values)


def arguments(command: Sequence[str], values: Mapping[str, object]) -> RunArguments:
    """The same value from either parser."""
    given = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in values.items() if v is not None}
    return RunArguments(command=tuple(command), **given)  # type: ignore[arg-type]


def variable(option: Option) -> str:
    """The environment variable of an option: `LUMIENV_NO_SYNC`."""
    return "LUMIENV_" + option.names[-1].lstrip("-").replace("-", "_").upper()


def put(values: dict[str, str | bool | list[str]], option: Option, value: str) -> None:
    """Note down that an option was given, with this value if it takes one."""
    if not option.metavar:
        values[option.field] = True
    elif option.repeated:
        known = values.setdefault(option.field, [])
        assert isinstance(known, list)
        known.append(value)
    else:
        values[option.field] = value


def from_environment(
    environ: Mapping[str, str], options: Sequence[Option] = OPTIONS
) -> dict[str, str | bool | list[str]]:
    """What `LUMIENV_…` variables say about these options."""
    values: dict[str, str | bool | list[str]] = {}
    for option in options:
        text = environ.get(variable(option))
        if not text:
            continue
        if option.metavar:
            values[option.field] = text.split() if option.repeated else text
        elif text.lower() not in ("0", "false", "no", "off"):
            values[option.field] = True
    return values
