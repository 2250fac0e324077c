"""Why a lock no longer belongs to its manifest or to its image, in one line."""

from typing import cast

from packaging.markers import Environment
from packaging.pylock import PylockSelectError
from packaging.tags import parse_tag

from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import Lock
from lumienv.manifest import Manifest
from lumienv.manifest.changes import what_changed


def staleness(lock: Lock, manifest: Manifest, snapshot: Snapshot) -> str | None:
    """Why a lock has to be made anew, in one line; None when it does not."""
    if lock.inputs != manifest.inputs_digest():
        return what_changed(lock.declared, manifest.declared(), lock.inputs)
    image = snapshot.image
    # What was made by hand, a snapshot or a lock from one, has no identity: what is in the image decides.
    by_hand = not lock.identity or not image.locked_as
    if not by_hand and lock.identity != image.locked_as:
        if lock.image != image.name:
            return f"it was made for the image {lock.image}, and {image.name} is selected now"
        return f"the image {lock.image} has changed since it was locked"
    if lock.frozen != snapshot.frozen_digest():
        if by_hand and lock.image != image.name:
            return f"it was made for the packages of {lock.image}, and {image.name} has others"
        return f"the packages in {lock.image} have changed since it was locked"
    return _misfit(lock, snapshot) if by_hand else None


def _misfit(lock: Lock, snapshot: Snapshot) -> str | None:
    """Why the locked files do not run on an image with the right packages: its Python, its C library."""
    tags = [tag for text in snapshot.tags for tag in parse_tag(text)]
    environment = cast("Environment", dict(snapshot.markers))
    groups = lock.pylock.dependency_groups or ()
    try:
        list(lock.pylock.select(environment=environment, tags=tags, dependency_groups=groups))
    except PylockSelectError as error:
        return f"it does not fit {snapshot.image.name}: {error}"
    return None
