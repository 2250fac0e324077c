"""A Jupyter kernel in the environment: a kernel spec of the user's that names the launcher of `python`."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ManifestError, StoreError, UsageError
from lumienv.files import disk_errors, remove_tree, write_atomically
from lumienv.lockfile import read_lock
from lumienv.overlay.generation import current_generation
from lumienv.overlay.launched import BIN
from lumienv.project import Project, base_of, snapshot_of

_NEEDED = "ipykernel"


@dataclass(frozen=True)
class Kernel:
    """A kernel spec."""

    name: str
    """by which Jupyter knows it"""
    title: str
    """what Jupyter shows"""
    path: Path
    """its `kernel.json`"""


def kernels_folder(environ: Mapping[str, str]) -> Path:
    """Where Jupyter looks for the user's kernels (jupyter_core, `jupyter_data_dir`)."""
    data = environ.get("JUPYTER_DATA_DIR")
    if not data:
        share = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local/share")
        data = str(Path(share) / "jupyter")
    return Path(data) / "kernels"


def install_kernel(project: Project, name: str | None = None) -> Kernel:
    """Let the user's Jupyter start kernels in the project's current environment, also after later syncs.

    Raises StoreError without an environment, or where the name is taken by another kernel; ManifestError
    where the environment has no ipykernel.
    """
    generation = current_generation(project.store.root)
    python = project.store.root / BIN / "python"
    if not python.exists():
        raise StoreError("the environment has no launchers yet", hint="make them: lumienv sync")
    _check_there(project)
    folder = project.manifest.directory
    kernel = _kernel(project, name, f"{name or folder.name} ({generation.base_name.removesuffix('.sif')})")
    owner = _project_of(kernel.path)
    if owner not in (None, str(folder)):
        what = f"of the project {owner}" if owner else "that lumienv did not make"
        raise StoreError(
            f"there is a Jupyter kernel {kernel.name} already, {what}",
            f"at {kernel.path.parent}",
            hint="give this one another name: lumienv shell --jupyter --name "
            f"{kernel.name}-{generation.base_kind}",
        )
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": kernel.title,
        "language": "python",
        "metadata": {"debugger": True, "lumienv": {"project": str(folder)}},
    }
    with disk_errors("write the Jupyter kernel", kernel.path):
        kernel.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kernel.path, (json.dumps(spec, indent=1, ensure_ascii=False) + "\n").encode())
    return kernel


def remove_kernel(project: Project, name: str | None = None) -> Kernel:
    """Remove the project's kernel of that name. Raises StoreError when there is none."""
    kernel = _kernel(project, name, "")
    owner = _project_of(kernel.path)
    if owner != str(project.manifest.directory):
        raise StoreError(
            f"there is no Jupyter kernel {kernel.name} of this project"
            + (f"; the one of that name is of {owner or 'another program'}" if owner is not None else ""),
            hint="`jupyter kernelspec list` shows what there is",
        )
    with disk_errors("remove the Jupyter kernel", kernel.path):
        kernel.path.unlink()
        remove_tree(kernel.path.parent)
    return kernel


def _kernel(project: Project, name: str | None, title: str) -> Kernel:
    # jupyter_client, kernelspec: letters, digits, and these; the name of a folder may have others.
    if name is not None and not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise UsageError(
            f"Jupyter takes no kernel of the name {name}", hint="use letters, digits, `-`, `_` and `.`"
        )
    chosen = name or re.sub(r"[^a-z0-9._-]+", "-", project.manifest.directory.name.lower()).strip("-.")
    chosen = chosen.lower() or "lumienv"  # Jupyter looks for folders in small letters
    return Kernel(chosen, title, kernels_folder(project.environ) / chosen / "kernel.json")


def _project_of(path: Path) -> str | None:
    """The project that a kernel spec is of, empty for none of lumienv's; None where there is nothing."""
    if not path.parent.exists():
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(path.read_bytes())["metadata"]["lumienv"]["project"])
    return "" if any(path.parent.iterdir()) else None


def _check_there(project: Project) -> None:
    lock = read_lock(project.lock_path)
    if lock is not None and _NEEDED in lock.labels():
        return
    snapshot = snapshot_of(project, base_of(project, lock))
    if _NEEDED in snapshot.by_name():
        return
    raise ManifestError(
        f"neither the image nor the lock has {_NEEDED}, which is what Jupyter talks to",
        hint=f'add "{_NEEDED}" to dependencies in lumienv.toml, and run: lumienv sync',
    )
