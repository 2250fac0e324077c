"""The builder `cotainr`: the base unpacked, the tree taken in, and all of it packed anew, by cotainr.

cotainr (DeiC, EUPL-1.2) is what LUMI's users know for this. Used is its public class SingularitySandbox, and
never its `--conda-env`, which installs a second Python that does not see the image's packages.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors
from lumienv.image.sif import OVERLAY, PARTITION, SQUASHFS, data_objects
from lumienv.image.snapshot import Snapshot
from lumienv.overlay.generation import Generation
from lumienv.overlay.inside import SINGULARITY_FOLDER, labels_with, layer_of, write_environment
from lumienv.overlay.sif import Workshop, copying
from lumienv.overlay.squashfs import find_program
from lumienv.runtime import Command
from lumienv.runtime.process import Completed, capture

# What is copied to see how long a copy of the whole base would take, in bytes.
_SAMPLE = 64 << 20


def repack(generation: Generation, root: Path, snapshot: Snapshot, workshop: Workshop) -> str:
    """Make the image of the staged `generation` from its base and what lies below `root`.

    Returns a sentence on what it took, and what the builder `append` would have. Raises StoreError,
    ContainerError.
    """
    if ":" in str(workshop.scratch):
        raise StoreError(
            f"cotainr cannot unpack in {workshop.scratch.parent.parent}, which has a colon in its path",
            hint="name another place in TMPDIR, or: lumienv sync --mode sif --builder append",
        )
    with disk_errors("write the environment", root):
        write_environment(root, generation.mount, snapshot.activation)
        tree_size = _size(root)
    stages = workshop.scratch / "stages"
    stages.touch()
    request = {
        "sys_path": [entry for entry in sys.path if entry],
        "argv": ["lumienv", "sync", "--mode", "sif", "--builder", "cotainr"],
        "base": generation.base_path,
        "machine": snapshot.image.architecture or os.uname().machine,
        "image": str(generation.carrier),
        "root": str(root),
        "stages": str(stages),
        "unpack": _unpacking(Path(generation.base_path), workshop.processors),
        "open": [generation.mount.strip("/"), f"{SINGULARITY_FOLDER}/env"],
        "labels": labels_with("{}", layer_of(generation)),
    }

    def doing() -> str:
        return "".join(what for what, _ in _read(stages)[-1:])

    began = time.monotonic()
    with workshop.report.step(f"cotainr packs {generation.base_name} with the environment anew", doing):
        command = _child(workshop)
        done = capture(
            command.argv,
            env=command.environment(workshop.environ),
            stdin=json.dumps(request),
            cwd=workshop.scratch,
        )
    if done.returncode != 0 or not generation.carrier.is_file():
        raise _failure(done, generation, workshop, doing())
    took = time.monotonic() - began
    return f"cotainr took {took:.0f} s; {cost_of_appending(generation, _read(stages), tree_size)}"


def _child(workshop: Workshop) -> Command:
    """cotainr in a Python of its own; it looks for a program called `singularity` on PATH."""
    command = workshop.runtime.tool((), inherited=workshop.environ, scratch=workshop.scratch)
    program = Path(workshop.runtime.program).absolute()
    folder = program.parent
    if program.name != "singularity":
        folder = workshop.scratch / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "singularity").symlink_to(program)
    path = ":".join(filter(None, (str(folder), command.env.get("PATH"))))
    # -I: nothing of the user's own Python gets in; what is to be imported is said in the request.
    script = Path(__file__).with_name("repack.py")
    return Command((sys.executable, "-I", str(script)), {**command.env, "PATH": path}, unset=command.unset)


def _unpacking(base: Path, processors: int) -> list[list[str]]:
    """Words that unpack what was appended to the base, the oldest first: a repack takes its system alone.

    Raises StoreError where that cannot be carried along.
    """
    words = []
    for item in data_objects(base):
        if item.kind != PARTITION or item.role != OVERLAY:
            continue
        if item.file_system != SQUASHFS:
            raise StoreError(
                f"{base.name} has a writable overlay inside, which repacking would lose",
                hint="keep it with the other builder: lumienv sync --mode sif --builder append",
            )
        program = find_program("unsquashfs")
        options = ["-no-progress", "-quiet", "-no-xattrs", "-processors", str(processors)]
        words.append([program, *options, "-offset", str(item.offset), str(base)])
    return words


def _failure(done: Completed, generation: Generation, workshop: Workshop, doing: str) -> StoreError:
    said = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    text = " ".join(said).lower()
    hint = "the other builder needs neither: lumienv sync --mode sif --builder append"
    if "no space left" in text or "quota" in text:
        hint = (
            f"it unpacks in {workshop.scratch.parent.parent}: name a place with more room in TMPDIR\n{hint}"
        )
    elif done.returncode < 0 or "killed" in text:
        hint = (
            "the memory may not have sufficed, of which /tmp is a part on a compute node: on LUMI\n"
            f"srun -p debug --mem=60G -c 32 -t 30 lumienv sync --mode sif\n{hint}"
        )
    else:
        hint = f"the old environment still works\n{hint.replace('needs neither', 'may do')}"
    return StoreError(
        f"cotainr could not make an image of {generation.base_name}" + (f", {doing}" if doing else ""),
        *said[-4:],
        hint=hint,
    )


def cost_of_appending(generation: Generation, stages: Sequence[tuple[str, float]], tree_size: int) -> str:
    """From this run's own figures: the base's size over the speed of a copy, the tree's share of packing."""
    base = Path(generation.base_path)
    size = base.stat().st_size
    sample = generation.carrier.with_name(".sample")
    began = time.monotonic()
    copied = 0
    try:
        for copied in copying(base, sample, most=_SAMPLE):  # noqa: B007
            pass
    except OSError:  # no room left for a sample: that is no reason to lose the image
        return f"--builder append: one copy of the base, {size / 1e6:.0f} MB"
    finally:
        with suppress(OSError):
            sample.unlink()
    seconds = time.monotonic() - began
    copy = seconds * size / copied if copied else seconds
    times = dict(stages)
    packing = times.get("clearing up", 0.0) - times.get("packing the image", 0.0)
    whole = max(generation.carrier.stat().st_size, 1)
    # Of what was packed the base is about as large as its file, and the tree is a third of what it was.
    pack = packing * min(1.0, tree_size / 3 / whole)
    what = "sharing the base's blocks" if not copied else f"one copy of the base, {size / 1e6:.0f} MB"
    return f"--builder append: {what}, about {max(1, round(copy + pack))} s"


def _read(stages: Path) -> list[tuple[str, float]]:
    return [(what, began) for what, began in map(json.loads, stages.read_text().splitlines())]


def _size(root: Path) -> int:
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, files in os.walk(root)
        for name in files
    )
