"""Why a lock no longer belongs to its manifest or to its image, in one line."""

from collections.abc import Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import Lock
from lumienv.manifest import Manifest

_LONGEST = 60  # characters of a value that are shown


def staleness(lock: Lock, manifest: Manifest, snapshot: Snapshot) -> str | None:
    """Why a lock has to be made anew, in one line; None when it does not."""
    if lock.inputs != manifest.inputs_digest():
        return _what_changed(lock.declared, manifest.declared())
    # A lock made from a saved snapshot has no identity yet: the frozen list decides.
    if lock.identity and lock.identity != snapshot.image.identity:
        if lock.image != snapshot.image.name:
            return f"it was made for the image {lock.image}, and {snapshot.image.name} is selected now"
        return f"the image {lock.image} has changed since it was locked"
    if lock.frozen != snapshot.frozen_digest():
        return f"the packages in {lock.image} have changed since it was locked"
    return None


def _what_changed(then: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> str:
    """The first change, and how many more there are."""
    if not then:
        return "an older lumienv wrote it, which did not note down what it was made from"
    changes = [
        change
        for key in dict.fromkeys((*now, *then))
        for change in _changes(key, then.get(key, ()), now.get(key, ()))
    ]
    if not changes:
        return "this lumienv resolves by newer rules than the one that wrote it"
    more = f", and {len(changes) - 1} more change{'s' if len(changes) > 2 else ''}"
    return f"{changes[0]} since it was locked{more if len(changes) > 1 else ''}"


def _changes(key: str, then: Sequence[str], now: Sequence[str]) -> list[str]:
    if list(then) == list(now):
        return []
    if key.startswith("the metadata of "):
        return [f"{key} has changed"]
    if not _is_list(key):
        was, is_ = " ".join(then), " ".join(now)
        if not then:
            return [f"{key} was set to {_short(is_)}"]
        return [f"{key} was changed from {_short(was)} {f'to {_short(is_)}' if now else 'to its default'}"]
    added = [text for text in now if text not in then]
    removed = [text for text in then if text not in now]
    found = []
    for text in added:
        before = next((old for old in removed if _name(old) == _name(text)), None)
        if before is None:
            found.append(f"{_short(text)} was added to {key}")
        else:
            removed.remove(before)
            found.append(f"{_short(before)} became {_short(text)} in {key}")
    found += [f"{_short(text)} was taken out of {key}" for text in removed]
    return found or [f"the order of {key} has changed"]


def _is_list(key: str) -> bool:
    """Whether a key holds lines of one kind, each of which can come and go."""
    of_resolve = ("replace", "omit", "constraints", "overrides")
    return (
        key in ("dependencies", "[[index]]", *(f"[resolve] {name}" for name in of_resolve))
        or key.startswith("[dependency-groups] ")
    )  # fmt: skip


def _name(text: str) -> str:
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return text


def _short(text: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}…"
    return f'"{shown}"'
