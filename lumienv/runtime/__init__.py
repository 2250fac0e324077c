"""Container runtimes behind one small protocol: SingularityCE and Apptainer, or none at all (`host`).

A runtime turns "this command, on this base" into a `Command`: words and environment variables. Whoever
asked for it decides whether to print it, to wait for it (`runtime.process`) or to become it (`launch`).
"""

from collections.abc import Mapping, Sequence

from lumienv.paths import Path
from lumienv.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lumienv.runtime.process import Completed
    from lumienv.runtime.protocol import Runtime


# The exit status of both runtimes when they fail before the command has begun.
_REFUSED = 255


@dataclass(frozen=True)
class Bind:
    """A host path made visible in the container; read-only unless `writable`."""

    source: str
    target: str
    writable: bool = False
    image_source: str | None = None
    """The directory inside `source` to bind, when `source` is a file-system image."""


@dataclass(frozen=True)
class Command:
    """Something to start: the words, and what to change in the environment of whoever starts it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The whole environment to start the command with."""
        return {k: v for k, v in inherited.items() if k not in self.unset} | dict(self.env)


@dataclass(frozen=True)
class Surroundings:
    """What a command finds around it: variables, PATH entries and binds, in the container's terms."""

    env: Mapping[str, str] = field(default_factory=dict)
    prepend_path: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()


def closed_capture(
    runtime: "Runtime",
    base: str,
    command: Sequence[str],
    surroundings: Surroundings,
    *,
    inherited: Mapping[str, str],
    scratch: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> "Completed":
    """Run a closed command to its end, without a network where the runtime can cut it off.

    Raises ContainerError when the runtime cannot be started, or does not end in `timeout` seconds.
    """
    from dataclasses import replace

    from lumienv.runtime import work
    from lumienv.runtime.process import capture

    # A runtime gives the container an environment of its own: the mark has to be in there too.
    surroundings = replace(surroundings, env={**surroundings.env, work.VARIABLE: work.token()})
    closed = runtime.closed(base, command, surroundings, inherited=inherited, scratch=scratch)
    # From the root: a Python that reads its program from standard input imports from the current folder.
    away = Path("/")
    done = capture(closed.argv, env=closed.environment(inherited), stdin=stdin, timeout=timeout, cwd=away)
    if done.returncode == _REFUSED and "network" in done.stderr.lower():
        # An administrator may have forbidden network namespaces. What runs is told to be offline anyway.
        closed = runtime.closed(
            base, command, surroundings, inherited=inherited, scratch=scratch, network=True
        )
        done = capture(closed.argv, env=closed.environment(inherited), stdin=stdin, timeout=timeout, cwd=away)
    return done
