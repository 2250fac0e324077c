"""Ask both about every set on one list; uv in a few processes at a time, lumienv meanwhile in this one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agreement.compare import Comparison, Lumienv, compare
from agreement.images import FrozenImage
from agreement.peer import Uv, uv_config
from agreement.sets import SETS
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index

# A fixed day, so that the answers stay the same while the index grows.
NEWEST = "2026-10-01T00:00:00Z"
_UVS = 3


def ask(image: FrozenImage, client: IndexClient, work: Path) -> dict[str, Comparison]:
    """Set → what came of it. `work` is an empty folder."""
    index = default_index()
    with uv_config(image, index.url, work / "uv") as config, ThreadPoolExecutor(_UVS) as pool:
        theirs = Uv(image, config, NEWEST, index.credentials)
        ours = Lumienv(image, client, NEWEST)
        answers = {name: pool.submit(theirs.lock, wanted) for name, wanted in SETS.items()}
        return {name: compare(wanted, ours, theirs, answers[name].result()) for name, wanted in SETS.items()}
