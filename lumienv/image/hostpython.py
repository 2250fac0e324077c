"""An interpreter of this machine as a base: has it changed, and is it the same?

Two questions with different costs. The fingerprint takes some `stat` calls and changes whenever something
may have changed. The identity rests on what the interpreter provides, and so on a snapshot: it tells whether
something really did, and is the same on another machine with the same interpreter.
"""

import os
import shutil
import sys
from pathlib import Path

from lumienv.digest import sha256
from lumienv.errors import ImageError


def find_python(named: str, path: str | None = None) -> str | None:
    """Where a Python of this machine lies: by its path, or by its name on `path`, by default PATH.

    Not in lumienv's own virtual environment, which its users have on PATH: what lumienv needs would count as
    what the base provides, and the next release of lumienv would be another base.
    """
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    if sys.prefix != sys.base_prefix:
        own = os.path.realpath(f"{sys.prefix}/bin")
        folders = [folder for folder in folders if os.path.realpath(folder) != own]
    return shutil.which(named, path=os.pathsep.join(folders))


def no_python(named: str, path: str | None = None) -> ImageError:
    """What to say where `find_python` finds none."""
    own = shutil.which(named, path=path)
    if own is not None:
        return ImageError(
            f"the only {named} on PATH is that of lumienv's own virtual environment, which is no base",
            hint=f'name its interpreter: [image] host = "{os.path.realpath(own)}"',
        )
    return ImageError(
        f"there is no Python called {named} on this machine",
        hint='[image] host takes a path or a name on PATH, such as "python3"',
    )


def host_fingerprint(executable: str) -> str:
    """`host:` and a digest over modification times: of the interpreter and of its packages' folders.

    Raises ImageError when the interpreter is gone.
    """
    real = Path(os.path.realpath(executable))
    try:
        digest = sha256(f"{executable}\0{real}\0{real.stat().st_mtime_ns}".encode())
    except FileNotFoundError:
        raise ImageError(f"the Python {executable} is gone", hint="name another in [image] host") from None
    # A venv's packages lie beside the link, those of the interpreter beside the file it leads to.
    for prefix in sorted({Path(executable).parent.parent, real.parent.parent}):
        for pattern in ("lib*/python3*/*-packages", "local/lib/python3*/*-packages"):
            for folder in sorted(prefix.glob(pattern)):
                digest.update(f"\0{folder}\0{folder.stat().st_mtime_ns}".encode())
    return f"host:{digest.hexdigest()}"


def host_identity(executable: str, version: str, prefix: str, frozen: str) -> str:
    """`host:` and a digest over real path, full version, prefix and the frozen list's digest."""
    facts = "\0".join((os.path.realpath(executable), version, prefix, frozen))
    return f"host:{sha256(facts.encode()).hexdigest()}"
