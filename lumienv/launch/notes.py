"""What a user should know of a launch before it starts: lines of `LaunchPlan.notes`."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from lumienv.launch.shape import Shape, asked_for
from lumienv.overlay.generation import Generation
from lumienv.site import Preset, Site, SiteBind

_TOO_SHORT_FOR_A_SLIP = 4  # pip, zip: most short words are a letter away from another


def preset_notes(presets: Iterable[Preset], shape: Shape, launcher: Sequence[str]) -> list[str]:
    """Where a preset is used outside what it is for. `launcher`: srun's words, without those of presets."""
    notes = []
    for preset in presets:
        if preset.gpus and not shape.slurm:
            notes.append(
                f"the preset {preset.name} is for GPU nodes, and this starts here, without Slurm; "
                "to ask for a node: lumienv run --launcher srun"
            )
        if preset.one_task_a_node and shape.slurm:
            asked = dict(asked_for(launcher)).get("ntasks-per-node") if launcher else None
            each = asked or str(shape.tasks_per_node or 1)
            if each != "1":
                notes.append(
                    f"the preset {preset.name} is for one task a node, which starts the other processes, and "
                    f"{each} are asked for: leave out ntasks and ntasks-per-node, and let --cpus-per-task be "
                    "all that a node shall give"
                )
    return notes


def missing_binds(site: Site, missing: Sequence[SiteBind]) -> list[str]:
    """One line for all binds that are left out: a data folder that is not seen is looked for elsewhere."""
    if not missing:
        return []
    paths = ", ".join(bind.path for bind in missing)
    return [f"left out, as missing here: {paths} (binds of the site {site.name}; LUMIENV_SITE names another)"]


def loop_devices(site: Site, generation: Generation, flavour: str, shape: Shape) -> list[str]:
    """A warning where the file-system images that a node's tasks mount reach what the site allows.

    SingularityCE takes a loop device for each image of each container; Apptainer mounts them by FUSE where
    it is not setuid, and a Python of the host has none.
    """
    limit, tasks = site.loop_devices, shape.tasks_per_node
    if limit is None or tasks is None or flavour != "singularity" or generation.base_kind == "host":
        return []
    images = images_of(generation.mode, generation.builder)
    if tasks * images < limit:
        return []
    said = (
        f"{tasks} tasks a node with {images} file-system {'image' if images == 1 else 'images'} each take "
        f"{tasks * images} loop devices, of which the site {site.name} has {limit} a node"
    )
    if images > 1 and tasks < limit:
        return [f"{said}; --mode venv takes one a task, and so does --mode sif with the builder cotainr"]
    return [f"{said}: start fewer tasks on each node"]


def images_of(mode: str, builder: str) -> int:
    """How many file-system images a container of this mode mounts."""
    return 2 if mode == "squashfs" or (mode == "sif" and builder == "append") else 1


def mistyped_task(tasks: Collection[str], word: str, environ: Mapping[str, str]) -> list[str]:
    """A line where a command is a slip away from a task's name, and no program of this machine.

    It may be one of the image's all the same. In a step each of its tasks would say so.
    """
    if word in tasks or len(word) < _TOO_SHORT_FOR_A_SLIP or "SLURM_STEP_ID" in environ:
        return []
    meant = [task for task in tasks if _is_a_slip(word, task)]
    folders = environ.get("PATH", "").split(":")
    if not meant or any(os.access(f"{folder}/{word}", os.X_OK) for folder in folders):
        return []
    return [f"there is no task {word}; did you mean {' or '.join(meant)}?"]


def _is_a_slip(typed: str, meant: str) -> bool:
    """Whether one letter is wrong, missing or too many, or two have changed places."""
    # difflib would take as long to import as all the rest of this.
    same = 0
    while same < min(len(typed), len(meant)) and typed[same] == meant[same]:
        same += 1
    typed, meant = typed[same:], meant[same:]
    while typed and meant and typed[-1] == meant[-1]:
        typed, meant = typed[:-1], meant[:-1]
    return max(len(typed), len(meant)) == 1 or (len(typed) == 2 and typed == meant[::-1])
