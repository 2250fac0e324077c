"""Builds for NVIDIA's GPUs: LUMI has none of them, and an image's own builds must not be replaced by such."""

from collections.abc import Collection, Iterable

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.search import Chosen

_CUDA = "nvidia-"
"""what the names of all of CUDA's libraries begin with"""


def for_cuda(chosen: Chosen) -> Candidate | None:
    """A package that would be installed for NVIDIA's GPUs alone, if there is one."""
    installed = [candidate for candidate in chosen.values() if candidate.package is None]
    return next((candidate for candidate in installed if candidate.name.startswith(_CUDA)), None)


def replaced_by_cuda(
    name: str, requires: Iterable[str], snapshot: Snapshot, replaced: Collection[str]
) -> tuple[str, str] | None:
    """The version of the image's own build, known by its local part, and what tells that a release of
    `name` with these requirements is for CUDA; None where nothing of the kind is replaced."""
    if name not in replaced:
        return None
    have = next((one.version for one in snapshot.packages if canonicalize_name(one.name) == name), "")
    cuda = next((line for line in requires if line.startswith(_CUDA)), None)
    return (have, cuda.partition(";")[0].strip()) if "+" in have and cuda is not None else None
