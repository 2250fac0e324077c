"""What only a task knows: one line of POSIX shell that sets variables and becomes the command.

The line runs on the node, in front of the runtime: Slurm's variables are there, and the container needs no
shell. Values are never run by it: a template's text is quoted, and a variable is only ever expanded within
double quotes.
"""

from collections.abc import Mapping

from lumienv.errors import ManifestError
from lumienv.shell import quote
from lumienv.site.presets import parts_of

# Name in small letters → (what has to be worked out before, the expression). Slurm's variables of the step
# (srun's manual, OUTPUT ENVIRONMENT VARIABLES) are right in heterogeneous jobs, too: they tell of all parts.
# The names begin with `_`: a variable that the user exports under one used here would be changed.
_WORKED_OUT: Mapping[str, tuple[str, str]] = {
    # SLURM_STEP_NODELIST is like `nid005001`, `nid[005001-005002,005010],gpu-3`: the first entry, and in its
    # brackets the first number.
    "first-node": (
        '_first=${SLURM_STEP_NODELIST%%,*}; case $_first in *"["*) _n=${_first#*"["}; '
        '_first=${_first%%"["*}${_n%%[]-]*};; esac',
        '"$_first"',
    ),
    # Two steps of a job, and the jobs beside it, each get one of their own; below the ports that Linux hands
    # out by itself (ip(7), ip_local_port_range).
    "port": (
        "_port=$((10000 + (${SLURM_JOB_ID:-0} + 1009 * ${SLURM_STEP_ID:-0}) % 10000))",
        '"$_port"',
    ),
    # SLURM_STEP_TASKS_PER_NODE is like `8(x2),3`: eight tasks on each of two nodes, then three.
    "tasks-on-node": (
        "_n=${SLURM_NODEID:-0}; IFS=,; for _here in ${SLURM_STEP_TASKS_PER_NODE-}; do _x=1; "
        'case $_here in *x*) _x=${_here##*x}; _x=${_x%")"};; esac; '
        '[ "$_n" -lt "$_x" ] && break; _n=$((_n - _x)); done; unset IFS; _here=${_here%%"("*}',
        '"$_here"',
    ),
    # Used only where it is this user's own: another may have put a folder or a link of that name there.
    "node-cache": (
        '_cache=@folder@/lumienv-@user@-${SLURM_JOB_ID:-0}; mkdir -m 700 "$_cache" 2>/dev/null; '
        '[ -O "$_cache" ] && [ ! -L "$_cache" ] || _cache=$(mktemp -d) || exit',
        '"$_cache"',
    ),
}


def is_of_the_task(value: str) -> bool:
    """Whether a setting's value can only be told by the task itself."""
    return len(parts_of(value)) > 1


def task_words(values: Mapping[str, str], prefix: str, folder: str, user: str) -> list[str]:
    """`/bin/sh -c '…' sh` in front of a command: sets `values` under names with `prefix`, and becomes it.

    `folder` is where the node has room of its own. Raises ManifestError for a placeholder that nobody knows.
    """
    if not values:
        return []
    before: dict[str, None] = {}
    exports = []
    for name, template in values.items():
        text = ""
        for number, part in enumerate(parts_of(template)):
            if number % 2 == 0:
                text += quote(part) if part else ""
            elif part.isupper():
                text += f'"${part}"'
            elif part in _WORKED_OUT:
                step, expression = _WORKED_OUT[part]
                step = step.replace("@folder@", quote(folder)).replace("@user@", quote(user))
                before[step] = None
                text += expression
            else:
                raise ManifestError(
                    f"the value of {name} in a preset has {{{part}}}, which nothing fills",
                    hint=f"known: variables of Slurm's in capitals, and {', '.join(_WORKED_OUT)}",
                )
        exports.append(f"{prefix}{name}={text}")
    line = "; ".join([*before, f"export {' '.join(exports)}", 'exec "$@"'])
    # By its path: with --export=NONE a task has no PATH to look for it.
    return ["/bin/sh", "-c", line, "sh"]


def filled(template: str, values: Mapping[str, object]) -> str | None:
    """A template with what is known before the start filled in; None where a number in it is not known.

    What a task alone knows stays as it is: variables in capitals, and what the task works out.
    """
    parts = parts_of(template)
    for number, name in list(enumerate(parts))[1::2]:
        if values.get(name) is not None:
            parts[number] = str(values[name])
        elif name in values and name not in _WORKED_OUT:
            return None
        else:
            parts[number] = f"{{{name}}}"
    return "".join(parts)
