"""What the launchers in a store's `bin` do: the launch plan, written as a script for a POSIX shell.

The plan is that of `lumienv run`, and its words are quoted by it. What it cannot know when it is written is
left to the shell: where the store lies, whether this is a task of Slurm's, which of the site's folders this
node has.
"""

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from lumienv.launch.plan import ENVIRONMENT, LaunchPlan, launch_plan, runtime_of
from lumienv.launch.variables import OF_A_SHELL, becoming
from lumienv.manifest import HostValue, Manifest
from lumienv.overlay.generation import Generation
from lumienv.overlay.launched import launch_text
from lumienv.overlay.leases import FOLDER as LEASES
from lumienv.overlay.leases import LAUNCHERS
from lumienv.runtime import Bind
from lumienv.runtime.protocol import Runtime
from lumienv.runtime.singularity import Singularity
from lumienv.site import Site

# Would be found in place of what a launcher starts itself, or are to be sourced by a shell, not started.
_LEFT_OUT = {"sh", "readlink", "singularity", "apptainer"}
_SOURCED = ("activate", "deactivate", "Activate")

_NAME = "lumienv@name"
# A whole path behind --bind cannot have these; --mount quotes them, and then the path is part of the quoting.
_UNMOVABLE = ':,"\\'

# What of a launch the presets ask for and Slurm's variables tell: whether it is a task of a step, on several
# nodes, with GPUs. Neither a batch script nor salloc's shell is a step, whatever number Slurm gives them
# (slurm.h: 0xfffffffa and what follows).
_WHERE = 'case "${SLURM_STEP_ID-}/${SLURM_STEP_NUM_NODES-}/${SLURM_GPUS_ON_NODE:-${SLURM_GPUS_PER_NODE-}}" in'
_CASES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/* | 429496729?/*", {}),
    ("*/1/?*", {"SLURM_STEP_NUM_NODES": "1", "SLURM_GPUS_ON_NODE": "1"}),
    ("*/1/", {"SLURM_STEP_NUM_NODES": "1"}),
    ("*/*/?*", {"SLURM_STEP_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "1"}),
    ("*", {"SLURM_STEP_NUM_NODES": "2"}),
)

_BEGIN = """\
lumienv_fail() {{
  printf 'error: %s\\nhelp: %s\\n' "$1" "$2" >&2
  exit 1
}}
lumienv_name=${{lumienv_self##*/}}
lumienv_store=${{lumienv_self%/*}}
case $lumienv_store in
{known}) lumienv_store={store} ;;
*) # the project was moved, or this is another way to it
  lumienv_store=$(CDPATH='' cd -P -- "$lumienv_store/.." && pwd -P && echo .)
  lumienv_store=${{lumienv_store%??}}
  {moved}
  ;;
esac
"""
_MOVED = "case $lumienv_store in {forbidden}) {failure} ;; esac"
_STILL = '[ "$lumienv_store" = {store} ] || {failure}'

_CONTAINER = """\
if [ -e /.singularity.d ]; then # this is a container
  if [ -x {program} ] && {{ {ours}; }}; then
    exec {program} "$@"
  fi
  command -v "$lumienv_runtime" >/dev/null ||
    lumienv_fail "$lumienv_self was started in the container of another image or project" \\
      'start it outside, or use what this container has'
fi
command -v "$lumienv_runtime" >/dev/null ||
  lumienv_fail "there is no $lumienv_runtime here, which starts the container" 'see that it is on PATH'
"""

# The runtimes replace bytes that are no UTF-8 in arguments: they are written in octal for a shell in the
# container, as `carried` does it for `run`. Which characters are printable depends on the locale, so some
# that are UTF-8 go that way, too; ASCII never does, and costs no process.
_WORDS = """\
lumienv_set='' lumienv_line='' lumienv_at=1
case "$*" in
*[![:print:][:cntrl:]]*)
  for lumienv_word do
    lumienv_at=$((lumienv_at + 1))
    case $lumienv_word in
    *[![:print:][:cntrl:]]*)
      lumienv_octal=''
      for lumienv_byte in $(printf %s "$lumienv_word" | od -An -v -to1); do
        lumienv_octal="$lumienv_octal\\\\$lumienv_byte"
      done
      # The x keeps newlines in front of it.
      lumienv_set="$lumienv_set lumienv_$lumienv_at=\\$(printf '${{lumienv_octal}}x');"
      lumienv_line="$lumienv_line \\"\\${{lumienv_$lumienv_at%x}}\\""
      lumienv_word=''
      ;;
    *) lumienv_line="$lumienv_line \\"\\${{$lumienv_at}}\\"" ;;
    esac
    set -- "$@" "$lumienv_word"
  done
  shift $((lumienv_at - 1))
  set -- /bin/sh -c "$lumienv_set "{becoming}" \\"\\$1\\"$lumienv_line" sh {program} "$@"
  ;;
*) set -- {program} "$@" ;;
esac
"""

# Where a process of another node used a generation, `clean` cannot see it. One file for each generation and
# node, so that a thousand calls are one look.
_LEASE = """\
if [ -z "${{SLURM_JOB_ID-}}" ] && read -r lumienv_host </proc/sys/kernel/hostname; then
  lumienv_lease="$lumienv_store/{folder}/{lease}."{generation}".$lumienv_host"
  [ -e "$lumienv_lease" ] || {{ printf '' >"$lumienv_lease"; }} 2>/dev/null
fi
"""


def launcher_names(programs: Sequence[str]) -> list[str]:
    """Which of the tree's programs get a launcher."""
    return [
        name
        for name in programs
        if name not in _LEFT_OUT and not name.startswith((".", "-", *_SOURCED)) and name.isprintable()
    ]


def launcher_text(generation: Generation, manifest: Manifest, site: Site, environ: Mapping[str, str]) -> str:
    """The text of `launch.sh` for launchers that start programs in `generation`.

    Raises ManifestError for what lumienv.toml says wrongly, ContainerError without a runtime.
    """
    store = os.path.realpath(manifest.store_path)
    generation = generation.at(type(generation.path)(store, "generations", generation.path.name))
    movable = not any(mark in store for mark in _UNMOVABLE)
    before: list[str] = [_beginning(manifest, store, movable=movable)]
    runtime = runtime_of(generation, environ)
    if isinstance(runtime, Singularity):
        before += _runtime_lines(runtime.program, environ)
        before.append(_in_container(generation))
    before += [
        _LEASE.format(folder=LEASES, lease=LAUNCHERS, generation=shlex.quote(generation.path.name)),
        *_checks(generation, movable=movable),
    ]
    if isinstance(runtime, Singularity):
        own = {name: text for name, text in manifest.run.env.items() if name in OF_A_SHELL}
        again = becoming({name: text for name, text in own.items() if isinstance(text, str)})
        before.append(_WORDS.format(program=_program(generation), becoming=shlex.quote(again)))
    cases: list[tuple[str, str]] = []
    for pattern, slurm in reversed(_CASES):
        plan = _plan(generation, manifest, site, environ, slurm)
        lines = _launch(plan, generation, manifest, site, runtime, movable=movable)
        if len(cases) == 1 and cases[0][1] == lines:
            continue  # what stands behind it is taken for all that is left
        cases.insert(0, (pattern, lines))
    launches = "".join(f"{pattern})\n{lines};;\n" for pattern, lines in cases)
    launches = cases[0][1] if len(cases) == 1 else f"{_WHERE}\n{launches}esac\n"
    return launch_text(generation.path.name, "".join(before) + launches)


def _plan(
    generation: Generation,
    manifest: Manifest,
    site: Site,
    environ: Mapping[str, str],
    slurm: Mapping[str, str],
) -> LaunchPlan:
    """The plan of a launch in a step of which this is known; outside of one where nothing is."""
    host = {name: text for name, text in environ.items() if not name.startswith(("SLURM_", "SRUN_"))}
    if slurm:
        host |= {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", **slurm}
    # The host's values are named, never written: whether they are set is seen when a launcher is called.
    host |= {value.name: "" for value in manifest.run.env.values() if isinstance(value, HostValue)}
    command = [f"{generation.prefix}/bin/{_NAME}"]

    def planned() -> LaunchPlan:
        return launch_plan(generation, command, manifest, site, host, later=True)

    first = planned()
    # What of the host's variables must not be seen is taken back whether they are set just now or not.
    names = {name.partition("ENV_")[2] for name in first.env if "ENV_" in name} | {"PATH", "APPEND_PATH"}
    names |= {"PREPEND_PATH"}
    for prefix in ("SINGULARITY", "APPTAINER"):
        host |= {f"{prefix}ENV_{name}": "" for name in names}
        host |= {f"{prefix}_{name}": "" for name in ("WRITABLE", "WRITABLE_TMPFS")}
    return planned()


def _beginning(manifest: Manifest, store: str, *, movable: bool) -> str:
    ways = dict.fromkeys([str(manifest.store_path), store])
    failure = (
        'lumienv_fail "the environment was moved to $lumienv_store" '
        "'make its launchers anew: run `lumienv sync` there'"
    )
    if movable:
        moved = _MOVED.format(
            forbidden=" | ".join(f"*{shlex.quote(mark)}*" for mark in _UNMOVABLE), failure=failure
        )
    else:
        moved = _STILL.format(store=shlex.quote(store), failure=failure)
    return _BEGIN.format(
        known=" | ".join(shlex.quote(f"{way}/bin") for way in ways), store=shlex.quote(store), moved=moved
    )


def _runtime_lines(program: str, environ: Mapping[str, str]) -> list[str]:
    """The runtime by its name, as it may lie elsewhere on another node; by its path where PATH has none."""
    path = shlex.quote(program)
    if environ.get("LUMIENV_RUNTIME"):
        return [f"lumienv_runtime={path}\n"]
    name = shlex.quote(os.path.basename(program))  # noqa: PTH119
    return [
        f'lumienv_runtime={name}\ncommand -v "$lumienv_runtime" >/dev/null || lumienv_runtime={path}\n',
    ]


def _in_container(generation: Generation) -> str:
    ours = f'[ "${{{ENVIRONMENT}-}}" -ef "$lumienv_store" ]'
    if generation.mode == "sif":  # the image itself may have been started, without lumienv
        image = f"{_relative(generation)}/image.sif"
        ours += f' || [ "${{APPTAINER_CONTAINER:-${{SINGULARITY_CONTAINER-}}}}" -ef {image} ]'
    return _CONTAINER.format(program=_program(generation), ours=ours)


def _program(generation: Generation) -> str:
    return shlex.quote(f"{generation.prefix}/bin/") + '"$lumienv_name"'


def _checks(generation: Generation, *, movable: bool) -> Iterator[str]:
    """What has to be there, in a sentence before the runtime complains of it."""
    carrier = str(generation.carrier)
    if movable:
        carrier = _relative(generation) + shlex.quote(carrier.removeprefix(str(generation.path)))
    else:
        carrier = shlex.quote(carrier)
    sync = "'make it anew: run `lumienv sync` in the project'"
    yield f'[ -e {carrier} ] ||\n  lumienv_fail "the environment in $lumienv_store is gone" {sync}\n'
    if generation.base_kind != "host" and generation.mode != "sif":
        image = shlex.quote(generation.base_path)
        yield f"[ -e {image} ] ||\n  lumienv_fail 'the image '{image}' is gone' \\\n"
        yield "    'name another in lumienv.toml ([image]), and run `lumienv sync`'\n"
        yield f'if [ {image} -nt "$lumienv_store/launch.sh" ] && [ "${{SLURM_PROCID:-0}}" = 0 ]; then\n'
        yield f"  printf 'warning: %s was changed after the environment was made on it: ' {image} >&2\n"
        yield "  printf 'run `lumienv sync` in the project\\n' >&2\nfi\n"
    for folder in generation.editable:
        quoted = shlex.quote(folder)
        yield f"[ -d {quoted} ] ||\n  lumienv_fail 'the folder '{quoted}', installed editable, is gone' \\\n"
        yield "    'say in [sources] where it is now, and run `lumienv sync`'\n"


def _relative(generation: Generation) -> str:
    return f'"$lumienv_store"/generations/{shlex.quote(generation.path.name)}'


def _launch(
    plan: LaunchPlan,
    generation: Generation,
    manifest: Manifest,
    site: Site,
    runtime: Runtime,
    *,
    movable: bool,
) -> str:
    """The lines that set the variables and become the program."""
    pieces = [(_NAME, '"$lumienv_name"')]
    if movable:
        pieces.append((str(generation.path), _relative(generation)))
        pieces.append((str(generation.path.parents[1]), '"$lumienv_store"'))
    pieces += [piece for piece in plan.written_as if piece[1] == ':"$PATH"']
    plan = replace(plan, written_as=tuple(pieces))
    lines = [f"unset {' '.join(plan.unset)}"] if plan.unset else []
    for name in filter(str.isidentifier, plan.exported):  # what else there is no shell can hold
        given = f"export {name}={plan.word_for(name)}"
        host = plan.secrets.get(name)
        lines.append(given if host is None else f'[ -z "${{{host}+set}}" ] || {given}')
    words = list(plan.argv)
    # A site's folder may be there on some nodes alone, and the project's own is another when it was moved.
    optional = {entry.path for entry in site.binds if entry.optional or entry.in_jobs}
    project = os.path.realpath(manifest.directory)
    optional |= {str(manifest.directory), project}
    along = project if movable and project == str(generation.path.parents[2]) else ""
    if isinstance(runtime, Singularity):
        words.pop()  # the program: it is there, with its arguments
        bound = runtime.bind_words(plan.binds)
        at = _last_place(words, bound)
        lines.append(_set(plan, words[at + len(bound) :]))
        for bind in reversed(plan.binds):  # the words are put together from their end
            if bind.source == bind.target == along:
                plan_there = replace(plan, written_as=((along, '"${lumienv_store%/*}"'),))
                lines.append(_set(plan_there, runtime.bind_words((bind,))))
            else:
                lines += _bind_lines(plan, bind, runtime, generation, optional)
        words = words[:at]
        shown = ['"$lumienv_runtime"' if word == runtime.program else plan.quoted(word) for word in words]
    else:
        by_env = [f"{name}={plan.word_for(name)}" for name in plan.of_a_shell]
        shown = [*(["env", *by_env] if by_env else []), *map(plan.quoted, words)]
    lines.append(f'exec {" ".join(shown)} "$@"')
    return "".join(f"{line}\n" for line in lines if line)


def _bind_lines(
    plan: LaunchPlan,
    bind: Bind,
    runtime: Singularity,
    generation: Generation,
    optional: Collection[str],
) -> list[str]:
    """Puts one bind in front of the words that are there, if it can be."""
    source, bound = plan.quoted(bind.source), _set(plan, runtime.bind_words((bind,)))
    if bind.source == str(generation.carrier) or bind.source in generation.editable:
        return [bound]  # looked at before
    if bind.source in optional:
        return [f"[ ! -e {source} ] || {bound}"]
    return [
        f"[ -e {source} ] ||\n  lumienv_fail 'the bind '{source}' does not exist here' \\",
        "    'make it, or remove the bind and run `lumienv sync`'",
        bound,
    ]


def _set(plan: LaunchPlan, words: Sequence[str]) -> str:
    """Puts words in front of those that are there."""
    return f'set -- {" ".join(map(plan.quoted, words))} "$@"' if words else ""


def _last_place(words: Sequence[str], part: Sequence[str]) -> int:
    for at in range(len(words) - len(part), -1, -1):
        if list(words[at : at + len(part)]) == list(part):
            return at
    raise AssertionError(f"{part} is not bound")
