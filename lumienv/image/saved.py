"""Snapshots as files that people keep: read, written, and never over something else."""

import re
from pathlib import Path

from lumienv.errors import ImageError, StoreError
from lumienv.files import disk_errors, write_atomically
from lumienv.image.snapshot import Snapshot, snapshot_from_json


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in the file `path`. Raises ImageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(
            f"there is no snapshot {path}",
            hint=f"save one where the image is, with: lumienv image freeze -o {path.name}",
        ) from None
    except UnicodeDecodeError:
        raise ImageError(f"{path} is not a snapshot of an image: it is not text") from None
    except OSError as error:
        raise ImageError(f"the snapshot {path} cannot be read: {(error.strerror or '').lower()}") from None
    return snapshot_from_json(text, str(path))


def save_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write the snapshot to `path`; what is there is replaced only when it is a snapshot too.

    Raises StoreError.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a directory", hint=f"name a file in it: -o {path / file_name(snapshot)}")
    if path.exists():
        try:
            read_snapshot(path)
        except ImageError:
            raise StoreError(
                f"{path} is there, and it is not a snapshot that lumienv has saved",
                hint="name another file with -o, or remove this one; nothing was changed",
            ) from None
    with disk_errors("save the snapshot", path):
        write_atomically(path, snapshot.saved().encode())


def file_name(snapshot: Snapshot) -> str:
    """What a snapshot's file is called where nobody says: after the image."""
    if snapshot.image.kind == "host":
        return f"host-python-{snapshot.python.version}.json"
    stem = snapshot.image.name.removesuffix(".sif")
    return re.sub(r"[^\w.+-]+", "-", stem).lstrip(".-") + ".json"
