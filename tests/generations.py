"""A generation that nobody has to build: for tests of the store, of trust and of who writes."""

from typing import Any

from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store

DIGEST = "sha256:" + "a" * 64


def described(store: Store, digest: str = DIGEST, mode: str = "venv", **more: Any) -> Generation:
    """What a `generation.json` in this store would say."""
    facts = {
        "base_kind": "sif",
        "base_path": "/i.sif",
        "base_name": "i.sif",
        "identity": "sif:0",
        "selection": {},
        "inputs": "1",
        "lock": "2",
        "runtime": "host",
        "python": "3.12.9",
    }
    return Generation(path=store.generations, digest=digest, mode=mode, **{**facts, **more})
