"""No container: an interpreter of this machine is the base.

For laptops, CI and login nodes without a runtime. The user's own variables stay, as in any program that is
started by hand; what could change which packages are seen is set aside.
"""

from collections.abc import Mapping, Sequence

from lumienv.paths import Path
from lumienv.runtime import Command, Surroundings
from lumienv.values import dataclass

_HOST_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TERM", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Host:
    """The machine itself."""

    flavour: str = "host"

    def closed(
        self,
        base: str,  # noqa: ARG002 - the command already names the interpreter
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        scratch: Path | None = None,
        network: bool = False,  # noqa: ARG002 - there is no container to cut it off from
    ) -> Command:
        env = {k: v for k, v in inherited.items() if k in _HOST_VARIABLES}
        env |= _visible(surroundings, env)
        if scratch is not None:
            env["TMPDIR"] = str(scratch)
        return Command(tuple(command), env, unset=tuple(name for name in inherited if name not in env))

    def launch(
        self,
        base: str,  # noqa: ARG002
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        entry: str = "exec",  # noqa: ARG002 - a runscript belongs to an image
    ) -> Command:
        return Command(tuple(command), _visible(surroundings, inherited))


def _visible(surroundings: Surroundings, inherited: Mapping[str, str]) -> dict[str, str]:
    env = dict(surroundings.env)
    if surroundings.prepend_path:
        path = env.get("PATH", inherited.get("PATH", "/usr/bin:/bin"))
        env["PATH"] = ":".join((*surroundings.prepend_path, path))
    return env
