"""The resolver alone: what `is_satisfied_by` costs, and how long hard searches take. No network, no image."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar, cast

from packaging.requirements import Requirement
from packaging.version import Version

from benchmarks.bench import Bench
from benchmarks.measure import Row, Timing, say
from lumienv.errors import ResolutionError
from lumienv.image.snapshot import Base, Python, Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Files, Page
from lumienv.manifest import Dependency, ImageTable, Manifest
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.provider import Policy, Provider
from lumienv.resolve.requirements import Want
from lumienv.resolve.resolver import Request, resolve

T = TypeVar("T")

_SIDE = 200
"""requirements, and as many candidates"""
_BAR = 20_000
"""calls a second"""

Releases = Mapping[str, Mapping[str, Sequence[str]]]
"""name → version → requirements"""


def rows(bench: Bench) -> Iterator[Row]:
    """The rows."""
    say("resolution")
    yield _calls(bench.runs, new=True)
    yield _calls(bench.runs, new=False)
    for what, releases, roots in (
        ("two packages that agree on the oldest of 100 releases only", *_agreement(100)),
        ("the same with 200", *_agreement(200)),
        ("three packages of 30 releases that exclude one another", *_triangle(30)),
        ("a chain of 60 packages that excludes the newest of its start", *_chain(60, 40)),
    ):
        yield _search(what, releases, roots)


def _calls(runs: int, *, new: bool) -> Row:
    """Each pair of requirement and candidate is asked once, so lumienv's own cache never has it.

    packaging has caches too, inside its objects: a specifier is folded into ranges when it is first used.
    With `new` each call gets objects of its own, and finds those cold as well: that is what the bar means
    when read strictly. Else each specifier meets all versions, as in a search, and pays once for many.
    """
    side = _SIDE
    seconds = []
    for _ in range(runs):
        provider = Provider(_snapshot(), cast("IndexClient", Memory({})), Policy())
        if new:
            pairs = [(_want(i), _candidate(j)) for i in range(side) for j in range(side)]
        else:
            wants, candidates = [_want(i) for i in range(side)], [_candidate(j) for j in range(side)]
            pairs = [(want, candidate) for want in wants for candidate in candidates]
        began = time.perf_counter()
        accepted = sum(provider.is_satisfied_by(want, candidate) for want, candidate in pairs)
        seconds.append(time.perf_counter() - began)
        assert accepted == sum(_accepts(i, j) for i in range(side) for j in range(side))
    taken = Timing(tuple(seconds))
    rate = side * side / taken.median
    what = f"resolution, {side * side} is_satisfied_by, " + ("every object new" if new else "objects reused")
    verdict = "MISSED" if rate < _BAR else "met"
    return Row(what, taken, note=f"{rate:,.0f} calls/s" + (f"; bar ≥ {_BAR:,}: {verdict}" if new else ""))


def _want(i: int) -> Want:
    return Want("a", frozenset(), Requirement(f"a>={i // 20}.{i % 20},<{i // 20 + 2},!={i // 20}.1.*"))


def _candidate(i: int) -> Candidate:
    return Candidate("a", Version(f"{i // 20}.{i % 20}.{i % 7}"))


def _accepts(i: int, j: int) -> bool:
    """What `_want(i)` says to `_candidate(j)`, told without packaging."""
    version = (j // 20, j % 20)
    return (i // 20, i % 20) <= version < (i // 20 + 2, 0) and version != (i // 20, 1)


def _search(what: str, releases: Releases, roots: Sequence[str]) -> Row:
    manifest = _manifest(roots)
    began = time.perf_counter()
    try:
        found = resolve(Request(manifest, _snapshot(), {}), cast("IndexClient", Memory(releases)))
        outcome = f"found {', '.join(f'{pin.name} {pin.version}' for pin in found.pins[:3])}"
    except ResolutionError as error:
        outcome = f"ends: {error.message}"
    return Row(f"resolution, {what}", Timing((time.perf_counter() - began,)), note=outcome)


def _agreement(count: int) -> tuple[Releases, list[str]]:
    """As boto3 and another client of botocore: both pin it, to different releases but for one."""
    left = {f"1.{i}": [f"core=={i}"] for i in range(count)}
    right = {f"1.{i}": [f"core=={i + count if i else 0}"] for i in range(count)}
    return {"left": left, "right": right, "core": {str(i): [] for i in range(2 * count)}}, ["left", "right"]


def _triangle(count: int) -> tuple[Releases, list[str]]:
    """Nothing fits, whichever releases are tried."""
    one = {str(i): [f"c!={2 * i}"] for i in range(1, count)}
    two = {str(i): [f"c!={2 * i + 1}"] for i in range(1, count)}
    three = {str(i): ["a<1" if i % 2 else "b<1"] for i in range(1, count)}
    return {"a": one, "b": two, "c": three}, ["a", "b", "c"]


def _chain(length: int, releases: int) -> tuple[Releases, list[str]]:
    """The conflict shows far from its cause."""
    chain: dict[str, dict[str, list[str]]] = {}
    for i in range(length):
        needs = [f"p{i + 1:02}"] if i + 1 < length else ["start<2"]
        chain[f"p{i:02}"] = {str(version): needs for version in range(1, releases)}
    chain["start"] = {str(version): ["p00"] for version in range(1, releases)}
    return chain, ["start"]


def _manifest(roots: Sequence[str]) -> Manifest:
    entries = tuple(Dependency(root, "dependencies") for root in roots)
    return Manifest(Path("lumienv.toml"), ImageTable("host", "python3"), entries)


def _snapshot() -> Snapshot:
    markers = {"python_version": "3.12", "python_full_version": "3.12.0", "sys_platform": "linux"}
    base = Base("host", "python3", "python3", "")
    return Snapshot(base, Python("3.12.0"), markers, ("py3-none-any",), ())


class Memory:
    """The part of IndexClient that a resolution uses, with everything at hand."""

    sources = ()

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def page(self, name: str) -> "Future[Page | None]":
        """A page of one wheel a release."""
        filenames = [f"{name}-{version}-py3-none-any.whl" for version in self._releases.get(name, ())]
        nothing = (None,) * 5
        rows = [(filename, f"memory:{filename}", "0" * 64, *nothing) for filename in filenames]
        return _done(Page(name, "memory:", Files.of_rows(rows)) if rows else None)

    def seen_projects(self) -> set[str]:
        """No names but those that are asked for."""
        return set()

    def metadata(self, file: File) -> "Future[CoreMetadata]":
        """What the release needs."""
        name, version, *_ = file.filename.split("-")
        return _done(CoreMetadata(name, version, tuple(self._releases[name][version])))

    def hashed(self, file: File) -> "Future[File]":
        """The file, which has its hash."""
        return _done(file)


def _done(value: T) -> "Future[T]":
    future: Future[T] = Future()
    future.set_result(value)
    return future
