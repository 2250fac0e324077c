"""`image list` over a folder of images as large as LUMI's, which have a header and nothing in them."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, LeftOutError, fresh
from benchmarks.measure import Bar, Row, interleaved, say, started, timed

_COUNT = 200
_HEAD = 128 * 1024
"""bytes that hold a SIF's header and its descriptors"""


def rows(bench: Bench) -> Iterator[Row]:
    """The row, or why this machine cannot measure it."""
    try:
        model = bench.image("pytorch")
    except LeftOutError as reason:
        yield Row("image list", note=str(reason))
        return
    say(f"image list, {_COUNT} images")
    folder = fresh(bench.work / "images")
    for name in _names():
        _hollow(model, folder / name)
    env = bench.environment(
        LUMIENV_IMAGE_PATH=str(folder), LUMIENV_CACHE_DIR=str(bench.work / "no-cache"), COLUMNS="250"
    )
    listed = started([bench.lumienv, "image", "list"], env, folder)[0].count(".sif")
    found = interleaved(
        {
            "lumienv": lambda: timed([bench.lumienv, "image", "list"], env, folder),
            "python": lambda: timed([bench.python, "-c", "pass"], env, folder),
        },
        2 * bench.runs,
    )
    yield Row(
        f"image list, {_COUNT} images",
        found["lumienv"],
        "python -c pass",
        found["python"],
        Bar(1, 0.2),
        f"{listed} listed",
    )


def _names() -> Iterator[str]:
    """Half of them as AMD's are called, half as LAIF's."""
    for n in range(_COUNT // 2):
        rocm, torch = f"6.{n % 5}.{n % 4}", f"2.{n // 10}.{n % 10}"
        yield f"lumi-pytorch-rocm-{rocm}-python-3.12-pytorch-v{torch}-dockerhash-{n * 7919:012x}.sif"
        variant = ("torch", "full", "mpich", "rocm")[n % 4]
        yield f"lumi-multitorch-{variant}-u24r7{n % 10}f21m50t2{n // 10}-202608{n % 28 + 1:02}_{n:06}.sif"


def _hollow(model: Path, image: Path) -> None:
    """The model's header, and its length without its content."""
    with model.open("rb") as file:
        image.write_bytes(file.read(_HEAD))
    with image.open("r+b") as file:
        file.truncate(model.stat().st_size)
