"""Where a wheel's METADATA comes from: beside the wheel, out of its tail, or out of all of it."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from lumienv.errors import PackageIndexError
from lumienv.index.archive import metadata_in_wheel
from lumienv.index.download import check_hash, local_path
from lumienv.index.pages import File
from lumienv.index.remote_wheel import NoRangesError, RemoteWheel, gone

if TYPE_CHECKING:
    from lumienv.index.transport import Transport


def remote_metadata(transport: "Transport", file: File) -> bytes:
    """The content of METADATA: as the index offers it (PEP 658), else by range, else out of the whole wheel.

    Raises PackageIndexError.
    """
    if file.core_metadata is not None:
        parts = urlsplit(file.url)
        url = urlunsplit(parts._replace(path=parts.path + ".metadata"))
        answer = transport.get(url, {"Accept-Encoding": "gzip"})
        if answer.status == 200:
            check_hash(f"the metadata of {file.filename}", answer.body, file.core_metadata, url)
            return answer.body
        # Some mirrors pass the offer on but not the file: the wheel itself will tell.
    wheel = RemoteWheel(transport, file.url, file.size)
    try:
        size = wheel.read_tail()
    except NoRangesError:
        return _from_all(transport, file)
    if wheel.whole is not None:
        check_hash(file.filename, wheel.whole, file.sha256, file.url)
    try:
        return metadata_in_wheel(wheel.read, size, file.filename)
    except NoRangesError:
        return _from_all(transport, file)


def _from_all(transport: "Transport", file: File) -> bytes:
    wheel = RemoteWheel(transport, file.url, None)
    wheel.fetch_whole()
    if wheel.whole is None or wheel.size is None:
        raise gone(file.url, 404)
    check_hash(file.filename, wheel.whole, file.sha256, file.url)
    return metadata_in_wheel(wheel.read, wheel.size, file.filename)


def local_metadata(file: File) -> bytes:
    """The content of METADATA of a wheel on this machine. Raises PackageIndexError."""
    path = local_path(file.url)
    try:
        with path.open("rb") as stream:

            def read(start: int, length: int) -> bytes:
                stream.seek(start)
                return stream.read(length)

            return metadata_in_wheel(read, path.stat().st_size, file.filename)
    except OSError as error:
        raise PackageIndexError(
            f"cannot read {path}", (error.strerror or "").lower(), hint="check the local package index"
        ) from error
