"""uv's answer: `uv pip compile` for an image whose packages are stub wheels on an index of their own.

The stubs have names and versions only. Their index stands first, and the first index that has a name is the
only one that uv believes for it: so the image's packages are the only candidates for their names. With
`--find-links` uv would prefer a real wheel of the same version, and follow what that one needs.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uv
from index_server import IndexServer
from packaging.utils import canonicalize_name
from wheels import make_wheel

from agreement.images import FrozenImage

# What would have uv decide by other rules than those it is given here; where the index is, it may keep.
_KEPT = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_CONFIG_FILE")


@dataclass(frozen=True)
class Answer:
    """Name → version of what to install on top of the image; None with the reason when nothing fits."""

    versions: dict[str, str] | None
    why: str = ""
    unlike: tuple[str, ...] = ()
    """names that another package of the image stands for, in a version that was not asked for"""


@dataclass(frozen=True)
class Uv:
    """uv as it is asked about one image; what was uploaded after `newest` (RFC 3339) does not exist."""

    image: FrozenImage
    stubs: str
    """the URL of the stubs' index"""
    newest: str

    def lock(
        self,
        wanted: Sequence[str],
        constraints: Iterable[str] = (),
        prerelease: str = "if-necessary-or-explicit",
        any_version: Iterable[str] = (),
    ) -> Answer:
        """Ask for these dependencies; of the names in `any_version` whatever there is will do.

        Raises RuntimeError when uv fails and it is not for a conflict.
        """
        argv = [uv.find_uv_bin(), "pip", "compile", "-", "--index", self.stubs, "--only-binary", ":all:"]
        argv += [
            "--python-version",
            self.image.python,
            "--no-python-downloads",
            "--exclude-newer",
            self.newest,
        ]
        argv += ["--python-platform", f"x86_64-manylinux_{self.image.glibc.replace('.', '_')}"]
        argv += ["--prerelease", prerelease, "--no-header", "--no-annotate", "--color", "never"]
        with _file(constraints) as constraining, _file(any_version) as overriding:
            argv += ["--constraint", constraining, "--override", overriding]
            done = subprocess.run(
                argv,
                input="\n".join(wanted),
                env=_environment(),
                capture_output=True,
                text=True,
                timeout=600,
                cwd="/",
            )
        if done.returncode == 1 and "No solution found" in done.stderr:
            return Answer(None, done.stderr.partition("cause: ")[2].partition("\n\n")[0].strip())
        if done.returncode != 0:
            raise RuntimeError(f"uv for {', '.join(wanted)} on {self.image.name}: {done.stderr[-2000:]}")
        provided = self.image.provided.keys() | self.image.stood_for.keys()
        found = {canonicalize_name(m[1]): m[2] for m in re.finditer(r"^(\S+)==(\S+)", done.stdout, re.M)}
        return Answer({name: version for name, version in found.items() if name not in provided})


@contextmanager
def stubs_of(image: FrozenImage, folder: Path) -> Iterator[str]:
    """The URL of an index with a wheel for all that the image has or stands for: a name and a version."""
    folder.mkdir()
    for name, version in [*image.provided.items(), *image.stood_for.items()]:
        make_wheel(folder, name, version)
    with IndexServer(folder, sidecars=True) as server:
        yield server.url


@contextmanager
def _file(lines: Iterable[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        yield file.name


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("UV_") or k in _KEPT}
