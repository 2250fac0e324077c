"""From a tree to what carries it: a directory, one squashfs file, or an image that has the tree inside.

The tree is the same for all of them, and seen at the same place. Only where it is built differs: a directory
lies in the store from the start; the others are made of a tree on node-local disk, so that nothing but one
file reaches the store's file system.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from lumienv.files import disk_errors
from lumienv.image.sif import read_sif
from lumienv.image.snapshot import Snapshot
from lumienv.overlay.generation import Generation
from lumienv.overlay.sif import Reporter, Workshop, append, check_mounted, describe
from lumienv.overlay.sif_cotainr import repack
from lumienv.overlay.squashfs import pack
from lumienv.runtime.protocol import Runtime
from lumienv.runtime.singularity import Singularity


@dataclass(frozen=True)
class Carried:
    """What came of carrying a tree."""

    identity: str = ""
    """of the image that was made, if one was"""
    remark: str = ""
    """what the user may want to know of its making"""


def root_of(generation: Generation, scratch: Path) -> Path:
    """The directory below which the tree is built; `generation` is the staged one."""
    return generation.carrier if generation.mode == "venv" else scratch / "root"


def tree_in(generation: Generation, root: Path) -> Path:
    """Where the tree lies below that root: in an image it lies at its mount point."""
    return root / generation.mount.lstrip("/") if generation.mode == "sif" else root


def write_lock_into(tree: Path, lock: Path) -> None:
    """Keep the lock in the tree, so that whoever has the environment has it too. Raises StoreError."""
    target = tree / "share" / "lumienv" / lock.name
    with disk_errors("write the environment", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in (target.parent, target.parent.parent):
            folder.chmod(0o755)  # whatever the umask: the same lock gives the same bytes
        target.write_bytes(lock.read_bytes())
        target.chmod(0o644)


def carry(
    generation: Generation,
    root: Path,
    snapshot: Snapshot,
    runtime: Runtime,
    scratch: Path,
    processors: int,
    report: Reporter,
) -> Carried:
    """Make the carrier of a staged generation from what lies below `root`; `scratch` is node-local.

    Raises StoreError, ContainerError.
    """
    if generation.mode == "squashfs":
        report.note(f"packing the environment into {generation.carrier.name}")
        pack(root, generation.carrier, processors)
    if generation.mode != "sif":
        return Carried()
    assert isinstance(runtime, Singularity)
    place = scratch / "image"
    place.mkdir(mode=0o700)
    workshop = Workshop(runtime, place, processors, report, os.environ)
    remark = ""
    if generation.builder == "append":
        append(generation, root, snapshot, workshop)
    else:
        remark = repack(generation, root, snapshot, workshop)
    describe(generation, workshop)
    check_mounted(generation, workshop)
    return Carried(read_sif(generation.carrier).identity, remark)
