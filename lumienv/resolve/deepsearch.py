"""The search for what `search` finds no quick way through: packages and releases told to `learning`.

A name's states are its releases in the order of preference, so that the lowest bit is tried first; a name
with extras has the same states as the name without, and must be in the same one. Whether a release can be
installed at all, and what it needs, is asked when it is about to be chosen.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import Version
from resolvelib.structs import RequirementInformation

from lumienv.index.pages import File
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.learning import ABSENT, Exclusion, Knowledge, told
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Want, pins

Demand = RequirementInformation[Want, Candidate]

_OFTEN = 5  # conflicts after which a name is decided before others (as pip and uv have it)
_AHEAD = 64  # releases whose metadata is fetched ahead at most, where many are tried


class TooManyTriesError(Exception):
    """More candidates were looked at than allowed."""


class _OfferedLater(Exception):  # noqa: N818 - no failure
    """A release is to be offered that conclusions were drawn without: they are drawn anew."""


@dataclass
class _Name:
    """The releases of one name that its index offers and the constraints allow, as states."""

    versions: list[Version]
    """the preferred one first: the first has the second-lowest bit"""
    only: Candidate | None = None
    """the image's package or the direct source: there is no other release"""
    state_of: dict[Version, int] = field(default_factory=dict)
    present: int = 0
    ruled_out: int = 0
    """states of releases that cannot be installed, as far as they were looked at"""
    offered: int = 0
    """states of prereleases and withdrawn releases that something asks for"""
    barred: int = 0
    """those of them that turned out to be asked for by nothing that was chosen"""
    accepted: dict[str, int] = field(default_factory=dict)
    """range → the states in it"""

    def __post_init__(self) -> None:
        self.state_of = {version: 2 << number for number, version in enumerate(self.versions)}
        self.present = (2 << len(self.versions)) - 2

    def version(self, state: int) -> Version:
        """The release of a state."""
        return self.versions[state.bit_length() - 2]


class DeepSearch:
    """One search; `tries` counts the candidates looked at."""

    def __init__(self, provider: Provider, wants: Sequence[Want], most_tries: int) -> None:
        self.provider = provider
        self.tries = 0
        self._fallen_often: Counter[str] = Counter()
        self.demands: list[Demand] = []
        self.fallen: dict[str, dict[Version, Sequence[Demand]]] = {}
        self._most_tries = most_tries
        self._wants = wants
        self._names: dict[str, _Name] = {}
        self._looked_at: Counter[str] = Counter()
        self._direct = {want.key for want in wants}
        self._with_extras = {want.name for want in wants if want.extras}
        """an old release would often do without the extras, as it has none"""

    def rejections(self) -> Counter[str]:
        """How often releases came to nothing, or had a part in a conflict, by name."""
        counted = Counter(self._fallen_often)
        for key, conflicts in self._knowledge.involved.items():
            counted[key.partition("[")[0]] += conflicts
        return counted

    def _start(self) -> None:
        self._knowledge = Knowledge()
        self._told_of: dict[int, list[Demand]] = {}
        self._told: dict[tuple[str, str, str], Exclusion] = {}
        self._on: dict[str, list[tuple[str, int, Demand]]] = {}
        """key → who demands something of it, in which state"""
        self._known: dict[tuple[str, int], list[Exclusion]] = {}
        for known in self._names.values():
            known.ruled_out = 0

    def run(self) -> dict[str, Candidate] | list[Demand]:
        """What was chosen for each key; else the demands that cannot hold together.

        Raises TooManyTriesError, and PackageIndexError.
        """
        while True:
            self._start()
            try:
                failed = self._decide_all()
            except _OfferedLater:
                continue
            if failed is not None:
                return [demand for one in told(failed) for demand in self._told_of.get(id(one), ())]
            chosen = {key: states for key, states in self._knowledge.states.items() if not states & ABSENT}
            unasked = [key for key, state in chosen.items() if not self._asked_for(key, state)]
            if not unasked:
                return {key: self._candidate(key, state) for key, state in chosen.items()}
            for key in unasked:
                self._names[key].barred |= chosen[key]

    def _decide_all(self) -> Exclusion | None:
        told_first = [self._tell(None, 0, want) for want in self._wants]
        failed = next((one for one in told_first if not one.terms), None)
        failed = failed or self._knowledge.settle(told_first)
        while failed is None:
            key = self._next()
            if key is None:
                return None
            failed = self._choose(key)
        return failed

    # -- what to decide, and how -------------------------------------------------------------------------

    def _next(self) -> str | None:
        """The key to decide: what has no choice first, then what conflicted often, then the user's names."""
        knowledge = self._knowledge
        open_keys = [
            key
            for key, states in knowledge.states.items()
            if not states & ABSENT and not knowledge.is_decided(key)
        ]
        return min(open_keys, key=self._rank, default=None)

    def _rank(self, key: str) -> tuple[bool | str, ...]:
        name, extras, _ = key.partition("[")
        states = self._knowledge.states[key]
        return (
            bool(extras) and not self._knowledge.is_decided(name),
            states.bit_count() > 1 and not extras,
            self._knowledge.involved[key] < _OFTEN,
            key not in self._direct,
            name not in self._with_extras,
            bool(states & 2),  # the newest is still possible: nothing bounds it
            key,
        )

    def _choose(self, key: str) -> Exclusion | None:
        """Choose a candidate for a key, or find that there is none."""
        knowledge = self._knowledge
        name, extras, _ = key.partition("[")
        states = knowledge.states[key]
        if extras:
            states &= knowledge.states[name]
            if not states:
                apart = knowledge.states[key]
                rest = self._names[name].present & ~apart
                return self._settle(Exclusion({key: apart, name: rest}))
        state = states if extras else self._preferred(key, states)
        if not state:
            self._offer_prereleases(key)
            return self._settle(Exclusion({key: states}))
        self.tries += 1
        if self.tries > self._most_tries:
            raise TooManyTriesError
        self._look_ahead(name, states & ~state)
        exclusions = self._needs(key, state)
        broken = [one for one in exclusions if knowledge.holds(one, key, state)]
        if broken:
            self._note_fall(key, state, broken)
            return knowledge.settle(broken)
        knowledge.decide(key, state)
        return knowledge.settle((), [key])

    def _settle(self, exclusion: Exclusion) -> Exclusion | None:
        self._knowledge.add(exclusion)
        return self._knowledge.settle([exclusion])

    def _preferred(self, name: str, states: int) -> int:
        """The state of the release to take: the first that can be installed, prereleases as policy has it."""
        known = self._names[name]
        if known.only is not None:
            return states
        named = any(demand.requirement.prerelease for demand in self._active(name))
        later = 0
        waiting = states & ~known.ruled_out
        while waiting:
            state = waiting & -waiting
            waiting ^= state
            version = known.version(state)
            if not self._usable(known, name, version, state):
                known.ruled_out |= state
            elif version.is_prerelease and not named and self.provider.policy.prerelease != "allow":
                later = later or state
            else:
                return state
        return later

    def _usable(self, known: _Name, name: str, version: Version, state: int) -> bool:
        policy = self.provider.policy.prerelease
        if version.is_prerelease and policy == "disallow":
            return False
        releases = self.provider.releases(name)
        file = releases.best(version) if releases is not None else None
        if not isinstance(file, File):
            return False
        doubtful = file.yanked is not None or (version.is_prerelease and policy != "allow")
        return not doubtful or bool(known.offered & ~known.barred & state)

    def _finals(self, name: str) -> bool:
        """Whether a final release can be installed that all present demands accept."""
        known = self._names[name]
        states = known.present
        for demand in self._active(name):
            states &= self._in_range(demand.requirement)
        while states:
            state = states & -states
            states ^= state
            version = known.version(state)
            if not version.is_prerelease and self._usable(known, name, version, state):
                return True
        return False

    def _offer_prereleases(self, name: str) -> None:
        """Where there are no others in the range that is asked for, prereleases are offered."""
        known = self._names[name]
        if known.only is not None or self.provider.policy.prerelease != "if-necessary" or self._finals(name):
            return
        more = sum(state for version, state in known.state_of.items() if version.is_prerelease)
        self._offer(known, more)

    def _offer(self, known: _Name, states: int) -> None:
        new = states & ~known.offered
        known.offered |= new
        if new & known.ruled_out:
            raise _OfferedLater

    def _asked_for(self, key: str, state: int) -> bool:
        """Whether a prerelease or withdrawn release that was chosen is one that policy allows here."""
        known = self._names.get(key)
        if known is None or known.only is not None:
            return True  # with extras it is the bare name that counts
        candidate, rule = self._candidate(key, state), self.provider.policy.constraints.get(key)
        wants = [demand.requirement for demand in self._active(key)]
        ranges = [want.requirement.specifier for want in wants] + ([rule.specifier] if rule else [])
        if candidate.file is not None and candidate.file.yanked is not None:
            return any(pins(specifier) for specifier in ranges)
        if not candidate.version.is_prerelease or self.provider.policy.prerelease == "allow":
            return True
        return any(specifier.prereleases for specifier in ranges) or not self._finals(key)

    def _active(self, key: str) -> Iterator[Demand]:
        """The demands on a key of what is decided now."""
        states = self._knowledge.states
        for parent, state, demand in self._on.get(key, ()):
            if not parent or states[parent] == state:
                yield demand

    # -- what is known -----------------------------------------------------------------------------------

    def _needs(self, key: str, state: int) -> list[Exclusion]:
        """What choosing this state excludes, told once."""
        known = self._known.get((key, state))
        if known is None:
            candidate = self._candidate(key, state)
            wants = self.provider.get_dependencies(candidate)
            known = self._known[key, state] = [self._tell(key, state, want, candidate) for want in wants]
        return known

    def _tell(self, key: str | None, state: int, want: Want, parent: Candidate | None = None) -> Exclusion:
        """That a candidate has a want; the same want of several releases is one exclusion."""
        demand: Demand = RequirementInformation(want, parent)
        self.demands.append(demand)
        spelled = f"={want.same_as}" if want.same_as is not None else want.ranges
        known = self._told.get((key or "", want.key, spelled))
        if known is not None and key is not None and key != want.key:
            known.terms[key] |= state
            self._told_of[id(known)].append(demand)
            self._on.setdefault(want.key, []).append((key, state, demand))
            return known
        terms = {key: state} if key is not None else {}
        if want.unusable is None:
            self._introduce(want)
            universe = self._names[want.name].present | ABSENT
            excluded = universe & ~self._in_range(want)
            if excluded != universe:
                # A release may want another release of its own name: it cannot be used then.
                terms[want.key] = terms.get(want.key, universe) & excluded
            self._on.setdefault(want.key, []).append((key or "", state, demand))
        told_now = Exclusion(terms)
        self._told[key or "", want.key, spelled] = told_now
        self._told_of[id(told_now)] = [demand]
        self._knowledge.add(told_now)
        return told_now

    def _introduce(self, want: Want) -> None:
        if want.name not in self._names:
            self._names[want.name] = self._read_name(want.name)
        for key in (want.name, want.key):
            if key not in self._knowledge:
                self._knowledge.introduce(key, self._names[want.name].present | ABSENT)

    def _read_name(self, name: str) -> _Name:
        provider = self.provider
        rule = provider.policy.constraints.get(name)
        only = provider.only_candidate(name)
        if only is not None:
            fits = rule is None or provider.accepts(str(rule.specifier), rule.specifier, only)
            return _Name([only.version] if fits else [], only)
        releases = provider.releases(name)
        versions: Iterable[Version] = (
            provider.ordered(name, releases.versions) if releases is not None else ()
        )
        if rule is not None:
            text, specifier = str(rule.specifier), rule.specifier
            versions = [version for version in versions if provider.contains(text, specifier, version)]
        known = _Name(list(versions))
        if rule is not None and rule.specifier.prereleases:
            known.offered = known.present
        if rule is not None and pins(rule.specifier):
            known.offered |= known.present
        return known

    def _in_range(self, want: Want) -> int:
        """The states that a want accepts; notes those that are offered only because it names them."""
        known = self._names[want.name]
        if want.same_as is not None:
            return known.state_of.get(want.same_as, 0)
        states = known.accepted.get(want.ranges)
        if states is None:
            specifier = want.requirement.specifier
            if known.only is not None:
                fits = bool(known.versions) and self.provider.is_satisfied_by(want, known.only)
                states = known.present if fits else 0
            else:
                states = 0
                for version, state in known.state_of.items():
                    if self.provider.contains(want.ranges, specifier, version):
                        states |= state
            known.accepted[want.ranges] = states
            if want.prerelease or pins(specifier):
                self._offer(known, states)
        return states

    def _candidate(self, key: str, state: int) -> Candidate:
        name, _, rest = key.partition("[")
        extras = frozenset(rest[:-1].split(",")) if rest else frozenset[str]()
        known = self._names[name]
        if known.only is not None:
            return replace(known.only, extras=extras)
        releases = self.provider.releases(name)
        assert releases is not None
        version = known.version(state)
        file = releases.best(version)
        return Candidate(name, version, extras, file if isinstance(file, File) else None)

    def _note_fall(self, key: str, state: int, broken: Iterable[Exclusion]) -> None:
        candidate = self._candidate(key, state)
        self._fallen_often[candidate.name] += 1
        met: list[Demand] = []
        for one in broken:
            for demand in self._told_of[id(one)]:
                if demand.parent is not None and demand.parent.version == candidate.version:
                    met += [demand, *self._active(demand.requirement.key)]
        self.fallen.setdefault(candidate.name, {})[candidate.version] = tuple(met)

    def _look_ahead(self, name: str, states: int) -> None:
        """Where many releases of a name are tried, have the metadata of the next ones fetched together."""
        self._looked_at[name] += 1
        count = self._looked_at[name]
        known = self._names[name]
        if known.only is not None or count < 4 or (count & (count - 1) and count % _AHEAD):
            return
        releases = self.provider.releases(name)
        waiting, left = states & ~known.ruled_out, min(count * 2, _AHEAD)
        while waiting and left and releases is not None:
            state = waiting & -waiting
            waiting ^= state
            file = releases.best(known.version(state))
            if isinstance(file, File) and file.is_wheel:
                self.provider.client.metadata(file)
                left -= 1
