"""Launchers in `.lumienv/bin` against a bare `singularity exec`: what the shell in front of it costs."""

from collections.abc import Iterator

from benchmarks.bench import Bench, LeftOutError
from benchmarks.measure import Bar, Row, interleaved, say, started, timed
from benchmarks.mirror import Mirror

_FAMILY = "mpi4py"


def rows(bench: Bench) -> Iterator[Row]:
    """One row; where this machine cannot measure it, it says why."""
    try:
        image, runtime = bench.image(_FAMILY), bench.runtime()
        _, facts = bench.snapshot(_FAMILY)
    except LeftOutError as reason:
        yield Row("launcher", note=str(reason))
        return
    say("launchers: an environment")
    folder = bench.project("launchers", image, ["einops"])
    cache = str(bench.work / "launchers-cache")
    with Mirror(bench.store) as mirror:
        started([bench.lumienv, "sync"], bench.environment(mirror.url, LUMIENV_CACHE_DIR=cache), folder)
    env = bench.environment()
    # Python without site looks at no package: what is compared is the start alone. The bind of the tree is
    # what any environment needs; bare has none.
    bare = [runtime, "exec", str(image), str(facts["python"]["executable"]), "-ISc", "pass"]
    launcher = [str(folder / ".lumienv" / "bin" / "python"), "-ISc", "pass"]
    say("launchers: against a bare start")
    found = interleaved(
        {
            "launcher": lambda: timed(launcher, env, folder),
            "bare": lambda: timed(bare, env, folder),
        },
        20 * bench.runs,
    )
    yield Row(
        "a launcher, python -c pass",
        found["launcher"],
        "bare singularity exec",
        found["bare"],
        Bar(1.0, 0.005),
    )
