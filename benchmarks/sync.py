"""`sync --mode venv` against a venv and `pip install` in the container, everything downloaded before."""

from collections.abc import Iterator

from benchmarks.bench import Bench, LeftOutError, remove
from benchmarks.measure import Bar, Row, interleaved, say, started, timed
from benchmarks.mirror import Mirror

DEPENDENCIES = ("h5py", "datasets", "rich", "einops")
_CONSTRAINT = "pyarrow<19"  # later ones need a newer numpy than the image's
FAMILY = "pytorch"


def rows(bench: Bench) -> Iterator[Row]:
    """The row, or why this machine cannot measure it."""
    try:
        image, runtime = bench.image(FAMILY), bench.runtime()
    except LeftOutError as reason:
        yield Row("sync --mode venv", note=str(reason))
        return
    say("sync --mode venv, wheels cached")
    folder = bench.project("sync", image, DEPENDENCIES, f'[resolve]\nconstraints = ["{_CONSTRAINT}"]\n')
    by_hand = bench.work / "sync-by-hand"
    by_hand.mkdir()
    (by_hand / "constraints.txt").write_text(f"{_CONSTRAINT}\n")
    venv = by_hand / "venv"
    script = f"$WITH_CONDA && python -m venv --system-site-packages {venv} && "
    script += f"{venv}/bin/pip install -q -c {by_hand}/constraints.txt {' '.join(DEPENDENCIES)}"
    with Mirror(bench.store, sidecars=True) as mirror:
        env = bench.environment(mirror.url, LUMIENV_CACHE_DIR=str(bench.work / "sync-cache"))
        started([bench.lumienv, "lock"], env, folder)
        pip = {**env, "PIP_INDEX_URL": mirror.url, "PIP_CACHE_DIR": str(bench.work / "pip-cache")}

        def lumienv() -> float:
            remove(folder / ".lumienv")
            return timed([bench.lumienv, "sync", "--mode", "venv"], env, folder)

        def hand() -> float:
            remove(venv)
            words = [runtime, "exec", "-B", str(bench.work), str(image), "bash", "-c", script]
            return timed(words, pip, by_hand)

        found = interleaved({"lumienv": lumienv, "by hand": hand}, bench.runs)
    yield Row(
        "sync --mode venv, wheels cached",
        found["lumienv"],
        "by hand",
        found["by hand"],
        Bar(0.35),
    )
