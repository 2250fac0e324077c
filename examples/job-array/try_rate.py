"""One task of a job array: learns with one of several rates, and writes what came of it into results/."""

import os
from pathlib import Path

import numpy as np
import tomli_w

RATES = [0.001, 0.01, 0.1, 1.0]

number = int(os.environ["SLURM_ARRAY_TASK_ID"])
rate = RATES[number]

# What is to be learned: y = 3 x + 0.5
x = np.linspace(-1.0, 1.0, 200)
y = 3.0 * x + 0.5
slope = intercept = 0.0
for _ in range(100):
    error = slope * x + intercept - y
    slope, intercept = slope - rate * (2 * error * x).mean(), intercept - rate * (2 * error).mean()
loss = float((error**2).mean())

# A file of its own for each task: tasks of an array run at the same time.
Path("results").mkdir(exist_ok=True)
with Path(f"results/{number}.toml").open("wb") as file:
    tomli_w.dump({"rate": rate, "loss": loss}, file)
