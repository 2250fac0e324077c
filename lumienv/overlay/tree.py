"""Build the overlay tree in the image: offline, by uv, at the path where commands will see it.

The network has been used before, on the host: the wheels lie in the wheelhouse, each checked against the
lock. In the container runs uv (its one static-enough binary, bound in) and nothing of the packages but the
compilation to bytecode.

The same lock on the same image gives the same tree: what uv leaves of itself and of this machine is taken
out, modes do not depend on the umask, and bytecode is compiled by `bytecode`, a program of ours.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import disk_errors, remove_tree
from lumienv.image.snapshot import Snapshot
from lumienv.image.visibility import write_visibility
from lumienv.lockfile import LockedWheel
from lumienv.overlay.dist_info import Provenance, forget, write_provenance
from lumienv.overlay.image_scripts import write_image_scripts
from lumienv.runtime import Bind, Surroundings, closed_capture
from lumienv.runtime.protocol import Runtime

# uv reads no configuration, no network, no other index; files that come from a wheel are hard-linked from
# its scratch cache where that lies on the same mount, else copied.
_BUILD = """
set -eu
umask 022
uv=$1 python=$2 tree=$3 work=$4 processors=$5
"$uv" venv --quiet --allow-existing --no-config --no-project --python "$python" --prompt lumienv $6 "$tree"
site=$("$tree/bin/python" -Ic 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
if [ -s "$work/requirements.txt" ]; then
  "$uv" pip install --quiet --no-config --python "$tree/bin/python" --offline --no-index --no-deps \
    --find-links "$work/wheels" --require-hashes --no-compile-bytecode --requirement "$work/requirements.txt"
fi
cp "$work/site/"* "$site/"
PYTHONHASHSEED=0 LC_ALL=C.UTF-8 "$python" -s -S -B "$work/program/bytecode.py" "$processors" "$site"
"""

# What uv writes beside the packages: a lock, marks for backup programs and for itself, what Windows needs,
# and shells that nobody has in a container. `activate` for sh, csh and fish is there with any venv.
_LEFTOVERS = (
    *(".lock", ".gitignore", "CACHEDIR.TAG"),
    *("bin/activate.bat", "bin/activate.ps1", "bin/activate.nu", "bin/activate.xsh", "bin/activate_this.py"),
    *("bin/deactivate.bat", "bin/pydoc.bat"),
)
# When and from where uv installed a package.
_NOTES = ("uv_cache.json", "uv_build.json")


@dataclass(frozen=True)
class _Places:
    """Where the build finds things, as the build sees them."""

    uv: str
    tree: str
    work: str
    wheelhouse: str


def build_tree(
    tree: Path,
    mount: str,
    snapshot: Snapshot,
    wheels: Sequence[LockedWheel],
    files: Mapping[str, Path],
    wheelhouse: Path,
    provenance: Provenance,
    runtime: Runtime,
    scratch: Path,
    processors: int,
) -> list[str]:
    """Build the tree into the empty directory `tree`; returns the names of the image scripts it wraps.

    `mount` is where commands will see it, if they run in a container.
    `files` has the path of each wheel, by its sha256, below `wheelhouse`; `provenance` what the packages are
    to say of where they came from; `scratch` is an empty node-local directory; `processors` how many to use.
    Raises StoreError when uv fails, with what it said.
    """
    from uv import find_uv_bin

    contained = snapshot.image.kind != "host"
    here = _Places(find_uv_bin(), str(tree), str(scratch), str(wheelhouse))
    seen = _Places("/.lumienv/uv", mount, "/.lumienv/work", "/.lumienv/wheelhouse") if contained else here
    with disk_errors("prepare the environment", scratch):
        _prepare(scratch, snapshot, wheels, files, wheelhouse, seen)
    activation = snapshot.activation
    surroundings = Surroundings(
        env={
            **activation.set,
            "UV_CACHE_DIR": f"{seen.tree}/.uv-cache",
            "UV_LINK_MODE": "hardlink",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_CONCURRENT_INSTALLS": str(processors),
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": "",
            "PYTHONHOME": "",
        },
        prepend_path=activation.prepend_path,
        binds=(
            Bind(here.tree, seen.tree, writable=True),
            Bind(here.work, seen.work),
            Bind(here.uv, seen.uv),
            Bind(here.wheelhouse, seen.wheelhouse),
        )
        if contained
        else (),
    )
    relocatable = "" if contained else "--relocatable"
    python = snapshot.python.executable
    command = [
        "/bin/sh",
        "-c",
        _BUILD,
        "sh",
        seen.uv,
        python,
        seen.tree,
        seen.work,
        str(processors),
        relocatable,
    ]
    (scratch / "tmp").mkdir()
    done = closed_capture(
        runtime,
        snapshot.image.path,
        command,
        surroundings,
        inherited=os.environ,
        scratch=scratch / "tmp",
    )
    remove_tree(tree / ".uv-cache")
    if done.returncode != 0:
        raise _failure(done.stderr, snapshot)
    with disk_errors("write the environment", tree):
        tree.chmod(0o755)
        _remove_traces(tree)
        write_provenance(tree, provenance)
        return write_image_scripts(tree, snapshot.scripts, f"{seen.tree}/bin/python" if contained else "")


def _prepare(
    scratch: Path,
    snapshot: Snapshot,
    wheels: Sequence[LockedWheel],
    files: Mapping[str, Path],
    wheelhouse: Path,
    seen: _Places,
) -> None:
    """The build's input: links to this lock's wheels alone, their hashes, and the files of ours."""
    (scratch / "wheels").mkdir()
    (scratch / "site").mkdir()
    (scratch / "program").mkdir()
    program = resources.files("lumienv.overlay").joinpath("bytecode.py").read_bytes()
    (scratch / "program" / "bytecode.py").write_bytes(program)
    lines = []
    for wheel in wheels:
        inside = os.path.relpath(files[wheel.sha256], wheelhouse)
        (scratch / "wheels" / wheel.filename).symlink_to(f"{seen.wheelhouse}/{inside}")
        lines.append(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    (scratch / "requirements.txt").write_text("".join(lines))
    write_visibility(scratch / "site", snapshot.python.site_packages)


def _remove_traces(tree: Path) -> None:
    """Take out what uv leaves of itself, of the time and of this machine; RECORDs then name what is there."""
    for name in _LEFTOVERS:
        (tree / name).unlink(missing_ok=True)
    settings = tree / "pyvenv.cfg"
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("uv = ")), encoding="utf-8")
    for name in _NOTES:
        for note in tree.glob(f"lib/python*/site-packages/*.dist-info/{name}"):
            forget(note)


def _failure(said: str, snapshot: Snapshot) -> StoreError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    full = any("No space left" in line or "quota" in line.lower() for line in lines)
    return StoreError(
        "the environment could not be built: the disk is full"
        if full
        else f"the environment could not be built in {snapshot.image.name}",
        *lines[-6:],
        hint="free some space, or choose another place with [sync] store; the old environment still works"
        if full
        else "the old environment still works; nothing was changed",
    )
