"""From a tree to what carries it: a directory, one squashfs file, or an image that has the tree inside.

The tree is the same for all of them, and seen at the same place. Only where it is built differs: a directory
lies in the store from the start; the others are made of a tree on node-local disk, so that nothing but one
file reaches the store's file system.
"""

from collections.abc import Callable
from pathlib import Path

from lumienv.overlay.generation import Generation
from lumienv.overlay.squashfs import pack


def root_of(generation: Generation, scratch: Path) -> Path:
    """The directory below which the tree is built; `generation` is the staged one."""
    return generation.carrier if generation.mode == "venv" else scratch / "root"


def tree_in(generation: Generation, root: Path) -> Path:
    """Where the tree lies below that root: in an image it lies at its mount point."""
    return root / generation.mount.lstrip("/") if generation.mode == "sif" else root


def carry(generation: Generation, root: Path, processors: int, say: Callable[[str], None]) -> None:
    """Make the carrier of a staged generation from what lies below `root`.

    Raises StoreError, ContainerError.
    """
    if generation.mode == "squashfs":
        say(f"packing the environment into {generation.carrier.name}")
        pack(root, generation.carrier, processors)
