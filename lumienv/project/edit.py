"""`add` and `remove`: lumienv.toml is edited, locked, and only then written, together with its lock."""

import difflib
import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from lumienv.errors import LumienvError, ManifestError, ResolutionError, StoreError, UsageError
from lumienv.files import disk_errors, one_writer, private_directory
from lumienv.manifest import FILE_NAME, Dependency, Manifest, group_key
from lumienv.manifest.edits import Edited, Entry, added_to, names_in, without
from lumienv.manifest.reader import manifest_of, read_manifest
from lumienv.manifest.tables import is_name
from lumienv.overlay.generation import current_generation, current_mode
from lumienv.project import Project, Report
from lumienv.project.lock import LockOutcome, lock
from lumienv.project.pair import Pair, exchange, forget, put_back, read_pair
from lumienv.project.requested import Asked, entries_of_file, entry_of
from lumienv.project.sync import SyncOutcome, sync


@dataclass(frozen=True)
class EditOutcome:
    """What came of an edit."""

    path: Path
    group: str | None
    """the dependency group that was edited; None: `dependencies`"""
    edited: Edited
    written: bool
    locked: LockOutcome | None = None
    """None where nothing was locked"""
    provided: tuple[str, ...] = ()
    """name and version of what was added and the image has already"""
    synced: SyncOutcome | None = None


def add(
    project: Project,
    report: Report,
    words: Sequence[str],
    *,
    files: Sequence[Path] = (),
    group: str | None = None,
    editable: bool = False,
    index: str | None = None,
    revision: Mapping[str, str] | None = None,
    here: Path | None = None,
    frozen: bool = False,
    install: bool = True,
    dry_run: bool = False,
) -> EditOutcome:
    """Put requirements into lumienv.toml, lock, and sync.

    `files` are requirements files; `editable`, `index` and `revision` say more of all words, as
    `requested.Asked` does; paths start `here`. `frozen` edits only; `install` says whether to sync. Where
    nothing fits, and where what was locked cannot be had or installed, both files stay byte for byte as they
    were. Raises UsageError, and as `lock` and `sync` do.
    """
    if group is not None and not is_name(group):
        raise UsageError(f"no dependency group can be called {group}", hint="letters, digits, -, _ and .")
    known = [table.name for table in project.manifest.indexes if table.name]
    if index is not None and index not in known:
        close = difflib.get_close_matches(index, known, n=1)
        raise UsageError(
            f"no [[index]] in {FILE_NAME} has the name {index}",
            hint=f"did you mean {close[0]}?"
            if close
            else f'write it first: [[index]] name = "{index}", url = "https://…", explicit = true',
        )
    asked = Asked(project.manifest.directory, here or Path.cwd(), editable, index, revision)
    entries = [entry_of(word, asked) for word in words]
    for path in files:
        for found in entries_of_file(asked.here / path, asked):
            if isinstance(found, Entry):
                entries.append(found)
            else:
                report.warn(found)
    if not entries:
        raise UsageError("nothing to add", hint='name packages, for example: lumienv add "datasets>=3"')
    edit = _Edit(lambda text: added_to(text, entries, group), group, frozen, install, dry_run)
    outcome = _carried_out(project, report, edit)
    return replace(outcome, provided=_provided(outcome, entries))


def remove(
    project: Project,
    report: Report,
    names: Sequence[str],
    *,
    group: str | None = None,
    frozen: bool = False,
    install: bool = True,
    dry_run: bool = False,
) -> EditOutcome:
    """Take packages out of lumienv.toml, with their `[sources]`; lock, and sync, as `add` does.

    Raises UsageError for a name that is not there, with where it is.
    """
    for name in names:
        if not is_name(name):
            raise UsageError(f'packages are removed by their names alone, not "{name}"')

    def change(text: str) -> Edited:
        data = tomllib.loads(text)
        for name in names:
            _check_there(data, name, group)
        return without(text, names, group)

    return _carried_out(project, report, _Edit(change, group, frozen, install, dry_run))


def _check_there(data: Mapping[str, Any], name: str, group: str | None) -> None:
    """Raises UsageError where a name is not in the list that was named."""
    places = names_in(data)
    wanted = group_key(data.get("dependency-groups", {}), group) if group is not None else ""
    normal = str(canonicalize_name(name))
    if wanted is not None and wanted in places.get(normal, ()):
        return
    hints = [_removal(name, place) for place in places.get(normal, ())]
    if not hints:
        close = difflib.get_close_matches(normal, sorted(places), n=1)
        hints = [f"did you mean {one}? {_removal(one, place)}" for one in close for place in places[one]]
    if not hints:
        hints = [f"what else brings a package along: lumienv why {name}"]
    if wanted is None:
        groups = ", ".join(data.get("dependency-groups", {})) or "none"
        problem, facts = f"there is no dependency group {group} in {FILE_NAME}", [f"groups: {groups}"]
    else:
        problem, facts = f"{name} is not in {_list(wanted or None)}", []
    raise UsageError(problem, *facts, hint="\n".join(hints) or None)


def _removal(name: str, place: str) -> str:
    """The command that removes what is in this list."""
    if place:
        return f"it is in {_list(place)}: lumienv remove --group {place} {name}"
    return f"it is in {_list(None)}: lumienv remove {name}"


def _list(group: str | None) -> str:
    return f"the group {group}" if group else f"the dependencies in {FILE_NAME}"


@dataclass
class _Edit:
    """What is to be done, and what both files were and became: to be undone where it ends half-way."""

    change: Callable[[str], Edited]
    group: str | None
    frozen: bool
    install: bool
    dry_run: bool
    before: Pair | None = None
    after: Pair | None = None
    current: Path | None = None
    """the generation that was the store's `current` before; None: there was none"""
    told: Manifest | None = None
    """the edited manifest, its lines as the user finds them"""


def _carried_out(project: Project, report: Report, edit: _Edit) -> EditOutcome:
    """Edit, lock, write, and sync; where one of these does not come about, nothing is changed.

    What comes about once and for all is the new environment: when an image cannot be put out behind that, the
    files stay as they fit it.
    """
    edit.current = _current(project)
    try:
        outcome = _written(project, report, edit)
        if edit.install and not edit.frozen and not edit.dry_run:
            return _installed(project, report, edit, outcome)
    except BaseException as error:  # Ctrl-C, too: what nobody waited for is not what the project is to be
        undone = _undone(project, report, edit)
        if undone and isinstance(error, LumienvError):
            error.facts = (*error.facts, undone)
        raise
    return outcome


def _undone(project: Project, report: Report, edit: _Edit) -> str:
    """Have both files as they were, and tell what has become of them; nothing where nothing was written."""
    path = Path(project.manifest.path)
    if edit.before is None or edit.after is None or edit.before == edit.after:
        return ""
    if _current(project) != edit.current:
        return f"{FILE_NAME}, its lock and the environment are the new ones"
    with _alone(project, report), suppress(OSError):
        if read_pair(path, project.lock_path) == edit.before:
            return ""
        if put_back(path, project.lock_path, edit.before, edit.after):
            return f"{FILE_NAME}, its lock and the environment are as they were"
    return f"{FILE_NAME} and its lock are written; the environment stays as it was"


def _current(project: Project) -> Path | None:
    """The generation that the store's `current` leads to."""
    try:
        return project.store.current.readlink()
    except OSError:
        return None


def _written(project: Project, report: Report, edit: _Edit) -> EditOutcome:
    """Edit, lock what is edited, and write both, if all of that came about."""
    path, group, dry_run = Path(project.manifest.path), edit.group, edit.dry_run
    with _alone(project, report):
        with disk_errors(f"read {FILE_NAME}", path):
            before = path.read_bytes()
        if not dry_run:
            forget(read_manifest(path), project.lock_path)
        with disk_errors("read the lock", project.lock_path):
            edit.before = replace(read_pair(path, project.lock_path), manifest=before)
        edited = edit.change(before.decode())
        manifest = _told_as_asked(read_manifest(path), manifest_of(project.manifest.path, edited.text))
        edit.told = manifest
        after = edited.text.encode()
        written = False

        def publish(locked: bytes | None) -> None:
            nonlocal written
            assert edit.before is not None
            edit.after = Pair(after, edit.before.lock if locked is None else locked)
            with disk_errors(f"write {FILE_NAME}", path):
                exchange(path, before, after, project.lock_path, locked)
            written = True

        locked = None
        if not edit.frozen:
            with _left_as_it_was(edited):
                locked = lock(replace(project, manifest=manifest), report, dry_run=dry_run, publish=publish)
        if not written and after != before and not dry_run:
            publish(None)
    return EditOutcome(path, group, edited, written and after != before, locked)


def _told_as_asked(before: Manifest, after: Manifest) -> Manifest:
    """The edited manifest with each line where the user finds it: in the file as it is, or in the command."""
    known = {
        (line.key, line.text): line
        for lines in (before.dependencies, *before.groups.values())
        for line in lines
    }

    def told(lines: Sequence[Dependency]) -> tuple[Dependency, ...]:
        return tuple(known.get((line.key, line.text), replace(line, typed=True)) for line in lines)

    return replace(
        after,
        dependencies=told(after.dependencies),
        groups={name: told(lines) for name, lines in after.groups.items()},
        resolve=before.resolve,
    )


@contextmanager
def _left_as_it_was(edited: Edited) -> Iterator[None]:
    """Tell what has become of the edit where nothing fits."""
    try:
        yield
    except (ManifestError, ResolutionError) as error:
        if edited.added or edited.changed or edited.removed:
            error.facts = (*error.facts, f"{FILE_NAME} and its lock stay as they were")
        raise


@contextmanager
def _alone(project: Project, report: Report) -> Iterator[None]:
    """Be the only one of this user who edits this manifest; others are found out when it is written."""
    path = Path(project.manifest.path).resolve()
    try:
        folder = private_directory(Path(project.site.cache) / "edits")
    except (OSError, StoreError):  # without a cache there is no place for it: only the waiting is lost
        yield
        return
    name = hashlib.sha256(bytes(path)).hexdigest()[:32]
    with one_writer(
        folder / name,
        f"edit {path}",
        lambda _: report.note(f"another lumienv edits {path}, waiting for it"),
    ):
        yield


def _provided(outcome: EditOutcome, entries: Sequence[Entry]) -> tuple[str, ...]:
    """What was added and is the image's."""
    names = {entry.name for entry in entries}
    labels = outcome.locked.provided if outcome.locked is not None else ()
    return tuple(label for label in labels if str(canonicalize_name(label.partition(" ")[0])) in names)


def _installed(project: Project, report: Report, edit: _Edit, outcome: EditOutcome) -> EditOutcome:
    manifest = read_manifest(Path(outcome.path))
    told = edit.told
    if told is not None and told.inputs_digest() == manifest.inputs_digest():
        manifest = replace(manifest, dependencies=told.dependencies, groups=told.groups, resolve=told.resolve)
    if manifest.image.kind == "snapshot":
        report.note("nothing is installed, as [image] names a saved snapshot")
        return outcome
    wanted = _as_it_is(project.manifest, manifest, outcome.group)
    return replace(outcome, synced=sync(replace(project, manifest=manifest), report, **wanted))


def _as_it_is(before: Manifest, now: Manifest, group: str | None) -> dict[str, Any]:
    """The mode and the groups of the current environment, and the group that was edited."""
    mode = current_mode(now.store_path)
    try:
        have = current_generation(now.store_path) if mode is not None else None
    except (StoreError, ManifestError):
        have = None
    edited = group_key(now.groups, group) if group is not None else None
    added = [edited] if edited is not None else []
    if have is None:
        return {"groups": added}
    groups = [known for name in have.groups if (known := group_key(now.groups, name)) is not None]
    dev = now.dev_group if before.dev_group is not None and edited != now.dev_group else None
    left_out = dev is not None and group_key(have.groups, dev) is None
    return {
        "mode": have.mode,
        "builder": have.builder or None,
        "groups": list(dict.fromkeys([*groups, *added])),
        "no_groups": [dev] if left_out else [],
    }
