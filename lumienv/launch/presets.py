"""Which of a site's variables and srun options a launch gets, and why."""

from collections.abc import Mapping, Sequence

from lumienv.launch.conditions import Circumstances, circumstances
from lumienv.launch.shape import Shape, shape_of
from lumienv.launch.task import filled, is_of_the_task
from lumienv.site import Preset, Site
from lumienv.values import dataclass, field

# Options that say how many tasks there are where: presets give them first, and all else is judged by what
# comes out.
_SPREADING = ("nodes", "ntasks", "ntasks-per-node", "gpus-per-node", "cpus-per-task")

# What a job says of each of its nodes (`8(x2),3` of nodes that differ: Shape has no number then).
_EACH = ("SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE")


@dataclass(frozen=True)
class Applied:
    """What holds for one launch."""

    shape: Shape
    """with the presets' options for srun"""
    values: Mapping[str, str] = field(default_factory=dict)
    """variables whose value is known now"""
    of_the_task: Mapping[str, str] = field(default_factory=dict)
    """variables that each task works out: name → template"""
    options: tuple[str, ...] = ()
    """words for srun"""
    sources: Mapping[str, str] = field(default_factory=dict)
    """a variable's name, or an option's word → where the fact comes from"""


def apply_presets(
    site: Site, presets: Sequence[Preset], family: str, launcher: Sequence[str], environ: Mapping[str, str]
) -> Applied:
    """What the site and these presets say for images of `family`, in a launch with these words of srun's.

    A later preset goes before an earlier one, and what stands in `launcher` before all. What one preset takes
    back, none sets. `environ` is the user's: the host's variables and those of `[run] env` and `--env`.
    """
    asked = circumstances(family, shape_of(launcher, environ, site), launcher, environ)
    spreading = _options(presets, asked, _SPREADING) if launcher else {}
    words = (*launcher, *(word for word, _ in spreading.values()))
    now = circumstances(family, shape_of(words, environ, site), words, environ)
    # A preset may ask for GPUs, say; what is filled into its words is what was known before.
    options = {**spreading, **(_options(presets, now, ()) if launcher else {})}
    origins = [(f"site {site.name}", site.settings), *((f"preset {p.name}", p.settings) for p in presets)]
    settings = [(origin, one) for origin, several in origins for one in several if now.concern(one)]
    taken_back = {setting.name for _, setting in settings if setting.value is None}
    chosen: dict[str, tuple[str, str]] = {}
    for origin, setting in settings:
        text = filled(setting.value or "", _constants(now, words))
        if text is not None and setting.name not in taken_back:
            chosen[setting.name] = text, _because(origin, setting.source)
    return Applied(
        now.shape,
        {name: text for name, (text, _) in chosen.items() if not is_of_the_task(text)},
        {name: text for name, (text, _) in chosen.items() if is_of_the_task(text)},
        tuple(word for word, _ in options.values()),
        {name: why for name, (_, why) in chosen.items()} | dict(options.values()),
    )


def _options(
    presets: Sequence[Preset], now: Circumstances, only: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Name → (word, source) of the options that hold; `only`: of these names, else of all others."""
    found: dict[str, tuple[str, str]] = {}
    for preset, option in ((one, option) for one in presets for option in one.options):
        if (option.name in _SPREADING) != bool(only) or now.is_given(option.name) or not now.concern(option):
            continue
        why = _because(f"preset {preset.name}", option.source)
        text = option.value if isinstance(option.value, bool) else filled(option.value, now.numbers)
        if text is True:
            found[option.name] = f"--{option.name}", why
        elif text is not None and text is not False:
            found[option.name] = f"--{option.name}={text}", why
    return found


def _constants(now: Circumstances, words: Sequence[str]) -> dict[str, object]:
    """Numbers for variables: those of the launch, as far as they are known.

    How many tasks this node has is a plain number where srun, or the job, was told how many each shall have,
    and nothing is left over.
    """
    shape, asked = now.shape, now.asked
    as_the_job = asked.keys().isdisjoint(("nodes", "ntasks")) and not now.environ.keys().isdisjoint(_EACH)
    told = bool(words) and ("ntasks-per-node" in asked or as_the_job)
    even = shape.tasks == (shape.nodes or 0) * (shape.tasks_per_node or 0)
    return {**now.numbers, **({"tasks-on-node": shape.tasks_per_node} if told and even else {})}


def _because(origin: str, source: str) -> str:
    return f"{origin}: {source}" if source else origin
