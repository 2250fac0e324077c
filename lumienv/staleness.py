"""Why a lock no longer belongs to its manifest or to its image, in one line."""

from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import Lock
from lumienv.manifest import Manifest
from lumienv.manifest.changes import what_changed


def staleness(lock: Lock, manifest: Manifest, snapshot: Snapshot) -> str | None:
    """Why a lock has to be made anew, in one line; None when it does not."""
    if lock.inputs != manifest.inputs_digest():
        return what_changed(lock.declared, manifest.declared())
    # A lock made from a saved snapshot has no identity yet: the frozen list decides.
    if lock.identity and lock.identity != snapshot.image.identity:
        if lock.image != snapshot.image.name:
            return f"it was made for the image {lock.image}, and {snapshot.image.name} is selected now"
        return f"the image {lock.image} has changed since it was locked"
    if lock.frozen != snapshot.frozen_digest():
        return f"the packages in {lock.image} have changed since it was locked"
    return None
