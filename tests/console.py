"""What a page in Markdown shows: files under their names, commands, and what these print."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A line behind `$`, and the lines below it. `…` stands for any text, alone on a line for any lines."""

    command: str
    lines: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Whether the page shows how the command is refused."""
        return any(line.startswith("error: ") for line in self.lines)

    def differences(self, output: str) -> list[str]:
        """What is not as shown; the order is left aside, as processes write in any order."""
        rest = output.splitlines()
        found = []
        for line in self.lines:
            if line == "…":
                continue
            pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
            fitting = next((one for one in rest if pattern.fullmatch(one)), None)
            if fitting is None:
                found.append(f"- {line}")
            else:
                rest.remove(fitting)
        return found + ([] if "…" in self.lines else [f"+ {line}" for line in rest])


@dataclass(frozen=True)
class Written:
    """A file that the page shows under its name: the block's `title`."""

    path: str
    text: str


@dataclass(frozen=True)
class Fence:
    """A block of the page: its language, its title or "", its text."""

    language: str
    title: str
    text: str


def fences(page: str) -> Sequence[Fence]:
    """All blocks of a page, in their order."""
    return [Fence(*found) for found in _BLOCK.findall(page)]


def steps(page: str) -> Sequence[Shown | Written]:
    """What somebody who follows the page does: files to write and commands to type, in their order."""
    found: list[Shown | Written] = []
    for fence in fences(page):
        if fence.title:
            found.append(Written(fence.title, fence.text))
        elif fence.language == "console":
            found += _commands(fence.text)
    return found


def shown_commands(page: str) -> Sequence[Shown]:
    """All commands of a page, in their order."""
    return [step for step in steps(page) if isinstance(step, Shown)]


def _commands(block: str) -> Sequence[Shown]:
    commands = []
    for part in block.removeprefix("$ ").split("\n$ "):
        command, *lines = part.rstrip("\n").split("\n")
        commands.append(Shown(command, tuple(lines)))
    return commands
