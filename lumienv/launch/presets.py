"""Which of a site's variables and srun options a launch gets, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lumienv.launch.shape import Shape, asked_for
from lumienv.launch.task import filled, is_of_the_task
from lumienv.site import Preset, Setting, Site, SlurmOption


@dataclass(frozen=True)
class Applied:
    """What holds for one launch."""

    values: Mapping[str, str] = field(default_factory=dict)
    """variables whose value is known now"""
    of_the_task: Mapping[str, str] = field(default_factory=dict)
    """variables that each task works out: name → template"""
    options: tuple[str, ...] = ()
    """words for srun"""
    sources: Mapping[str, str] = field(default_factory=dict)
    """a variable's name, or an option's word → where the fact comes from"""


def apply_presets(
    site: Site, presets: Sequence[Preset], family: str, shape: Shape, launcher: Sequence[str]
) -> Applied:
    """What the site and these presets say for images of `family` in a launch of this shape.

    A later preset goes before an earlier one, and what stands in `launcher` (srun's words so far) before all.
    """
    chosen: dict[str, Setting] = {}
    for setting in (*site.settings, *(one for preset in presets for one in preset.settings)):
        if _concerns(setting, family, shape):
            chosen.pop(setting.name, None)
            if setting.value is not None:
                chosen[setting.name] = setting
    sources = {setting.name: setting.source for setting in chosen.values()}
    words: dict[str, str] = {}
    given = {name for name, _ in asked_for(launcher)}
    known = {"nodes": shape.nodes, "tasks": shape.tasks}
    for option in (one for preset in presets for one in preset.options) if launcher else ():
        if option.name in given or not _concerns(option, family, shape):
            continue
        value = option.value if isinstance(option.value, bool) else filled(option.value, known)
        if value is None or value is False:
            continue
        words[option.name] = f"--{option.name}" if value is True else f"--{option.name}={value}"
        sources[words[option.name]] = option.source
    return Applied(
        {s.name: s.value for s in chosen.values() if s.value is not None and not is_of_the_task(s.value)},
        {s.name: s.value for s in chosen.values() if s.value is not None and is_of_the_task(s.value)},
        tuple(words.values()),
        sources,
    )


def _concerns(what: Setting | SlurmOption, family: str, shape: Shape) -> bool:
    return (not what.families or family in what.families) and all(map(shape.holds, what.when))
