"""One program in many processes: each rank has its own part of the data, and all learn from the whole.

The gradients are averaged with all_reduce: torch.nn.parallel.DistributedDataParallel does that for the
parameters of a model, and here it is written out. The same file does for srun and for torchrun: both tell
each process who it is in RANK, LOCAL_RANK and WORLD_SIZE, and where rank 0 is in MASTER_ADDR and MASTER_PORT.
"""

import os

import torch
import torch.distributed as dist
from tensorboardX import SummaryWriter

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
local_rank = int(os.environ["LOCAL_RANK"])

# Several GPUs can be seen: each process takes its own. One: it is this process's own already.
gpus = torch.cuda.device_count()
device = torch.device("cuda", local_rank % gpus) if gpus else torch.device("cpu")
if gpus:
    torch.cuda.set_device(device)
# On ROCm `nccl` is RCCL.
dist.init_process_group("nccl" if gpus else "gloo")

total = torch.tensor([float(rank)], device=device)
dist.all_reduce(total)
node = os.environ.get("SLURMD_NODENAME", "this machine")
# In one piece with its end, so that lines of several processes do not mix.
place = f"local rank {local_rank} on {node}, {device}"
print(f"rank {rank} of {world}: {place}, sum of all ranks {total.item():.0f}\n", end="", flush=True)
dist.barrier()

# What is to be learned: y = 3 x + 0.5. Each rank sees every `world`-th point.
x = torch.linspace(-1.0, 1.0, 1600, device=device)[rank::world]
y = 3.0 * x + 0.5

log = SummaryWriter("runs") if rank == 0 else None
slope, intercept = torch.tensor(0.0, device=device), torch.tensor(0.0, device=device)
for step in range(51):
    error = slope * x + intercept - y
    average = torch.stack([(error**2).mean(), (2 * error * x).mean(), (2 * error).mean()])
    dist.all_reduce(average)
    loss, *gradient = (average / world).tolist()
    slope, intercept = slope - 0.3 * gradient[0], intercept - 0.3 * gradient[1]
    if log is not None:
        log.add_scalar("loss", loss, step)

if log is not None:
    log.close()
    learned = f"y = {slope.item():.2f} x + {intercept.item():.2f}"
    print(f"{world} ranks learned {learned}; the loss is logged in runs/")
dist.destroy_process_group()
