"""Builds for NVIDIA's GPUs: LUMI has none of them, and an image's own builds must not be replaced by such."""

import re
from collections.abc import Collection, Iterable

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.search import Chosen

# Up to CUDA 12 their names end in its version; since CUDA 13 those of its toolkit do not. Other packages of
# NVIDIA's are for everybody: nvidia-ml-py, say, is Python alone, and asks what GPUs there are.
_CUDA = re.compile(
    r"nvidia-(.+-cu(da)?\d+(-.+)?|cuda-.+|cublas|cudla|cudnn|cufft|cufile|curand|cusolver|cusparse|nccl|npp|"
    r"nvfatbin|nvjitlink|nvjpeg|nvptxcompiler|nvtx|nvvm)"
)


def is_of_cuda(name: str) -> bool:
    """Whether a package is one of CUDA's libraries, which nobody needs without a GPU of NVIDIA's."""
    return _CUDA.fullmatch(canonicalize_name(name)) is not None


def for_cuda(chosen: Chosen) -> Candidate | None:
    """A package that would be installed for NVIDIA's GPUs alone, if there is one."""
    installed = [candidate for candidate in chosen.values() if candidate.package is None]
    return next((candidate for candidate in installed if is_of_cuda(candidate.name)), None)


def replaced_by_cuda(
    name: str, requires: Iterable[str], snapshot: Snapshot, replaced: Collection[str]
) -> tuple[str, str] | None:
    """The version of the image's own build, known by its local part, and what tells that a release of
    `name` with these requirements is for CUDA; None where nothing of the kind is replaced."""
    if name not in replaced:
        return None
    have = next((one.version for one in snapshot.packages if canonicalize_name(one.name) == name), "")
    cuda = next((line for line in requires if is_of_cuda(_name(line))), None)
    return (have, cuda.partition(";")[0].strip()) if "+" in have and cuda is not None else None


def _name(line: str) -> str:
    """The name at the beginning of a requirement."""
    found = re.match(r"\s*[\w.-]+", line)
    return found[0].strip() if found is not None else ""
