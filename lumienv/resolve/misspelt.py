"""Names that cannot be had, as they are misspelt, are no project's, or are the name of an import."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from packaging.specifiers import SpecifierSet

from lumienv.manifest import Dependency
from lumienv.resolve.nearmiss import NearMiss, is_standard_library, near_misses, of_import
from lumienv.resolve.proposals import array, name_of, quoted, renamed
from lumienv.resolve.requirements import user_requirement
from lumienv.resolve.trial import Trial
from lumienv.toml import in_toml


def misspelt(trial: Trial, clashes: Iterable[str], core: Sequence[Dependency]) -> Iterator[str]:
    """A name that no index has, or only as an empty shell: what may have been meant."""
    for name in dict.fromkeys((*clashes, *map(name_of, core))):
        if name in trial.provider.image or name in trial.provider.direct:
            continue
        own = next((entry for entry in core if name_of(entry) == name), None)
        releases = trial.provider.releases(name)
        if releases is None:
            yield from _unknown(trial, name, own)
        elif own is not None and not any(
            releases.usable(version) and f"{name} {version}" not in trial.provider.unreadable
            for version in releases.versions
        ):
            yield from _respelt(trial, own, of_import(user_requirement(own).name, trial.provider))


def _unknown(trial: Trial, name: str, own: Dependency | None) -> Iterator[str]:
    pinned = any(name in source.packages for source in trial.provider.client.sources)
    if own is None:
        if trial.search(replace(trial.policy, omit=trial.policy.omit | {name})) is not None:
            shown = array({*trial.policy.omit, name})
            yield f"leave it out, if it is provided otherwise or not needed: [resolve] omit = {shown}"
    elif pinned:
        # Not: take it from another index. A name that is private would then be anybody's to provide.
        yield f"check the spelling of {quoted([own], '')}, and the index that [sources] names for it"
        return
    else:
        written = user_requirement(own).name
        if name == "python":
            python = trial.provider.snapshot.python.version
            yield f"leave out {quoted([own], '')}: the image brings Python {python} itself"
            return
        if is_standard_library(written) and trial.with_line(own, "") is not None:
            yield f"leave out {quoted([own], '')}: {written} is a part of Python"
            return
        others = {name_of(entry) for entry in trial.lines if entry is not own}
        proposals = list(_respelt(trial, own, near_misses(written, trial.provider, others)))
        if proposals:
            yield from proposals
            return
        yield f"check the spelling of {quoted([own], '')}"
    yield 'name the index that has it: [[index]] url = "https://…"'


def _respelt(trial: Trial, own: Dependency, misses: Iterable[NearMiss]) -> Iterator[str]:
    """The user's line with another name, as far as that fits; those of one origin, at most two."""
    others = {name_of(entry): entry for entry in trial.lines if entry is not own}
    taken = 0
    for miss in misses:
        if taken and not miss.guess:
            continue
        if miss.name in others:
            if trial.with_line(own, "") is not None:
                taken += 1
                meant = quoted([others[miss.name]], "")
                yield f"leave out {quoted([own], '')}: {meant} may be what is meant"
        else:
            for specifier in dict.fromkeys((user_requirement(own).specifier, SpecifierSet())):
                text = str(renamed(own, miss.name, specifier))
                if trial.with_line(own, text) is not None:
                    taken += 1
                    yield f"write {in_toml(text)} instead of {quoted([own], '')}: {miss.why}"
                    break
        if taken and not miss.guess:
            return
