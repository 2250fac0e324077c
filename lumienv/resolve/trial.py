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


class Trial:
    """Searches on the same image and indexes, up to a bound; `lines` are the user's that are to hold."""

    def __init__(self, provider: Provider, lines: Sequence[Dependency]) -> None:
        self.provider = provider
        self.policy = provider.policy
        self.lines = lines
        self.searches = 0
        # What was not built on the way is not built for an advice: each build may take minutes.
        self.reader = provider.reader.reading_only() if provider.reader is not None else None

    def search(
        self,
        policy: Policy,
        lines: Sequence[Dependency] | None = None,
    ) -> Found | None:
        """What fits with a change; None for nothing, or when enough has been tried."""
        if self.searches == _MOST_SEARCHES:
            return None
        self.searches += 1
        provider = Provider(self.provider.snapshot, self.provider.client, policy, known=self.provider)
        provider.reader = self.reader
        try:
            result = search(provider, provider.roots(self.lines if lines is None else lines), _MOST_ROUNDS)
        except (SearchTooLongError, PackageIndexError):
            return None
        return None if isinstance(result, DeadEnd) or _for_cuda(provider, result) else Found(provider, result)

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
