"""Would another image do? The user's lines, tried on its snapshot."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

from lumienv.errors import LumienvError
from lumienv.image.known import KnownImage
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.manifest import Dependency, Manifest
from lumienv.resolve.cuda import for_cuda
from lumienv.resolve.direct import DirectSources
from lumienv.resolve.origin import SourceReader
from lumienv.resolve.policy import policy_of
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Environment
from lumienv.resolve.search import Chosen, DeadEnd, SearchTooLongError, search

_MOST_ROUNDS = 2_000
_MOST_IMAGES = 4

Others = Callable[[], Iterable[KnownImage]]
"""The images that are known, the newest first; asked only where a resolution fails."""


def no_others() -> Iterable[KnownImage]:
    """No image is known but the one in use."""
    return ()


def try_on(
    snapshot: Snapshot,
    manifest: Manifest,
    lines: Sequence[Dependency],
    client: IndexClient,
    direct: DirectSources | None = None,
    reader: SourceReader | None = None,
) -> Chosen | DeadEnd:
    """What the lines lead to on this image, with the manifest's rules, whatever was locked before.

    Raises SearchTooLongError, ManifestError, PackageIndexError.
    """
    policy = policy_of(manifest, Environment(snapshot.markers), {})
    provider = Provider(snapshot, client, policy, reader=reader, direct=direct)
    return search(provider, provider.roots(lines), _MOST_ROUNDS)


def first_that_fits(
    others: Others,
    manifest: Manifest,
    present: Provider,
    lines: Sequence[Dependency],
    provided: Collection[str],
) -> KnownImage | None:
    """The newest other image on which everything fits, of the few that are tried; None for none.

    It has to provide itself what is `provided` by the present one and stands in the way there: with torch
    from an index in place of the image's own, a lot would fit and nothing would run.
    """
    for image in islice(_worth_trying(others(), present, provided), _MOST_IMAGES):
        assert image.snapshot is not None
        try:
            found = try_on(image.snapshot, manifest, lines, present.client, present.direct, present.reader)
        except (SearchTooLongError, LumienvError):
            continue  # this is no more than a suggestion
        if not isinstance(found, DeadEnd) and for_cuda(found) is None:
            return image
    return None


def _worth_trying(
    images: Iterable[KnownImage], present: Provider, provided: Collection[str]
) -> Iterator[KnownImage]:
    for image in images:
        if image.snapshot is None or image.base.identity == present.snapshot.image.identity:
            continue
        have = image.snapshot.by_name().keys()
        if have >= set(provided) and not any(
            name in present.direct for name in have - present.policy.replace
        ):
            yield image
