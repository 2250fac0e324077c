"""The site's profile held against the machine: which it is, its folders, binds, partitions and presets."""

import os
import re
from collections.abc import Iterator, Sequence

from lumienv.errors import LumienvError
from lumienv.image.catalog import list_images
from lumienv.launch.plan import own_presets
from lumienv.launch.task import is_of_the_task
from lumienv.project.finding import (
    FINE,
    NOTE,
    PROBLEM,
    UNKNOWN,
    Case,
    Finding,
    Machine,
    is_folder,
    is_there,
    listed,
    written,
)
from lumienv.site import Preset, Setting, SlurmOption, user_file
from lumienv.site.presets import preset_named

_MASKS = re.compile(r"mask_cpu[:=]((?:0x)?[0-9a-f]+(?:,(?:0x)?[0-9a-f]+)*)", re.IGNORECASE)


def check_profile(case: Case) -> Iterator[Finding]:
    """Which site this is taken for, and why."""
    forced = case.machine.environ.get("LUMIENV_SITE")
    if forced:
        how = f"named by LUMIENV_SITE={forced}"
    else:
        how = "no site was recognised" if case.site.name == "generic" else "recognised by its folders"
    own = user_file(case.machine.environ)
    more = f", with {written(own, case.machine)}" if is_there(own) else ""
    yield Finding("profile", FINE, f"{case.site.name}, {how}{more}")


def check_image_folders(case: Case) -> Iterator[Finding]:
    """Whether each image folder is there, and how many images it has."""
    folders = case.site.image_folders
    if not folders:
        yield Finding("image folders", FINE, "none: images are named by their path")
        return
    remedy = "LUMIENV_IMAGE_PATH names other folders, separated by colons"
    missing = [str(folder) for folder in folders if not is_folder(folder)]
    closed = [str(one) for one in folders if is_folder(one) and not os.access(one, os.R_OK | os.X_OK)]
    for names, said in ((missing, "not here"), (closed, "closed to you")):
        if names:
            facts = f"{listed(names)} {'is' if len(names) == 1 else 'are'} {said}"
            yield Finding("image folders", NOTE, facts, remedy)
    images = {folder: len(list_images([folder])) for folder in folders}
    if any(images.values()):
        each = [f"{number:,} in {folder}" for folder, number in images.items() if number]
        yield Finding("image folders", FINE, f"images: {listed(each)}")
    elif case.project is not None and case.project.manifest.image.kind == "name":
        yield Finding("image folders", PROBLEM, "there is no image in any of them", remedy)
    elif len(missing) < len(folders):
        yield Finding("image folders", NOTE, "there is no image in any of them", remedy)


def check_binds(case: Case) -> Iterator[Finding]:
    """Whether what containers of this site should see is there; what is optional is left out at a launch.

    Looked at are the binds that concern the project's image, and this kind of node.
    """
    binds = [
        bind
        for bind in case.site.binds
        if (case.machine.is_compute_node or not bind.in_jobs)
        and (not bind.families or not case.family or case.family in bind.families)
    ]
    missing = [bind for bind in binds if not os.path.exists(bind.path)]  # noqa: PTH110 - as a launch looks
    for bind in missing:
        if not bind.optional:
            of = f" for images of the family {' or '.join(bind.families)}" if bind.families else ""
            yield Finding(
                "binds",
                PROBLEM,
                f"{bind.path} is not on this node, and containers need it{of}",
                "try another node; where it is the same, tell the site's support",
                bind.source,
            )
    left_out = [bind.path for bind in missing if bind.optional]
    if left_out:
        yield Finding(
            "binds",
            NOTE,
            f"{listed(left_out)} {'is' if len(left_out) == 1 else 'are'} not on this node: left out",
        )
    if binds and not missing:
        yield Finding("binds", FINE, f"all of {listed([bind.path for bind in binds])} are there")


def check_presets(case: Case) -> Iterator[Finding]:
    """Whether what the site's presets set can work on this node.

    What is wrong with a preset is a problem for a project that uses it; for others it is worth a note.
    """
    site = case.site
    named = case.project.manifest.run.presets if case.project else ()
    own = own_presets(case.project.manifest) if case.project else {}
    presets = {**site.presets, **own}
    for name in named:
        try:
            presets[name] = preset_named(site, own, name)
        except LumienvError as error:
            yield Finding(f"preset {name}", PROBLEM, error.message, error.hint or "")
    if site.settings:
        presets = {"": Preset("", settings=site.settings), **presets}
    for name, preset in presets.items():
        what = f"preset {name}" if name else "variables"
        used = name in named or not name
        if preset.gpus and not used and case.machine.is_compute_node and not _has_gpus(case.machine):
            yield Finding(what, UNKNOWN, "this node has no GPUs, which the preset is for")
            continue
        found = list(_preset(case, preset))
        for finding in found:
            verdict = NOTE if finding.verdict == PROBLEM and not used else finding.verdict
            remedy = finding.remedy
            if remedy == _PROFILE and name in own:
                remedy = f"mend [preset.{name}] in lumienv.toml"
            yield Finding(what, verdict, finding.facts, remedy, finding.source)
        if not found:
            where = "" if case.machine.is_compute_node else "; devices are looked at on compute nodes"
            yield Finding(what, FINE, f"{_contents(preset)}{where}")


def _contents(preset: Preset) -> str:
    parts = [(len(preset.settings), "variables"), (len(preset.options), "options of srun")]
    said = " and ".join(f"{number} {what}" for number, what in parts if number)
    return said + (" that fit this node" if said else "empty")


def _preset(case: Case, preset: Preset) -> Iterator[Finding]:
    """What is wrong with one preset."""
    for option in preset.options:
        if isinstance(option.value, str):
            yield from _masks(case.machine, option)
    for setting in preset.settings:
        yield from _setting(case, setting)
    if case.machine.is_compute_node:
        yield from _interfaces(case.machine, preset.settings)
        if preset.gpus:
            yield from _devices(case.machine)


def _masks(machine: Machine, option: SlurmOption) -> Iterator[Finding]:
    """CPU masks of `--cpu-bind`: each names CPUs, no two the same ones, and the node has them."""
    found = _MASKS.search(str(option.value))
    if found is None:
        return
    masks = [int(text, 16) for text in found[1].split(",")]
    taken = 0
    for number, mask in enumerate(masks):
        if mask == 0 or mask & taken:
            said = "names no CPU" if mask == 0 else "names CPUs that another task has"
            yield Finding(
                "", PROBLEM, f"mask {number + 1} of --{option.name} {said}", _PROFILE, option.source
            )
        taken |= mask
    if machine.is_compute_node:
        here = cpus(machine.text("/sys/devices/system/cpu/online") or "")
        missing = [
            number for number in range(taken.bit_length()) if taken >> number & 1 and number not in here
        ]
        if here and missing:
            names = listed([str(number) for number in missing], 4)
            facts = f"the masks of --{option.name} name CPUs that this node does not have: {names}"
            yield Finding("", PROBLEM, facts, "use the preset on nodes of its kind", option.source)


_PROFILE = "tell the maintainers of the site's profile"


def cpus(text: str) -> set[int]:
    """The numbers in a list as the kernel writes them: `0-3,8`."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found |= set(range(int(first), int(last or first) + 1))
    return found


def _setting(case: Case, setting: Setting) -> Iterator[Finding]:
    if setting.value is None:
        return
    if is_of_the_task(setting.value):
        folder = case.site.node_local
        if "{node-cache}" in setting.value and not os.access(folder, os.W_OK | os.X_OK):
            facts = f"{setting.name} is to lie in {folder} of each node, which is not writable here"
            yield Finding("", PROBLEM, facts, "try another node", setting.source)
    elif setting.value.startswith("/") and ":" not in setting.value and not is_there(setting.value):
        facts = f"{setting.name} is {setting.value}, which is not on this node"
        yield Finding("", NOTE, facts, source=setting.source)


def _interfaces(machine: Machine, settings: Sequence[Setting]) -> Iterator[Finding]:
    """NCCL_SOCKET_IFNAME and the like: `hsn0,hsn1` name beginnings of interfaces (NCCL's documentation)."""
    folder = machine.at("/sys/class/net")
    here = sorted(path.name for path in folder.iterdir()) if is_folder(folder) else []
    for setting in settings:
        value = setting.value or ""
        if not setting.name.endswith("SOCKET_IFNAME") or value.startswith("^") or not here:
            continue
        names = [name.removeprefix("=") for name in value.split(",")]
        missing = [name for name in names if not any(one.startswith(name) for one in here)]
        if missing:
            facts = f"{setting.name} names {listed(missing)}, and this node has {listed(here)}"
            yield Finding("", PROBLEM, facts, "use the preset on nodes of its kind", setting.source)


def _has_gpus(machine: Machine) -> bool:
    asked = ("SLURM_GPUS_ON_NODE", "SLURM_GPUS_PER_NODE", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
    return is_there(machine.at("/dev/kfd")) or any(name in machine.environ for name in asked)


def _devices(machine: Machine) -> Iterator[Finding]:
    """AMD's GPUs: `/dev/kfd` and a render node each (ROCm's documentation, running in containers)."""
    if not _has_gpus(machine):
        facts = "this node has no GPUs for the job, which the preset is for"
        yield Finding("", PROBLEM, facts, "ask for some: --gpus-per-node=8")
        return
    source = "ROCm documentation, Docker: accessing GPUs in containers"
    for path in ("/dev/kfd", "/dev/dri"):
        if not is_there(machine.at(path)):
            facts = f"the job has GPUs, and {path} is not there: containers will see none"
            yield Finding("", PROBLEM, facts, "tell the site's support the node's name: hostname", source)
        elif not os.access(machine.at(path), os.R_OK):
            yield Finding("", PROBLEM, f"{path} is closed to you", "see your groups: id", source)
