"""A stand-in for torch: its versions and a count of the visible devices, no tensors."""

from torch import cuda, version
from torch.version import __version__

__all__ = ["__version__", "cuda", "version"]
