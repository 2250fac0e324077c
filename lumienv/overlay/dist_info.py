"""What a package's `.dist-info` says of how it came to be installed: from where, and by whose wish.

uv installs wheels of the wheelhouse, by name and hash, and takes each to be wished for. Whence the wheel is,
and who wanted it, only the lock knows: so it is written down here, where pip, uv and others look for it.
"""

import base64
import hashlib
import json
from bisect import insort
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.direct_url import ArchiveInfo, DirectUrl, DirInfo, VcsInfo
from packaging.utils import canonicalize_name

from lumienv.build.address import local_place
from lumienv.build.folders import known_path
from lumienv.resolve.origin import Origin

_DIRECT_URL = "direct_url.json"
_REQUESTED = "REQUESTED"


@dataclass(frozen=True)
class Provenance:
    """How the packages of a tree come to be installed."""

    requested: Collection[str] = ()
    """the names that the user asked for, normalised (PEP 376, REQUESTED)"""
    direct_urls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """name → what its `direct_url.json` says, of what comes from no index (PEP 610)"""


def direct_url(origin: Origin, project: Path, name: str) -> Mapping[str, Any]:
    """What `direct_url.json` says of a package of this origin; relative paths start at `project`.

    As pip writes it, without what gives access: user name and password, and the query, in which signatures
    stand. The path in an archive's address has the file's name, so that it is named without a query, too.
    Raises ManifestError for a path where there is nothing.
    """
    if "://" in origin.location:
        url = urlunsplit(urlsplit(origin.location)._replace(query="", fragment=""))
    else:
        place = known_path(local_place(project, name, origin.location))
        # A folder in a folder is a project of its own: pip, asked to reinstall it, goes by the URL alone.
        url = (place / origin.subdirectory if origin.kind == "directory" else place).as_uri()
    inside = origin.subdirectory or None
    if origin.kind == "git":
        vcs = VcsInfo(vcs="git", requested_revision=origin.revision or None, commit_id=origin.commit)
        found = DirectUrl(url=url, vcs_info=vcs, subdirectory=inside)
    elif origin.kind == "archive":
        archive = ArchiveInfo(hashes={"sha256": origin.sha256.lower()})
        found = DirectUrl(url=url, archive_info=archive, subdirectory=inside)
    else:
        found = DirectUrl(url=url, dir_info=DirInfo(editable=origin.editable or None))
    return found.to_dict(generate_legacy_hash=True)


def write_provenance(tree: Path, provenance: Provenance) -> None:
    """Have each package in a tree that was just built say how it came there. Raises OSError."""
    for record in tree.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        folder = record.parent
        name = canonicalize_name(folder.name.partition("-")[0])
        if name not in provenance.requested:
            forget(folder / _REQUESTED)
        forget(folder / _DIRECT_URL)
        said = provenance.direct_urls.get(name)
        if said is not None:
            _add(folder / _DIRECT_URL, json.dumps(said, sort_keys=True).encode())


def forget(file: Path) -> None:
    """Take a file out of a `.dist-info` and out of its RECORD, if it is there. Raises OSError."""
    if not file.exists():
        return
    file.unlink()
    entry = f"{file.parent.name}/{file.name},".encode()
    record = file.with_name("RECORD")
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(line for line in lines if not line.startswith(entry)))


def _add(file: Path, content: bytes) -> None:
    """Put a file into a `.dist-info` and into its RECORD, which uv sorts."""
    file.write_bytes(content)
    file.chmod(0o644)  # whatever the umask: the same lock gives the same bytes
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    entry = f"{file.parent.name}/{file.name},sha256={digest},{len(content)}\n".encode()
    record = file.with_name("RECORD")
    lines = record.read_bytes().splitlines(keepends=True)
    insort(lines, entry)
    record.write_bytes(b"".join(lines))
