"""What the runtimes have in common, for type checkers: nothing on the way of `lumienv run` imports this."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lumienv.runtime import Command, Surroundings


class Runtime(Protocol):
    """How commands are started on a base."""

    @property
    def flavour(self) -> str:
        """`apptainer`, `singularity` or `host`."""

    def closed(
        self,
        base: str,
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        scratch: Path | None = None,
        network: bool = False,
    ) -> Command:
        """A command that sees nothing of the user's: for probing and building.

        `scratch` is a directory for its temporary files; `network` leaves the host's network in reach.
        """

    def launch(
        self,
        base: str,
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        entry: str = "exec",
    ) -> Command:
        """A user's command. `entry` is `exec`, or `run` to pass through the image's runscript."""
