"""Unpack a source distribution: nothing in it may leave its folder, be no file, or fill the disk.

Anybody can put anything on an index, so an archive is read with suspicion (PEP 721 for tar files; zip files
are held to the same). What is refused is refused before it is written.
"""

import errno
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from lumienv.errors import BrokenReleaseError
from lumienv.files import disk_errors

# Text packs to a tenth, rarely to a fiftieth; what is small anyway does no harm.
_LARGEST_RATIO = 100
_ALWAYS_FINE = 100 << 20  # bytes
_LARGEST = 20 << 30  # bytes
_MOST_MEMBERS = 300_000
# Sources that were packed at the beginning of time (1970, as some backends do) fit into no wheel: zip files
# begin in 1980, in local time.
_EARLIEST = 315_619_200  # 1980-01-02, UTC
_LATEST = 4_354_819_200  # 2108-01-01, UTC, where zip files end
# What a disk says to names that do not fit together, or into it; no other disk would take them.
_NAMES = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ}


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a .tar.gz or .zip file into the empty folder `target`; returns the folder of the project.

    That is the one folder in it, as the sdist specification has it, else `target` itself.
    Raises BrokenReleaseError for an archive that is damaged or not to be trusted, StoreError for a full disk.
    """
    budget = min(max(_ALWAYS_FINE, archive.stat().st_size * _LARGEST_RATIO), _LARGEST)
    with disk_errors(f"unpack {archive.name}", target):
        try:
            if archive.name.endswith(".zip"):
                _unpack_zip(archive, target, budget)
            else:
                _unpack_tar(archive, target, budget)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError) as error:
            raise _refused(archive, _reason(error)) from error
        except (NotImplementedError, RuntimeError) as error:  # a zip method or a password
            raise _refused(archive, "it is packed in a way that source distributions do not use") from error
        except (ValueError, LookupError, OverflowError) as error:  # fields that hold rubbish
            raise _refused(archive, _reason(error)) from error
        except OSError as error:
            if error.errno not in _NAMES:
                raise
            raise _refused(archive, "it has file names that no disk can hold") from error
    inside = list(target.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else target


def _refused(archive: Path, reason: str) -> BrokenReleaseError:
    return BrokenReleaseError(
        f"{archive.name} is not unpacked: {reason}",
        hint="choose another version, and tell those who made it",
    )


def _reason(error: Exception) -> str:
    if hasattr(tarfile, "FilterError") and isinstance(error, tarfile.FilterError):
        return f"{error.tarinfo.name} would leave its folder, or is no file"
    return "it is no archive, or a damaged one"


class _Metered(io.RawIOBase):
    """A decompressed stream that gives no more than was allowed, whatever the archive says of itself."""

    def __init__(self, archive: Path, stream: gzip.GzipFile, budget: int) -> None:
        super().__init__()
        self._archive = archive
        self._stream = stream
        self._left = budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise _too_large(self._archive)
        return content


def _too_large(archive: Path) -> BrokenReleaseError:
    return _refused(archive, f"it would become absurdly large ({archive.stat().st_size} bytes now)")


def _unpack_tar(archive: Path, target: Path, budget: int) -> None:
    # Python 3.11.0 to 3.11.3 have no filters; what these refuse is refused below, too.
    second_opinion: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    members = _Members(archive)
    with _tar(archive, budget) as tar:
        for member in tar:
            members.check(member.name, member.linkname if member.issym() else None)
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                raise _refused(archive, f"{member.name} is no file")
            if member.islnk():
                members.check(member.linkname)
            # Not the other way round: a time that is no number loses each comparison.
            member.mtime = int(max(_EARLIEST, min(_LATEST, member.mtime)))
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
            tar.extract(member, target, **second_opinion)


@contextmanager
def _tar(archive: Path, budget: int) -> Iterator[tarfile.TarFile]:
    # The headers take room of their own, and a file of nothing but headers is a bomb too.
    with (
        gzip.open(archive) as stream,
        _Metered(archive, stream, budget) as metered,
        tarfile.open(fileobj=metered, mode="r|", errorlevel=1) as tar,
    ):
        yield tar


def _unpack_zip(archive: Path, target: Path, budget: int) -> None:
    members = _Members(archive)
    left = budget
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            members.check(member.filename)
            left -= member.file_size
            if left < 0:
                raise _too_large(archive)
            # zipfile gives no more than file_size bytes, and fails where that is not all.
            path = Path(packed.extract(member, target))
            if not member.is_dir() and member.external_attr >> 16 & 0o100:
                path.chmod(0o755)


class _Members:
    """The names in an archive, each checked before it is written."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._count = 0
        self._links: set[PurePosixPath] = set()

    def check(self, name: str, link: str | None = None) -> None:
        """Raises BrokenReleaseError for a path or a link that leads out of the folder.

        Nothing may stand below a link, so that what the text of a path says is where it is. In a link `..`
        may only come first: behind the name of another link it would lead elsewhere than the text says.
        """
        self._count += 1
        if self._count > _MOST_MEMBERS:
            raise _refused(self._archive, f"it has more than {_MOST_MEMBERS} files")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise _refused(self._archive, f"{_shown(name)} would be written outside its folder")
        if any(parent in self._links for parent in (path, *path.parents)):
            raise _refused(self._archive, f"{_shown(name)} stands behind a link")
        if link is None:
            return
        parts = PurePosixPath(link).parts
        down = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
        if link.startswith("/") or down > len(path.parent.parts) or ".." in parts[down:]:
            raise _refused(self._archive, f"{_shown(name)} is a link that leads out of its folder")
        self._links.add(path)


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:100])
