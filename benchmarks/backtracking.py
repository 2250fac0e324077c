"""Requirements that made other tools search for minutes, on an image without packages; uv is asked the same.

The cases are in backtracking.toml. The index is this machine's own, as a recorded one would have to hold tens
of thousands of files; both caches are filled first. lumienv is measured in this process, without its start.
"""

import subprocess
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measure import Row, Timing, say
from lumienv.errors import LumienvError
from lumienv.image.handmade import snapshot_of_list
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index
from lumienv.manifest import Dependency, ImageTable, Manifest, ResolveTable
from lumienv.resolve.policy import policy_of
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Environment
from lumienv.resolve.resolver import Request, resolve
from lumienv.resolve.search import DeadEnd, Record, search

GLIBC = "2.39"
_MOST_SECONDS = 300  # for uv, which has no bound of its own


@dataclass(frozen=True)
class Case:
    """Dependencies that somebody reported, as of the day on which they did."""

    issue: str
    python: str
    date: str
    requirements: tuple[str, ...]
    outcome: str
    rounds: int
    """what lumienv may take at most"""

    def snapshot(self) -> Snapshot:
        """An image with nothing but pip."""
        return snapshot_of_list("pip==24.0", python=self.python, glibc=GLIBC, name="an empty image")

    def manifest(self) -> Manifest:
        """The dependencies, of wheels only."""
        entries = [Dependency(text, "dependencies", n) for n, text in enumerate(self.requirements, 2)]
        table = ResolveTable(exclude_newer=self.date, build="never")
        return Manifest(Path("lumienv.toml"), ImageTable("snapshot", ""), tuple(entries), {}, table)

    def search(self, client: IndexClient) -> tuple[str, int]:
        """`found` or `nothing`, and the rounds that it took. Raises SearchTooLongError."""
        manifest, snapshot, record = self.manifest(), self.snapshot(), Record()
        provider = Provider(snapshot, client, policy_of(manifest, Environment(snapshot.markers), {}))
        found = search(provider, provider.roots(manifest.dependencies), self.rounds, record)
        return "nothing" if isinstance(found, DeadEnd) else "found", record.rounds

    def resolve(self, client: IndexClient) -> str:
        """How many packages are found, or the first lines of the message."""
        try:
            found = resolve(Request(self.manifest(), self.snapshot(), {}), client)
        except LumienvError as error:
            return f"nothing fits: {error.facts[-1] if error.facts else error.message}"
        return f"{len(found.pins)} packages"

    def uv(self, bench: Bench) -> Sequence[str]:
        """uv's command line for the same."""
        argv = [bench.uv, "pip", "compile", "-", "--only-binary", ":all:", "--exclude-newer", self.date]
        argv += ["--python", bench.python, "--no-python-downloads", "--python-version", self.python]
        argv += ["--python-platform", f"x86_64-manylinux_{GLIBC.replace('.', '_')}"]
        return [*argv, "--cache-dir", str(bench.store.parent / "backtracking-uv")]


def cases() -> list[Case]:
    """All cases, in the order of their file."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return [
        Case(**{**case, "requirements": tuple(case["requirements"])}) for case in tomllib.loads(text)["case"]
    ]


def rows(bench: Bench) -> Iterator[Row]:
    """A row a case."""
    for case in cases():
        say(f"backtracking, {case.issue}")
        cache = bench.store.parent / "backtracking"
        for _ in range(2):  # the first fills the cache
            with IndexClient([default_index(cache)], cache=cache) as client:
                began = time.perf_counter()
                said = case.resolve(client)
                taken = time.perf_counter() - began
                rounds = case.search(client)[1]
        theirs, outcome = _uv(case, bench)
        yield Row(
            f"backtracking, {case.issue}",
            Timing((taken,)),
            "uv pip compile",
            Timing((theirs,)),
            note=f"{rounds} rounds, {said[:160]}; uv: {outcome}",
        )


def _uv(case: Case, bench: Bench) -> tuple[float, str]:
    for _ in range(2):
        began = time.perf_counter()
        try:
            done = subprocess.run(
                case.uv(bench),
                input="\n".join(case.requirements),
                capture_output=True,
                text=True,
                timeout=_MOST_SECONDS,
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            return _MOST_SECONDS, "gave no answer in time"
        taken = time.perf_counter() - began
    if done.returncode != 0:
        return taken, "nothing fits" if "No solution found" in done.stderr else "failed"
    return taken, f"{sum('==' in line for line in done.stdout.splitlines())} packages"
