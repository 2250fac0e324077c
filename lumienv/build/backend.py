"""Run a build backend in the image: closed, offline, in an environment of its build requirements alone.

The environment is made as the overlay is: by uv, of wheels that were fetched before, with the image's
packages in view behind them. So a setup.py that imports torch finds the image's.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lumienv.build.failures import build_failed
from lumienv.build.hooks import MARK
from lumienv.build.static import BuildSystem
from lumienv.files import disk_errors, remove_tree
from lumienv.image.snapshot import Snapshot
from lumienv.image.visibility import write_visibility
from lumienv.index.wheelhouse import Kept
from lumienv.runtime import Bind, Runtime, Surroundings, closed_capture

# Where the build's folders are seen in a container: always there, so that what a compiler records of paths
# is the same in every build.
_SEEN = "/.lumienv/build"
_ROUNDS = 4

# $CC and $CXX of the image's own environment count; what the probe found fills in.
_RUN = """
set -eu
uv=$1 python=$2 work=$3 cc=$4 cxx=$5
exec 3<&0 </dev/null
"$uv" venv --quiet --no-config --no-project --python "$python" "$work/env"
site=$("$work/env/bin/python" -Ic 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
cp "$work/site/"* "$site/"
if [ -s "$work/requirements.txt" ]; then
  "$uv" pip install --quiet --no-config --python "$work/env/bin/python" --offline --no-index --no-deps \
    --find-links "$work/wheels" --require-hashes --requirement "$work/requirements.txt"
fi
if [ -z "${CC:-}" ] && [ -n "$cc" ]; then export CC="$cc"; fi
if [ -z "${CXX:-}" ] && [ -n "$cxx" ]; then export CXX="$cxx"; fi
exec "$work/env/bin/python" - <&3 3<&-
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


@dataclass(frozen=True)
class Outcome:
    """What a backend answered: the text of METADATA, or the wheel that it built."""

    metadata: str | None = None
    wheel: Path | None = None


def ask_backend(
    task: Task, work: Path, snapshot: Snapshot, runtime: Runtime, wheelhouse: Path, wheels_for: WheelsFor
) -> Outcome:
    """Have the backend prepare metadata or build a wheel, in the folder `work`.

    `wheels_for` brings the build requirements to the wheelhouse. Raises BrokenReleaseError when the build
    fails, with what the backend said; and what `wheels_for` raises.
    """
    requires = tuple(task.build.requires)
    for _ in range(_ROUNDS):
        wheels = wheels_for(requires)
        with disk_errors(f"build {task.label}", work):
            run = _prepare(task, work, snapshot, requires, wheels, wheelhouse)
        answer = run(runtime)
        if "requires" not in answer:
            break
        requires = (*task.build.requires, *answer["requires"])
    if "metadata" in answer:
        return Outcome(metadata=answer["metadata"])
    path = work / "out" / Path(str(answer.get("wheel", ""))).name
    if path.suffix == ".whl" and path.is_file() and not path.is_symlink():
        return Outcome(wheel=path)
    raise build_failed(task.label, task.what, answer.get("failed", ""), answer.get("said", ""), snapshot)


def _prepare(
    task: Task,
    work: Path,
    snapshot: Snapshot,
    requires: Sequence[str],
    wheels: Sequence[Kept],
    wheelhouse: Path,
) -> Callable[[Runtime], dict[str, Any]]:
    """Lay everything out in `work`; returns what runs the backend and reads its answer."""
    import pyproject_hooks
    from uv import find_uv_bin

    contained = snapshot.image.kind != "host"
    for name in ("env", "out", "wheels", "site", "hooks", "tmp"):
        remove_tree(work / name)
        if name != "env":
            (work / name).mkdir()
    library = Path(pyproject_hooks.__file__).parent
    seen_wheelhouse = "/.lumienv/wheelhouse" if contained else str(wheelhouse)
    lines = []
    for wheel in wheels:
        inside = os.path.relpath(wheel.path, wheelhouse)
        (work / "wheels" / wheel.filename).symlink_to(f"{seen_wheelhouse}/{inside}")
        name, version, *_ = wheel.filename.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{wheel.sha256}\n")
    (work / "requirements.txt").write_text("".join(lines))
    write_visibility(work / "site", snapshot.python.site_packages)
    if contained:
        (work / "hooks" / library.name).mkdir()
    else:
        (work / "hooks" / library.name).symlink_to(library)

    def seen(path: Path) -> str:
        if contained and path.is_relative_to(work):
            return f"{_SEEN}/{path.relative_to(work)}".removesuffix("/.")
        return str(path)

    ask = {
        "what": task.what,
        "source": seen(task.folder),
        "out": seen(work / "out"),
        "hooks": seen(work / "hooks"),
        "backend": task.build.backend,
        "backend_path": list(task.build.backend_path),
        "had": list(requires),
    }
    uv = "/.lumienv/uv" if contained else find_uv_bin()
    binds = [
        Bind(str(work), _SEEN, writable=True),
        Bind(str(library), f"{_SEEN}/hooks/{library.name}"),
        Bind(find_uv_bin(), uv),
        Bind(str(wheelhouse), seen_wheelhouse),
    ]
    if not task.folder.is_relative_to(work):
        binds.append(Bind(str(task.folder), str(task.folder), writable=True))
    surroundings = Surroundings(
        env={
            **snapshot.activation.set,
            "LUMIENV_BUILD": json.dumps(ask),
            "UV_CACHE_DIR": seen(work / "tmp" / "uv-cache"),
            "UV_LINK_MODE": "hardlink",
            "UV_PYTHON_DOWNLOADS": "never",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": "",
            "PYTHONHOME": "",
        },
        prepend_path=(seen(work / "env" / "bin"), *snapshot.activation.prepend_path),
        binds=tuple(binds) if contained else (),
    )
    compilers = (snapshot.compilers.get("cc", ""), snapshot.compilers.get("cxx", ""))
    command = ["/bin/sh", "-c", _RUN, "sh", uv, snapshot.python.executable, seen(work), *compilers]

    def run(runtime: Runtime) -> dict[str, Any]:
        program = files("lumienv.build").joinpath("hooks.py").read_text(encoding="utf-8")
        done = closed_capture(
            runtime,
            snapshot.image.path,
            command,
            surroundings,
            inherited=os.environ,
            scratch=work / "tmp",
            stdin=program,
        )
        for line in reversed(done.stdout.splitlines()):
            if line.startswith(MARK):
                answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return {**answer, "said": done.stderr}
        return {"failed": "", "said": done.stderr}

    return run
