"""Words that lumienv does not know: what they may have been meant to be, or what does it here.

Many come from fingers that know uv, pip or pixi. What means the same here has the same name; for the rest the
answer is a sentence. Each of its commands is one that there is.
"""

import difflib
from collections.abc import Iterable

import click

from lumienv.errors import UsageError
from lumienv.launch.slurm_options import SRUN

COMMANDS = {
    "pip": "lumienv add, lumienv remove and lumienv list do what pip does",
    "install": "lumienv add PACKAGE adds one; lumienv sync installs what the lock says",
    "uninstall": "lumienv remove PACKAGE",
    "update": "lumienv lock --upgrade, and then lumienv sync",
    "upgrade": "lumienv lock --upgrade, and then lumienv sync",
    "venv": "lumienv sync makes the environment; lumienv shell opens a shell in it",
    "activate": "lumienv shell",
    "exec": "lumienv run -- COMMAND",
    "task": "lumienv run TASK",
    "freeze": "lumienv list shows the packages; lumienv export writes requirements.txt",
    "check": "lumienv lock --check, lumienv sync --check, and lumienv verify",
    "info": "lumienv status",
    "python": "Python comes with the image: lumienv image list",
    "build": "lumienv sync --mode sif makes an image",
    "version": "lumienv --version",
    "help": "lumienv --help",
    "generate-shell-completion": "lumienv completion SHELL",
    "cache prune": "lumienv cache clean --older-than DAYS",
}
"""a command of other tools → what does it here"""

_INDEX = "[[index]] in lumienv.toml; the default is that of pip and uv: UV_DEFAULT_INDEX"
_EXTRAS = 'extras stand with their package: lumienv add "PACKAGE[EXTRA]"'
_ONLY = "--no-group leaves a group out; what stands in dependencies is always there"
OPTIONS = {
    "--with": "lumienv add PACKAGE: what runs is what was locked",
    "--extra": _EXTRAS,
    "--all-extras": _EXTRAS,
    "--module": "lumienv run -- python -m MODULE",
    "-m": "lumienv run -- python -m MODULE",
    "--python": "Python comes with the image: lumienv image list",
    "-p": "Python comes with the image: lumienv image list",
    "--index-url": _INDEX,
    "-i": _INDEX,
    "--extra-index-url": _INDEX,
    "--default-index": _INDEX,
    "--find-links": '[[index]] with format = "flat" in lumienv.toml',
    "-f": '[[index]] with format = "flat" in lumienv.toml',
    "--refresh": "lumienv cache clean --index; without it pages are believed for ten minutes",
    "--no-cache": "LUMIENV_CACHE_DIR names another cache; lumienv cache clean empties this one",
    "--cache-dir": "LUMIENV_CACHE_DIR names the cache",
    "--exclude-newer": "exclude-newer in [resolve] of lumienv.toml",
    "--resolution": "resolution in [resolve] of lumienv.toml",
    "--prerelease": "prerelease in [resolve] of lumienv.toml",
    "--constraints": "constraints in [resolve] of lumienv.toml",
    "--no-build": 'build = "never" in [resolve] of lumienv.toml',
    "--only-group": _ONLY,
    "--only-dev": _ONLY,
    "--directory": "-C DIR",
    "--locked": "lumienv sync --locked, and then lumienv run --no-sync",
    "--frozen": "lumienv sync --frozen, and then lumienv run --no-sync",
    "--group": "lumienv sync --group NAME, which stays so until the next sync",
    "--online": "the network is used unless --offline is given",
}
"""an option of other tools, where a command has none of that name → what does it here"""

_NEWER = "lumienv lock --upgrade, and then lumienv sync"
_ONE_NEWER = "lumienv lock --upgrade-package NAME, and then lumienv sync"
_ALL_NEWER_IN = {"-U": _NEWER, "--upgrade": _NEWER, "-P": _ONE_NEWER, "--upgrade-package": _ONE_NEWER}
_DEV = "the group dev is there unless --no-dev is given"
_PRINT = "--print shows what would run, and runs nothing"
OPTIONS_OF = {
    "run": {
        "--no-dev": "lumienv sync --no-dev, which stays so until the next sync",
        "--dev": "lumienv sync installs the group dev unless --no-dev is given",
        "--sync": "lumienv sync, and then lumienv run",
        "--dry-run": _PRINT,
    },
    "shell": {"--dry-run": _PRINT},
    "sync": {"--dev": _DEV, **_ALL_NEWER_IN},
    "add": {"-e": "lumienv add --editable FOLDER", **_ALL_NEWER_IN},
    "remove": _ALL_NEWER_IN,
    "lock": {"--locked": "lumienv lock --check"},
    "export": {"--dev": _DEV, "-f": "lumienv export --format FORMAT"},
}
"""a command → an option that it has not → what does it here; these go before `OPTIONS`"""

# A command → those whose options are looked for in its place.
_NEIGHBOURS = {
    **dict.fromkeys(("run", "shell"), ("sync",)),
    **dict.fromkeys(("add", "remove"), ("lock", "sync")),
    **{"lock": ("sync",), "sync": ("lock",)},
}
_CLOSE = 0.75  # difflib's measure of likeness, for words without their dashes
_DENYING = ("no", "non", "not", "un", "in", "dis")

_OF_ALL = ("-C", "--project", "-q", "--quiet", "-v", "--verbose", "--color", "--no-progress", "--offline")


def no_command(path: str, name: str, known: Iterable[str]) -> UsageError:
    """`path` (`lumienv image`) has no command `name`."""
    typed = f"{path} {name}".removeprefix("lumienv ")
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"{path} --help shows what there is"
    if typed in COMMANDS:
        hint = COMMANDS[typed]
    elif close:
        hint = f"did you mean {path} {close[0]}?"
    return UsageError(f"there is no command {path} {name}", hint=hint)


def explained(error: click.UsageError) -> UsageError:
    """What click complains of, as lumienv says it."""
    path = error.ctx.command_path if error.ctx is not None else "lumienv"
    if isinstance(error, click.NoSuchOption):
        return UsageError(f"{path} has no option {error.option_name}", hint=_instead(error, path))
    if isinstance(error, click.MissingParameter) and error.param is not None and error.ctx is not None:
        names = error.param.make_metavar(error.ctx).removesuffix("...")
        usage = error.ctx.get_usage().removeprefix("Usage: ")
        return UsageError(f"{path} needs {names}", hint=" ".join(usage.split()))
    hint = f"{path} --help shows what it takes"
    if isinstance(error, click.BadParameter) and (variable := _variable_behind(error)):
        said = error.message.rstrip(".")
        return UsageError(f"{path}: {variable} in the environment: {said}", hint=f"unset {variable}; {hint}")
    said = error.format_message().rstrip(".")
    return UsageError(f"{path}: {said[:1].lower()}{said[1:]}", hint=hint)


def _variable_behind(error: click.BadParameter) -> str | None:
    """The variable that an option had its value from; None where the value was typed."""
    if error.ctx is None or error.param is None or error.param.name is None:
        return None
    if error.ctx.get_parameter_source(error.param.name) is not click.core.ParameterSource.ENVIRONMENT:
        return None
    return str(error.param.envvar)


def _instead(error: click.NoSuchOption, path: str) -> str:
    name = error.option_name
    assert error.ctx is not None
    command = error.ctx.command
    if isinstance(command, click.Group) and name in _OF_ALL:
        return f"it stands behind the command: {path} COMMAND {name}"
    known = _words(command)
    own = OPTIONS_OF.get(path.removeprefix("lumienv "), {})
    if name in own:
        return own[name]
    begun = [word for word in known if word.startswith(name) and name.startswith("--")]
    if begun:
        return f"did you mean {begun[0]}?"
    if name in OPTIONS and not (command.name == "run" and name in _SRUN_FIRST):
        return OPTIONS[name]
    if command.name == "run" and (typed := _of_srun(name)):
        return f"srun's options are for lumienv srun: lumienv srun {typed} -- COMMAND"
    for other in _NEIGHBOURS.get(command.name or "", ()):
        if name in _options_of(error.ctx, other):
            return f"it is an option of another command: lumienv {other} {name}"
    if f"--no-{name.removeprefix('--')}" in known:
        return f"that is so unless --no-{name.removeprefix('--')} is given"
    if command.name == "run":
        close = _closest(name, [*known, *(f"--{word}" for word in _SRUN_OWN)])
        if close and close not in known:
            return f"did you mean srun's? lumienv srun {_of_srun(close)} -- COMMAND"
    close = _closest(name, known)
    return f"did you mean {close}?" if close else f"{path} --help shows what it takes"


_SRUN_FIRST = ("-p",)  # a partition, far sooner than a Python
_SRUN_OWN = sorted((SRUN.valued | SRUN.optional | SRUN.flags) - {"help", "usage", "version"})


def _of_srun(name: str) -> str | None:
    """An option of srun's as an example shows it; None where srun has none of that name."""
    long = SRUN.full_name(name[2:]) if name.startswith("--") else SRUN.short.get(name[1:])
    if long not in _SRUN_OWN:
        return None
    if long not in SRUN.valued:
        return name
    return f"--{long}=…" if name.startswith("--") else f"{name} …"


def _words(command: click.Command) -> list[str]:
    return [word for one in command.params if isinstance(one, click.Option) for word in one.opts]


def _options_of(ctx: click.Context, name: str) -> list[str]:
    group = ctx.find_root().command
    command = group.get_command(ctx, name) if isinstance(group, click.Group) else None
    return _words(command) if command is not None else []


def _closest(name: str, known: Iterable[str]) -> str | None:
    """The long option that a misspelt one is most like, but none that says the opposite."""
    if not name.startswith("--"):
        return None
    typed = _bare(name)
    likely = {
        word: difflib.SequenceMatcher(None, _bare(word)[1], typed[1]).ratio()
        for word in known
        if word.startswith("--") and not _opposite(_bare(word), typed)
    }
    best = max(likely, key=likely.__getitem__, default=None)
    return best if best is not None and likely[best] >= _CLOSE else None


def _bare(word: str) -> tuple[bool, str]:
    """Whether an option begins with `no`, and what it says besides."""
    rest = word.removeprefix("--")
    return rest.startswith("no-"), rest.removeprefix("no-")


def _opposite(one: tuple[bool, str], other: tuple[bool, str]) -> bool:
    """Whether one denies what the other says: `--no-dev` and `--dev`, `--unlocked` and `--locked`."""
    if one[0] != other[0]:
        return True
    longer, shorter = sorted((one[1], other[1]), key=len, reverse=True)
    return any(longer == f"{denying}{shorter}" for denying in _DENYING)
