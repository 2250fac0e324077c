"""The launch plan: the words, the environment and the binds that a command will run with.

Imports next to nothing: this is `lumienv run`'s way.
"""

import os
from collections.abc import Mapping, Sequence

from lumienv.errors import ImageError, ManifestError
from lumienv.launch.binds import merged, ordered, unseen_folder, with_project
from lumienv.launch.inherited import unused_binds, withheld
from lumienv.launch.notes import loop_devices, missing_binds, preset_notes
from lumienv.launch.presets import Applied, apply_presets
from lumienv.launch.slurm import reaching, with_processors
from lumienv.launch.task import task_words
from lumienv.launch.variables import OF_A_SHELL, carried, check_size, variables
from lumienv.manifest import Manifest
from lumienv.overlay.generation import Generation
from lumienv.runtime import Bind, Command, Surroundings
from lumienv.runtime.host import Host
from lumienv.runtime.singularity import find
from lumienv.shell import quote
from lumienv.site import Preset, Site, SiteBind
from lumienv.site.presets import preset_named, read_presets
from lumienv.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lumienv.runtime.protocol import Runtime

# The store's path: tells a launcher that is called inside a container whether that is one of its own.
ENVIRONMENT = "LUMIENV_ENVIRONMENT"

# Runs the live activation, puts the overlay in front again and becomes the command.
_LIVE = '{activation} || exit; PATH={prefix}/bin:$PATH; exec "$@"'


@dataclass(frozen=True)
class LaunchPlan(Command):
    """A command to become, and how it is written down. `unset` are host variables that must not reach it."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    """names in `env` whose value is the host's: name → the host's variable"""
    set_here: frozenset[str] = frozenset()
    """those of `unset` that make a difference in the shell for which this was planned"""
    written_as: tuple[tuple[str, str], ...] = ()
    """pieces of the words, and the shell's expressions to print for them: see `__str__`"""
    sources: Mapping[str, str] = field(default_factory=dict)
    """a variable of the command's, a word for srun, or `--bind …` → whose it is, and the fact's source"""
    notes: tuple[str, ...] = ()
    """what the user should know before it starts"""
    binds: tuple[Bind, ...] = ()
    """what the container's words bind, in their order"""

    def __str__(self) -> str:
        """A line for a shell like the one where it is printed, which does the same there without lumienv.

        Secrets are named, not written. The generation is written as what `current` leads to when the line
        starts, so that a script with it still works after later syncs.
        """
        words = [f"{name}={self.word_for(name)}" for name in self.exported]
        by_env = [word for name in self.unset if name in self.set_here for word in ("-u", name)]
        by_env += [f"{name}={self.word_for(name)}" for name in self.of_a_shell]
        # Not all that is set is set by `env`: its words could be seen in the process list.
        return " ".join([*words, *(["env", *by_env] if by_env else []), *map(self.quoted, self.argv)])

    @property
    def exported(self) -> list[str]:
        """The names in `env` that a shell hands on when it is told to."""
        return sorted(self.env.keys() - OF_A_SHELL)

    @property
    def of_a_shell(self) -> list[str]:
        """The names in `env` that a shell would keep for itself, or refuse: for `env` to set."""
        return sorted(self.env.keys() & OF_A_SHELL)

    def word_for(self, name: str, missing: str = "") -> str:
        """A variable's value for a shell; a secret's name, and what to say where it is `missing`."""
        host = self.secrets.get(name)
        return self.quoted(self.env[name]) if host is None else f'"${{{host}?{missing}}}"'

    def explained(self) -> str:
        """The line, and above it in comments what of it the site and the presets gave, with its source."""
        return "\n".join([*self.comments(), str(self)])

    def comments(self) -> list[str]:
        """What the site and the presets gave, each with its source, as comments for a shell."""
        told = (f"{what.partition('=')[0]}: {why}" for what, why in self.sources.items())
        lines = (" ".join(line.split()) for line in told)
        # A project's own presets tell of sources, too: what they write must not act on the terminal.
        return ["# " + "".join(c for c in line if c.isprintable()) for line in lines]

    def beside(self, other: "LaunchPlan") -> "LaunchPlan":
        """This plan, and behind it another part of the same step, whose words begin with `:`."""
        return replace(
            self,
            argv=(*self.argv, *other.argv),
            env={**self.env, **other.env},
            unset=tuple(dict.fromkeys((*self.unset, *other.unset))),
            secrets={**self.secrets, **other.secrets},
            set_here=self.set_here | other.set_here,
            sources={**self.sources, **other.sources},
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )

    def quoted(self, text: str) -> str:
        """A word, or a value, for a shell."""
        for piece, expression in self.written_as:
            before, found, after = text.partition(piece)
            if found:
                return self._quoted_part(before) + expression + self._quoted_part(after)
        return quote(text)

    def _quoted_part(self, text: str) -> str:
        return self.quoted(text) if text else ""


def runtime_of(generation: Generation, environ: Mapping[str, str]) -> "Runtime":
    """The runtime to start `generation` with. Raises ContainerError."""
    return Host() if generation.base_kind == "host" else find(environ, generation.runtime)


def surroundings_of(
    generation: Generation, env: Mapping[str, str] | None = None, binds: Sequence[Bind] = ()
) -> Surroundings:
    """What every command of this generation finds: activation, overlay in front, nothing of the user's site.

    PYTHONPATH and PYTHONHOME are set empty rather than unset: the runtimes give a variable that is not set
    the host's value (facts: the image's own wins only where it defines one).
    """
    entrance = generation.entrance
    fixed = {
        **entrance.set,
        "VIRTUAL_ENV": generation.prefix,
        ENVIRONMENT: str(generation.path.parents[1]),
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": "",
        "PYTHONHOME": "",
    }
    tree: tuple[Bind, ...] = ()
    if generation.base_kind != "host":
        # Writable, as the folder of a project is otherwise: it is the user's own.
        tree = tuple(Bind(folder, folder, writable=True) for folder in generation.editable)
    return Surroundings(
        env=fixed | dict(env or {}),
        # A live activation runs without the overlay, as the probe's did; it comes in front afterwards.
        prepend_path=() if entrance.live else (f"{generation.prefix}/bin", *entrance.prepend_path),
        binds=(*([generation.bind] if generation.bind else []), *ordered((*tree, *binds))),
    )


def launch_plan(
    generation: Generation,
    command: Sequence[str],
    manifest: Manifest,
    site: Site,
    environ: Mapping[str, str],
    *,
    env: Sequence[str] = (),
    bind: Sequence[str] = (),
    launcher: Sequence[str] = (),
    later: bool = False,
) -> LaunchPlan:
    """The plan for `command`; `launcher` (`srun …`) is put in front.

    `env` holds `NAME=value` or `NAME` (from the host), `bind` what singularity's --bind takes; both are added
    to the manifest's. `later`: it will start another day, perhaps on another node, so that what is to be
    bound is not looked at. Raises ManifestError for those, ContainerError without a runtime.
    """
    if not later:
        _check_editable(generation)
    runtime = runtime_of(generation, environ)
    container = generation.base_kind != "host"
    given, secrets = variables(manifest, environ, env, container=container)
    presets = [preset_named(site, own_presets(manifest), name) for name in manifest.run.presets]
    family = site.family_of(generation.image_prefix)
    applied = apply_presets(site, presets, family, launcher, {**environ, **given})
    values = {**applied.values, **given}

    elsewhere = applied.shape.slurm and "SLURMD_NODENAME" not in environ
    site_binds, missing = _site_binds(site, generation, family, environ, elsewhere=elsewhere, later=later)
    binds = merged(site_binds, manifest, bind, generation, look=not later)
    if container:
        binds = with_project(binds, str(manifest.directory))

    started, around = _started(runtime, generation, manifest.run.entry, command, values, binds, environ)
    prefix = f"{runtime.flavour.upper()}ENV_" if container else ""
    of_the_task = {name: text for name, text in applied.of_the_task.items() if name not in given}
    user = environ.get("USER") or str(os.geteuid())
    words: Sequence[str] = (*task_words(of_the_task, prefix, str(site.node_local), user), *started.argv)
    if launcher:
        srun = with_processors((launcher[0], *applied.options, *launcher[1:]), applied.options, environ)
        words = (*reaching(srun, sorted(started.env)), *_without_colons(words))

    unset = (*withheld(runtime.flavour, generation.image_prefix, environ), *started.unset)
    notes = [
        *preset_notes(presets, applied.shape, launcher),
        *missing_binds(site, missing),
        *loop_devices(site, generation, runtime.flavour, applied.shape),
    ]
    if container:
        notes += filter(None, (unseen_folder(binds), unused_binds(runtime.flavour, environ, binds)))
    return LaunchPlan(
        tuple(words),
        started.env,
        tuple(name for name in dict.fromkeys(unset) if name not in started.env),
        # Not PATH: what the overlay is in front of is not the host's alone.
        secrets={f"{prefix}{name}": host for name, host in secrets.items() if name != "PATH"},
        set_here=frozenset(name for name in unset if name in environ and not _is_folder_here(name, environ)),
        written_as=_written_as(generation, manifest, environ),
        sources=_sources(applied, values, site, site_binds),
        notes=tuple(notes),
        binds=around.binds,
    )


def _is_folder_here(name: str, environ: Mapping[str, str]) -> bool:
    """Whether this is PWD, and by it a runtime starts where it would without: no line has to unset it."""
    try:
        return name == "PWD" and environ["PWD"] == os.getcwd()  # noqa: PTH109
    except OSError:
        return False


def _check_editable(generation: Generation) -> None:
    for folder in generation.editable:
        if not os.path.isdir(folder):  # noqa: PTH112 - imports next to nothing
            raise ManifestError(
                f"the folder {folder}, which is installed editable, is gone",
                hint="put it back, or say in [sources] where it is now and run `lumienv sync`",
            )


def _started(
    runtime: "Runtime",
    generation: Generation,
    entry: str,
    command: Sequence[str],
    values: Mapping[str, str],
    binds: Sequence[Bind],
    environ: Mapping[str, str],
) -> tuple[Command, Surroundings]:
    """What starts the command on its base, and what the command finds around it. Raises UsageError."""
    if generation.entrance.live:
        live = _LIVE.format(activation=generation.entrance.live, prefix=quote(generation.prefix))
        # -p: nothing of the caller's shell takes part, neither BASH_ENV nor exported functions.
        command = ["bash", "-p", "-c", live, "bash", *command]
    container = generation.base_kind != "host"
    if container:
        command, values = carried(command, values)
    around = surroundings_of(generation, values, binds)
    started = runtime.launch(generation.image, command, around, inherited=environ, entry=entry)
    if container:
        check_size(started.argv, started.environment(environ))
    return started, around


def own_presets(manifest: Manifest) -> Mapping[str, Preset]:
    """The project's own: `[preset.…]` in lumienv.toml."""
    return read_presets(manifest.presets) if manifest.presets else {}


def _sources(
    applied: Applied, values: Mapping[str, str], site: Site, binds: Sequence[Bind]
) -> dict[str, str]:
    """What of the launch is the site's, each with its source; what the user says goes before it."""
    given = {bind.source for bind in binds}
    taken = {name for name in values if values[name] != applied.values.get(name)}
    found = {name: source for name, source in applied.sources.items() if name not in taken}
    why = {bind.path: f"site {site.name}{': ' if bind.source else ''}{bind.source}" for bind in site.binds}
    return found | {f"--bind {path}": source for path, source in why.items() if path in given}


def _without_colons(words: Sequence[str]) -> Sequence[str]:
    """The same command without a word `:`, at which srun would begin another one."""
    if ":" not in words:
        return words
    others = [word for word in words if word != ":"]
    numbers = iter(range(1, len(others) + 1))
    line = " ".join(":" if word == ":" else f'"${{{next(numbers)}}}"' for word in words)
    # By its path: with --export=NONE a task has no PATH to look for it.
    return ["/bin/sh", "-c", f"exec {line}", "sh", *others]


def _written_as(
    generation: Generation, manifest: Manifest, environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    current = manifest.store_path / "current"
    link = quote(str(current))
    pieces = []
    if os.path.realpath(current) == os.path.realpath(generation.path):  # else it is named itself
        pieces.append((str(generation.path), f'"$(readlink -f {link})"'))
        doubled = str(generation.path).replace('"', '""')  # as --mount's CSV writes it
        if doubled != str(generation.path):
            pieces.insert(0, (doubled, f'"$(readlink -f {link} | sed \'s/"/""/g\')"'))
    if generation.base_kind == "host" and environ.get("PATH"):
        pieces.append((":" + environ["PATH"], ':"$PATH"'))
    return tuple(pieces)


def _site_binds(
    site: Site,
    generation: Generation,
    family: str,
    environ: Mapping[str, str],
    *,
    elsewhere: bool,
    later: bool,
) -> tuple[list[Bind], list[SiteBind]]:
    """(the site's binds for images of this family, those that are left out as they do not exist here).

    `elsewhere`: the tasks start on other nodes than this one. What the site says that compute nodes have is
    not looked for here then; and where nothing starts on a compute node, it is not missed.
    """
    binds, missing = [], []
    for entry in site.binds if generation.base_kind != "host" else ():
        if entry.families and family not in entry.families:
            continue
        here = later or (entry.in_jobs and elsewhere)
        if here or os.path.exists(entry.path):  # noqa: PTH110 - pathlib costs more
            binds.append(Bind(entry.path, entry.path, writable=True))
        elif entry.in_jobs and "SLURMD_NODENAME" not in environ:
            continue
        elif entry.optional:
            missing.append(entry)
        else:
            raise ImageError(
                f"the site's bind {entry.path} does not exist on this node",
                *([entry.source] if entry.source else []),
                hint=f"the site {site.name} says that no container works without it; where that is not so,\n"
                "`optional = true` in the site's file leaves it out",
            )
    return binds, missing
