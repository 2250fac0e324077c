"""Names in the manifest's rules that name nothing: mostly slips of the pen, which would go unnoticed."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.manifest import Manifest
from lumienv.resolve.requirements import user_requirement


def idle_names(manifest: Manifest, snapshot: Snapshot, installed: Collection[str]) -> Iterator[str]:
    """Warnings: `replace`, `assume` and sources that have no effect; `installed` are the names locked."""
    image = {name: package.version for name, package in snapshot.by_name().items()}
    for written in manifest.resolve.replace:
        name = str(canonicalize_name(written))
        if name not in image and name not in installed:
            yield f"[resolve] replace: the image provides no {written}{_meant(name, image)}"
    for written in manifest.image.assume:
        name = str(canonicalize_name(written))
        if name not in image:
            yield f"[image.assume] {written}: the image provides no {written}{_meant(name, image)}"
    replaced = {str(canonicalize_name(name)) for name in manifest.resolve.replace}
    lines = [*manifest.dependencies, *(entry for group in manifest.groups.values() for entry in group)]
    asked = {str(canonicalize_name(user_requirement(entry).name)) for entry in lines}
    for written in manifest.sources:
        name = str(canonicalize_name(written))
        if name in image and name not in replaced:
            yield (
                f"[sources] {written} is not used, as the image provides {written} {image[name]}: "
                f'to let the overlay bring it: [resolve] replace = ["{written}"]'
            )
        elif name not in installed and name not in asked:
            yield f"[sources] {written} is not used: nothing needs {written}{_meant(name, installed)}"


def _meant(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
