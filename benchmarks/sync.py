"""`sync` against what LUMI's AI guide does by hand in the container, everything downloaded before."""

from collections.abc import Iterator

from benchmarks.bench import Bench, LeftOutError
from benchmarks.measure import Bar, Row, interleaved, say
from benchmarks.stack import FAMILY, Stack, stack

_BARS = {"venv": Bar(0.35), "squashfs": Bar(0.5)}


def rows(bench: Bench) -> Iterator[Row]:
    """A row a mode, or why this machine cannot measure them."""
    try:
        image = bench.image(FAMILY)
    except LeftOutError as reason:
        yield Row("sync", note=str(reason))
        return
    with stack(bench, image, "sync") as made:
        for mode in _BARS:
            yield _mode(made, mode)


def _mode(made: Stack, mode: str) -> Row:
    say(f"sync --mode {mode}, wheels cached")
    by_hand = {"venv": made.directory_by_hand, "squashfs": made.squashfs_by_hand}[mode]
    found = interleaved(
        {"lumienv": lambda: made.sync("--mode", mode), "by hand": by_hand}, min(3, made.bench.runs)
    )
    note = ""
    if mode == "squashfs":
        packed = next(made.store.glob("generations/*/overlay.squashfs")).stat().st_size
        theirs = (made.hand / "env.sqsh").stat().st_size
        note = f"{made.processors} processors each; {packed / 1e6:.0f} MB, by hand {theirs / 1e6:.0f} MB"
    return Row(
        f"sync --mode {mode}, wheels cached", found["lumienv"], "by hand", found["by hand"], _BARS[mode], note
    )
