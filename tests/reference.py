"""What is made from the commands: docs/reference/commands.md, and the words that shells complete; and
docs/reference/messages.md, made from the reviewed messages."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from lumienv import errors
from lumienv.cli.main import cli

ROOT = Path(__file__).parents[1]
COMMANDS = ROOT / "docs" / "reference" / "commands.md"
MESSAGES = ROOT / "docs" / "reference" / "messages.md"
WORDS = ROOT / "lumienv" / "cli" / "words.json"
SCHEMAS = ROOT / "docs" / "schemas"
_REVIEWED = ROOT / "tests" / "messages" / "messages.txt"

_INTRO = """\
# Commands

This page is made from the program itself: `--help` behind each command says the same.

Every option can be given as an environment variable, too: `LUMIENV_` and its long name, as in
`LUMIENV_MODE=squashfs`. Flags take `1` or `0`, options that may be repeated take values with blanks in
between. What is typed goes first. [Exit codes](exit-codes.md), [JSON](json.md) and
[other variables](environment.md) have pages of their own.

## Options of all commands
"""
_NOT_HERE = """\
`srun` and `sbatch` leave `-C`, `-q` and `-v` to Slurm; `image` and `cache` take theirs behind the second
word.

Results go to standard output, all else to standard error. `-q` leaves out notes, and what was done; what a
command is for (`list`, `tree`, `status`) is said all the same, and so are warnings and errors. Colour is
used on a terminal; elsewhere with `--color always` or `FORCE_COLOR`, nowhere with `--color never` or
`NO_COLOR`; what is typed goes first. Progress is drawn on a terminal alone.
"""

_MESSAGES = """\
# Messages

Every failure that you can cause is a message of one form, on standard error:

```text
error: what could not be done, with the names that you used
  facts, each with where it comes from
help: what to do, as something that can be typed
```

The [exit code](exit-codes.md) is 1, or 2 for wrong usage. What was there before is still there. A message
that begins with "this is an error in lumienv itself" is a bug: it names a file with what is needed to
report it. `warning:` tells of what may go wrong later, and stops nothing.

## Kinds

| kind | when |
|---|---|
"""
_LOCKING = """
## When nothing fits

What `lumienv lock` says, case by case. This list is made from the messages that lumienv's tests hold to the
letter; what they propose is tried, too.
"""


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed: `image list`."""
    context = click.Context(cli, info_name="lumienv")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", found) for child, found in command.commands.items())
        else:
            yield name, command


def options_of(command: click.Command) -> list[click.Option]:
    """Its own options, without `--help`."""
    return [one for one in command.params if isinstance(one, click.Option) and not one.hidden]


def has_json(command: click.Command) -> bool:
    """Whether it takes `--json`."""
    return any("--json" in option.opts for option in options_of(command))


def commands_page() -> str:
    """The whole page."""
    found = dict(leaves())
    common = {_row(option): option for option in options_of(found["lock"])}
    for name in ("sync", "list", "status"):
        common = {row: common[row] for row in map(_row, options_of(found[name])) if row in common}
    common.pop(next(row for row, option in common.items() if "--json" in option.opts))
    parts = [_INTRO, _table(common), "", _NOT_HERE]
    for name, command in found.items():
        parts += _section(name, command, set(common))
    return "\n".join(parts).rstrip("\n") + "\n"


def messages_page() -> str:
    """The kinds of failures with what they are for, and the reviewed messages of `lumienv lock`."""
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and one is not errors.LumienvError]
    rows = [f"| {_words(kind.__name__)} | {(kind.__doc__ or '').strip()} |" for kind in kinds]
    parts = [_MESSAGES + "\n".join(rows), _LOCKING]
    for scene in _REVIEWED.read_text().split("=" * 110 + "\n")[1:]:
        title, _, rest = scene.partition("\n")
        said = rest.partition("\n$ lumienv ")[2].partition("\n")[2].rstrip()
        parts.append(f"### {title}\n\n```text\n{said}\n```\n")
    return "\n".join(parts)


def words_table() -> str:
    """`words.json`: every command with its options and arguments, for completion without click."""
    context = click.Context(cli, info_name="lumienv")
    helps = cli.help_of_commands()
    commands = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        commands[name] = {"help": helps[name], **_node(command)}
    # A line a command, as somebody has to read what changed.
    lines = [f"{json.dumps(name)}: {json.dumps(node, ensure_ascii=False)}" for name, node in commands.items()]
    own = json.dumps([_option(one) for one in options_of(cli)], ensure_ascii=False)
    return f'{{"options": {own},\n"commands": {{\n' + ",\n".join(lines) + "\n}}\n"


def _node(command: click.Command) -> dict[str, object]:
    found: dict[str, object] = {"options": [_option(one) for one in options_of(command)]}
    if isinstance(command, click.Group):
        return found | {
            "commands": {
                name: {"help": one.get_short_help_str(100), **_node(one)}
                for name, one in command.commands.items()
                if not one.hidden
            }
        }
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    return found | {
        "arguments": [
            {
                "name": one.make_metavar(click.Context(command)),
                "repeated": one.nargs == -1,
                "choices": list(one.type.choices) if isinstance(one.type, click.Choice) else [],
            }
            for one in arguments
        ]
    }


def _option(option: click.Option) -> dict[str, object]:
    takes_value = not option.is_flag and not option.count
    choices = _choices(option)
    offered = next((name for name in option.opts if name.startswith("--")), option.opts[-1])
    return {
        # Last the one that is offered.
        "names": [*(name for name in option.opts if name != offered), offered],
        "help": option.help,
        "value": (choices or option.metavar or option.type.name.upper()) if takes_value else "",
        "repeated": option.multiple or option.count,
        # `--host` alone has a meaning, too.
        "optional": takes_value and bool(getattr(option, "_flag_needs_value", False)),
    }


def _words(name: str) -> str:
    """`PackageIndexError`: package index."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name.removesuffix("Error")).strip()


def _section(name: str, command: click.Command, common: set[str]) -> Iterator[str]:
    context = click.Context(command, info_name=f"lumienv {name}")
    yield f"## lumienv {name}\n"
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n")) + "\n"
    rows = [row for row in map(_row, options_of(command)) if row not in common]
    if rows:
        yield _table(rows) + "\n"
    if has_json(command):
        yield f"JSON: [schema](../schemas/{name.replace(' ', '-')}.json)\n"


def _table(rows: "Iterator[str] | dict[str, click.Option] | list[str]") -> str:
    return "\n".join(["| option | variable | |", "|---|---|---|", *rows])


def _row(option: click.Option) -> str:
    words = ", ".join(option.opts)
    if not option.is_flag and not option.count:
        words += " " + (option.metavar or _choices(option) or option.type.name.upper())
    default = f" By default {option.default}." if option.show_default and option.default is not None else ""
    cells = (f"`{words}`", f"`{option.envvar}`", f"{option.help}{default}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _choices(option: click.Option) -> str:
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else ""
