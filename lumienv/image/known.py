"""The images that lumienv knows without starting one: the site's, and those it has pulled or probed."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ImageError
from lumienv.image.base import sif_base
from lumienv.image.catalog import SELECTORS, FoundImage, list_images
from lumienv.image.names import newest_first, parse
from lumienv.image.probing import cached_places, cached_snapshot
from lumienv.image.pulled import pulled_images
from lumienv.image.snapshot import Base, Snapshot
from lumienv.site import Site


@dataclass(frozen=True)
class KnownImage:
    """An image of this machine, and its snapshot where the cache has one."""

    base: Base
    snapshot: Snapshot | None
    selection: str
    """what to write in lumienv.toml to have it: `[image] name = "multitorch-full"`"""


def known_images(site: Site) -> Iterator[KnownImage]:
    """The images in the site's folders, newest first, then those that were pulled or probed; each once.

    Reads each file's header when it is come to. One that cannot be read, or is for another machine, is
    passed over.
    """
    found = list_images(site.image_folders)
    pulled = {Path(one.path): one.uri for one in pulled_images(site.cache) if one.is_pinned}
    seen: set[str] = set()
    for path in _places(found, {*pulled, *cached_places(site.cache)}):
        try:
            base = sif_base(path)
        except (ImageError, OSError):
            continue
        if base.identity not in seen:
            seen.add(base.identity)
            words = f'[image] uri = "{pulled[path]}"' if path in pulled else selection(path, found)
            yield KnownImage(base, cached_snapshot(base, site.cache), words)


def _places(found: Sequence[FoundImage], others: Iterable[Path]) -> Iterator[Path]:
    yield from (image.path for image in found)
    elsewhere = {place for place in others if place.is_file()}
    yield from sorted(elsewhere, key=lambda path: (newest_first(parse(path.name)), path), reverse=True)


def selection(path: Path, images: Sequence[FoundImage]) -> str:
    """The shortest words in `[image]` that lead to the image at `path`, else its path.

    `images` are those of the site as `list_images` orders them, of which the first that fits is taken.
    """
    name = parse(path.name)
    narrowed: dict[str, str] = {}
    family = "-".join(filter(None, (name.what, name.variant)))
    attempts: list[tuple[str, Mapping[str, str]]] = []
    if family:
        attempts.append((family, {}))
        for key in SELECTORS:
            if value := getattr(name, key):
                narrowed[key] = value
                attempts.append((family, dict(narrowed)))
    attempts.append((path.name.removesuffix(".sif"), {}))
    for named, selectors in attempts:
        chosen = next((image.path for image in images if image.name.matches(named, **selectors)), None)
        if chosen is not None and os.path.realpath(chosen) == os.path.realpath(path):
            words = [f'name = "{named}"', *(f'{key} = "{value}"' for key, value in selectors.items())]
            return "[image] " + " and ".join(words)
    return f'[image] path = "{path}"'
