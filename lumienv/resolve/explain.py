"""Why nothing fits: the user's lines that cannot hold together, the facts between them, and a way out.

First the smallest set of the user's lines that fails is found, by leaving lines out and searching again: so
the message speaks of nothing else. `story` then tells what happened in that search, `remedies` tries changes.
"""

from collections.abc import Sequence
from functools import partial

from lumienv.errors import PackageIndexError, ResolutionError
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve.elsewhere import Others, first_that_fits, no_others
from lumienv.resolve.provider import Provider
from lumienv.resolve.remedies import quoted, remedies
from lumienv.resolve.search import DeadEnd, SearchTooLongError, search
from lumienv.resolve.story import Story

# Searching again costs milliseconds, as everything is at hand by now; these bounds are for odd cases.
_MAX_SEARCHES = 24
_MAX_ROUNDS = 2_000
_MAX_OTHERS = 3


def explain(end: DeadEnd, manifest: Manifest, images: Others = no_others) -> ResolutionError:
    """The failure as a sentence with its facts and a way out."""
    entries = [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]
    lines = [entry for entry in dict.fromkeys(entries) if end.provider.roots([entry])]
    core, end = _smallest(end, lines)
    story = Story(end, lines, manifest.resolve.exclude_newer)
    facts = story.facts()
    # Lines that fail for reasons of their own are named, and left out of what is tried.
    rest = [entry for entry in lines if entry not in core]
    for _ in range(_MAX_OTHERS):
        again = _fails(end.provider, rest)
        if again is None:
            break
        others, _ = _smallest(again, rest)
        rest = [entry for entry in rest if entry not in others]
        facts.append(f"{quoted(others, 'and')} {'does' if len(others) == 1 else 'do'} not fit either")
    kept = [entry for entry in lines if entry in core or entry in rest]
    elsewhere = partial(first_that_fits, images, manifest, end.provider, kept)
    return ResolutionError(
        f"no set of packages fits on top of {end.provider.snapshot.image.name}",
        *facts,
        hint="\nor ".join(remedies(story, core, kept, elsewhere)),
    )


def _smallest(end: DeadEnd, lines: list[Dependency]) -> tuple[list[Dependency], DeadEnd]:
    """The fewest of the user's lines that still fail, and how they fail."""
    core = lines
    suspects = _sources(end)
    for attempt in ([entry for entry in lines if entry in suspects], lines):
        again = _fails(end.provider, attempt)
        if again is not None:
            core, end = attempt, again
            break
    for entry in core[:_MAX_SEARCHES]:
        rest = [other for other in core if other is not entry]
        again = _fails(end.provider, rest)
        if again is not None:
            core, end = rest, again
    return core, end


def _fails(provider: Provider, lines: Sequence[Dependency]) -> DeadEnd | None:
    if not lines:
        return None
    fresh = Provider(provider.snapshot, provider.client, provider.policy, known=provider)
    try:
        result = search(fresh, fresh.roots(lines), _MAX_ROUNDS)
    except (SearchTooLongError, PackageIndexError):
        return None
    return result if isinstance(result, DeadEnd) else None


def _sources(end: DeadEnd) -> set[Dependency]:
    """The user's lines that lead to the demands that met in the end."""
    above: dict[str, set[str]] = {}
    asked: dict[str, set[Dependency]] = {}
    for want, parent in end.record.demands.values():
        if parent is not None:
            above.setdefault(want.name, set()).add(parent.name)
        elif want.source is not None:
            asked.setdefault(want.name, set()).add(want.source)
    names = {
        name for want, parent in end.causes for name in (want.name, parent.name if parent else want.name)
    }
    waiting = list(names)
    while waiting:
        new = above.get(waiting.pop(), set()) - names
        names |= new
        waiting += new
    return {entry for name in names for entry in asked.get(name, ())}
