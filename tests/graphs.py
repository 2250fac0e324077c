"""Projects whose graph is looked at: a handful of packages that people know, and 150 with many arcs."""

import random
from pathlib import Path

from universe import snapshot
from wheels import make_wheel
from workspace import Workspace

from lumienv.image.saved import save_snapshot
from lumienv.image.snapshot import ImagePackage

_SYLLABLES = (
    "al",
    "be",
    "cor",
    "dan",
    "el",
    "fin",
    "gor",
    "hal",
    "is",
    "jun",
    "kel",
    "lo",
    "mar",
    "nim",
    "or",
)
_TOPS = 13
SMALL = ["datasets[audio]>=3", "h5py>=3.11", "xarray[io]", "triton"]
SMALL_MORE = '[dependency-groups]\ndev = ["pytest"]\n[resolve]\nreplace = ["dill"]\n'


def small_project(project: Workspace, wheels: Path) -> None:
    """Ten packages of an overlay on six of an image: a ring, an extra of the image, one that is replaced."""
    for name, version, needs, padding in (
        ("datasets", "3.6.0", ["dill", "pyarrow", "xxhash", 'soundfile; extra == "audio"'], 480_000),
        ("dill", "0.4.0", ["ring"], 119_000),
        ("ring", "1.0", ["datasets", "numpy"], 4_000),
        ("pyarrow", "18.1.0", ["numpy", "torch"], 4_100_000),
        ("xxhash", "3.5.0", [], 194_000),
        ("soundfile", "0.13.1", ["numpy"], 1_300_000),
        ("h5py", "3.16.0", ["numpy"], 2_900_000),
        ("zarr", "2.18.7", ["numpy", "h5py"], 210_000),
        ("pytest", "8.4.2", ["pluggy"], 365_000),
        ("pluggy", "1.6.0", [], 20_000),
    ):
        extras = ["audio"] if name == "datasets" else []
        make_wheel(wheels, name, version, needs, padding=padding, extras=extras)
    save_snapshot(
        snapshot(
            ImagePackage(
                "numpy", "1.26.4", location="/opt/env/lib/python3.12/site-packages", installer="conda"
            ),
            ImagePackage("torch", "2.7.1+rocm6.2.4", ("numpy", "sympy", "dill")),
            ImagePackage("sympy", "1.13.3"),
            ImagePackage("dill", "0.3.8"),
            ImagePackage("pytorch-triton-rocm", "3.3.1"),
            ImagePackage("xarray", "2024.1", ('zarr; extra == "io"',), extras=("io",)),
        ),
        project.directory / "image.json",
    )
    project.write('snapshot = "image.json"', SMALL, SMALL_MORE)


def large_project(project: Workspace, wheels: Path, overlay: int = 110, image: int = 40) -> None:
    """As many packages, the same ones every time, in a graph as it grows: a few that nearly all need."""
    chance = random.Random(150)  # noqa: S311
    names = sorted({_name(chance) for _ in range(3 * (overlay + image))})
    chance.shuffle(names)
    ours, theirs = names[:overlay], names[overlay : overlay + image]
    needs: dict[str, set[str]] = {name: set() for name in ours}
    for number, name in enumerate(ours[_TOPS:], _TOPS):
        before = ours[: number * 2 // 3]
        for parent in chance.sample(before, min(len(before), chance.choice((1, 1, 1, 2, 2, 4)))):
            needs[parent].add(name)
    for number, name in enumerate(theirs):
        for parent in chance.sample(
            ours, chance.choice((8, 14, 20)) if number < 4 else chance.choice((1, 1, 2))
        ):
            needs[parent].add(name)
    for name in ours:
        version = f"{chance.randrange(5)}.{chance.randrange(30)}.{chance.randrange(10)}"
        make_wheel(
            wheels, name, version, sorted(needs[name]), padding=chance.choice((2_000, 30_000, 300_000))
        )
    provided = [ImagePackage(name, f"{1 + number % 4}.{number}") for number, name in enumerate(theirs)]
    save_snapshot(snapshot(*provided), project.directory / "image.json")
    groups = f'[dependency-groups]\ndev = ["{ours[_TOPS - 1]}", "{ours[_TOPS - 2]}"]\n'
    project.write('snapshot = "image.json"', ours[: _TOPS - 2], groups)


def _name(chance: random.Random) -> str:
    parts = chance.sample(_SYLLABLES, chance.choice((2, 3, 3)))
    return "".join(parts) + chance.choice(("", "", "", "-core", "-io", "-client", "kit"))
