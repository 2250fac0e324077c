"""Where sources are: fetched as far as needed, and named exactly."""

from collections.abc import Callable
from copy import copy
from pathlib import Path

from lumienv.build.address import local_place, take_archive
from lumienv.build.folders import known_path
from lumienv.build.git import Repository
from lumienv.build.trees import Tree, archive_tree, folder_tree, git_tree
from lumienv.errors import ManifestError
from lumienv.index.client import IndexClient
from lumienv.index.pages import File
from lumienv.index.wheelhouse import Kept, Wheelhouse, WheelRequest
from lumienv.manifest import Source
from lumienv.resolve.origin import Origin


class Whereabouts:
    """Finds sources; each file and each archive once."""

    def __init__(
        self,
        client: IndexClient,
        wheelhouse: Wheelhouse,
        project: Path,
        cache: Path,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._wheelhouse = wheelhouse
        self._project = project
        self._cache = cache
        self._say = say
        self._files: dict[str, Kept] = {}

    def asking(self, client: IndexClient, wheelhouse: Wheelhouse) -> "Whereabouts":
        """The same for another client of the indexes; what was fetched stays known."""
        again = copy(self)
        again._client, again._wheelhouse = client, wheelhouse
        return again

    def origin(self, name: str, source: Source, locked: Origin | None) -> tuple[Origin, Kept | None]:
        """Exactly what a source is now, and its file when it is an archive.

        Raises ManifestError for one that is not there, PackageIndexError for one that cannot be fetched or
        has changed since it was `locked`.
        """
        if source.kind == "git":
            known = ""
            if locked is not None and (locked.kind, locked.location) == ("git", source.location):
                known = locked.commit if locked.revision == source.revision else ""
            commit = self._repository(source.location).commit(source.revision, known)
            origin = Origin(
                "git",
                source.location,
                revision=source.revision,
                commit=commit,
                subdirectory=source.subdirectory,
            )
            return origin, None
        if source.kind == "path" and local_place(self._project, name, source.location).is_dir():
            origin = Origin(
                "directory", source.location, subdirectory=source.subdirectory, editable=source.editable
            )
            return origin, None
        same = locked is not None and (locked.kind, locked.location) == ("archive", source.location)
        kept = self.archive(name, source.location, locked if same else None)
        if source.sha256 not in ("", kept.sha256):
            raise ManifestError(
                f"{source.location} is not the file that lumienv.toml says",
                f"lumienv.toml: sha256 {source.sha256}",
                f"received:     sha256 {kept.sha256}",
                hint=f"correct the hash of {name}, if you trust the file",
            )
        origin = Origin(
            "archive",
            source.location,
            filename=kept.filename,
            sha256=kept.sha256,
            size=kept.size,
            subdirectory=source.subdirectory,
        )
        return origin, kept

    def archive(self, name: str, location: str, locked: Origin | None) -> Kept:
        """The file at an address or path, in the wheelhouse. Raises as `origin`."""
        kept = self._files.get(location)
        if kept is None or (locked is not None and kept.sha256 != locked.sha256):
            kept = take_archive(self._wheelhouse, self._project, name, location, locked)
            self._files[location] = kept
        return kept

    def fetched(self, file: File) -> Kept:
        """A file of an index, in the wheelhouse. Raises PackageIndexError, StoreError."""
        kept = self._files.get(file.url)
        if kept is None:
            if file.sha256 is None:
                kept = self._wheelhouse.take_in(file.filename, file.url)
            else:
                request = WheelRequest(file.filename, file.url, file.sha256, file.size)
                path = self._wheelhouse.fetch([request])[file.filename]
                kept = Kept(path, file.filename, file.sha256, path.stat().st_size)
            self._files[file.url] = kept
        return kept

    def tree(self, name: str, origin: Origin, kept: Kept | None) -> Tree:
        """The sources at a place; `kept` is the file of an archive. Raises ManifestError."""
        if origin.kind == "git":
            return git_tree(name, self._repository(origin.location), origin.commit, origin.subdirectory)
        if kept is not None:
            return archive_tree(name, kept, origin.location, origin.subdirectory)
        folder = local_place(self._project, name, origin.location)
        return folder_tree(name, folder, origin.location, origin.subdirectory)

    def editable(self, name: str, origin: Origin) -> Path | None:
        """The folder in which an editable project lies: its path is what the wheel will record."""
        if not origin.editable or origin.kind != "directory":
            return None
        return known_path(local_place(self._project, name, origin.location)) / origin.subdirectory

    def _repository(self, location: str) -> Repository:
        return Repository(location, self._cache, offline=self._client.offline, say=self._say)
