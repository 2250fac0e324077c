"""Timing, and the rows that come of it."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds, or whatever the row's unit is; one figure a run."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def best(self) -> float:
        return min(self.runs)


@dataclass(frozen=True)
class Bar:
    """What lumienv may take: `factor` times its peer, and `plus` seconds, or of the row's unit."""

    factor: float
    plus: float = 0.0

    def said(self, unit: str = "s") -> str:
        """As it stands in the table."""
        plus = f"{self.plus * 1000:.0f} ms" if unit == "s" and self.plus < 1 else f"{self.plus:g} {unit}"
        if not self.factor:
            return f"≤ {plus}"
        if self.factor == 1 and self.plus:
            return f"≤ + {plus}"
        return f"≤ {self.factor:g} ×" + (f" + {plus}" if self.plus else "")


@dataclass(frozen=True)
class Row:
    """lumienv against a peer. Without a `peer`, `ours` is printed alone; without either, it is why not."""

    what: str
    ours: Timing | None = None
    against: str = ""
    peer: Timing | None = None
    bar: Bar | None = None
    note: str = ""
    unit: str = "s"
    """of the figures on both sides"""

    @property
    def met(self) -> bool | None:
        """Whether the medians keep to the bar; None without one."""
        if self.ours is None or self.peer is None or self.bar is None:
            return None
        return self.ours.median <= self.bar.factor * self.peer.median + self.bar.plus

    def to_json(self) -> dict[str, Any]:
        """All figures, in the row's unit."""
        ratio = self.ours.median / self.peer.median if self.ours and self.peer and self.peer.median else None
        return asdict(self) | {"ratio": ratio, "met": self.met}


def interleaved(cases: Mapping[str, Callable[[], float]], runs: int) -> dict[str, Timing]:
    """Each case `runs` times, in turn, so that what else the machine does hits all alike.

    A case returns its seconds; one run before that is not counted: it fills what is to be warm.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(runs + 1):
        for name, case in cases.items():
            taken = case()
            if run:
                seconds[name].append(taken)
    return {name: Timing(tuple(figures)) for name, figures in seconds.items()}


def once(case: Callable[[], float]) -> Timing:
    """One figure, and no run before it: for what takes minutes and gains nothing from warm caches."""
    return Timing((case(),))


def timed(argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> float:
    """Seconds that a program takes. Raises RuntimeError, with its last words, when it fails."""
    return started(argv, env, cwd)[1]


def started(argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> tuple[str, float]:
    """What a program prints, and the seconds that it takes. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        argv,
        env={**env, "PWD": str(cwd)},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    taken = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)[:300]}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout, taken


def say(text: str) -> None:
    """Tell whoever waits what is being measured."""
    print(f"… {text}", file=sys.stderr, flush=True)


def table(rows: Iterable[Row]) -> str:
    """The rows for people: median (best) of each side, their ratio, the bar, whether it is met."""
    cells = [["", "lumienv", "", "peer", "ratio", "bar", "", "runs"]]
    for row in rows:
        if row.ours is None:
            cells.append([row.what, f"left out: {row.note}"])
            continue
        ours, peer = row.ours, row.peer
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        bar = row.bar.said(row.unit) if row.bar else ""
        figures = _shown(ours, row.unit), _shown(peer, row.unit)
        cells.append([row.what, figures[0], row.against, figures[1], "", bar, verdict, str(len(ours.runs))])
        if peer is not None and peer.median:
            cells[-1][4] = _compared(ours.median, peer.median, row.unit)
        if row.note:
            cells.append([f"    {row.note}"])
    full = [line for line in cells if len(line) == len(cells[0])]
    widths = [max(len(line[i]) for line in full) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in cells
    )


def _compared(ours: float, peer: float, unit: str) -> str:
    ratio = ours / peer
    digits = 2 if ratio >= 0.1 else 4
    scale, unit = (1000, "ms") if unit == "s" and abs(ours - peer) < 10 else (1, unit)
    return f"{ratio:.{digits}f} × ({(ours - peer) * scale:+,.0f} {unit})"


def _shown(timing: Timing | None, unit: str) -> str:
    if timing is None:
        return ""
    if unit != "s":
        return f"{timing.median:,.0f} {unit}"
    unit, scale = ("s", 1) if timing.median >= 1 else ("ms", 1000)
    digits = 2 if unit == "s" else 0 if timing.median >= 0.1 else 1
    return f"{timing.median * scale:.{digits}f} ({timing.best * scale:.{digits}f}) {unit}"
