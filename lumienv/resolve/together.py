"""Which image packages the overlay could shadow together, where shadowing one alone does not do."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from lumienv.resolve.candidates import as_version
from lumienv.resolve.check import broken_packages
from lumienv.resolve.provider import Provider
from lumienv.resolve.search import DeadEnd
from lumienv.resolve.story import Story
from lumienv.resolve.trial import Found, Trial

_MOST_NAMES = 4  # with more of them replaced it is another image
_MOST_SETS = 16


def fewest_together(trial: Trial, names: Iterable[str]) -> tuple[frozenset[str], Found] | None:
    """The smallest set of image packages with one of `names`, and what fits with them replaced.

    What comes from an index in an image package's place may need others of the image in other versions, or
    the image's others may need the old one: of each set that does not do, these are added, one at a time, so
    that a smaller set is tried before a larger. No set breaks image packages outside of it.
    """
    waiting = deque(frozenset({name}) for name in names if not of_this_machine(trial.provider, name))
    seen = set(waiting)
    # Searches of its own: those before may have used up theirs, and others come after.
    trial = Trial(trial.provider, trial.lines, _MOST_SETS)
    while waiting:
        tried = waiting.popleft()
        result = trial.outcome(replace(trial.policy, replace=trial.policy.replace | tried))
        if isinstance(result, Found) and tried <= result.chosen.keys():
            replaced = result.provider.policy.replace
            broken = broken_packages(result.provider.snapshot, replaced, result.versions)
            if not broken:
                return tried, result
            # What nothing asks for would not be taken from an index either.
            more = broken if broken <= result.chosen.keys() else set()
        elif isinstance(result, DeadEnd):
            clashes = Story(result, trial.lines, None).clashes
            more = {name for name in clashes if name in result.provider.image}
        else:
            continue
        for name in sorted(more):
            larger = tried | {name}
            if (
                len(larger) <= _MOST_NAMES
                and larger not in seen
                and not of_this_machine(trial.provider, name)
            ):
                seen.add(larger)
                waiting.append(larger)
    return None


def of_this_machine(provider: Provider, name: str) -> bool:
    """Whether the image has a build of it (`+rocm6.2.4`) that no index has the like of."""
    version = as_version(provider.image[name].version)
    return version is not None and bool(version.local)
