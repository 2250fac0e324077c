"""From the manifest's `[image]` table to the base that is meant."""

import os
from dataclasses import replace
from pathlib import Path

from lumienv.errors import ImageError
from lumienv.files import user_path
from lumienv.image.catalog import find_image
from lumienv.image.hostpython import find_python, host_fingerprint, no_python
from lumienv.image.pulled import pulled_image
from lumienv.image.sif import read_sif
from lumienv.image.snapshot import Base
from lumienv.manifest import ImageTable
from lumienv.manifest.imageaddress import ImageAddress, parse_address
from lumienv.runtime.process import capture
from lumienv.site import Site


def find_base(table: ImageTable, project: Path, site: Site, preferred: str | None = None) -> Base:
    """The base that `table` names; relative paths start at `project`.

    `preferred` is the file name that the lock was made for: of several images that fit the selectors it
    stays the chosen one. Raises ImageError.
    """
    if table.kind == "host":
        interpreter = os.path.expanduser(table.value)  # noqa: PTH111 - a bare name must stay bare
        return host_base(os.path.join(project, interpreter) if "/" in interpreter else interpreter)  # noqa: PTH118
    if table.kind == "path":
        path = Path(os.path.normpath(project / user_path(table.value)))
    elif table.kind == "uri":
        return pulled_base(parse_address(table.value), site.cache)
    elif table.kind == "name":
        path = find_image(table.value, table.selectors, site.image_folders, preferred=preferred).path
    else:
        raise ImageError(
            f"[image] {table.kind} is not supported by this version of lumienv",
            hint="name an image by path, by name, or a Python of this machine by host",
        )
    return sif_base(path)


def sif_base(path: Path) -> Base:
    """The SIF at `path`. Raises ImageError when it is missing, no SIF, or truncated."""
    sif = read_sif(path)
    machine = os.uname().machine
    if sif.architecture and sif.architecture != machine:
        raise ImageError(
            f"the image {path} is for {sif.architecture}, this machine is {machine}",
            hint="lock and sync on a machine of the image's kind",
        )
    name = Path(os.path.realpath(path)).name
    return Base("sif", str(path), name, sif.identity, sif.size, sif.architecture, sif.identity)


def pulled_base(address: ImageAddress, cache: Path) -> Base:
    """The SIF that was made of a registry's image. Raises ImageError when it was not, or is another one now.

    What is in the file decides, not what the registry has under the same name by now.
    """
    again = f"fetch it: lumienv image pull {address}"
    found = pulled_image(cache, address)
    if found is None:
        raise ImageError(f"the image {address} has not been fetched yet", hint=again)
    if not os.path.exists(found.path):  # noqa: PTH110 - a closed folder is none that can be used
        raise ImageError(f"the image {found.path}, fetched from {address}, is gone", hint=again)
    base = sif_base(Path(found.path))
    if base.identity != found.identity:
        raise ImageError(f"the image {found.path} is another one than was fetched from {address}", hint=again)
    return replace(base, pulled=f"oci:{found.digest}")


def host_base(interpreter: str) -> Base:
    """An interpreter of this machine, by path or by name on PATH; its identity is known with its snapshot.

    Raises ImageError when there is no such program, or when it is no Python.
    """
    found = find_python(interpreter)
    if found is None:
        raise no_python(interpreter)
    # What is on PATH may be a shim (pyenv, asdf): the interpreter itself knows where it lies.
    asked = capture([found, "-Ic", "import sys; print(sys.executable)"], timeout=60)
    executable = asked.stdout.strip()
    if asked.returncode != 0 or not Path(executable).is_file():
        raise ImageError(f"{found} is not a Python that works", *asked.stderr.splitlines()[-2:])
    return Base("host", executable, f"host {executable}", "", fingerprint=host_fingerprint(executable))
