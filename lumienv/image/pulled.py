"""Which SIF an image of a registry was made into: notes in the cache, an entry an address.

An image lies under a name that its digest is a part of, so a tag that moves leads to another file, and the
old one stays for the environments that were made on it. A note knows the file by its identity.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lumienv.errors import ImageError
from lumienv.files import disk_errors, private_directory
from lumienv.image.sif import read_sif
from lumienv.manifest.imageaddress import REGISTRY, ImageAddress
from lumienv.sealed import read_sealed, write_sealed

FOLDER = "images"
_NOTES = "notes"
# Of the digest, as many digits as LUMI puts into the names of its images and four more; of the name, the end.
_DIGITS = 16
_LONGEST = 80


@dataclass(frozen=True)
class Pulled:
    """An image that was pulled."""

    uri: str
    digest: str
    path: str
    identity: str
    """of the SIF, as it was made"""

    @property
    def is_pinned(self) -> bool:
        """Whether the address always leads to this image."""
        return self.uri.endswith(f"@{self.digest}")

    @property
    def is_whole(self) -> bool:
        """Whether the SIF is there, and still the one that was made."""
        with suppress(ImageError, OSError):
            return read_sif(Path(self.path)).identity == self.identity
        return False


def usual_place(cache: Path, address: ImageAddress, digest: str) -> Path:
    """Where the image of this digest is put when nobody says where."""
    written = address.repository if address.transport == REGISTRY else Path(address.name).stem
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in written)
    parts = (name[-_LONGEST:].strip(".-") or "image", digest.partition(":")[2][:_DIGITS])
    return cache / FOLDER / f"{'-'.join(filter(None, parts))}.sif"


def pulled_image(cache: Path, address: ImageAddress) -> Pulled | None:
    """What this address was pulled to last; None where it never was, or the note is damaged."""
    return _read(_note(cache, address))


def note_pulled(cache: Path, address: ImageAddress, pulled: Pulled) -> None:
    """Remember what this address was pulled to. Raises StoreError."""
    with disk_errors("note what was pulled", cache):
        folder = private_directory(private_directory(cache / FOLDER) / _NOTES)
        if not write_sealed(folder, _note(cache, address), json.dumps(asdict(pulled)).encode()):
            raise OSError("the cache cannot be written to")


def pulled_images(cache: Path) -> list[Pulled]:
    """All that were pulled, each SIF once, by the address that always leads to it where there is one."""
    found: dict[str, Pulled] = {}
    with suppress(OSError):
        for entry in sorted((cache / FOLDER / _NOTES).iterdir()):
            one = _read(entry)
            if one is not None and (one.path not in found or one.is_pinned):
                found[one.path] = one
    return sorted(found.values(), key=lambda one: one.path)


def _read(note: Path) -> Pulled | None:
    text = read_sealed(note)
    if text is not None:
        with suppress(ValueError, TypeError):
            return Pulled(**json.loads(text))
    return None


def _note(cache: Path, address: ImageAddress) -> Path:
    return cache / FOLDER / _NOTES / hashlib.sha256(address.key.encode()).hexdigest()
