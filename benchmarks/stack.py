"""One stack of packages on one image: made by lumienv, and by hand as LUMI's AI guide does it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, fresh, remove
from benchmarks.measure import started, timed
from benchmarks.mirror import Mirror
from lumienv.site import load_site

DEPENDENCIES = ("h5py", "datasets", "rich", "einops")
IMPORTS = "import h5py, datasets, rich, einops"
FAMILY = "pytorch"
_CONSTRAINT = "pyarrow<19"  # later ones need a newer numpy than the image's
_PLACE = "/user-software"
"""where the guide's recipe puts the environment in the container"""


@dataclass(frozen=True)
class Stack:
    """A locked project, and a folder for what is made by hand; both use the same mirror."""

    bench: Bench
    image: Path
    folder: Path
    """of the project"""
    hand: Path
    env: dict[str, str]
    pip: dict[str, str]
    """`env`, with pip told of the mirror"""

    @property
    def processors(self) -> int:
        """How many lumienv packs with; by hand gets as many."""
        return load_site(self.env).processors

    @property
    def store(self) -> Path:
        return self.folder / ".lumienv"

    def sync(self, *words: str) -> float:
        """Seconds of `lumienv sync` into an empty store."""
        remove(self.store)
        return timed([self.bench.lumienv, "sync", "--frozen", *words], self.env, self.folder)

    def directory_by_hand(self) -> float:
        """Seconds of a venv and `pip install` in the container; it lies in `venv`."""
        return self._pip(fresh(self.venv), str(self.venv))

    @property
    def venv(self) -> Path:
        return self.hand / "venv"

    def squashfs_by_hand(self) -> float:
        """Seconds of the same at the guide's place, and of packing that."""
        packed = self.hand / "env.sqsh"
        remove(packed)
        taken = self._pip(fresh(self.hand / "user-software"), _PLACE)
        return taken + timed(self.mksquashfs(self.hand / "user-software", packed), self.env, self.hand)

    def mksquashfs(self, tree: Path, packed: Path) -> list[str]:
        """The guide's command line, with as many processors as lumienv takes."""
        words = ["mksquashfs", str(tree), str(packed), "-processors", str(self.processors), "-no-xattrs"]
        return [*words, "-no-progress"]

    def _pip(self, tree: Path, place: str) -> float:
        script = f"$WITH_CONDA && python -m venv --system-site-packages {place} && "
        script += (
            f"{place}/bin/python -m pip install -q -c {self.hand}/constraints.txt {' '.join(DEPENDENCIES)}"
        )
        words = [self.bench.runtime(), "exec", "-B", str(self.bench.work), "-B", f"{tree}:{place}"]
        return timed([*words, str(self.image), "bash", "-c", script], self.pip, self.hand)


@contextmanager
def stack(bench: Bench, image: Path, name: str, more: str = "") -> Iterator[Stack]:
    """The stack on `image`, locked; the mirror answers until the end. `more` ends the lumienv.toml."""
    resolve = f'[resolve]\nconstraints = ["{_CONSTRAINT}"]\n'
    folder = bench.project(name, image, DEPENDENCIES, resolve + more)
    hand = fresh(bench.work / f"{name}-by-hand")
    (hand / "constraints.txt").write_text(f"{_CONSTRAINT}\n")
    with Mirror(bench.store, sidecars=True) as mirror:
        env = bench.environment(mirror.url, LUMIENV_CACHE_DIR=str(bench.work / "sync-cache"))
        started([bench.lumienv, "lock"], env, folder)
        pip = {**env, "PIP_INDEX_URL": mirror.url, "PIP_CACHE_DIR": str(bench.work / "pip-cache")}
        yield Stack(bench, image, folder, hand, env, pip)
