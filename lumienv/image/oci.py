"""What the documents of an OCI or Docker image say before it is fetched: its digest, machine and size.

Forms after the OCI image specification (`manifest.md`, `image-index.md`, `image-layout.md`), which Docker's
second schema shares; an archive of `docker save` has a `manifest.json` of its own.
"""

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import Any

from lumienv.errors import ImageError
from lumienv.manifest.imageaddress import ImageAddress

# `uname -m` → GOARCH, as images call it.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "i686": "386"}
LARGEST = 8 << 20
"""bytes of a document: a manifest has some kilobytes"""
# A list of images may have lists inside; nobody nests them deeper.
_DEPTH = 3


@dataclass(frozen=True)
class OciImage:
    """An image as it lies in a registry or an archive."""

    digest: str
    """`sha256:…` of what its name leads to: a manifest, or a list of them for several machines"""
    size: int
    """bytes of its layers there, which are mostly compressed"""


def image_of(top: bytes, read: Callable[[str], bytes], address: ImageAddress, machine: str) -> OciImage:
    """The image that the document `top` describes, for this machine; `read` gives others by their digest.

    Raises ImageError for what is no image, and for one of other machines.
    """
    digest = digest_of(top)
    document, wanted = _json(top, address), _MACHINES.get(machine, machine)
    for _ in range(_DEPTH):
        if "manifests" not in document:
            break
        platforms = [(_platform(entry), entry) for entry in _list(document, "manifests", address)]
        fitting = [entry for platform, entry in platforms if platform in ("", wanted)]
        if not fitting:
            raise _of_others(address, sorted({platform for platform, _ in platforms} - {"unknown"}), wanted)
        document = _json(_checked(read, _text(fitting[0], "digest", address), address), address)
    if "layers" not in document or "config" not in document:
        raise ImageError(
            f"{address} is no image that the runtimes can read"
            + (": it has Docker's first format, of 2015" if "fsLayers" in document else ""),
            hint="push it once more with a Docker of today",
        )
    config = _json(_checked(read, _text(document["config"], "digest", address), address), address)
    architecture = config.get("architecture")
    if architecture and architecture != wanted:
        raise _of_others(address, [str(architecture)], wanted)
    sizes = [layer.get("size") for layer in _list(document, "layers", address)]
    return OciImage(digest, sum(size for size in sizes if isinstance(size, int)))


def digest_of(document: bytes) -> str:
    """`sha256:…` of these bytes."""
    return "sha256:" + hashlib.sha256(document).hexdigest()


def archived_image(address: ImageAddress, machine: str) -> OciImage:
    """The one image in an archive or a folder. Raises ImageError."""
    path = Path(address.name)
    with _members(address, path) as member:
        if address.transport == "docker-archive":
            return OciImage(_saved_by_docker(member, address, machine), path.stat().st_size)
        found = _list(_json(member("index.json"), address), "manifests", address)
        if len(found) != 1:
            raise _several(address, [_reference(entry) for entry in found])

        def read(digest: str) -> bytes:
            return member("blobs/" + digest.replace(":", "/"))

        return image_of(_checked(read, _text(found[0], "digest", address), address), read, address, machine)


def _saved_by_docker(member: Callable[[str], bytes], address: ImageAddress, machine: str) -> str:
    """The digest of its configuration, which Docker calls the image's id."""
    listed = _parsed(member("manifest.json"))
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise _no_image(address)
    if len(listed) != 1:
        raise _several(address, [_first_tag(entry) for entry in listed])
    config = member(_text(listed[0], "Config", address))
    architecture = _json(config, address).get("architecture")
    wanted = _MACHINES.get(machine, machine)
    if architecture and architecture != wanted:
        raise _of_others(address, [str(architecture)], wanted)
    return digest_of(config)


@contextmanager
def _members(address: ImageAddress, path: Path) -> Iterator[Callable[[str], bytes]]:
    """What reads a small file of the archive or folder by its name. Raises ImageError."""
    try:
        if address.transport == "oci":
            yield lambda name: _read_small(path / name)
            return
        with tarfile.open(path) as archive:
            yield partial(_read_member, archive)
    except FileNotFoundError:
        if not path.exists():
            raise ImageError(f"there is no {path}", hint="see whether the path is right") from None
        raise _no_image(address) from None
    # RecursionError: a link in it that leads to itself. The others are of damaged archives that are packed.
    except (tarfile.TarError, EOFError, ValueError, KeyError, RecursionError, zlib.error, LZMAError):
        raise _no_image(address) from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Raises KeyError where there is none."""
    known = archive.getnames()
    file = archive.extractfile(name if name in known else f"./{name}")
    if file is None:
        raise KeyError(name)
    return file.read(LARGEST)


def _read_small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST)


def _checked(read: Callable[[str], bytes], digest: str, address: ImageAddress) -> bytes:
    """A document by its digest, which it has to have. Raises ImageError."""
    digits = digest.removeprefix("sha256:")
    if len(digits) != 64 or not digits.isalnum():
        raise _no_image(address)
    content = read(digest)
    if digest_of(content) != digest:
        raise ImageError(
            f"{address} is damaged: a document in it has another digest than it is listed with",
            hint="copy or push it again",
        )
    return content


def _json(content: bytes, address: ImageAddress) -> dict[str, Any]:
    data = _parsed(content)
    if not isinstance(data, dict):
        raise _no_image(address)
    return data


def _parsed(content: bytes) -> Any:
    """None for what is no JSON, and for what is nested deeper than anybody nests it."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _list(document: dict[str, Any], key: str, address: ImageAddress) -> list[dict[str, Any]]:
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise _no_image(address)
    return found


def _text(table: object, key: str, address: ImageAddress) -> str:
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, str):
        raise _no_image(address)
    return value


def _platform(entry: dict[str, Any]) -> str:
    """The machine of an entry in a list of images; empty where it does not say."""
    platform = entry.get("platform")
    return str(platform.get("architecture", "")) if isinstance(platform, dict) else ""


def _reference(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    name = "org.opencontainers.image.ref.name"
    return str(annotations.get(name, "?")) if isinstance(annotations, dict) else "?"


def _first_tag(entry: dict[str, Any]) -> str:
    """What Docker calls an image that it has saved."""
    tags = entry.get("RepoTags")
    return str(tags[0]) if isinstance(tags, list) and tags else "?"


def _no_image(address: ImageAddress) -> ImageError:
    return ImageError(
        f"{address} is no image that the runtimes can read",
        hint="oci-archive: and oci: are what skopeo and podman write, docker-archive: is what docker saves",
    )


def _several(address: ImageAddress, names: list[str]) -> ImageError:
    return ImageError(
        f"{address} holds {len(names)} images, and it is not clear which is meant",
        *(f"  {name}" for name in names[:6]),
        hint=f"have one alone in an archive: skopeo copy {address}:TAG oci-archive:one.tar",
    )


def _of_others(address: ImageAddress, have: list[str], wanted: str) -> ImageError:
    return ImageError(
        f"{address} has no image for this machine, which is {wanted} ({os.uname().machine})",
        f"there is one for {', '.join(have)}" if have else "it does not say for which machines there are any",
        hint="pull it on a machine of that kind, or choose another image",
    )
