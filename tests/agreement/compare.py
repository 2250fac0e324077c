"""One question to both, and what to make of two answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from universe import manifest

from agreement.images import FrozenImage
from agreement.peer import Answer, Uv
from lumienv.errors import ResolutionError
from lumienv.index.client import IndexClient
from lumienv.resolve.resolver import Request, resolve


class Outcome(Enum):
    """How two answers compare, by the versions of what the set names."""

    SAME = "the same"
    NEITHER = "neither finds any"
    OTHER_CHOICE = "another choice"
    """one has a newer release of one package and an older one of another, and each accepts the other's"""
    NEWER = "lumienv's is newer"
    """the same or newer everywhere, and uv accepts it"""
    OLDER = "lumienv's is older"
    PRERELEASE = "another view of prereleases"
    """the same, or neither finds any, where both are told to take none"""
    STAND_IN = "a stand-in of another version"
    """lumienv takes an image package that owns a module for another, and uv, told so, says the same"""
    REFUSED = "one refuses what the other found"
    ONLY_UV = "only uv finds any"
    ONLY_LUMIENV = "only lumienv finds any"


@dataclass(frozen=True)
class Comparison:
    """Two answers to one set of dependencies on one image."""

    outcome: Outcome
    ours: Mapping[str, str] | None
    theirs: Mapping[str, str] | None
    direct: frozenset[str]
    """the names in the set, normalised, that are not the image's"""
    why: Sequence[str] = field(default=())
    """what lumienv says where it finds nothing; what was refused"""

    @property
    def differing(self) -> list[str]:
        """`name OURS / THEIRS` for each direct dependency that differs."""
        ours, theirs = self.ours or {}, self.theirs or {}
        return [
            f"{name} {ours.get(name, '–')} / {theirs.get(name, '–')}"
            for name in sorted(self.direct)
            if not _equal(ours.get(name), theirs.get(name))
        ]

    @property
    def agreeing(self) -> tuple[int, int]:
        """How many packages both have in the same version, and how many either has."""
        ours, theirs = self.ours or {}, self.theirs or {}
        names = ours.keys() | theirs.keys()
        return sum(_equal(ours.get(name), theirs.get(name)) for name in names), len(names)


@dataclass(frozen=True)
class Lumienv:
    """lumienv as it is asked about one image, in this process."""

    image: FrozenImage
    client: IndexClient
    newest: str

    def lock(
        self, wanted: Sequence[str], constraints: Sequence[str] = (), prerelease: str = "if-necessary"
    ) -> Answer:
        """Ask for these dependencies."""
        asked = manifest(
            wanted,
            constraints=constraints,
            exclude_newer=self.newest,
            prerelease=prerelease,
            build="never",
        )
        try:
            found = resolve(Request(asked, self.image.snapshot, {}), self.client)
        except ResolutionError as error:
            return Answer(None, str(error))
        unlike = [name for name, *_ in found.stand_ins if any(name in line for line in found.warnings)]
        return Answer(dict(found.versions), unlike=tuple(unlike))


def compare(wanted: Sequence[str], ours: Lumienv, theirs: Uv, answer: Answer) -> Comparison:
    """Ask lumienv what uv has answered, and, where they differ, each whether it accepts the other's."""
    mine = ours.lock(wanted)
    names = {str(canonicalize_name(Requirement(line).name)) for line in wanted}
    direct = frozenset(names - ours.image.provided.keys() - ours.image.stood_for.keys())
    outcome, *why = _outcome(mine, answer, direct)
    if outcome not in (Outcome.SAME, Outcome.NEITHER):
        if mine.unlike:
            answer = theirs.lock(wanted, any_version=mine.unlike)
            if _outcome(mine, answer, direct)[0] is Outcome.SAME:
                return Comparison(Outcome.STAND_IN, mine.versions, answer.versions, direct, mine.unlike)
        finals = ours.lock(wanted, prerelease="disallow"), theirs.lock(wanted, prerelease="disallow")
        if _outcome(*finals, direct)[0] in (Outcome.SAME, Outcome.NEITHER):
            outcome = Outcome.PRERELEASE
        elif mine.versions is not None and answer.versions is not None:
            refused = [
                *_refusal("uv", theirs.lock(wanted, _pins(mine.versions)), mine.versions),
                *_refusal("lumienv", ours.lock(wanted, _pins(answer.versions)), answer.versions),
            ]
            outcome, *why = (Outcome.REFUSED, *refused) if refused else (outcome, *why)
    return Comparison(outcome, mine.versions, answer.versions, direct, tuple(why))


def _outcome(ours: Answer, theirs: Answer, direct: Iterable[str]) -> tuple[Outcome, *tuple[str, ...]]:
    """How the answers compare, as far as they tell, and why the one that found nothing did not."""
    if ours.versions is None or theirs.versions is None:
        if ours.versions is None and theirs.versions is None:
            return Outcome.NEITHER, ours.why, theirs.why
        return (Outcome.ONLY_UV, ours.why) if ours.versions is None else (Outcome.ONLY_LUMIENV, theirs.why)
    signs = {_newer(ours.versions.get(name), theirs.versions.get(name)) for name in direct} - {0}
    if not signs:
        return (Outcome.SAME,)
    return (Outcome.OTHER_CHOICE if len(signs) == 2 else Outcome.NEWER if signs == {1} else Outcome.OLDER,)


def _refusal(who: str, answer: Answer, pinned: Mapping[str, str]) -> list[str]:
    """Why `who` does not accept these versions; nothing when it does, and takes them all."""
    if answer.versions is None:
        return [f"{who} refuses the other's: {answer.why}"]
    changed = [name for name, version in pinned.items() if not _equal(answer.versions.get(name), version)]
    return [f"{who} leaves out {', '.join(changed)}"] if changed else []


def _pins(versions: Mapping[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in versions.items()]


def _equal(left: str | None, right: str | None) -> bool:
    return _newer(left, right) == 0


def _newer(left: str | None, right: str | None) -> int:
    if left is None or right is None:
        return (left is not None) - (right is not None)
    return (Version(left) > Version(right)) - (Version(left) < Version(right))
