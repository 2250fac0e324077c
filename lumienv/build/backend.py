"""Run a build backend in the image: closed, offline, in an environment of its build requirements alone.

The environment is made as the overlay is: by uv, of wheels that were fetched before, with the image's
packages in view behind them. So a setup.py that imports torch finds the image's.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from lumienv.build.failures import build_failed
from lumienv.build.hooks import MARK
from lumienv.build.static import BuildSystem
from lumienv.files import disk_errors, remove_tree
from lumienv.image.snapshot import Snapshot
from lumienv.image.visibility import write_visibility
from lumienv.index.wheelhouse import Kept
from lumienv.manifest import Dependency
from lumienv.runtime import Bind, Surroundings, closed_capture
from lumienv.runtime.process import answered
from lumienv.runtime.protocol import Runtime

# Where the build's folders are seen in a container: always there, so that what a compiler records of paths
# is the same in every build.
_MADE = "/.lumienv/build"
_GIVEN = "/.lumienv/given"
_ROUNDS = 4

# $CC and $CXX of the image's own environment count; what the probe found fills in.
_RUN = """
set -eu
uv=$1 python=$2 made=$3 given=$4 cc=$5 cxx=$6
exec 3<&0 </dev/null
"$uv" venv --quiet --no-config --no-project --python "$python" "$made/env"
site=$("$made/env/bin/python" -Ic 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
cp "$given/site/"* "$site/"
if [ -s "$given/requirements.txt" ]; then
  "$uv" pip install --quiet --no-config --python "$made/env/bin/python" --offline --no-index --no-deps \
    --find-links "$given/wheels" --require-hashes --requirement "$given/requirements.txt"
fi
if [ -z "${CC:-}" ] && [ -n "$cc" ]; then export CC="$cc"; fi
if [ -z "${CXX:-}" ] && [ -n "$cxx" ]; then export CXX="$cxx"; fi
exec "$made/env/bin/python" - <&3 3<&-
"""

# Names and versions of requirements → the wheels to install for them, in the wheelhouse.
WheelsFor = Callable[[Sequence[str]], Sequence[Kept]]


@dataclass(frozen=True)
class Task:
    """What a backend is asked."""

    label: str
    """as messages name the project: `flash-attn 2.8.0`"""
    what: str
    """`metadata`, `wheel` or `editable`"""
    folder: Path
    """the project's, below the workplace; that of an editable one is its own"""
    build: BuildSystem
    lines: Sequence[Dependency] = ()
    """the user's, dependencies and constraints"""


@dataclass(frozen=True)
class Outcome:
    """What a backend answered: the text of METADATA, or the wheel that it built."""

    metadata: str | None = None
    wheel: Path | None = None


class Workplace:
    """The folders of one build, below a node-local one.

    What a build may write to (`made`) lies apart from what it is given, and nothing is written to the former
    from outside but what was emptied before: a build could leave links there.
    """

    def __init__(self, root: Path) -> None:
        self.made = root / "made"
        self.given = root / "given"
        self.source = self.made / "source"
        self.made.mkdir()

    def empty(self) -> None:
        """Make it ready for a run: all but the sources as new. Raises OSError."""
        remove_tree(self.given)
        for name in ("env", "out", "tmp"):
            remove_tree(self.made / name)
        for folder in ("made/out", "made/tmp", "given/wheels", "given/site", "given/hooks"):
            (self.made.parent / folder).mkdir(parents=True)


def ask_backend(
    task: Task,
    place: Workplace,
    snapshot: Snapshot,
    runtime: Runtime,
    wheelhouse: Path,
    wheels_for: WheelsFor,
) -> Outcome:
    """Have the backend prepare metadata or build a wheel.

    `wheels_for` brings the build requirements to the wheelhouse. Raises BrokenReleaseError when the build
    fails, with what the backend said; StoreError for a full disk; and what `wheels_for` raises.
    """
    requires = tuple(task.build.requires)
    answer: Mapping[str, Any] = {}
    said = ""
    for _ in range(_ROUNDS):
        wheels = wheels_for(requires)
        with disk_errors(f"build {task.label}", place.made):
            command, surroundings = _prepare(task, place, snapshot, requires, wheels, wheelhouse)
        answer, said = _run(command, surroundings, snapshot, runtime, place.made / "tmp")
        added = answer.get("requires")
        if not isinstance(added, list):
            break
        requires = (*task.build.requires, *map(str, added))
    if isinstance(answer.get("metadata"), str):
        return Outcome(metadata=answer["metadata"])
    path = place.made / "out" / Path(str(answer.get("wheel", ""))).name
    if path.parent.is_symlink() or path.is_symlink() or not path.is_file() or not _is_wheel_name(path.name):
        raise build_failed(task.label, task.what, str(answer.get("failed", "")), said, snapshot, task.lines)
    return Outcome(wheel=path)


def _is_wheel_name(filename: str) -> bool:
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return True


def _prepare(
    task: Task,
    place: Workplace,
    snapshot: Snapshot,
    requires: Sequence[str],
    wheels: Sequence[Kept],
    wheelhouse: Path,
) -> tuple[Sequence[str], Surroundings]:
    """Lay everything out; returns the command that asks the backend, and what it is to find around it."""
    import pyproject_hooks
    from uv import find_uv_bin

    contained = snapshot.image.kind != "host"
    place.empty()
    library = Path(pyproject_hooks.__file__).parent
    here = {place.made: _MADE, place.given: _GIVEN, wheelhouse: "/.lumienv/wheelhouse"}

    def seen(path: Path) -> str:
        for folder, target in here.items() if contained else ():
            if path.is_relative_to(folder):
                return os.path.normpath(f"{target}/{path.relative_to(folder)}")
        return str(path)

    lines = []
    for wheel in wheels:
        (place.given / "wheels" / wheel.filename).symlink_to(seen(wheel.path))
        name, version, *_ = wheel.filename.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{wheel.sha256}\n")
    (place.given / "requirements.txt").write_text("".join(lines))
    write_visibility(place.given / "site", snapshot.python.site_packages)
    if contained:
        (place.given / "hooks" / library.name).mkdir()
    else:
        (place.given / "hooks" / library.name).symlink_to(library)
    ask = {
        "what": task.what,
        "source": seen(task.folder),
        "out": seen(place.made / "out"),
        "hooks": seen(place.given / "hooks"),
        "backend": task.build.backend,
        "backend_path": list(task.build.backend_path),
        "had": list(requires),
    }
    uv = "/.lumienv/uv" if contained else find_uv_bin()
    binds = [
        *(Bind(str(folder), target, writable=folder == place.made) for folder, target in here.items()),
        Bind(str(library), f"{_GIVEN}/hooks/{library.name}"),
        Bind(find_uv_bin(), uv),
    ]
    if not task.folder.is_relative_to(place.made):
        binds.append(Bind(str(task.folder), str(task.folder), writable=True))
    surroundings = Surroundings(
        env={
            **snapshot.activation.set,
            "LUMIENV_BUILD": json.dumps(ask),
            "UV_CACHE_DIR": seen(place.made / "tmp" / "uv-cache"),
            "UV_LINK_MODE": "hardlink",
            "UV_PYTHON_DOWNLOADS": "never",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": "",
            "PYTHONHOME": "",
        },
        prepend_path=(seen(place.made / "env" / "bin"), *snapshot.activation.prepend_path),
        binds=tuple(binds) if contained else (),
    )
    compilers = (snapshot.compilers.get("cc", ""), snapshot.compilers.get("cxx", ""))
    folders = (seen(place.made), seen(place.given))
    command = ["/bin/sh", "-c", _RUN, "sh", uv, snapshot.python.executable, *folders, *compilers]
    return command, surroundings


def _run(
    command: Sequence[str], surroundings: Surroundings, snapshot: Snapshot, runtime: Runtime, scratch: Path
) -> tuple[Mapping[str, Any], str]:
    """What the program in the container answered (nothing, when it came to no answer), and all it said."""
    done = closed_capture(
        runtime,
        snapshot.image.path,
        command,
        surroundings,
        inherited=os.environ,
        scratch=scratch,
        stdin=files("lumienv.build").joinpath("hooks.py").read_text(encoding="utf-8"),
    )
    return answered(MARK, done.stdout) or {}, done.stderr
