"""uv's answer: `uv pip compile` for an image whose packages are stub wheels on an index of their own.

The stubs have names and versions only. Their index stands first, and the first index that has a name is the
only one that uv believes for it: so the image's packages are the only candidates for their names. With
`--find-links` uv would prefer a real wheel of the same version, and follow what that one needs.

The other index is the one that lumienv asks. Its pages are believed for an hour: an index that gives them no
lifetime would else be asked for each of them again with every question.
"""

import os
import re
import subprocess
import sys
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
from lumienv.index.credentials import Credentials

# What would have uv decide by other rules than those it is given here; what it was told it may keep.
_KEPT = ("UV_CACHE_DIR", "UV_HTTP_TIMEOUT")
# Pages for an hour, files for a year: a file of an index never changes.
_KEEPING = '{ api = "max-age=3600", files = "max-age=31536000" }'


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
    config: Path
    """a uv.toml with the indexes: see `uv_config`"""
    newest: str
    credentials: Credentials | None = None
    """for lumienv's index"""

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
        argv = [uv.find_uv_bin(), "pip", "compile", "-", "--config-file", str(self.config)]
        argv += ["--only-binary", ":all:", "--exclude-newer", self.newest]
        # Any Python will do, as the version is told: looking for one takes uv longer than its answer.
        argv += ["--python", sys.executable, "--no-python-downloads", "--python-version", self.image.python]
        argv += ["--python-platform", f"x86_64-manylinux_{self.image.glibc.replace('.', '_')}"]
        argv += ["--prerelease", prerelease, "--no-header", "--no-annotate", "--color", "never"]
        with _file(constraints) as constraining, _file(any_version) as overriding:
            argv += ["--constraint", constraining, "--override", overriding]
            done = subprocess.run(
                argv,
                input="\n".join(wanted),
                env=_environment(self.credentials),
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
def uv_config(image: FrozenImage, index: str, folder: Path) -> Iterator[Path]:
    """A uv.toml in the new `folder`: `index` (a URL) behind one with a stub for all that the image has."""
    (stubs := folder / "stubs").mkdir(parents=True)
    for name, version in [*image.provided.items(), *image.stood_for.items()]:
        make_wheel(stubs, name, version)
    config = folder / "uv.toml"
    with IndexServer(stubs, sidecars=True) as server:
        config.write_text(
            f'[[index]]\nname = "stubs"\nurl = "{server.url}"\n'
            f'[[index]]\nname = "real"\nurl = "{index}"\ndefault = true\ncache-control = {_KEEPING}\n'
        )
        yield config


@contextmanager
def _file(lines: Iterable[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        yield file.name


def _environment(credentials: Credentials | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UV_") or k in _KEPT}
    if credentials is None:
        return kept
    return {
        **kept,
        "UV_INDEX_REAL_USERNAME": credentials.username,
        "UV_INDEX_REAL_PASSWORD": credentials.password or "",
    }
