"""`SourceBuilder`: metadata and wheels of what is no wheel.

`whereabouts` finds the sources, `static` reads what is stated, `backend` runs what has to be run, `kept`
remembers it. Here it is decided which of them is needed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from packaging.utils import canonicalize_name

from lumienv.build.address import is_wheel
from lumienv.build.backend import Outcome, Task, Workplace, ask_backend
from lumienv.build.failures import (
    BuildFailedError,
    cycle,
    not_allowed,
    not_as_promised,
    not_at_hand,
    not_read,
    not_tried,
)
from lumienv.build.kept import Notes
from lumienv.build.requirements import build_pins
from lumienv.build.static import Stated, from_metadata_file, stated_in
from lumienv.build.trees import Tree, check_name, needs_history, sdist_tree
from lumienv.build.whereabouts import Whereabouts
from lumienv.errors import BrokenReleaseError, ManifestError
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata, parse_metadata
from lumienv.index.pages import File
from lumienv.index.wheel_metadata import local_metadata
from lumienv.index.wheelhouse import Kept, Wheelhouse, WheelRequest
from lumienv.manifest import Dependency, Source
from lumienv.resolve import Pin
from lumienv.resolve.candidates import Platform, as_version
from lumienv.resolve.origin import Direct, Origin
from lumienv.runtime.protocol import Runtime
from lumienv.site.scratch import scratch_directory


@dataclass(frozen=True)
class BuiltWheel:
    """A wheel in the wheelhouse; `size` in bytes, `sha256` in hex."""

    name: str
    """normalised"""
    version: str
    filename: str
    sha256: str
    size: int
    path: Path


# A search walks back through the releases of a name; where some of them fail, the others mostly do too, and
# each costs seconds: flash-attn has sixty.
_ENOUGH = 3
# Each of these has to be fetched whole, where a wheel tells what it needs in a range request: pandas has a
# hundred old releases that offer only their sources.
_MOST_READ = 12


def _silent(_line: str) -> None:
    pass


class SourceBuilder:
    """Reads and builds sources for the base of `snapshot`; a `resolve.origin.SourceReader`.

    `project` is the folder that relative paths start from, `cache` lumienv's, `scratch` a node-local folder.
    `runtime` is None when the image is not at hand: what is stated can be read then, and nothing built.
    `allowed` is False for `[resolve] build = "never"`. `sources` say where the user wants names from, which
    holds for what a build needs, too. `lines` are the user's, dependencies and constraints, which advice on a
    failed build must not contradict. `say` is told what takes long. To be used from one thread, and not from
    the client's workers, as it waits for them.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        client: IndexClient,
        wheelhouse: Wheelhouse,
        *,
        project: Path,
        cache: Path,
        scratch: Path,
        runtime: Runtime | None,
        exclude_newer: str | None = None,
        allowed: bool = True,
        sources: Mapping[str, Source] | None = None,
        lines: Sequence[Dependency] = (),
        say: Callable[[str], None] = _silent,
    ) -> None:
        self._snapshot = snapshot
        self._client = client
        self._wheelhouse = wheelhouse
        self._where = Whereabouts(client, wheelhouse, project, cache, say)
        self._scratch = scratch
        self._runtime = runtime
        self._exclude_newer = exclude_newer
        self._allowed = allowed
        self._sources = sources or {}
        self._lines = lines
        self._say = say
        self._notes = Notes(cache, snapshot)
        self._platform = Platform.of(snapshot.python.version, snapshot.tags)
        self._pins: dict[tuple[str | None, ...], tuple[Pin, ...]] = {}
        self._answers: dict[tuple[str, ...], CoreMetadata | BrokenReleaseError] = {}
        self._failed: Counter[str] = Counter()
        self._read: dict[str, set[str]] = {}
        """name → the source distributions of it that were looked into"""
        self._building: tuple[str, ...] = ()
        """what is being built that needs, for its build, what this builder is asked for"""

    # -- what a resolution asks ----------------------------------------------------------------------------

    def sdist_metadata(self, file: File) -> CoreMetadata:
        """The core metadata of a source distribution on an index.

        Raises BrokenReleaseError where it cannot be had, PackageIndexError when an index fails.
        """
        if not self._allowed:
            raise not_allowed(file.filename)
        name = canonicalize_name(file.filename.rpartition("-")[0])
        read = self._read.setdefault(name, set())
        if file.filename not in read and len(read) == _MOST_READ:
            raise not_read(file.filename, name, _MOST_READ)
        read.add(file.filename)
        return self._metadata(sdist_tree(self._where.fetched(file), file.upload_time))

    def reading_only(self) -> "SourceBuilder":
        """The same without a place to build in: to find out what allowing builds would lead to."""
        reader = copy(self)
        reader._allowed, reader._runtime = True, None
        return reader

    def asking(self, client: IndexClient) -> "SourceBuilder":
        """The same for another client of the indexes: what was found out is not tried again."""
        again = copy(self)
        again._client, again._wheelhouse = client, Wheelhouse(self._wheelhouse.root, client)
        again._where = self._where.asking(client, again._wheelhouse)
        return again

    def direct(self, name: str, source: Source, locked: Origin | None) -> Direct:
        """What a `git`, `url` or `path` source is.

        Raises ManifestError for one that is not there or is another package, PackageIndexError for one that
        cannot be fetched or is no longer what was locked, BrokenReleaseError for one that cannot be built.
        """
        origin, kept = self._where.origin(name, source, locked)
        if kept is not None and is_wheel(kept.filename):
            metadata = self._wheel_metadata(kept)
            if self._platform.rank(kept.filename) is None:
                raise ManifestError(
                    f"{kept.filename} does not run on {self._snapshot.image.name}: it is for another Python "
                    "or platform",
                    hint=f"name another wheel, or the sources of {name}",
                )
        else:
            metadata = self._metadata(self._where.tree(name, origin, kept))
        check_name(name, metadata, origin.location)
        version = as_version(metadata.version)
        if version is None:
            raise not_as_promised(name, f"its version {metadata.version} is none (PEP 440)")
        return Direct(str(canonicalize_name(name)), version, metadata, origin)

    # -- what a sync asks ----------------------------------------------------------------------------------

    def wheel(self, name: str, what: File | Origin) -> BuiltWheel:
        """The wheel of a source distribution or direct source: built now, or found built.

        A folder is built whenever it is asked for. Raises BrokenReleaseError for a build that fails, with
        what it said; PackageIndexError and ManifestError as `direct`; StoreError for a full disk.
        """
        if isinstance(what, File):
            return self._wheel_of(sdist_tree(self._where.fetched(what), what.upload_time), name)
        kept = self._where.archive(name, what.location, what) if what.kind == "archive" else None
        if kept is not None and is_wheel(kept.filename):
            return self._described(kept, name)
        tree = self._where.tree(name, what, kept)
        return self._wheel_of(tree, name, self._where.editable(name, what))

    # -- metadata ------------------------------------------------------------------------------------------

    def _metadata(self, tree: Tree) -> CoreMetadata:
        """The metadata of a tree, asked once: a resolution comes back to a release that failed, too."""
        asked = tree.key or (tree.label, tree.whence)
        answer = self._answers.get(asked)
        if answer is None:
            name = tree.label.partition(" ")[0]
            try:
                if self._failed[name] >= _ENOUGH:
                    raise not_tried(tree.label, _ENOUGH)
                answer = self._find_metadata(tree)
            except BrokenReleaseError as error:
                self._failed[name] += isinstance(error, BuildFailedError)
                answer = error
            if not self._building:  # else a circle may be why
                self._answers[asked] = answer
        if isinstance(answer, BrokenReleaseError):
            raise answer
        return answer

    def _find_metadata(self, tree: Tree) -> CoreMetadata:
        known = self._notes.metadata(tree.key) if tree.key else None
        if known is not None:
            self._check(tree, known)
            return known
        found = tree.look() if tree.look is not None else None
        if found is not None and found.metadata is not None:
            return found.metadata
        with scratch_directory(self._scratch) as root:
            place = Workplace(root)
            folder, found = _laid(tree, place, found)
            metadata = found.metadata
            if metadata is None:
                outcome = self._ask(tree, "metadata", folder, found, place)
                if outcome.wheel is not None:
                    metadata = self._wheel_metadata(self._keep(tree, outcome.wheel))
                else:
                    metadata = from_metadata_file((outcome.metadata or "").encode(), tree.label)
            self._check(tree, metadata)
            if tree.key:
                self._notes.note_metadata(tree.key, metadata, stated=found.metadata is not None)
        return metadata

    @staticmethod
    def _check(tree: Tree, metadata: CoreMetadata) -> None:
        """A source distribution is what its file name says."""
        if tree.version is None:
            return
        said = f"{canonicalize_name(metadata.name)} {as_version(metadata.version) or metadata.version}"
        if said != tree.label:
            raise not_as_promised(tree.label, f"its metadata is that of {said}")

    @staticmethod
    def _wheel_metadata(kept: Kept) -> CoreMetadata:
        return parse_metadata(local_metadata(File(kept.filename, kept.path.as_uri())), kept.filename)

    # -- building ------------------------------------------------------------------------------------------

    def _wheel_of(self, tree: Tree, name: str, editable: Path | None = None) -> BuiltWheel:
        known = self._notes.wheel(tree.key) if tree.key else None
        kept = self._wheelhouse.held(known[1], known[0]) if known is not None else None
        if kept is not None:
            self._check(tree, self._wheel_metadata(kept))
        else:
            found = tree.look() if tree.look is not None else None
            with scratch_directory(self._scratch) as root:
                place = Workplace(root)
                if editable is not None and found is not None:
                    outcome = self._ask(tree, "editable", editable, found, place)
                else:
                    folder, found = _laid(tree, place, found)
                    outcome = self._ask(tree, "wheel", folder, found, place)
                assert outcome.wheel is not None
                kept = self._keep(tree, outcome.wheel)
        return self._described(kept, name)

    def _ask(self, tree: Tree, what: str, folder: Path, found: Stated, place: Workplace) -> Outcome:
        if not self._allowed:
            raise not_allowed(tree.label)
        if tree.label in self._building:
            raise cycle(self._building, tree.label)
        if self._runtime is None:
            raise not_at_hand(tree.label, self._snapshot.image.name)
        doing = "preparing the metadata of" if what == "metadata" else "building"
        self._say(f"{doing} {tree.label} {tree.whence}")
        task = Task(tree.label, what, folder, found.build, () if self._building else self._lines)
        try:
            return self._run(task, place, self._runtime, self._exclude_newer)
        except BuildFailedError as error:
            earlier = self._earlier(tree)
            if not error.aged or earlier is None:
                raise
            self._say(f"{doing} {tree.label} once more, with build tools of its time ({earlier[:10]})")
            try:
                return self._run(task, place, self._runtime, earlier)
            except BrokenReleaseError as again:
                if isinstance(again, BuildFailedError) and not again.aged:
                    raise  # it came further than with the tools of today
                raise error from None

    def _earlier(self, tree: Tree) -> str | None:
        """The day after the sources were uploaded, unless only what is older counts anyway."""
        if tree.uploaded is None:
            return None
        try:
            day = datetime.fromisoformat(tree.uploaded).date() + timedelta(days=1)
        except (ValueError, OverflowError):
            return None
        if self._exclude_newer is not None and self._exclude_newer[:10] <= day.isoformat():
            return None
        return day.isoformat()

    def _run(self, task: Task, place: Workplace, runtime: Runtime, exclude_newer: str | None) -> Outcome:
        return ask_backend(
            task,
            place,
            self._snapshot,
            runtime,
            self._wheelhouse.root,
            lambda requires: self._build_wheels(task.label, requires, exclude_newer),
        )

    def _build_wheels(self, label: str, requires: Sequence[str], exclude_newer: str | None) -> list[Kept]:
        """The build requirements of `label` as wheels, built themselves where there are none."""
        nested = copy(self)
        nested._building = (*self._building, label)
        nested._exclude_newer = exclude_newer
        key = (exclude_newer, *requires)
        if key not in self._pins:
            self._pins[key] = build_pins(
                label, requires, self._snapshot, self._client, nested, exclude_newer, self._sources
            )
        files = [pin.file for pin in self._pins[key] if pin.file is not None]
        wheels = [file for file in files if file.is_wheel]
        paths = self._wheelhouse.fetch(
            [WheelRequest(one.filename, one.url, one.sha256 or "", one.size) for one in wheels]
        )
        kept = [Kept(paths[one.filename], one.filename, one.sha256 or "", one.size or 0) for one in wheels]
        for pin in self._pins[key]:
            what = replace(pin.origin, editable=False) if pin.origin is not None else pin.file
            if what is not None and not (isinstance(what, File) and what.is_wheel):
                built = nested.wheel(pin.name, what)
                kept.append(Kept(built.path, built.filename, built.sha256, built.size))
        return kept

    def _keep(self, tree: Tree, wheel: Path) -> Kept:
        kept = self._wheelhouse.keep(wheel)
        self._check(tree, self._wheel_metadata(kept))
        if self._platform.rank(kept.filename) is None:
            raise not_as_promised(tree.label, f"their build gives {kept.filename}, which does not run here")
        if tree.key:
            self._notes.note_wheel(tree.key, kept.filename, kept.sha256)
        return kept

    def _described(self, kept: Kept, name: str) -> BuiltWheel:
        metadata = self._wheel_metadata(kept)
        check_name(name, metadata, kept.filename)
        return BuiltWheel(
            str(canonicalize_name(name)), metadata.version, kept.filename, kept.sha256, kept.size, kept.path
        )


def _laid(tree: Tree, place: Workplace, found: Stated | None) -> tuple[Path, Stated]:
    """Lay the tree out, and look into it where that was not possible before."""
    folder = tree.lay(place.source, found is not None and needs_history(found))
    return folder, found if found is not None else stated_in(folder, tree.label, sdist=True)
