"""What the tasks of the job array have found."""

import tomllib
from pathlib import Path

results = [tomllib.loads(path.read_text()) for path in sorted(Path("results").glob("*.toml"))]
for result in results:
    print(f"rate {result['rate']:5}: loss {result['loss']:.6f}")
print(f"the best of {len(results)} rates is {min(results, key=lambda result: result['loss'])['rate']}")
