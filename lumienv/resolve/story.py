"""What happened in a search that found nothing, told from the user's lines down to what stands in the way."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from lumienv.index.pages import File
from lumienv.manifest import Dependency
from lumienv.resolve.candidates import Candidate, Kind, Refusal, Releases, as_version
from lumienv.resolve.requirements import Want
from lumienv.resolve.search import DeadEnd, Demand
from lumienv.resolve.wheeltags import lacking, on_linux

_LISTED = 5  # versions that are listed one by one
_RANGES = 3  # different ranges of one name that are told one by one
_MOST_FACTS = 16
_EXTRA = re.compile(r"""extra == ['"]([^'"]+)['"]""")
_SAID = 3  # lines of what a build said
_REASON = 80  # characters of an author's words
_PLURALS = {"needs": "need", "has": "have", "was": "were", "is": "are", "does": "do", "offers": "offer"}


class Story:
    """One dead end: which names lead there (`chain`), and on which names the demands meet (`clashes`)."""

    def __init__(self, end: DeadEnd, lines: Sequence[Dependency], exclude_newer: str | None) -> None:
        self.provider = end.provider
        self._end = end
        self._exclude_newer = exclude_newer
        met = {_identity(demand): demand for demand in end.causes}
        above, below = _by_name(end.record.demands.values())
        self.chain: set[str] = set()
        waiting = [parent.name for _, parent in end.causes if parent is not None]
        while waiting:
            name = waiting.pop()
            if name in self.chain:
                continue
            self.chain.add(name)
            fallen = end.record.fallen.get(name, {})
            for demands in (above.get(name, ()), *fallen.values()):
                waiting += [demand.parent.name for demand in demands if demand.parent is not None]
            met |= {_identity(demand): demand for demands in fallen.values() for demand in demands}
            # Releases that did not fall themselves: something that they need came to nothing.
            undone = [d for d in below.get(name, ()) if d.parent is None or d.parent.version not in fallen]
            waiting += [d.requirement.name for d in undone if self._came_to_nothing(d.requirement, below)]
        path = [demand for name in sorted(self.chain) for demand in above.get(name, ())]
        clashing = [demand for demand in met.values() if not self._harmless(demand)]
        clashing += _of_other_releases(clashing, end.record.demands.values())
        shown = {_identity(demand): demand for demand in (*path, *clashing)}
        order = {id(entry): number for number, entry in enumerate(lines)}
        self.demands = sorted(shown.values(), key=lambda d: order.get(id(d.requirement.source), len(order)))
        self.clashes = list(dict.fromkeys(d.requirement.name for d in clashing if not d.requirement.unusable))

    def _came_to_nothing(self, want: Want, below: Mapping[str, Sequence[Demand]]) -> bool:
        """Whether all releases that a want accepts were tried, and some fell."""
        if want.name in self.provider.image or want.unusable or want.name not in self._end.record.fallen:
            return False
        tried = {demand.parent.version for demand in below.get(want.name, ()) if demand.parent is not None}
        tried |= self._end.record.fallen[want.name].keys()
        if want.name in self.provider.direct:
            return self.provider.direct.read(want.name).version in tried
        return all(version in tried for version, _ in self.provider.matching(want.name, [want]))

    def _harmless(self, demand: Demand) -> bool:
        """Whether a demand is met by the one release there is, and so is no part of the trouble."""
        want = demand.requirement
        if want.same_as is not None:
            return True
        candidate = self._only(want.name)
        if candidate is None or want.unusable:
            return False
        rule = self.provider.policy.constraints.get(want.name)
        return self.provider.is_satisfied_by(want, candidate) and (
            rule is None or self.provider.accepts(str(rule.specifier), rule.specifier, candidate)
        )

    def _only(self, name: str) -> Candidate | None:
        """The one candidate of a name that no index is asked for."""
        if name in self.provider.image:
            return self.provider.image_candidate(name)
        if name in self.provider.direct:
            direct = self.provider.direct.read(name)
            return Candidate(name, direct.version, direct=direct)
        return None

    def releases(self, name: str) -> Releases | None:
        """What the indexes have of a name; None where they have nothing, and where they are not asked."""
        asked = name not in self.provider.image and name not in self.provider.direct
        return self.provider.releases(name) if asked else None

    def wants(self, name: str) -> list[Want]:
        """All that was demanded of a name on the way."""
        return [
            d.requirement for d in self.demands if d.requirement.name == name and not d.requirement.unusable
        ]

    def in_question(self, name: str) -> list[tuple[Version, File | Refusal]]:
        """The releases of `name` that the demands and rules accept, each with its file or why it has none."""
        releases = self.releases(name)
        return [(v, releases.best(v)) for v in self._in_range(name, releases)] if releases else []

    # -- facts -------------------------------------------------------------------------------------------

    def facts(self) -> list[str]:
        """One sentence a fact, each once, the user's own lines first."""
        told = dict.fromkeys(self._all_facts())
        shown = list(told)[:_MOST_FACTS]
        if len(told) > len(shown):
            shown.append(f"and {len(told) - len(shown)} more of this kind")
        return shown

    def _all_facts(self) -> Iterator[str]:
        for want, parent in self.demands:
            if parent is None and want.source is not None:
                override = f", [resolve] overrides makes it {want}" if want.override else ""
                yield f"you ask for {want.source.text}  ({want.source.where}){override}"
        for name in self._downwards():
            yield from self._needs(name)
            if name not in self.clashes and name not in self.provider.image:
                yield from self._passed_over(name)
        for name in self.clashes:
            yield from self._stands(name)

    def _downwards(self) -> list[str]:
        """The names of the chain, each after those that need it where possible, line by line."""
        below: dict[str, list[str]] = {}
        first: list[str] = []
        for want, parent in self.demands:
            if parent is None:
                first.append(want.name)
            else:
                below.setdefault(parent.name, []).append(want.name)
        finished: dict[str, None] = {}
        started: set[str] = set()
        waiting = list(
            dict.fromkeys(first)
        )  # a stack, its last line first: what is finished last comes first
        while waiting:
            name = waiting[-1]
            if name not in started:
                started.add(name)
                waiting += [other for other in dict.fromkeys(below.get(name, ())) if other not in started]
            else:
                finished.setdefault(waiting.pop())
        return [name for name in reversed(finished) if name in self.chain]

    def _needs(self, name: str) -> Iterator[str]:
        """`accel 2.0, 1.9 need torch>=2.8`"""
        by_target: dict[str, dict[str, list[Candidate]]] = {}
        for want, parent in self.demands:
            if parent is None or parent.name != name or want.same_as is not None:
                continue
            text = want.unusable or f"needs {want}{_of_extras(want)}"
            if want.override is not None:
                text += f"  ([resolve] overrides, {want.override.where})"
            target = want.name if want.unusable is None else f"{want.name} itself"
            by_target.setdefault(target, {}).setdefault(text, []).append(parent)
        told: list[tuple[Version, Sequence[str]]] = []
        for target, texts in by_target.items():
            groups = sorted(texts.items(), key=lambda item: _newest(item[1]), reverse=True)
            shown = groups if len(groups) <= _RANGES else groups[:1]
            for text, parents in shown:
                newest = _newest(parents)
                fact = _about(name, [parent.version for parent in parents], text, parents[0])
                error = self.provider.unreadable.get(f"{name} {newest}")
                told.append((newest, [fact, *(error.facts[-_SAID:] if error else ())]))
            rest = [parent for _, parents in groups[len(shown) :] for parent in parents]
            if rest:
                itself = target.endswith(" itself")
                says = (
                    "cannot be used either"
                    if itself
                    else f"each need other releases of {target}, which do not fit either"
                )
                told.append((_newest(rest), [_about(name, [parent.version for parent in rest], says)]))
        for _, facts in sorted(told, key=lambda one: one[0], reverse=True):
            yield from facts

    def _passed_over(self, name: str) -> Iterator[str]:
        """Releases that might have done, were they usable: one line."""
        releases = self.releases(name)
        if releases is not None:
            yield from list(self._refused(name, releases, self._in_range(name, releases)))[:1]

    def _stands(self, name: str) -> Iterator[str]:
        """What meets the demands on `name`: the image's package, a rule, or what the index has."""
        rule = self.provider.policy.constraints.get(name)
        if rule is not None:
            for entry in rule.entries:
                yield f"[resolve] constraints has {entry.text}  ({entry.where})"
        package = self.provider.image.get(name)
        if name in self.provider.direct and package is None:
            direct = self.provider.direct.read(name)
            folder = "the folder " if direct.origin.kind == "directory" else ""
            yield f"{name} comes from {folder}{direct.origin}, which has {name} {direct.version}"
            return
        if package is None:
            yield from self._offered(name)
            return
        assumed = self.provider.policy.assume.get(name)
        if assumed is not None:
            yield f"the image provides {name} {package.version}, read as {assumed} ([image.assume])"
        elif (version := as_version(package.version)) is None:
            yield f"the image provides {name} {package.version}, a version that cannot be compared (PEP 440)"
        elif version.is_prerelease and self._near_miss(name, version):
            base = version.base_version
            yield (
                f"the image provides {name} {package.version}, "
                f"which is neither >={base} nor <{base} (PEP 440)"
            )
        else:
            yield f"the image provides {name} {package.version}, which lumienv never replaces by itself"

    def _near_miss(self, name: str, version: Version) -> bool:
        """Whether the release that the image's prerelease came before would satisfy all."""
        release = Version(version.base_version)
        return all(
            self.provider.contains(w.ranges, w.requirement.specifier, release) for w in self.wants(name)
        )

    def _offered(self, name: str) -> Iterator[str]:
        releases = self.provider.releases(name)
        sources = self.provider.client.sources
        if releases is None:
            pinned = next((source.name for source in sources if name in source.packages), None)
            if pinned is not None:
                yield f"the index {pinned}, which [sources] names for {name}, has no such project"
            else:
                yield f"no package index has a project called {name}"
            return
        if not releases.versions:
            yield f"the index lists no releases of {name}"
            return
        in_range = self._in_range(name, releases)
        if in_range:
            yield from self._refused(name, releases, in_range)
        elif not all(self._in_range(name, releases, [want]) for want in self.wants(name)):
            usable = [version for version in releases.versions if releases.usable(version)]
            of = next((f" {s.name}" for s in sources if s.name and s.url == releases.page.index), "")
            alone = ", and is the first that has the project: no other is asked" if len(sources) > 1 else ""
            yield f"the index{of} offers {name} {listed(usable or releases.versions)}{alone}"

    def _in_range(self, name: str, releases: Releases, wants: Sequence[Want] | None = None) -> list[Version]:
        ranges = {want.ranges: want.requirement.specifier for want in wants or self.wants(name)}
        rule = self.provider.policy.constraints.get(name)
        if rule is not None and wants is None:
            ranges[str(rule.specifier)] = rule.specifier
        contains = self.provider.contains
        return [
            v for v in releases.versions if all(contains(text, range_, v) for text, range_ in ranges.items())
        ]

    def _refused(self, name: str, releases: Releases, versions: Iterable[Version]) -> Iterator[str]:
        """Why these releases cannot be used, those with one reason together, the newest first."""
        refused: dict[tuple[Kind, str], list[tuple[Version, str]]] = {}
        withdrawn: dict[str, list[Version]] = {}
        early: list[Version] = []
        for version in versions:
            file = releases.best(version)
            if isinstance(file, Refusal):
                # Each its own Python; otherwise the particulars of the newest will do.
                apart = file.detail if file.kind is Kind.OTHER_PYTHON else ""
                refused.setdefault((file.kind, apart), []).append((version, file.detail))
            elif file.yanked is not None:
                withdrawn.setdefault(file.yanked, []).append(version)
            elif version.is_prerelease and self.provider.policy.prerelease == "disallow":
                early.append(version)
        for reason, which in withdrawn.items():
            words = reason if len(reason) <= _REASON else f"{reason[:_REASON].rstrip()}…"
            yield _about(name, which, f"was withdrawn by the authors{f': {words}' if words else ''}")
        if early:
            one = len(early) == 1
            what = "is a prerelease" if one else "are prereleases"
            yield _about(name, early, f'{what}, and [resolve] prerelease is "disallow"')
        for (kind, _), entries in list(refused.items())[:_RANGES]:
            yield self._refusal(name, kind, entries)
            if kind is Kind.OTHER_PLATFORM:
                yield from self._wheels(name, entries)

    def _wheels(self, name: str, entries: Sequence[tuple[Version, str]]) -> Iterator[str]:
        """The wheels that there are, those of the newest releases one by one, and what they lack."""
        by_tags: dict[str, list[Version]] = {}
        for version, tags in entries:
            by_tags.setdefault(on_linux(tags), []).append(version)
        for tags, versions in list(by_tags.items())[:2]:
            lacks = lacking(tags, self.provider.platform)
            yield _about(name, versions, f"has wheels for {tags}{f': {lacks}' if lacks else ''}")

    def _refusal(self, name: str, kind: Kind, entries: Sequence[tuple[Version, str]]) -> str:
        versions = [version for version, _ in entries]
        detail = entries[0][1]
        if kind is Kind.OTHER_PLATFORM:
            ranks = self.provider.platform.ranks
            best = min(ranks, key=lambda tag: ranks[tag], default="no wheels")
            return _about(name, versions, f"has no wheel for this image, which takes {best} or older")
        if kind is Kind.OTHER_PYTHON:
            return _about(
                name, versions, f"needs Python {detail}, and the image has {self.provider.platform.python}"
            )
        if kind is Kind.MISNAMED:
            return _about(name, versions, f"{kind.value}: {detail}")
        if kind is Kind.TOO_NEW:
            limit = f"exclude-newer is {self._exclude_newer}"
            dates = sorted(date for _, date in entries if date)
            if not dates:
                return _about(name, versions, f"has no upload date on the index, and {limit}")
            when = dates[0] if len(entries) == 1 else f"{dates[0]} or later"
            return _about(name, versions, f"was uploaded on {when}, and {limit}")
        allowed = self.provider.policy.build
        why = "which cannot be built here" if allowed else 'and [resolve] build is "never"'
        return _about(name, versions, f"has only source distributions, {why}")


def _by_name(demands: Iterable[Demand]) -> tuple[dict[str, list[Demand]], dict[str, list[Demand]]]:
    """The demands on each name, and the demands that each name has."""
    above: dict[str, list[Demand]] = {}
    below: dict[str, list[Demand]] = {}
    for demand in demands:
        above.setdefault(demand.requirement.name, []).append(demand)
        if demand.parent is not None:
            below.setdefault(demand.parent.name, []).append(demand)
    return above, below


def _of_other_releases(found: Sequence[Demand], all_: Iterable[Demand]) -> list[Demand]:
    """The same demands by other releases of the same names: runs of releases are told as one."""
    seen = {_identity(demand) for demand in found}
    kinds = {(d.parent.name, d.requirement.name, d.requirement.ranges) for d in found if d.parent is not None}
    return [
        d
        for d in all_
        if d.parent is not None
        and d.requirement.same_as is None
        and (d.parent.name, d.requirement.name, d.requirement.ranges) in kinds
        and _identity(d) not in seen
    ]


def _of_extras(want: Want) -> str:
    """For a requirement that only an extra has: `, for its extra audio`."""
    names = _EXTRA.findall(str(want.requirement.marker or ""))
    return f", for its extra {' and '.join(dict.fromkeys(names))}" if names else ""


def _identity(demand: Demand) -> tuple[int, int]:
    return id(demand.requirement), id(demand.parent)


def _about(name: str, versions: Sequence[Version], says: str, one: Candidate | None = None) -> str:
    """`accel 2.0 needs …`, `accel 2.0, 1.9 need …`"""
    if len(set(versions)) == 1:
        return f"{one if one is not None else f'{name} {versions[0]}'} {says}"
    verb, space, rest = says.partition(" ")
    return f"{name} {listed(versions)} {_PLURALS.get(verb, verb)}{space}{rest}"


def _newest(candidates: Iterable[Candidate]) -> Version:
    return max(candidate.version for candidate in candidates)


def listed(versions: Sequence[Version]) -> str:
    """`2.0, 1.9, 1.8`, or with many: `2.0, 1.9, 1.8 … 0.1 (38 versions)`."""
    ordered = sorted(set(versions), reverse=True)
    if len(ordered) <= _LISTED:
        return ", ".join(str(version) for version in ordered)
    shown = ", ".join(str(version) for version in ordered[:3])
    return f"{shown} … {ordered[-1]} ({len(ordered)} versions)"
