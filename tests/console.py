"""The commands that a page shows, and what it shows of their output."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A line behind `$`, and the lines below it. `…` stands for any text, alone on a line for any lines."""

    command: str
    lines: tuple[str, ...]

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


def shown_commands(page: str) -> Sequence[Shown]:
    """All of a page in Markdown, in their order."""
    commands = []
    for block in _BLOCK.findall(page):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, *lines = part.rstrip("\n").split("\n")
            commands.append(Shown(command, tuple(lines)))
    return commands
