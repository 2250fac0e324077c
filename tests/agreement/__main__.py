"""`python -m agreement`, in tests/: ask anew, and write the table in docs/agreement.md."""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from agreement.ask import ask
from agreement.images import frozen_images
from agreement.sets import SETS
from agreement.table import table, write
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index


def open_client() -> IndexClient:
    """The index of this machine; what it says is kept where LUMIENV_TEST_INDEX_CACHE says, if it says."""
    kept = os.environ.get("LUMIENV_TEST_INDEX_CACHE")
    return IndexClient([default_index()], cache=Path(kept) if kept else None)


if __name__ == "__main__":
    compared = {}
    with tempfile.TemporaryDirectory() as work, open_client() as client:
        for image in frozen_images():
            (folder := Path(work, image.name)).mkdir()
            compared[image.name] = ask(image, client, folder)
            for name, one in compared[image.name].items():
                print(f"{image.name}, {name}: {one.outcome.value}", *one.differing, *one.why, sep="\n  ")
    write(table(SETS, compared))
    counted = Counter(one.outcome.value for found in compared.values() for one in found.values())
    print(*(f"{count} {outcome}" for outcome, count in counted.most_common()), sep="\n", file=sys.stderr)
