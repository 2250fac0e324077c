"""The wheelhouse: files on this machine, each under its own hash.

An entry appears by rename when it is whole and its hash is right, so that any number of processes may fill
one wheelhouse, and one that is killed leaves nothing that could be taken for a wheel.

Every entry is hashed again when it is used: 240 MiB in 60 files take 0.18 s in one thread and 0.09 s in two
(measured, files in memory), and a size and a time would not notice a damaged block.
"""

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lumienv.errors import InterruptedByUserError, PackageIndexError
from lumienv.files import abandoned, disk_errors, own_prefix, private_directory
from lumienv.index.client import IndexClient
from lumienv.index.download import check_digest, download
from lumienv.index.pages import SAFE_NAME, sha256_of

# Called from the fetching threads with a file name, the bytes at hand and their total, if known. The bytes
# go back to 0 when a server makes the download start again.
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class WheelRequest:
    """A file that is wanted: as a lock names it. `size` in bytes, when known."""

    filename: str
    url: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the wheelhouse: where it lies, and its hash and size, in bytes, as they are."""

    path: Path
    filename: str
    sha256: str
    size: int


class Wheelhouse:
    """The directory `root`, filled through `client`.

    Raises StoreError when `root` is not this user's own directory or cannot be made.
    """

    def __init__(self, root: Path, client: IndexClient) -> None:
        self.root = root
        self._client = client

    def path(self, sha256: str, filename: str) -> Path:
        """Where a file lies: `<root>/<first two digits>/<sha256>/<filename>`.

        Raises PackageIndexError for a hash or a name that would lead elsewhere.
        """
        digest = sha256_of(sha256)
        if digest is None or not SAFE_NAME.fullmatch(filename):
            raise PackageIndexError(
                f"{filename!s} cannot be fetched: its name or its hash is not one",
                f"sha256 {sha256}",
                hint="lock again: the lock file is damaged",
            )
        return self.root / digest[:2] / digest / filename

    def fetch(self, wanted: Sequence[WheelRequest], progress: Progress | None = None) -> Mapping[str, Path]:
        """Bring all that is wanted here, in parallel; returns the paths by file name.

        Raises PackageIndexError for what cannot be had or has another hash, StoreError for a full disk. Then
        the other downloads are given up; what was complete stays.
        """
        places = {request.filename: self.path(request.sha256, request.filename) for request in wanted}
        with disk_errors("make the wheelhouse", self.root):
            private_directory(self.root)
            parts = private_directory(self.root / "parts")
            _remove_abandoned(parts)
        tell = progress or _silent
        given_up = threading.Event()
        # The largest first: started last, it would be what everything waits for.
        ordered = sorted({r.filename: r for r in wanted}.values(), key=lambda r: -(r.size or 0))
        futures = [
            self._client.workers.submit(
                partial(self._bring, request, places[request.filename], parts, tell, given_up)
            )
            for request in ordered
        ]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failed = [f for f in futures if f.done() and not f.cancelled() and f.exception() is not None]
            for future in failed:
                future.result()
        finally:
            given_up.set()
            for future in futures:
                future.cancel()
        if any(future.cancelled() for future in futures):
            raise InterruptedByUserError("interrupted: the client was closed while it was fetching")
        return places

    def take_in(self, filename: str, url: str) -> Kept:
        """Bring a file here whose hash nobody has told: it is computed while the file arrives.

        Raises PackageIndexError for what cannot be had, StoreError for a full disk.
        """
        if self._client.offline and not url.startswith("file:"):
            known = self._client.remembered_hash(url)
            kept = None if known is None else self.held(known[0], filename)
            if kept is None:
                raise _missing_offline(filename)
            return kept
        with self._part(filename) as part:
            with part.open("wb") as sink:
                sha256, size = download(self._client.transport, url, sink, _ignored)
            self._client.remember_hash(url, sha256, size)
            return self._settle(part, filename, sha256, size)

    def keep(self, source: Path) -> Kept:
        """A copy of a file of this machine: a wheel that was built here. Raises StoreError."""
        digest = hashlib.sha256()
        with self._part(source.name) as part:
            with source.open("rb") as built, part.open("wb") as sink:
                while chunk := built.read(1 << 20):
                    digest.update(chunk)
                    sink.write(chunk)
            return self._settle(part, source.name, digest.hexdigest(), part.stat().st_size)

    def held(self, sha256: str, filename: str) -> Kept | None:
        """The file of that hash and name, when it is here and undamaged."""
        path = self.path(sha256, filename)
        request = WheelRequest(filename, "", sha256)
        if not self._holds(path, request, _silent, threading.Event()):
            return None
        return Kept(path, filename, sha256.lower(), path.stat().st_size)

    @contextlib.contextmanager
    def _part(self, filename: str) -> Iterator[Path]:
        """A file to write to, which is gone in the end unless it was settled."""
        with disk_errors(f"store {filename}", self.root):
            private_directory(self.root)
            parts = private_directory(self.root / "parts")
            descriptor, name = tempfile.mkstemp(prefix=own_prefix(""), suffix=".part", dir=parts)
            os.close(descriptor)
            try:
                yield Path(name)
            finally:
                with contextlib.suppress(OSError):
                    Path(name).unlink(missing_ok=True)

    def _settle(self, part: Path, filename: str, sha256: str, size: int) -> Kept:
        target = self.path(sha256, filename)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.replace(target)
        return Kept(target, filename, sha256, size)

    def _bring(
        self, request: WheelRequest, target: Path, parts: Path, tell: Progress, given_up: threading.Event
    ) -> None:
        if self._holds(target, request, tell, given_up):
            return
        if self._client.offline and not request.url.startswith("file:"):
            raise _missing_offline(request.filename)

        def on_bytes(received: int, total: int | None) -> None:
            _check(given_up)
            tell(request.filename, received, total if total is not None else request.size)

        with disk_errors(f"store {request.filename}", target):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=own_prefix(""), suffix=".part", dir=parts)
            try:
                with os.fdopen(descriptor, "wb") as part:
                    got, _ = download(self._client.transport, request.url, part, on_bytes)
                check_digest(request.filename, got, request.sha256.lower(), request.url)
                Path(name).replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise

    def _holds(self, target: Path, request: WheelRequest, tell: Progress, given_up: threading.Event) -> bool:
        """Whether the entry is there and undamaged; a damaged one will be replaced."""
        digest = hashlib.sha256()
        done = 0
        try:
            with target.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                while chunk := file.read(1 << 20):
                    _check(given_up)
                    digest.update(chunk)
                    done += len(chunk)
        except FileNotFoundError:
            return False
        if digest.hexdigest() != request.sha256.lower():
            return False
        tell(request.filename, done, size)
        return True


def _check(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise InterruptedByUserError("interrupted")


def _missing_offline(filename: str) -> PackageIndexError:
    return PackageIndexError(
        f"{filename} is not in the wheelhouse, and lumienv is offline",
        hint="run the command once without `--offline`, where there is a network",
    )


def _ignored(_received: int, _total: int | None) -> None:
    pass


def _silent(_filename: str, _received: int, _total: int | None) -> None:
    pass


def _remove_abandoned(parts: Path) -> None:
    """Parts of processes that were killed.

    No lock tells which these are, as flock does not reach across nodes on every Lustre mount.
    """
    for part in abandoned(parts, ""):
        with contextlib.suppress(OSError):
            part.unlink()
