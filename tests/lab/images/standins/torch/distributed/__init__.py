"""A stand-in for torch.distributed: ranks that really meet over TCP at MASTER_ADDR and MASTER_PORT.

Rank 0 listens; it refuses a rank that is there already, and one that thinks the world is of another size.
"""

import json
import os
import socket
import time

# How long ranks wait for each other, in seconds; the real one waits 10 minutes or more.
PATIENCE = 60.0

_group = None


class _Group:
    def __init__(self, backend):
        self.backend = backend
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # On rank 0 the other ranks' connections by rank, elsewhere that of rank 0.
        self.peers = self.gathered(address[1]) if self.rank == 0 else {0: self.called(address)}

    def gathered(self, port):
        peers = {}
        with socket.create_server(("", port), backlog=self.size) as server:
            server.settimeout(PATIENCE)
            while len(peers) < self.size - 1:
                connection, _ = server.accept()
                connection.settimeout(PATIENCE)
                stream = connection.makefile("rw")
                rank, size = receive(stream)
                if size != self.size or rank in (0, *peers) or rank >= self.size:
                    send(stream, f"rank {rank} of {size} came to a group of {self.size} with {[0, *peers]}")
                    raise RuntimeError(f"rank {rank} of {size} does not fit a group of {self.size}")
                peers[rank] = stream
        for stream in peers.values():
            send(stream, "")
        return peers

    def called(self, address):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                connection = socket.create_connection(address, timeout=PATIENCE)
                break
            except (ConnectionError, TimeoutError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        stream = connection.makefile("rw")
        send(stream, [self.rank, self.size])
        refusal = receive(stream)
        if refusal:
            raise RuntimeError(refusal)
        return stream


def send(stream, what):
    stream.write(json.dumps(what) + "\n")
    stream.flush()


def receive(stream):
    line = stream.readline()
    if not line:
        raise RuntimeError("the connection to another rank was closed")
    return json.loads(line)


def is_available():
    return True


def is_initialized():
    return _group is not None


def init_process_group(backend="gloo"):
    global _group
    _group = _Group(backend)


def destroy_process_group():
    global _group
    for stream in _group.peers.values():
        stream.close()
    _group = None


def get_rank():
    return _group.rank


def get_world_size():
    return _group.size


def all_reduce(tensor):
    """The sum over all ranks, in place."""
    if (_group.backend == "nccl") != (tensor.device.type == "cuda"):
        raise RuntimeError(f"{_group.backend} cannot reduce a tensor on {tensor.device}")
    if _group.rank == 0:
        rows = [tensor.values, *(receive(_group.peers[rank]) for rank in sorted(_group.peers))]
        tensor.values = [sum(column) for column in zip(*rows, strict=True)]
        for stream in _group.peers.values():
            send(stream, tensor.values)
    else:
        send(_group.peers[0], tensor.values)
        tensor.values = receive(_group.peers[0])


def barrier():
    """Returns when all ranks are here."""
    if _group.rank == 0:
        for stream in _group.peers.values():
            receive(stream)
    for stream in _group.peers.values():
        send(stream, "here")
    if _group.rank != 0:
        receive(_group.peers[0])
