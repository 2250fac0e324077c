"""`python -m benchmarks [ROOM…]`: measure, print a table, write JSON; ROOMS names them."""

import argparse
import importlib
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench, remove, versions
from benchmarks.measure import Row, table

ROOMS = ("backtracking", "files", "launchers", "list", "lock", "resolution", "run", "sif", "sync")
_RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Measure what was named, else everything."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="|".join(ROOMS), help="default: all")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of the slow cases (default 5)")
    parser.add_argument("--caches", type=Path, required=True, help="where the recorded index is kept")
    parser.add_argument("--measured", default="?", help="which lumienv this is, for the record")
    given = parser.parse_args()
    unknown = set(given.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(ROOMS)}")
    work = Path(tempfile.mkdtemp(prefix="lumienv-bench-", dir="/var/tmp"))
    bench = Bench(work, given.caches / "index", given.runs)
    rows: list[Row] = []
    failure: Exception | None = None
    before = os.getloadavg()[0]
    try:
        for room in given.rooms or ROOMS:
            rows.extend(importlib.import_module(f"benchmarks.{room}").rows(bench))
    except Exception as error:  # what was measured before it is still shown
        failure = error
    finally:
        remove(work)
    facts = {
        "measured": given.measured,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": [before, os.getloadavg()[0]],
        **versions({"uv": [bench.uv, "--version"], "runtime": ["singularity", "--version"]}),
    }
    print(f"\nlumienv {given.measured}, Python {facts['python']}, {facts['uv']}, {facts['runtime']}")
    print(
        f"{facts['processors']} processors, load {before:.1f} at the start, {facts['load'][1]:.1f} at the end"
    )
    print("median (best) of the runs; ratio and bar by the medians\n")
    print(table(rows))
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(facts | {"rows": [row.to_json() for row in rows]}, indent=1) + "\n")
    print(f"\n{path}")
    if failure is not None:
        raise failure


if __name__ == "__main__":
    main()
