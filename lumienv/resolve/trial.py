"""Changes are tried before they are proposed: a search with another policy, or with other lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lumienv.errors import PackageIndexError
from lumienv.manifest import Dependency
from lumienv.resolve.cuda import replaced_by_cuda
from lumienv.resolve.policy import Policy
from lumienv.resolve.provider import Provider
from lumienv.resolve.search import Chosen, DeadEnd, SearchTooLongError, search

_MOST_SEARCHES = 16
_MOST_ROUNDS = 500


@dataclass(frozen=True)
class Found:
    """What a search with a change found."""

    provider: Provider
    chosen: Chosen

    @property
    def versions(self) -> dict[str, str]:
        """The version of each name."""
        return {name: str(candidate.version) for name, candidate in self.chosen.items()}


class Trial:
    """Searches on the same image and indexes, up to a bound; `lines` are the user's that are to hold."""

    def __init__(self, provider: Provider, lines: Sequence[Dependency], most: int = _MOST_SEARCHES) -> None:
        self.provider = provider
        self.policy = provider.policy
        self.lines = lines
        self.searches_left = most
        # What was not built on the way is not built for an advice: each build may take minutes.
        self.reader = provider.reader.reading_only() if provider.reader is not None else None

    def search(
        self,
        policy: Policy,
        lines: Sequence[Dependency] | None = None,
    ) -> Found | None:
        """What fits with a change; None for nothing, or when enough has been tried."""
        result = self.outcome(policy, lines)
        return result if isinstance(result, Found) else None

    def outcome(self, policy: Policy, lines: Sequence[Dependency] | None = None) -> Found | DeadEnd | None:
        """The same, with what stood in the way where nothing fits; None where that is not known."""
        if not self.searches_left:
            return None
        self.searches_left -= 1
        provider = Provider(self.provider.snapshot, self.provider.client, policy, known=self.provider)
        provider.reader = self.reader
        try:
            result = search(provider, provider.roots(self.lines if lines is None else lines), _MOST_ROUNDS)
        except (SearchTooLongError, PackageIndexError):
            return None
        if isinstance(result, DeadEnd):
            return result
        return None if _for_cuda(provider, result) else Found(provider, result)

    def with_line(self, entry: Dependency, text: str) -> Found | None:
        """What fits with another text on one of the user's lines; "" takes the line out."""
        changed = replace(entry, text=text)
        rest = [changed if one is entry else one for one in self.lines if text or one is not entry]
        return self.search(self.policy, rest)


def _for_cuda(provider: Provider, chosen: Chosen) -> bool:
    """Whether `lock` would refuse this, as it replaces the image's own build by one for CUDA."""
    replaced = provider.policy.replace
    return any(
        replaced_by_cuda(one.name, provider.metadata_of(one).requires_dist, provider.snapshot, replaced)
        for one in chosen.values()
        if one.name in replaced and one.package is None
    )
