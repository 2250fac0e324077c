"""What would help, found by trying: each change that is proposed was searched with, and works."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.image.known import KnownImage
from lumienv.index.pages import File
from lumienv.manifest import Dependency
from lumienv.resolve.candidates import Candidate, Kind, Refusal, as_version
from lumienv.resolve.check import broken_by
from lumienv.resolve.misspelt import misspelt
from lumienv.resolve.policy import Policy
from lumienv.resolve.proposals import (
    array,
    constraint_line,
    image_with,
    name_of,
    nearest_release,
    quoted,
    ranged,
    with_constraint,
)
from lumienv.resolve.requirements import spelled, user_requirement
from lumienv.resolve.story import Story
from lumienv.resolve.together import fewest_together, of_this_machine
from lumienv.resolve.trial import Found, Trial
from lumienv.resolve.wheeltags import least_wanted
from lumienv.toml import in_toml

_MOST_SHOWN = 4


@dataclass(frozen=True)
class Advice:
    """What to do, each enough by itself, and what more there is to know."""

    proposals: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    """facts that came up while trying"""


Elsewhere = Callable[[Collection[str]], KnownImage | None]
"""another image on which everything fits, and which provides these names itself"""


def remedies(
    story: Story, core: Sequence[Dependency], lines: Sequence[Dependency], elsewhere: Elsewhere
) -> Advice:
    """Up to four changes that would each be enough, and where none is found what else there is to do.

    `core` are the user's lines that do not hold together, `lines` those that are to hold with the change.
    """
    found = _Remedies(story, core, lines, elsewhere)
    return Advice(tuple(found.all()[:_MOST_SHOWN]), tuple(found.remarks))


class _Remedies(Trial):
    def __init__(
        self, story: Story, core: Sequence[Dependency], lines: Sequence[Dependency], elsewhere: Elsewhere
    ) -> None:
        super().__init__(story.provider, lines)
        self.story = story
        self.core = core
        self.elsewhere = elsewhere
        self.names = list(dict.fromkeys((*story.clashes, *sorted(story.chain))))
        self.remarks: list[str] = []

    def all(self) -> list[str]:
        found = [*misspelt(self, self.story.clashes, self.core)]
        if found:
            return found
        found = [*self.other_build()]
        if found:
            return found
        tries: list[Callable[[], Iterator[str]]] = [
            self.contradictory,
            self.other_versions,
            self.without_extras,
            self.without_rules,
            self.withdrawn,
            self.later,
            self.prereleases,
            self.built,
            self.assumed,
            self.replaced,
        ]
        for attempt in tries:
            found += attempt()
        if not found:
            found += self.all_versions()
        if not self._of_another_build():
            found += self.other_image()
        found += self.other_platform()
        return found or [*self.elsewhere_built(), self.left_out()]

    # -- the user's own lines ----------------------------------------------------------------------------

    def contradictory(self) -> Iterator[str]:
        """Two lines on one name: one of them has to go."""
        names = [name_of(entry) for entry in self.core]
        if len(set(names)) == 1 and len(names) > 1:
            yield from self._leaving_out()

    def other_versions(self) -> Iterator[str]:
        """One line of the user's with another range."""
        names = [name_of(entry) for entry in self.core]
        for entry in self.core:
            relaxed = self._relaxed([entry]) if names.count(name_of(entry)) == 1 else None
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
        bare = {entry: replace(entry, text=str(ranged(entry, ""))) for entry in bounded}
        newest = replace(self.policy, lowest=False, lowest_names=frozenset())
        found = self.search(newest, [bare.get(entry, entry) for entry in self.lines])
        if found is None:
            return None
        parts = []
        for entry in bounded:
            candidate = found.chosen.get(name_of(entry))
            if candidate is None or user_requirement(entry).specifier.contains(
                candidate.version, prereleases=True
            ):
                continue
            text = str(ranged(entry, self._range_for(entry, candidate)))
            taken = f"the image's {candidate}" if candidate.package else str(candidate)
            parts.append(f"{in_toml(text)} instead of {quoted([entry], '')}, for {taken}")
        return "write " + ",\n  and ".join(parts) if parts else None

    def _range_for(self, entry: Dependency, candidate: Candidate) -> str:
        """A range that the candidate is the newest of, or failing that the oldest."""
        if candidate.package is not None or candidate.direct is not None:
            return ""
        version = candidate.version
        if version.is_prerelease or version.local:
            return f"=={version}"
        releases = self.provider.releases(candidate.name)
        specifier = user_requirement(entry).specifier
        asked = [v for v in releases.versions if specifier.contains(v, prereleases=True)] if releases else []
        return f"<={version}" if asked and asked[0] > version else f">={version}"

    def without_extras(self) -> Iterator[str]:
        """A line without its extras, where one of them brings the trouble."""
        for entry in self.core:
            requirement = user_requirement(entry)
            if requirement.extras:
                requirement.extras = set()
                if self.with_line(entry, str(requirement)) is not None:
                    text = in_toml(str(requirement))
                    yield f"write {text} instead of {quoted([entry], '')}, without its extras"

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
            pin = f"=={version}"
            own = next((entry for entry in self.core if name_of(entry) == name), None)
            if own is not None and self.with_line(own, text := str(ranged(own, pin))) is not None:
                change = f"write {in_toml(text)} instead of {quoted([own], '')}"
                yield f"{change}, to take the withdrawn release all the same"
            elif self.search(with_constraint(self.policy, name, pin)) is not None:
                change = constraint_line(self.policy, name, pin)
                yield f"name the withdrawn release, to take it all the same: {change}"

    def later(self) -> Iterator[str]:
        """A later `exclude-newer`: as little later as will do."""
        days = sorted(day for day in self._refused(Kind.TOO_NEW) if day)
        if self.policy.exclude_newer is None or not self._refused(Kind.TOO_NEW):
            return
        for day in dict.fromkeys((*days[:1], *days[-1:])):
            limit = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
            found = self.search(replace(self.policy, exclude_newer=f"{limit}T00:00:00"))
            if found is not None:
                taken = _taking(found, *self.names)
                yield f'allow later uploads: [resolve] exclude-newer = "{limit}"{taken}'
                return
        found = self.search(replace(self.policy, exclude_newer=None))
        if found is not None:
            yield f"remove [resolve] exclude-newer{_taking(found, *self.names)}"

    def prereleases(self) -> Iterator[str]:
        """Prereleases: of one of the user's own lines, or else of everything."""
        found = None if self.policy.prerelease == "allow" else self.search(self._with_prereleases())
        if found is None:
            return
        for entry in self.core if self.policy.prerelease == "if-necessary" else ():
            candidate = found.chosen.get(name_of(entry))
            if candidate is not None and candidate.file and candidate.version.is_prerelease:
                text = str(ranged(entry, f">={candidate.version}"))
                if self.with_line(entry, text) is not None:
                    change = f"write {in_toml(text)} instead of {quoted([entry], '')}"
                    yield f"{change}, for the prerelease {candidate}"
                    return
        yield f'allow prereleases: [resolve] prerelease = "allow"{_taking(found, *self.names)}'

    def built(self) -> Iterator[str]:
        """Source distributions."""
        if not self.policy.build:
            found = self.search(replace(self.policy, build=True))
            if found is not None:
                yield f'allow building from sources: [resolve] build = "allow"{_taking(found, *self.names)}'

    def _with_prereleases(self) -> Policy:
        return replace(self.policy, prerelease="allow")

    # -- the image ---------------------------------------------------------------------------------------

    def assumed(self) -> Iterator[str]:
        """An image version that fits no range, read as the release that it is near to."""
        for name in self._of_image():
            shown = self.provider.image[name].version
            text = nearest_release(shown) if name not in self.policy.assume else None
            if text and self.search(replace(self.policy, assume={**self.policy.assume, name: text})):
                yield f'read the image\'s {name} {shown} as {text}: [image.assume] {name} = "{text}"'

    def replaced(self) -> Iterator[str]:
        """The overlay shadows an image package: only where all others of the image can live with that."""
        if not any(package.requires for package in self.provider.image.values()):
            return  # a list of names and versions: nobody knows what would break
        remarks = []
        alone = False
        for name in self._of_image():
            if of_this_machine(self.provider, name):
                continue
            policy = replace(self.policy, replace=self.policy.replace | {name})
            found = self.search(policy)
            broken = self._broken(found, name)
            bound = ""
            if broken and found is not None:
                bound = self._images_range(name)
                remark = f"{found.chosen[name]} cannot shadow it: {broken[0].partition(', and will find')[0]}"
                found = self.search(with_constraint(policy, name, bound))
                if self._broken(found, name):
                    remarks.append(remark)
                    continue
            if found is not None and name in found.chosen:
                change = f"[resolve] replace = {array({*self.policy.replace, name})}"
                if bound:
                    line = constraint_line(self.policy, name, bound)
                    change += f"\n  and {line}, as the image's own packages need it"
                alone = True
                yield f"let the overlay shadow the image's {name}: {change}{_taking(found, name)}"
        together = None if alone else fewest_together(self, self._of_image())
        if together is None:
            self.remarks += remarks
            return
        names, found = together
        *others, last = sorted(names)
        listed = f"{', '.join(others)} and {last}" if others else last
        change = f"[resolve] replace = {array({*self.policy.replace, *names})}"
        taken = _taking(found, *self._of_image())
        yield f"let the overlay shadow the image's {listed}:\n  {change}{taken}"

    def _broken(self, found: Found | None, name: str) -> list[str]:
        """What of the image would not hold any longer; a replacement that is not there breaks itself."""
        if found is None or name not in found.chosen:
            return [""]
        return broken_by(self.provider.snapshot, found.provider.policy.replace, found.versions)

    def _images_range(self, name: str) -> str:
        """What the image's packages together ask of one of them."""
        asked = SpecifierSet()
        for package in self.provider.image.values():
            for requirement in self.provider.environment.readable(package.requires, frozenset()):
                if canonicalize_name(requirement.name) == name:
                    asked &= requirement.specifier
        return spelled(asked)

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
        if lacking:
            yield image_with(lacking[0])
            return
        python = self._refused(Kind.OTHER_PYTHON)
        if python:
            yield f"choose an image with Python {python[-1]}: `lumienv image list` shows what there is"

    def other_build(self) -> Iterator[str]:
        """A build that some image may have, and no index: what an index has instead is for other machines."""
        for entry in self.core:
            name, asked = name_of(entry), user_requirement(entry).specifier
            local = any(one.operator == "==" and "+" in one.version for one in asked)
            releases = self.story.releases(name) if local else None
            if releases is not None and not any(asked.contains(version) for version in releases.versions):
                yield image_with(f"{name}{asked}")

    def other_platform(self) -> Iterator[str]:
        """Another image, whose Python or C library the wheels are for."""
        wheels = self._refused(Kind.OTHER_PLATFORM)
        wanted = least_wanted(wheels, self.provider.platform)
        if wanted:
            yield f"choose an image with {wanted}: `lumienv image list` shows what there is"

    def _of_another_build(self) -> bool:
        """Whether what is asked of the image is a build for other machines: no image will have that."""
        local = {name: as_version(self.provider.image[name].version) for name in self._of_image()}
        return any(
            version is not None and version.local and one.operator == "==" and "+" in one.version
            for name, version in local.items()
            for want in self.story.wants(name)
            for one in want.requirement.specifier
        )

    def elsewhere_built(self) -> Iterator[str]:
        """What the reader of sources has to say, as far as it is more than "take another release"."""
        errors = [error for name, error in self.provider.unreadable.items() if name.split()[0] in self.names]
        for hint in dict.fromkeys((error.hint or "").partition("\n")[0] for error in errors):
            # All other releases were tried already.
            if hint and "[resolve]" not in hint and "another version" not in hint:
                yield hint.removesuffix(", or").rstrip(";")
                return

    def left_out(self) -> str:
        """Nothing else that was tried works."""
        return next(self._leaving_out(), f"leave out {quoted(self.core, 'or')}")

    def _leaving_out(self) -> Iterator[str]:
        enough = [entry for entry in self.core if self.with_line(entry, "") is not None]
        if enough:
            yield f"leave out {quoted(enough, 'or')}"

    def _of_image(self) -> list[str]:
        return [name for name in self.story.clashes if name in self.provider.image]

    def _refused(self, kind: Kind) -> list[str]:
        """The particulars of the releases in question that are refused for this reason."""
        files = [file for name in self.names for _, file in self.story.in_question(name)]
        return [file.detail for file in files if isinstance(file, Refusal) and file.kind is kind]


def _taking(found: Found, *names: str) -> str:
    """What a change leads to: `, for accel 2.0`."""
    taken = [str(found.chosen[name]) for name in names if name in found.chosen and found.chosen[name].file]
    return f", for {' and '.join(taken[:3])}" if taken else ""
