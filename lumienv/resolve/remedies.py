"""What would help, found by trying: each change that is proposed was searched with, and works."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.errors import PackageIndexError
from lumienv.image.known import KnownImage
from lumienv.index.pages import File
from lumienv.manifest import Dependency
from lumienv.resolve.candidates import Candidate, Kind, Refusal, as_version
from lumienv.resolve.check import broken_by
from lumienv.resolve.policy import Policy, Rule
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import user_requirement, with_range
from lumienv.resolve.search import Chosen, DeadEnd, SearchTooLongError, search
from lumienv.resolve.story import Story

_MOST_SEARCHES = 12
_MOST_ROUNDS = 2_000
_MOST_SHOWN = 4


Elsewhere = Callable[[Collection[str]], KnownImage | None]
"""another image on which everything fits, and which provides these names itself"""


def remedies(
    story: Story, core: Sequence[Dependency], lines: Sequence[Dependency], elsewhere: Elsewhere
) -> list[str]:
    """Up to four changes that would each be enough, and where none is found what else there is to do.

    `core` are the user's lines that do not hold together, `lines` those that are to hold with the change.
    """
    return _Remedies(story, core, lines, elsewhere).all()[:_MOST_SHOWN]


@dataclass(frozen=True)
class _Found:
    """What a search with a change found."""

    provider: Provider
    chosen: Chosen


class _Remedies:
    def __init__(
        self, story: Story, core: Sequence[Dependency], lines: Sequence[Dependency], elsewhere: Elsewhere
    ) -> None:
        self.story = story
        self.provider = story.provider
        self.policy = story.provider.policy
        self.core = core
        self.lines = lines
        self.elsewhere = elsewhere
        self.names = list(dict.fromkeys((*story.clashes, *sorted(story.chain))))
        self.searches = 0

    def all(self) -> list[str]:
        found = [*self.misspelt()]
        if found:
            return found
        tries: list[Callable[[], Iterator[str]]] = [
            self.other_versions,
            self.without_rules,
            self.withdrawn,
            self.later,
            self.prereleases,
            self.assumed,
            self.replaced,
        ]
        for attempt in tries:
            found += attempt()
        if not found:
            found += self.all_versions()
        found += self.other_image()
        return found or [self.left_out()]

    def search(self, policy: Policy, lines: Sequence[Dependency] | None = None) -> _Found | None:
        """What fits with a change; None for nothing, or when enough has been tried."""
        if self.searches == _MOST_SEARCHES:
            return None
        self.searches += 1
        provider = Provider(self.provider.snapshot, self.provider.client, policy, known=self.provider)
        try:
            result = search(provider, provider.roots(self.lines if lines is None else lines), _MOST_ROUNDS)
        except (SearchTooLongError, PackageIndexError):
            return None
        return None if isinstance(result, DeadEnd) else _Found(provider, result)

    # -- the user's own lines ----------------------------------------------------------------------------

    def misspelt(self) -> Iterator[str]:
        """A name that no index has: what may have been meant."""
        for name in self.story.clashes:
            if name in self.provider.image or self.provider.releases(name) is not None:
                continue
            own = [entry for entry in self.core if _name(entry) == name]
            close = difflib.get_close_matches(name, sorted(self.provider.image), n=1, cutoff=0.75)
            written = user_requirement(own[0]).name if own else name
            if own and close:
                yield f'write "{close[0]}" instead of "{written}" ({own[0].where}): the image provides it'
            elif own:
                yield f'check the spelling of "{written}" ({own[0].where})'
            elif self.search(replace(self.policy, omit=self.policy.omit | {name})) is not None:
                shown = _array({*self.policy.omit, name})
                yield f"leave it out, if it is provided otherwise or not needed: [resolve] omit = {shown}"
            yield 'name the index that has it: [[index]] url = "https://…"'

    def other_versions(self) -> Iterator[str]:
        """One line of the user's with another range."""
        for entry in self.core:
            relaxed = self._relaxed([entry])
            if relaxed is not None:
                yield relaxed

    def all_versions(self) -> Iterator[str]:
        """All lines that cannot hold together with other ranges."""
        if 1 < len(self.core) <= 4:
            relaxed = self._relaxed(self.core)
            if relaxed is not None:
                yield relaxed

    def _relaxed(self, entries: Sequence[Dependency]) -> str | None:
        bounded = [entry for entry in entries if user_requirement(entry).specifier]
        if not bounded:
            return None
        bare = {entry: replace(entry, text=str(_ranged(entry, ""))) for entry in bounded}
        newest = replace(self.policy, lowest=False, lowest_names=frozenset())
        found = self.search(newest, [bare.get(entry, entry) for entry in self.lines])
        if found is None:
            return None
        parts = []
        for entry in bounded:
            candidate = found.chosen.get(_name(entry))
            if candidate is None or user_requirement(entry).specifier.contains(
                candidate.version, prereleases=True
            ):
                continue
            text = str(_ranged(entry, self._range_for(entry, candidate)))
            taken = f"the image's {candidate}" if candidate.package else str(candidate)
            parts.append(f"{_toml(text)} instead of {quoted([entry], '')}, for {taken}")
        return "write " + ",\n  and ".join(parts) if parts else None

    def _range_for(self, entry: Dependency, candidate: Candidate) -> str:
        """A range that the candidate is the newest of, or failing that the oldest."""
        if candidate.package is not None:
            return ""
        version = candidate.version
        if version.is_prerelease or version.local:
            return f"=={version}"
        releases = self.provider.releases(candidate.name)
        specifier = user_requirement(entry).specifier
        asked = [v for v in releases.versions if specifier.contains(v, prereleases=True)] if releases else []
        return f"<={version}" if asked and asked[0] > version else f">={version}"

    # -- the user's rules --------------------------------------------------------------------------------

    def without_rules(self) -> Iterator[str]:
        """Without a line of `constraints` or `overrides`."""
        for name in self.names:
            for kind, rules in (
                ("constraints", self.policy.constraints),
                ("overrides", self.policy.overrides),
            ):
                if name in rules:
                    fewer = {other: rule for other, rule in rules.items() if other != name}
                    found = self.search(replace(self.policy, **{kind: fewer}))  # type: ignore[arg-type]
                    if found is not None:
                        which = quoted(rules[name].entries, "and")
                        yield f"take {which} out of [resolve] {kind}{_taking(found, name)}"

    def withdrawn(self) -> Iterator[str]:
        """A release that its authors withdrew is taken when it is named."""
        for name in self.names:
            files = self.story.in_question(name)
            version = next(
                (v for v, file in files if isinstance(file, File) and file.yanked is not None), None
            )
            if version is None:
                continue
            pin = SpecifierSet(f"=={version}")
            rule = self.policy.constraints.get(name, Rule(SpecifierSet(), ()))
            rules = {**self.policy.constraints, name: Rule(rule.specifier & pin, rule.entries)}
            if self.search(replace(self.policy, constraints=rules)) is not None:
                yield (
                    "name the withdrawn release, to take it all the same: "
                    f'[resolve] constraints = ["{name}=={version}"]'
                )

    def later(self) -> Iterator[str]:
        """A later `exclude-newer`."""
        if self.policy.exclude_newer is None or not self._refused(Kind.TOO_NEW):
            return
        found = self.search(replace(self.policy, exclude_newer=None))
        if found is not None:
            days = [c.file.upload_time[:10] for c in found.chosen.values() if c.file and c.file.upload_time]
            day = date.fromisoformat(max(days)) + timedelta(days=1) if days else None
            change = f'[resolve] exclude-newer = "{day}"' if day else "remove [resolve] exclude-newer"
            yield f"allow later uploads: {change}{_taking(found, *self.names)}"

    def prereleases(self) -> Iterator[str]:
        """Prereleases."""
        if self.policy.prerelease != "allow":
            found = self.search(replace(self.policy, prerelease="allow"))
            if found is not None:
                yield f'allow prereleases: [resolve] prerelease = "allow"{_taking(found, *self.names)}'

    # -- the image ---------------------------------------------------------------------------------------

    def assumed(self) -> Iterator[str]:
        """An image version that fits no range, read as the release that it is near to."""
        for name in self._of_image():
            shown = self.provider.image[name].version
            text = _near(shown) if name not in self.policy.assume else None
            if text and self.search(replace(self.policy, assume={**self.policy.assume, name: text})):
                yield f'read the image\'s {name} {shown} as {text}: [image.assume] {name} = "{text}"'

    def replaced(self) -> Iterator[str]:
        """The overlay shadows an image package: only where all others of the image can live with that."""
        for name in self._of_image():
            version = as_version(self.provider.image[name].version)
            if version is not None and version.local:
                continue  # built for this machine (`+rocm6.2.4`): no index has its like
            found = self.search(replace(self.policy, replace=self.policy.replace | {name}))
            if found is None or name not in found.chosen:
                continue
            versions = {key: str(candidate.version) for key, candidate in found.chosen.items()}
            if not broken_by(self.provider.snapshot, self.policy.replace | {name}, versions):
                change = f"[resolve] replace = {_array({*self.policy.replace, name})}"
                yield f"let the overlay shadow the image's {name}: {change}{_taking(found, name)}"

    def other_image(self) -> Iterator[str]:
        """Another image: one that is known and was tried, else what it should have."""
        image = self.elsewhere(self._of_image())
        if image is not None:
            yield f"use the image {image.base.name}, on which everything fits: {image.selection}"
            return
        lacking = [
            str(want)
            for name in self._of_image()
            for want in self.story.wants(name)
            if not self.provider.is_satisfied_by(want, self.provider.image_candidate(name))
        ][:1]
        python = self._refused(Kind.OTHER_PYTHON)
        if python and not lacking:
            lacking = [f"Python {python[0]}"]
        if lacking:
            yield f"choose an image with {' and '.join(lacking)}: `lumienv image list` shows what there is"

    def left_out(self) -> str:
        """Nothing that was tried works."""
        return f"leave out {quoted(self.core, 'or')}"

    def _of_image(self) -> list[str]:
        return [name for name in self.story.clashes if name in self.provider.image]

    def _refused(self, kind: Kind) -> list[str]:
        """The particulars of the releases in question that are refused for this reason."""
        files = [file for name in self.names for _, file in self.story.in_question(name)]
        return [file.detail for file in files if isinstance(file, Refusal) and file.kind is kind]


def _name(entry: Dependency) -> str:
    return str(canonicalize_name(user_requirement(entry).name))


def _ranged(entry: Dependency, text: str) -> Requirement:
    """The user's line with another range."""
    return with_range(user_requirement(entry), SpecifierSet(text))


def _near(version: str) -> str | None:
    """The release that a development build (`2.8.0a0+git1234`) or an odd version (`2.8.0-custom`) is near."""
    parsed = as_version(version)
    if parsed is not None:
        return parsed.base_version if parsed.is_prerelease else None
    found = re.match(r"\d+(\.\d+)*", version)
    return found[0] if found else None


def _taking(found: _Found, *names: str) -> str:
    """What a change leads to: `, for accel 2.0`."""
    taken = [str(found.chosen[name]) for name in names if name in found.chosen and found.chosen[name].file]
    return f", for {' and '.join(taken[:3])}" if taken else ""


def _array(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(names)) + "]"


def quoted(entries: Iterable[Dependency], word: str) -> str:
    """The user's lines, each with where it stands: `"accel>=2" (lumienv.toml:3) and …`."""
    return f" {word} ".join(f"{_toml(entry.text)} ({entry.where})" for entry in entries)


def _toml(text: str) -> str:
    """As it is written in lumienv.toml."""
    return f"'{text}'" if '"' in text else f'"{text}"'
