"""Which interpreter of this machine is it, and are its packages still the same?"""

import hashlib
import os
from pathlib import Path

from lumienv.errors import ImageError


def host_identity(executable: str) -> str:
    """`host:` and a digest over the interpreter and the folders in which its packages lie.

    Installing or removing a package changes a folder's modification time, and so the identity. Raises
    ImageError when the interpreter is gone.
    """
    real = Path(os.path.realpath(executable))
    try:
        digest = hashlib.sha256(f"{executable}\0{real}\0{real.stat().st_mtime_ns}".encode())
    except FileNotFoundError:
        raise ImageError(f"the Python {executable} is gone", hint="name another in [image] host") from None
    # A venv's packages lie beside the link, those of the interpreter beside the file it leads to.
    for prefix in sorted({Path(executable).parent.parent, real.parent.parent}):
        for pattern in ("lib*/python3*/*-packages", "local/lib/python3*/*-packages"):
            for folder in sorted(prefix.glob(pattern)):
                digest.update(f"\0{folder}\0{folder.stat().st_mtime_ns}".encode())
    return f"host:{digest.hexdigest()}"
