"""Trains on the first GPU, or on the CPU where there is none, and keeps what was learned in weights.h5."""

import h5py
import torch

gpus = torch.cuda.device_count()
device = torch.device("cuda" if gpus else "cpu")
print(f"torch {torch.__version__} sees {gpus} GPU{'' if gpus == 1 else 's'}; training on {device}")

# What is to be learned: y = 3 x + 0.5
x = torch.linspace(-1.0, 1.0, 200, device=device)
y = 3.0 * x + 0.5

slope, intercept = torch.tensor(0.0, device=device), torch.tensor(0.0, device=device)
for step in range(101):
    error = slope * x + intercept - y
    # The derivatives of the mean squared error, written out to keep the example short.
    slope = slope - 0.3 * (2 * error * x).mean()
    intercept = intercept - 0.3 * (2 * error).mean()
    if step % 50 == 0:
        print(f"step {step:3}: loss {(error**2).mean().item():.4f}")

with h5py.File("weights.h5", "w") as file:
    file["slope"], file["intercept"] = slope.item(), intercept.item()
print(f"learned y = {slope.item():.2f} x + {intercept.item():.2f}, saved in weights.h5")
