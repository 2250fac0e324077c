"""A stand-in for torchrun: starts its workers with the variables that torchrun gives them."""

import argparse
import os
import subprocess
import sys

OPTIONS = (
    "local-addr master-addr master-port max-restarts nnodes node-rank nproc-per-node "
    "numa-binding rdzv-backend rdzv-conf rdzv-endpoint rdzv-id role"
)


def parse() -> argparse.Namespace:
    # As in torch/distributed/argparse_util.py: what an option is when it is not given stands in PET_<OPTION>.
    parser = argparse.ArgumentParser("torchrun")
    for option in OPTIONS.split():
        name = option.replace("-", "_")
        parser.add_argument(f"--{option}", f"--{name}", default=os.environ.get(f"PET_{name.upper()}"))
    for flags in (["--standalone"], ["-m", "--module"], ["--no-python"]):
        variable = "PET_" + flags[-1].strip("-").replace("-", "_").upper()
        default = bool(int(os.environ.get(variable, "0")))
        parser.add_argument(*flags, action="store_true", default=default)
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


def worker_count(asked: str | None) -> int:
    if asked is None or asked.isdigit():
        return int(asked or 1)
    from torch import cuda

    return cuda.device_count() or 1


def main() -> None:
    args = parse()
    workers = worker_count(args.nproc_per_node)
    nodes = 1 if args.standalone else int((args.nnodes or "1").split(":")[-1])
    # The real one numbers the nodes as they come to the endpoint.
    node = int(args.node_rank or os.environ.get("SLURM_NODEID", "0")) if nodes > 1 else 0
    endpoint = args.rdzv_endpoint or f"{args.master_addr or 'localhost'}:{args.master_port or 29500}"
    if ":" not in endpoint:
        endpoint += ":29400"  # the real one's for an endpoint without a port
    address, _, port = endpoint.rpartition(":")

    python = [] if args.no_python else [sys.executable, "-u"] + ["-m"] * args.module
    processes = []
    for local_rank in range(workers):
        variables = {
            "RANK": node * workers + local_rank,
            "LOCAL_RANK": local_rank,
            "WORLD_SIZE": workers * nodes,
            "LOCAL_WORLD_SIZE": workers,
            "GROUP_RANK": node,
            "MASTER_ADDR": address,
            "MASTER_PORT": port,
            "TORCHELASTIC_RUN_ID": args.rdzv_id or "none",
        }
        environment = os.environ | {name: str(value) for name, value in variables.items()}
        command = [*python, args.script, *args.arguments]
        processes.append(subprocess.Popen(command, env=environment))
    statuses = [process.wait() for process in processes]
    sys.exit(next((status for status in statuses if status), 0))


if __name__ == "__main__":
    main()
