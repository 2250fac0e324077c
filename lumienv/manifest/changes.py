"""What changed in `lumienv.toml` since a lock was made of it, in one line.

`lumienv run` may come here before a job, so only the standard library is imported.
"""

import re
from collections.abc import Mapping, Sequence

from lumienv.manifest import RESOLVER_SCHEMA, inputs_of

_LONGEST = 60  # characters of a value that are shown
_OF_RESOLVE = ("replace", "omit", "constraints", "overrides")
_LISTS = ("dependencies", "[[index]]", *(f"[resolve] {key}" for key in _OF_RESOLVE))


def what_changed(
    then: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], inputs: str = ""
) -> str:
    """The first change, and how many more there are; `inputs` is the digest that the lock has of `then`."""
    if not then:
        return "an older lumienv wrote it, which did not note down what it was made from"
    changes = [
        change
        for key in dict.fromkeys((*now, *then))
        for change in _changes(key, then.get(key, ()), now.get(key, ()))
    ]
    if not changes and inputs in (inputs_of(then, schema) for schema in range(1, RESOLVER_SCHEMA)):
        return "this lumienv resolves by newer rules than the one that wrote it"
    if not changes:
        return "its line `inputs` does not belong to the rest of it, as after a merge or by another lumienv"
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
    return key in _LISTS or key.startswith("[dependency-groups] ")


def _name(text: str) -> str:
    """The name in a requirement, normalised; lines without one are told apart by their text."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else text


def _short(text: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}…"
    return f'"{shown}"'
