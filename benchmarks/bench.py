"""Where things are measured: a scratch directory, a clean environment, the tools and the lab's images."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import started
from lumienv.sealed import read_sealed

_CHECKOUT = Path(__file__).resolve().parent.parent
# What would make one machine's, or one tool's, way longer than another's: configuration, proxies, and
# certificates, which a mirror on loopback does not need.
_LEAKS: tuple[str, ...] = (
    "LUMIENV_",
    "PIP_",
    "UV_",
    "PYTHON",
    "SINGULARITY",
    "APPTAINER",
    "VIRTUAL_ENV",
    "CONDA",
    "SLURM_",
)
_LEAKS += ("SSL_", "REQUESTS_", "CURL_", "NIX_SSL", "http_", "https_", "all_", "HTTP_", "HTTPS_", "ALL_")


class LeftOutError(Exception):
    """A row that cannot be measured on this machine; the text says why."""


@dataclass(frozen=True)
class Bench:
    """`work` is emptied at the end, `store` stays; `runs` is the number of counted runs of slow cases."""

    work: Path
    store: Path
    runs: int

    @property
    def python(self) -> str:
        """The interpreter that lumienv is installed for."""
        return sys.executable

    @property
    def lumienv(self) -> str:
        """The installed program."""
        return str(Path(sys.executable).parent / "lumienv")

    @property
    def uv(self) -> str:
        """The uv that lumienv brings."""
        return str(Path(sys.executable).parent / "uv")

    def environment(self, index: str = "", **variables: str) -> dict[str, str]:
        """A clean environment; `index` is what pip and uv are then configured with, in their files.

        lumienv is told nothing: it finds its index as on any machine, by asking uv.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEAKS)}
        pip, uv = self.work / "pip.conf", self.work / "uv.toml"
        pip.write_text(f"[global]\nindex-url = {index}\ndisable-pip-version-check = true\n" if index else "")
        uv.write_text(f'[[index]]\nurl = "{index}"\ndefault = true\n' if index else "")
        configuration = {"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": str(uv)}
        return {**kept, **configuration, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", **variables}

    def tool(self, requirement: str, python: str) -> Path:
        """The folder of programs of a virtual environment with `requirement` in it.

        It is kept from run to run, and made from the machine's own index. `python` is a version, if there is
        such a one here, else this interpreter is taken.
        """
        folder = self.store.parent / f"{requirement.partition('=')[0]}-{python}"
        done = folder / ".whole"
        if not done.exists():
            remove(folder)
            for which in (python, self.python):
                words = [self.uv, "venv", "--quiet", "--no-python-downloads", "--python", which, str(folder)]
                if subprocess.run(words, capture_output=True).returncode == 0:
                    break
            words = [self.uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), "pip"]
            subprocess.run([*words, requirement], check=True)
            done.touch()
        return folder / "bin"

    def project(self, name: str, image: Path, dependencies: Sequence[str], more: str = "") -> Path:
        """A folder with a lumienv.toml."""
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        listed = "".join(f'    "{entry}",\n' for entry in dependencies)
        text = f'dependencies = [\n{listed}]\n\n[image]\npath = "{image}"\n{more}'
        (folder / "lumienv.toml").write_text(text)
        return folder

    def runtime(self) -> str:
        """The container runtime. Raises LeftOutError."""
        found = shutil.which("singularity") or shutil.which("apptainer")
        if found is None:
            raise LeftOutError("no container runtime here (tests/lab/install-runtime.sh)")
        return found

    def image(self, family: str) -> Path:
        """The lab's image of a family. Raises LeftOutError."""
        self.runtime()
        where = subprocess.run(
            ["bash", _CHECKOUT / "tests/lab/build-images.sh", "--where"], capture_output=True, text=True
        ).stdout.strip()
        found = sorted(Path(where).glob(f"lumi-{family}-*.sif")) if where else []
        if not found:
            raise LeftOutError(f"no {family} image here (tests/lab/build-images.sh)")
        return found[0].resolve()

    def snapshot(self, family: str) -> tuple[Path, dict[str, Any]]:
        """A cache directory in which nothing but the image's snapshot is, and the snapshot."""
        image, cache = self.image(family), self.work / f"snapshot-{family}"
        if not cache.exists():
            folder = self.project(f"probe-{family}", image, [])
            env = self.environment(LUMIENV_CACHE_DIR=str(cache), UV_OFFLINE="1")
            started([self.lumienv, "lock"], env, folder)
            for other in cache.iterdir():
                if other.name != "snapshots":
                    remove(other)
        sealed = read_sealed(next((cache / "snapshots").iterdir()))
        if sealed is None:
            raise LeftOutError("the image's snapshot is damaged")
        facts: dict[str, Any] = json.loads(sealed)
        return cache, facts


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fresh(path: Path, content: Path | None = None) -> Path:
    """`path` as an empty directory, or as a copy of `content`."""
    remove(path)
    if content is None:
        path.mkdir(parents=True)
    else:
        shutil.copytree(content, path, symlinks=True)
    return path


def versions(tools: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The first line of what each tool says about its version."""
    said = {}
    for name, argv in tools.items():
        try:
            said[name] = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()[0]
        except (OSError, IndexError):
            said[name] = "not here"
    return said
