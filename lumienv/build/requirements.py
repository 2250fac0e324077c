"""What a build needs: resolved on the host, such that the image's own builds stay as they are.

A package of the image with a local version (`torch 2.7.1+rocm6.2.4`) was built for this machine, and is what
an extension has to be compiled against; the others of the image may be replaced for the build.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lumienv.errors import BrokenReleaseError, ManifestError, ResolutionError
from lumienv.image.snapshot import Snapshot
from lumienv.index.client import IndexClient
from lumienv.manifest import FILE_NAME, Dependency, ImageTable, Manifest, ResolveTable, Source
from lumienv.manifest.sources import source_of_url
from lumienv.resolve import Pin
from lumienv.resolve.origin import SourceReader
from lumienv.resolve.resolver import Request, resolve

_KEY = "build-system.requires"


def _refuse_address(label: str, text: str) -> None:
    """Whoever can upload a package could otherwise have anything fetched from anywhere."""
    try:
        address = Requirement(text).url
    except InvalidRequirement:
        return  # said by the resolution
    if address is not None:
        raise BrokenReleaseError(
            f"{label} cannot be built: its build needs {text.partition('@')[0].strip()} from an address, "
            "not from an index",
            hint=f"choose another version of {label.partition(' ')[0]}, or name a wheel of it",
        )


def direct_names(manifest: Manifest) -> dict[str, Source]:
    """Where the user says that names come from, by `[sources]` or by an address in a line.

    These hold for builds too: somebody else may have put the name of a private build tool on an index.
    """
    found = {}
    for entry in (*manifest.dependencies, *(line for group in manifest.groups.values() for line in group)):
        with suppress(InvalidRequirement, ValueError):  # said by the resolution
            requirement = Requirement(entry.text)
            if requirement.url is not None:
                found[str(canonicalize_name(requirement.name))] = source_of_url(requirement.url)
    named = {str(canonicalize_name(name)): source for name, source in manifest.sources.items()}
    return found | {name: source for name, source in named.items() if source.kind != "index"}


def build_pins(
    label: str,
    requires: Sequence[str],
    snapshot: Snapshot,
    client: IndexClient,
    reader: SourceReader,
    exclude_newer: str | None,
    sources: Mapping[str, Source],
) -> tuple[Pin, ...]:
    """The packages to install for a build of `label`, beside those of the image; `sources`: `direct_names`.

    Raises BrokenReleaseError when nothing fits, PackageIndexError when an index fails.
    """
    if not requires:
        return ()
    for text in requires:
        _refuse_address(label, text)
    manifest = Manifest(
        path=Path(FILE_NAME),
        image=ImageTable("path", snapshot.image.path),
        dependencies=tuple(Dependency(text, _KEY) for text in requires),
        sources=dict(sources),
        resolve=ResolveTable(
            replace=tuple(
                sorted(
                    {
                        str(canonicalize_name(package.name))
                        for package in snapshot.packages
                        if "+" not in package.version
                    }
                )
            ),
            exclude_newer=exclude_newer,
        ),
    )
    try:
        return resolve(Request(manifest, snapshot, {}), client, reader).pins
    except (ResolutionError, ManifestError) as error:
        said = f"{FILE_NAME}: {_KEY}"
        theirs = f"pyproject.toml: {_KEY}"
        raise BrokenReleaseError(
            f"{label} cannot be built: what its build needs cannot be had",
            *(text.replace(said, theirs) for text in (error.message, *error.facts)),
            hint=f"choose another version of {label.partition(' ')[0]}, one that has a wheel: "
            '[resolve] constraints = […],\nor take wheels only, everywhere: [resolve] build = "never"',
        ) from error
