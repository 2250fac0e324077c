"""Builds for NVIDIA's GPUs, which an image's own builds must not be replaced by."""

from collections.abc import Collection, Iterable

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot


def replaced_by_cuda(
    name: str, requires: Iterable[str], snapshot: Snapshot, replaced: Collection[str]
) -> tuple[str, str] | None:
    """The version of the image's own build, known by its local part, and what tells that a release of
    `name` with these requirements is for CUDA; None where nothing of the kind is replaced."""
    if name not in replaced:
        return None
    have = next((one.version for one in snapshot.packages if canonicalize_name(one.name) == name), "")
    cuda = next((line for line in requires if line.startswith("nvidia-")), None)
    return (have, cuda.partition(";")[0].strip()) if "+" in have and cuda is not None else None
