"""`lumienv sync` with a stopwatch: from the moment the tree is built to the end, in seconds.

    python -m benchmarks.carrying --frozen --mode sif

The tree is built as in any sync, uncounted; what is counted is all that the program does afterwards.
"""

import sys
import time
from typing import Any

from lumienv.cli.main import cli
from lumienv.project import materialise


def main() -> None:
    """Run the command line as the program does, but for its handling of errors."""
    build, ready = materialise.build_tree, [0.0]

    def build_tree(*words: Any, **options: Any) -> Any:
        said = build(*words, **options)
        ready.append(time.perf_counter())
        return said

    materialise.build_tree = build_tree
    cli.main(["sync", *sys.argv[1:]], "lumienv", standalone_mode=False)
    ended = time.perf_counter()
    if len(ready) != 2:
        raise SystemExit("no tree was built: there is nothing to measure")
    print(f"seconds {ended - ready[-1]}")


if __name__ == "__main__":
    main()
