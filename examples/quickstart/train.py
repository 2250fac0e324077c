"""Stands for a training script: uses a package of the overlay together with one of the image."""

import sys
from pathlib import Path

import h5py
import numpy as np

weights = np.linspace(0.0, 1.0, 5)
with h5py.File("weights.h5", "w") as file:
    file["weights"] = weights
with h5py.File("weights.h5") as file:
    assert np.array_equal(file["weights"][:], weights)
Path("weights.h5").unlink()

print(f"Python {sys.version.split()[0]} wrote and read {weights.size} weights")
print(f"  h5py  {h5py.__version__:<8} {h5py.__file__}")
print(f"  numpy {np.__version__:<8} {np.__file__}")
