"""A stand-in for torch: its versions, a count of the visible devices, and rows of numbers."""

import operator

from torch import cuda, version
from torch.version import __version__

__all__ = ["Tensor", "__version__", "cuda", "device", "linspace", "stack", "tensor", "version", "zeros"]


class Device:
    """`cuda:1`, for what was put there: the numbers stay in memory."""

    def __init__(self, name, index=None):
        self.type, _, number = str(name).partition(":")
        self.index = int(number) if number else index
        if self.type == "cuda" and (self.index or 0) >= cuda.device_count():
            raise RuntimeError(f"there is no device {self}: {cuda.device_count()} can be seen")

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"


device = Device


class Tensor:
    """A row of numbers, or one number; arithmetic element by element, a single one with each."""

    def __init__(self, values, on, single=False):
        self.values, self.device, self.single = [float(value) for value in values], Device(on), single

    def to(self, on):
        return Tensor(self.values, on, self.single)

    def tolist(self):
        return self.item() if self.single else list(self.values)

    def item(self):
        (value,) = self.values
        return value

    def sum(self):
        return Tensor([sum(self.values)], self.device, single=True)

    def mean(self):
        return self.sum() / len(self.values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, which):
        chosen = self.values[which]
        row = isinstance(which, slice)
        return Tensor(chosen if row else [chosen], self.device, single=not row)

    def _with(self, other, compute):
        if not isinstance(other, Tensor):
            other = Tensor([other], self.device, single=True)
        if str(self.device) != str(other.device):
            raise RuntimeError(f"one tensor is on {self.device}, the other on {other.device}")
        size = max(len(self), len(other))
        if {len(self), len(other)} - {1, size}:
            raise RuntimeError(f"{len(self)} numbers do not go with {len(other)}")
        left, right = (row.values * (size // len(row)) for row in (self, other))
        return Tensor(map(compute, left, right), self.device, self.single and other.single)

    def __add__(self, other):
        return self._with(other, operator.add)

    def __sub__(self, other):
        return self._with(other, operator.sub)

    def __mul__(self, other):
        return self._with(other, operator.mul)

    def __truediv__(self, other):
        return self._with(other, operator.truediv)

    def __pow__(self, other):
        return self._with(other, operator.pow)

    __radd__, __rmul__ = __add__, __mul__


def tensor(data, device="cpu"):
    row = isinstance(data, (list, tuple))
    return Tensor(data if row else [data], device, single=not row)


def zeros(count, device="cpu"):
    return tensor([0.0] * count, device)


def linspace(start, end, steps, device="cpu"):
    return tensor([start + (end - start) * step / (steps - 1) for step in range(steps)], device)


def stack(tensors):
    return Tensor([each.item() for each in tensors], tensors[0].device)
