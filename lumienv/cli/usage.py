"""Words that lumienv does not know: what they may have been meant to be, or what does it here.

Many come from fingers that know uv, pip or pixi. What means the same here has the same name; for the rest the
answer is a sentence. Each of its commands is one that there is.
"""

import difflib
from collections.abc import Iterable

import click

from lumienv.errors import UsageError

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
}
"""an option of other tools, where a command has none of that name → what does it here"""

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
    said = error.format_message().rstrip(".")
    return UsageError(f"{path}: {said[:1].lower()}{said[1:]}", hint=f"{path} --help shows what it takes")


def _instead(error: click.NoSuchOption, path: str) -> str:
    name = error.option_name
    assert error.ctx is not None
    command = error.ctx.command
    if isinstance(command, click.Group) and name in _OF_ALL:
        return f"it stands behind the command: {path} COMMAND {name}"
    known = [word for one in command.params if isinstance(one, click.Option) for word in one.opts]
    begun = [word for word in known if word.startswith(name) and name.startswith("--")]
    close = [*begun, *difflib.get_close_matches(name, known, n=1, cutoff=0.7)]
    if name in OPTIONS and not begun:
        return OPTIONS[name]
    return f"did you mean {close[0]}?" if close else f"{path} --help shows what it takes"
