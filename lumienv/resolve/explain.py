"""Why nothing fits, in the user's terms: their own line, what it leads to, and what stands in the way.

resolvelib reports causes: requirements on one name that have no common candidate. From there the chain of
parents is followed up to the user's lines, versions that fail for the same reason are told together, and
what the image provides is said, which resolvelib cannot know.
"""

import difflib
from collections.abc import Mapping, Sequence

from packaging.version import Version
from resolvelib.structs import RequirementInformation

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import Snapshot
from lumienv.index.pages import File
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Want

Failure = RequirementInformation[Want, Candidate]
Rejected = Mapping[str, Sequence[tuple[Candidate, tuple[Failure, ...]]]]

_SHOWN = 5


def explain(
    snapshot: Snapshot, provider: Provider, causes: Sequence[Failure], rejected: Rejected
) -> ResolutionError:
    """The failure as a sentence with its facts and a way out."""
    story = _Story(snapshot, provider, rejected)
    names = list(dict.fromkeys(cause.requirement.name for cause in causes))
    for name in names:
        story.tell(name, [cause for cause in causes if cause.requirement.name == name])
    return ResolutionError(
        f"no set of packages fits on top of {snapshot.image.name}",
        *dict.fromkeys(story.facts),
        hint="\n".join(dict.fromkeys(story.hints)) or None,
    )


class _Story:
    def __init__(self, snapshot: Snapshot, provider: Provider, rejected: Rejected) -> None:
        self.provider = provider
        self.rejected = rejected
        self.image = snapshot.image.name
        self.facts: list[str] = []
        self.hints: list[str] = []

    def tell(self, name: str, causes: Sequence[Failure]) -> None:
        for cause in causes:
            if cause.requirement.unusable is not None:
                self.facts.append(f"{name} cannot be used: {cause.requirement.unusable}")
                return
        for cause in causes:
            self.facts.append(self.demand(cause.requirement, cause.parent))
            self.facts += self.chain(cause.parent)
        package = self.provider.image.get(name)
        if package is not None:
            self.image_stands(name, package.version, causes)
        else:
            self.index_offers(name, [cause.requirement for cause in causes])
        self.tried(causes)

    def demand(self, want: Want, parent: Candidate | None) -> str:
        """`accel 2.0 needs torch>=2.8`, or the user's own line."""
        if parent is not None:
            return f"{parent} needs {want}"
        if want.source is not None:
            return f"you ask for {want.source.text}  ({want.source.where})"
        return f"you ask for {want}"

    def chain(self, parent: Candidate | None) -> list[str]:
        """Who asked for `parent`, up to a line of the user's."""
        told: list[str] = []
        seen: set[str] = set()
        while parent is not None and parent.name not in seen:
            seen.add(parent.name)
            asked = self.provider.asked.get(parent.name, [])
            own = [(above, want) for above, want in asked if above is None]
            others = [(above, want) for above, want in asked if above is not None and above.name not in seen]
            above, want = (own or others or [(None, None)])[0]
            if want is None:
                break
            told.append(self.demand(want, above))
            parent = above
        return told

    def image_stands(self, name: str, version: str, causes: Sequence[Failure]) -> None:
        self.facts.append(f"the image provides {name} {version}, which lumienv never replaces by itself")
        direct = [cause for cause in causes if cause.parent is None and cause.requirement.source is not None]
        for cause in direct:
            assert cause.requirement.source is not None
            self.hints.append(
                f"ask for {name} without a version ({cause.requirement.source.where}) to use the image's,"
            )
        if not direct:
            parents = sorted({cause.parent.name for cause in causes if cause.parent is not None})
            self.hints.append(f"ask for another version of {' or '.join(parents)},")
        wanted = " and ".join(dict.fromkeys(str(cause.requirement) for cause in causes))
        self.hints.append(f"choose an image with {wanted}, or let the overlay shadow the image's package:")
        self.hints.append(f'[resolve] replace = ["{name}"]')

    def index_offers(self, name: str, wants: Sequence[Want]) -> None:
        releases = self.provider.releases(name)
        if releases is None:
            self.facts.append(f"no package index has a project called {name}")
            close = difflib.get_close_matches(name, sorted(self.provider.image), n=3, cutoff=0.75)
            if close:
                self.hints.append(f"did you mean {' or '.join(close)}? (the image provides it)")
            else:
                self.hints.append("check the spelling; a private package needs its index: [[index]] url = …")
            return
        if not releases.versions:
            self.facts.append(f"the page of {name} on {releases.page.index} lists no releases")
            return
        in_range = [v for v in releases.versions if all(self.accepts(want, v) for want in wants)]
        reasons: dict[str, list[Version]] = {}
        for version in in_range:
            file = releases.best(version)
            if isinstance(file, str):
                reasons.setdefault(file, []).append(version)
            elif file.yanked is not None:
                why = f"was withdrawn by its authors{f' ({file.yanked})' if file.yanked else ''}"
                reasons.setdefault(why, []).append(version)
            elif version.is_prerelease and self.provider.policy.prerelease == "disallow":
                reasons.setdefault("is a prerelease, which [resolve] prerelease disallows", []).append(
                    version
                )
        for reason, versions in list(reasons.items())[:_SHOWN]:
            self.facts.append(f"{name} {_listed(versions)} {reason}")
        if not in_range:
            usable = [v for v in releases.versions if isinstance(releases.best(v), File)]
            offered = f"{_listed(usable or releases.versions)} {'are' if len(usable) > 1 else 'is'} offered"
            self.facts.append(f"of {name}, {offered}")
            if usable and len(wants) == 1:
                self.hints.append(f"the newest release that runs on this image is {name} {usable[0]}")
            elif len(wants) > 1:
                self.hints.append(f"these demands on {name} exclude each other: loosen one of them")
        elif reasons:
            usable = [
                v
                for v in releases.versions
                if isinstance(releases.best(v), File) and not v.is_prerelease and not releases.yanked(v)
            ]
            if usable:
                self.hints.append(f"the newest release that runs on this image is {name} {usable[0]}")
            else:
                self.hints.append(
                    f"no release of {name} runs on this image: another image, or another package"
                )

    def accepts(self, want: Want, version: Version) -> bool:
        return self.provider.contains(want.requirement.specifier, version)

    def tried(self, causes: Sequence[Failure]) -> None:
        """All versions of the parents that were given up, with what they stumbled over."""
        for name in dict.fromkeys(cause.parent.name for cause in causes if cause.parent is not None):
            by_reason: dict[str, list[Version]] = {}
            for candidate, information in self.rejected.get(name, ()):
                own = [
                    entry.requirement
                    for entry in information
                    if entry.parent is not None and entry.parent.name == name
                ]
                reason = f"needs {own[-1]}" if own else "conflicts"
                if own and own[-1].unusable is not None:
                    reason = own[-1].unusable
                by_reason.setdefault(reason, []).append(candidate.version)
            parts = [f"{name} {_listed(versions)} ({reason})" for reason, versions in by_reason.items()]
            if parts:
                self.facts.append(f"tried: {'; '.join(parts[:_SHOWN])}")


def _listed(versions: Sequence[Version]) -> str:
    """`2.0, 1.9, 1.8`, or with many: `2.0, 1.9, 1.8 … 0.1 (38 versions)`."""
    ordered = sorted(set(versions), reverse=True)
    if len(ordered) <= _SHOWN:
        return ", ".join(str(version) for version in ordered)
    shown = ", ".join(str(version) for version in ordered[:3])
    return f"{shown} … {ordered[-1]} ({len(ordered)} versions)"
