"""The mean of numbers that are spread over processes: one Allreduce; rank 0 keeps the result in mean.h5."""

import h5py
import numpy as np
from mpi4py import MPI

world = MPI.COMM_WORLD

# Each rank has every `size`-th number.
own = np.arange(world.rank, 1000, world.size, dtype=np.float64)
here = np.array([own.sum(), own.size])
everywhere = np.empty_like(here)
world.Allreduce(here, everywhere)
mean = everywhere[0] / everywhere[1]

# In one piece with its end, so that lines of several processes do not mix.
told = f"rank {world.rank} of {world.size}: {own.size} numbers here, the mean of all is {mean}"
print(told + "\n", end="", flush=True)
if world.rank == 0:
    with h5py.File("mean.h5", "w") as file:
        file["mean"] = mean
