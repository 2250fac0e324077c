"""Does the recorded activation of an image do what running its command does?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lumienv.errors import ContainerError
from lumienv.launch.plan import launch_plan
from lumienv.manifest import Manifest, RunTable
from lumienv.overlay.generation import Entrance, Generation
from lumienv.runtime.process import capture
from lumienv.site import Site

# What a shell keeps for itself: the number of shells around it, the program it started last, where it was
# before, its prompt. No program looks at these, and without a shell in between there is nothing to keep.
SHELLS_OWN = ("SHLVL", "_", "OLDPWD", "PS1", "PROMPT_COMMAND")

_SHOW = "import json, os; print(json.dumps({os.fsdecode(k): os.fsdecode(v) for k, v in os.environb.items()}))"


@dataclass(frozen=True)
class Difference:
    """A variable that Python finds otherwise; None: not at all."""

    name: str
    recorded: str | None
    live: str | None


def activation_differences(
    generation: Generation, command: str, manifest: Manifest, site: Site, environ: Mapping[str, str]
) -> list[Difference]:
    """How the environment that Python finds depends on the way in: recorded variables, or `command` run.

    `generation` is one whose activation is recorded, `command` what a snapshot has as `activation.command`.
    Costs two starts of a container. Raises ContainerError when one of them fails.
    """
    recorded = _environment(generation, manifest, site, environ)
    entered = replace(generation, entrance=Entrance(live=command))
    live = _environment(entered, manifest, site, environ)
    return [
        Difference(name, recorded.get(name), live.get(name))
        for name in sorted(recorded.keys() | live.keys())
        if name not in SHELLS_OWN and recorded.get(name) != live.get(name)
    ]


def _environment(
    generation: Generation, manifest: Manifest, site: Site, environ: Mapping[str, str]
) -> dict[str, str]:
    plain = replace(manifest, run=RunTable())  # the user's variables are the same in both, and may be secrets
    plan = launch_plan(generation, ["python", "-c", _SHOW], plain, site, environ)
    done = capture(plan.argv, env=plan.environment(environ))
    if done.returncode != 0:
        raise ContainerError(
            f"the environment in {generation.base_name} could not be looked at",
            *done.stderr.splitlines()[-3:],
            hint="see what happens with: lumienv run -- python --version",
        )
    # What the activation prints comes before it.
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found
