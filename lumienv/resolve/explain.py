"""Why nothing fits: the user's lines that cannot hold together, the facts between them, and a way out.

First the smallest set of the user's lines that fails is found, by leaving lines out and searching again: so
the message speaks of nothing else. `story` then tells what happened in that search, `remedies` tries changes.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from lumienv.errors import PackageIndexError, ResolutionError, SearchGivenUpError
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve.elsewhere import Others, first_that_fits, no_others
from lumienv.resolve.policy import Policy
from lumienv.resolve.proposals import constraint_line, quoted, with_constraint
from lumienv.resolve.provider import Provider
from lumienv.resolve.remedies import remedies
from lumienv.resolve.search import DeadEnd, Record, SearchTooLongError, search
from lumienv.resolve.story import Story

# Searching again costs milliseconds where everything is at hand by now; these bounds are for odd cases.
_MAX_SEARCHES = 24
_MAX_ROUNDS = 500
_MAX_OTHERS = 3
_MAX_BOUNDS = 12


def explain(end: DeadEnd, manifest: Manifest, images: Others = no_others) -> ResolutionError:
    """The failure as a sentence with its facts and a way out."""
    lines = [entry for entry in _lines(manifest) if end.provider.roots([entry])]
    core, end = _smallest(end, lines)
    failures = [(core, Story(end, lines, manifest.resolve.exclude_newer))]
    # Lines that fail for reasons of their own are told of too: else each would come up after the other.
    rest = [entry for entry in lines if entry not in core]
    for _ in range(_MAX_OTHERS):
        again = _fails(end.provider, rest)
        if again is None:
            break
        others, again = _smallest(again, rest)
        rest = [entry for entry in rest if entry not in others]
        failures.append((others, Story(again, lines, manifest.resolve.exclude_newer)))
    facts: dict[str, None] = {}
    hint = ""
    for number, (core, story) in enumerate(failures):
        kept = [entry for entry in lines if entry in core or entry in rest]
        # An image is named only where all lines fit on it.
        known = images if number == 0 else no_others
        elsewhere = partial(first_that_fits, known, manifest, end.provider, lines)
        advice = remedies(story, core, kept, elsewhere)
        told = [*story.facts(), *advice.remarks]
        if number == 0:
            hint = "\nor ".join(advice.proposals)
        else:
            verb = "does" if len(core) == 1 else "do"
            facts[f"{quoted(core, 'and')} {verb} not fit either:"] = None
            told = [fact for fact in told if not fact.startswith("you ask for ")]
            hint += f"\nand for {quoted(core, 'and')}: {advice.proposals[0]}"
        facts |= dict.fromkeys(told)
    return ResolutionError(
        f"no set of packages fits on top of {end.provider.snapshot.image.name}", *facts, hint=hint
    )


def given_up(provider: Provider, manifest: Manifest, error: SearchTooLongError) -> SearchGivenUpError:
    """The failure of a search that did not end: which packages kept it busy, and what would shorten it."""
    counts = error.record.rejections.most_common(3)
    busiest = [name for name, _ in counts]
    asked = _leading_to(set(busiest), error.record)
    facts = [f"you ask for {entry.text}  ({entry.where})" for entry in _in_order(asked, manifest)]
    facts += [f"releases of {name} were rejected {count} times" for name, count in counts]
    bounds = list(_bounds(provider, busiest))
    proposals = []
    for bound in bounds[:_MAX_BOUNDS]:
        name, text = bound
        policy = with_constraint(provider.policy, name, text)
        if _found(provider, manifest, policy, min(error.rounds, _MAX_ROUNDS)):
            proposals.append(f"say which releases to look at: {constraint_line(provider.policy, name, text)}")
            break
    if not proposals:
        newest = ", ".join(f'"{name}{text}"' for name, text in dict(reversed(bounds)).items())
        proposals.append(
            "say which releases of these packages to look at, as narrowly as you can, for example:\n"
            f"[resolve] constraints = [{newest}]"
            if newest
            else f"leave out {quoted(_in_order(asked, manifest), 'or')}, to see which of them it is"
        )
    return SearchGivenUpError(
        f"the search for packages on top of {provider.snapshot.image.name} was given up "
        f"after {error.rounds} rounds",
        *facts,
        hint="\nor ".join(proposals),
    )


def _bounds(provider: Provider, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Ranges that leave few releases of a name: from the newest on, from the middle on, up to there, …"""
    kept = {
        name: releases
        for name in names
        if name not in provider.image
        and name not in provider.direct
        and (releases := provider.releases(name))
    }
    usable = {
        name: [version for version in releases.versions if releases.usable(version)]
        for name, releases in kept.items()
    }
    for sign, place in ((">=", 0.0), (">=", 0.5), ("<=", 0.5), ("<=", 1.0)):
        for name, versions in usable.items():
            if versions:
                yield name, f"{sign}{versions[int(place * (len(versions) - 1))].public}"


def _found(provider: Provider, manifest: Manifest, policy: Policy, rounds: int) -> bool:
    fresh = Provider(provider.snapshot, provider.client, policy, known=provider)
    try:
        return not isinstance(search(fresh, fresh.roots(_lines(manifest)), rounds), DeadEnd)
    except (SearchTooLongError, PackageIndexError):
        return False


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
    names = {
        name for want, parent in end.causes for name in (want.name, parent.name if parent else want.name)
    }
    return _leading_to(names, end.record)


def _leading_to(names: set[str], record: Record) -> set[Dependency]:
    """The user's lines that lead to these names."""
    above: dict[str, set[str]] = {}
    asked: dict[str, set[Dependency]] = {}
    for want, parent in record.demands.values():
        if parent is not None:
            above.setdefault(want.name, set()).add(parent.name)
        elif want.source is not None:
            asked.setdefault(want.name, set()).add(want.source)
    found = set(names)
    waiting = list(found)
    while waiting:
        new = above.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return {entry for name in found for entry in asked.get(name, ())}


def _lines(manifest: Manifest) -> list[Dependency]:
    """The user's lines, each once, in the file's order."""
    groups = (entry for group in manifest.groups.values() for entry in group)
    return list(dict.fromkeys((*manifest.dependencies, *groups)))


def _in_order(entries: set[Dependency], manifest: Manifest) -> list[Dependency]:
    return [entry for entry in _lines(manifest) if entry in entries]
