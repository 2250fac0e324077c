"""What can be known of a project without starting anything that its files name (docs/looking.md)."""

import os
from contextlib import suppress
from dataclasses import dataclass

from lumienv.errors import ImageError, LockError, LumienvError
from lumienv.image.base import find_base
from lumienv.image.hostpython import find_python, host_fingerprint, no_python
from lumienv.image.probing import cached_snapshot
from lumienv.image.snapshot import Base, Snapshot
from lumienv.lockdigest import LOCK_NAME
from lumienv.lockfile import Lock, read_lock
from lumienv.manifest.changes import what_changed
from lumienv.project import Project, saved_snapshot
from lumienv.staleness import staleness


@dataclass(frozen=True)
class Look:
    """A project's lock, and what its image provides, as far as both are there."""

    project: Project
    lock: Lock | None
    snapshot: Snapshot | None
    stale: str = ""
    """why the lock is not up to date, in one line"""
    unknown: str = ""
    """why it is not known what the image provides"""
    remedy: str = ""
    """… and what to do about that"""

    def locked(self) -> Lock:
        """The lock. Raises LockError where there is none."""
        if self.lock is None:
            raise LockError(f"there is no {LOCK_NAME} yet", hint="make it: lumienv lock")
        return self.lock

    def probed(self) -> Snapshot:
        """What the image provides. Raises ImageError where that is not known."""
        if self.snapshot is None:
            raise ImageError(self.unknown, hint=self.remedy)
        return self.snapshot


_PROBE = "have lumienv look into it, which starts it once: lumienv image show"
_SHIM = f"{_PROBE}\n(a shim, as of pyenv, is not followed: name the interpreter itself in [image] host)"


def look(project: Project) -> Look:
    """Read what is there. Raises LockError for a lock that cannot be read."""
    lock = read_lock(project.lock_path)
    try:
        base = unstarted_base(project, lock)
        snapshot = saved_snapshot(project) or known_snapshot(project, base)
    except ImageError as error:
        stale = why_old(project, lock, None, None)
        return Look(
            project, lock, None, stale, error.message, error.hint or "see what there is: lumienv image list"
        )
    stale = why_old(project, lock, base, snapshot)
    if snapshot is not None:
        return Look(project, lock, snapshot, stale)
    unknown = f"it is not known yet what {base.name} provides"
    return Look(project, lock, None, stale, unknown, _SHIM if base.kind == "host" else _PROBE)


def unstarted_base(project: Project, lock: Lock | None) -> Base:
    """The base that the manifest names. Raises ImageError.

    Other than `find_base` it does not ask a Python of this machine where it really lies: one that is a shim
    (pyenv, asdf) is taken for the interpreter itself, and found not to be known.
    """
    table, folder = project.manifest.image, project.manifest.directory
    if table.kind == "snapshot":
        saved = saved_snapshot(project)
        assert saved is not None
        return saved.image
    if table.kind == "host":
        named = os.path.expanduser(table.value)  # noqa: PTH111 - a bare name must stay bare
        found = find_python(str(folder / named) if "/" in named else named)
        if found is None:
            raise no_python(table.value)
        return Base("host", found, f"host {found}", "", fingerprint=host_fingerprint(found))
    return find_base(table, folder, project.site, lock.image if lock is not None else None)


def known_snapshot(project: Project, base: Base) -> Snapshot | None:
    """What the base was found to provide when it was looked into last; None where it never was."""
    activate = project.manifest.image.activate
    with suppress(LumienvError, OSError):
        return cached_snapshot(base, project.site.cache, "auto" if activate == "live" else activate)
    return None


def why_old(project: Project, lock: Lock | None, base: Base | None, snapshot: Snapshot | None) -> str:
    """Why the lock is stale, as far as that is known without starting anything; empty when it is not."""
    if lock is None:
        return ""
    if lock.inputs != project.manifest.inputs_digest():
        return what_changed(lock.declared, project.manifest.declared(), lock.inputs)
    if snapshot is not None:
        return staleness(lock, project.manifest, snapshot) or ""
    if base is not None and base.kind == "sif" and lock.identity and lock.identity != base.locked_as:
        return f"it was made for the image {lock.image}, which is another one than {base.name} is now"
    return ""
