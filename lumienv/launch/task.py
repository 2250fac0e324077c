"""What only a task knows: one line of POSIX shell that sets variables and becomes the command.

The line runs on the node, in front of the runtime: Slurm's variables are there, and the container needs no
shell. Values are never run by it: a template's text is quoted, and a variable is only ever expanded within
double quotes.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from lumienv.errors import ManifestError

_PLACEHOLDER = re.compile(r"\{([A-Za-z][\w-]*)\}")

# Name in small letters → (what has to be worked out before, the expression). SLURM_STEP_NODELIST is like
# `nid[005001-005002,005010]`: the first host is what stands before `[` or `,`, and the first number in it.
_WORKED_OUT: Mapping[str, tuple[str, str]] = {
    "first-node": (
        'l=${SLURM_STEP_NODELIST-}; first=${l%%[[,]*}; l=${l#"$first"}; '
        'case $l in "["*) l=${l#"["}; first=$first${l%%[],-]*};; esac',
        '"$first"',
    ),
    # Two steps of a job, and the jobs beside it, each get one of their own; below the ports that Linux hands
    # out by itself (ip(7), ip_local_port_range).
    "port": (
        "port=$((10000 + (${SLURM_JOB_ID:-0} + 1009 * ${SLURM_STEP_ID:-0}) % 10000))",
        '"$port"',
    ),
    # `8(x2),3`: eight tasks on two nodes, then three.
    "tasks-on-node": (
        "n=${SLURM_NODEID:-0}; IFS=,; for here in ${SLURM_STEP_TASKS_PER_NODE-}; do x=1; "
        'case $here in *x*) x=${here##*x}; x=${x%")"};; esac; [ "$n" -lt "$x" ] && break; n=$((n - x)); '
        'done; unset IFS; here=${here%%"("*}',
        '"$here"',
    ),
    # Made by nobody else: another user may have put a folder of that name there.
    "node-cache": (
        'cache=@folder@/lumienv-@user@-${SLURM_JOB_ID:-0}; mkdir -m 700 "$cache" 2>/dev/null; '
        '[ -O "$cache" ] && [ ! -L "$cache" ] || cache=$(mktemp -d)',
        '"$cache"',
    ),
}


def is_of_the_task(value: str) -> bool:
    """Whether a setting's value can only be told by the task itself."""
    return _PLACEHOLDER.search(value) is not None


def task_words(values: Mapping[str, str], prefix: str, folder: str, user: str) -> list[str]:
    """`sh -c '…' sh` to put in front of a command: sets `values` under names with `prefix`, and becomes it.

    `folder` is where the node has room of its own. Raises ManifestError for a placeholder that nobody knows.
    """
    if not values:
        return []
    before: dict[str, None] = {}
    exports = []
    for name, template in values.items():
        text = ""
        for number, part in enumerate(_PLACEHOLDER.split(template)):
            if number % 2 == 0:
                text += shlex.quote(part) if part else ""
            elif part.isupper():
                text += f'"${{{part}-}}"'
            elif part in _WORKED_OUT:
                step, expression = _WORKED_OUT[part]
                step = step.replace("@folder@", shlex.quote(folder)).replace("@user@", shlex.quote(user))
                before[step] = None
                text += expression
            else:
                raise ManifestError(
                    f"the value of {name} in a preset has {{{part}}}, which nothing fills",
                    hint=f"known: variables of Slurm's in capitals, and {', '.join(_WORKED_OUT)}",
                )
        exports.append(f"{prefix}{name}={text}")
    line = "; ".join([*before, f"export {' '.join(exports)}", 'exec "$@"'])
    return ["sh", "-c", line, "sh"]


def filled(template: str, values: Mapping[str, object]) -> str | None:
    """A template with what is known before the launch filled in; None where something is not known."""
    missing = [name for name in _PLACEHOLDER.findall(template) if values.get(name) is None]
    return None if missing else _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template)


def placeholders(values: Sequence[str]) -> set[str]:
    """The names in the templates."""
    return {name for value in values for name in _PLACEHOLDER.findall(value)}
