"""What there is to choose from on one image under one set of policies, and what each release needs.

Costs: ranges are judged for every requirement in every round of a search, so the answers are remembered;
pages and metadata come from `IndexClient`, which remembers them too.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import BrokenReleaseError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File
from lumienv.manifest import Dependency
from lumienv.resolve.candidates import Candidate, Platform, Releases, as_version, python_fits
from lumienv.resolve.direct import DirectSources
from lumienv.resolve.origin import SourceReader
from lumienv.resolve.policy import Policy
from lumienv.resolve.requirements import (
    Environment,
    Want,
    parse,
    pins,
    user_requirement,
    wants_of,
    with_range,
)
from lumienv.resolve.standins import redirected, stand_ins


class Offers:
    """Packages of the image, sources of the user's, releases of indexes; `known` lends what it has read."""

    def __init__(
        self,
        snapshot: Snapshot,
        client: IndexClient,
        policy: Policy,
        known: "Offers | None" = None,
        *,
        reader: SourceReader | None = None,
        direct: DirectSources | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.client = client
        self.policy = policy
        self.reader: SourceReader | None = known.reader if known else reader
        self.direct: DirectSources = known.direct if known else direct or DirectSources()
        self.environment: Environment = known.environment if known else Environment(snapshot.markers)
        self.platform: Platform = (
            known.platform if known else Platform.of(snapshot.python.version, snapshot.tags)
        )
        self.image: dict[str, ImagePackage] = {
            name: package for name, package in snapshot.by_name().items() if name not in policy.replace
        }
        self.stand_ins = stand_ins(self.image.keys(), policy.replace, self.direct.__contains__)
        self.unreadable: dict[str, BrokenReleaseError] = {}
        """release → why its metadata could not be had"""
        same_files = known is not None and (known.policy.exclude_newer, known.policy.build) == (
            policy.exclude_newer,
            policy.build,
        )
        self._releases: dict[str, Releases | None] = known._releases if known and same_files else {}
        self._accepted: dict[str, tuple[SpecifierSet, dict[Version, bool]]] = known._accepted if known else {}

    @property
    def _builds(self) -> bool:
        """Whether source distributions are candidates: they need somebody who can read them."""
        return self.policy.build and self.reader is not None

    def roots(self, entries: Iterable[Dependency]) -> list[Want]:
        """The wants of the user's lines, without those whose marker does not hold. Raises ManifestError."""
        wants: list[Want] = []
        for entry in entries:
            requirement = user_requirement(entry)
            if self.environment.holds(requirement.marker):
                wants += self.wants(requirement, entry)
        return wants

    def image_candidate(self, name: str, extras: frozenset[str] = frozenset()) -> Candidate:
        """The image's package, under the version that it is to be read as."""
        package = self.image[name]
        version = as_version(self.policy.assume.get(name, package.version))
        return Candidate(name, version or Version("0"), extras, package=package)

    def only_candidate(self, name: str, extras: frozenset[str] = frozenset()) -> Candidate | None:
        """The image's package or the direct source, which are the only candidates for their names."""
        if name in self.image:
            return self.image_candidate(name, extras)
        if name in self.direct:
            return Candidate(name, self.direct.read(name).version, extras, direct=self.direct.read(name))
        return None

    def releases(self, name: str) -> Releases | None:
        """The project's releases; None when no index has the project. Raises PackageIndexError."""
        if name not in self._releases:
            page = self.client.page(name).result()
            self._releases[name] = (
                None
                if page is None
                else Releases(page, self.platform, self.policy.exclude_newer, sources=self._builds)
            )
        return self._releases[name]

    def index_of(self, name: str) -> str:
        """URL of the index that has the project."""
        releases = self.releases(name)
        assert releases is not None
        return releases.page.index

    def matching(
        self, name: str, wants: Sequence[Want], *, lenient: bool = False
    ) -> Iterator[tuple[Version, File]]:
        """Versions that every want accepts and that can be installed, in the order of preference.

        `lenient` is for names with extras: they offer prereleases and withdrawn releases too, last, as it is
        the bare name that decides about them.
        """
        releases = self.releases(name)
        if releases is None:
            return
        ranges = {want.ranges: want.requirement.specifier for want in wants if want.ranges}
        rule = self.policy.constraints.get(name)
        if rule is not None:
            ranges[str(rule.specifier)] = rule.specifier
        same_as = {want.same_as for want in wants if want.same_as is not None}
        named = any(specifier.prereleases for specifier in ranges.values())
        finals_only = not named and self.policy.prerelease != "allow"
        yanked_too = lenient or any(pins(specifier) for specifier in ranges.values())
        later: list[tuple[Version, File]] = []
        found = False
        for version in self.ordered(name, releases.versions):
            if not all(self.contains(text, range_, version) for text, range_ in ranges.items()):
                continue
            if version.is_prerelease and self.policy.prerelease == "disallow":
                continue
            file = releases.best(version)
            if not isinstance(file, File) or (file.yanked is not None and not yanked_too):
                continue
            if (version.is_prerelease and finals_only) or (lenient and file.yanked is not None):
                later.append((version, file))
                continue
            found = True
            if same_as <= {version}:
                yield version, file
        if lenient or not found:
            yield from ((version, file) for version, file in later if same_as <= {version})

    def ordered(self, name: str, versions: Sequence[Version]) -> Iterable[Version]:
        """The versions in the order of preference: what was locked before, then the newest first.

        Prereleases come last where only packages ask for them: that diffusers accepts safetensors 0.8.0rc0
        is no reason to take 0.9.0rc1 in place of 0.8.0.
        """
        lowest = self.policy.lowest or name in self.policy.lowest_names
        ordered: Iterable[Version] = versions[::-1] if lowest else versions
        if self.policy.prerelease == "if-necessary" and name not in self.policy.prereleases:
            early = [version for version in ordered if version.is_prerelease]
            if early:
                ordered = chain((version for version in ordered if not version.is_prerelease), early)
        kept = self.policy.preferred.get(name)
        if kept is None or kept not in versions:
            return ordered
        return chain((kept,), (version for version in ordered if version != kept))

    def accepts(self, text: str, specifier: SpecifierSet, candidate: Candidate) -> bool:
        """Whether a candidate lies in the range `specifier`, which is spelled `text`."""
        package = candidate.package
        if package is not None and self.policy.assume.get(candidate.name) is None:
            # An image may carry versions that PEP 440 does not know: no range can be judged.
            readable = as_version(package.version) is not None
            return self.contains(text, specifier, candidate.version) if readable else not text
        return self.contains(text, specifier, candidate.version)

    def contains(self, text: str, specifier: SpecifierSet, version: Version) -> bool:
        """Whether a version lies in a range; prereleases count, as policy has been applied elsewhere."""
        if not text:
            return True
        known = self._accepted.get(text)
        if known is None:
            known = self._accepted[text] = specifier, {}
        # Of equal ranges the first is asked: it has folded itself into intervals when it was asked before.
        first, answers = known
        answer = answers.get(version)
        if answer is None:
            answer = answers[version] = first.contains(version, prereleases=True)
        return answer

    def needs_of(self, candidate: Candidate) -> list[Want]:
        """What the release needs, its tie to the bare name aside. Raises PackageIndexError."""
        try:
            if candidate.package is not None:
                lines = self._needs_of_extras(candidate.package, candidate.extras)
            else:
                metadata = self.metadata_of(candidate)
                python = metadata.requires_python
                if python and not python_fits(python, self.platform.python):
                    return [_unusable(candidate, f"needs Python {python}")]
                lines = list(self.environment.applicable(metadata.requires_dist, candidate.extras))
        except BrokenReleaseError as error:
            self.unreadable[str(candidate)] = error
            own = error.message.removeprefix(f"{candidate} ")
            return [_unusable(candidate, own if own != error.message else f"cannot be used: {own}")]
        except InvalidRequirement as error:
            return [_unusable(candidate, f"has broken metadata: {_line_at_fault(error)}")]
        return [want for requirement in lines for want in self.wants(requirement, parent=candidate)]

    def metadata_of(self, candidate: Candidate) -> CoreMetadata:
        """What a release that is not the image's says about itself.

        Raises BrokenReleaseError when it cannot be had, PackageIndexError when an index fails.
        """
        if candidate.direct is not None:
            return candidate.direct.metadata
        assert candidate.file is not None
        if candidate.file.is_wheel:
            return self.client.metadata(candidate.file).result()
        assert self.reader is not None
        return self.reader.sdist_metadata(candidate.file)

    def _needs_of_extras(self, package: ImagePackage, extras: frozenset[str]) -> list[Requirement]:
        if not extras:
            return []
        plain = set(self.environment.readable(package.requires, frozenset()))
        asked = self.environment.readable(package.requires, extras)
        return [requirement for requirement in asked if requirement not in plain]

    def wants(
        self, requirement: Requirement, source: Dependency | None = None, parent: Candidate | None = None
    ) -> list[Want]:
        """What a requirement comes to: overridden, redirected to what stands for it, or left out."""
        name = canonicalize_name(requirement.name)
        if name in self.policy.omit:
            return []
        rule = self.policy.overrides.get(name)
        stand_in = self.stand_ins.get(name)
        if stand_in is not None:
            meant = requirement if rule is None else with_range(requirement, rule.specifier)
            by_user = source is not None or rule is not None
            moved = redirected(meant, stand_in, judge=self.policy.judge_stand_ins or by_user)
            override = rule.entries[0] if rule is not None else None
            return [Want(stand_in.name, frozenset(), moved, source, override, stands_for=name)]
        if rule is not None:
            return list(wants_of(with_range(requirement, rule.specifier), source, rule.entries[0]))
        if requirement.url is not None and name not in self.direct:
            assert parent is not None
            return [_unusable(parent, f"needs {name} from an address, not from an index")]
        return list(wants_of(requirement, source))


def _line_at_fault(error: InvalidRequirement) -> str:
    """The requirement that packaging could not read, which stands on the second line of its complaint."""
    reason, *lines = str(error).splitlines()
    return f'"{lines[0].strip()}" is no requirement' if lines else reason


def _unusable(candidate: Candidate, why: str) -> Want:
    """A want that nothing satisfies: the release that has it is passed over."""
    return Want(candidate.name, candidate.extras, parse(candidate.name), unusable=why)
