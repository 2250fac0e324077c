"""Archives at an address or a path of this machine, brought into the wheelhouse."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lumienv.errors import BrokenReleaseError, ManifestError, PackageIndexError
from lumienv.files import user_path
from lumienv.index.credentials import place
from lumienv.index.download import local_path
from lumienv.index.wheelhouse import Kept, Wheelhouse
from lumienv.manifest import DISTRIBUTIONS
from lumienv.resolve.origin import Origin


def is_wheel(filename: str) -> bool:
    """Whether a file is a wheel by its name."""
    return filename.endswith(".whl")


def local_place(project: Path, name: str, location: str) -> Path:
    """The folder or file that a path in the manifest means. Raises ManifestError for nothing there."""
    path = project / user_path(location)
    if not path.exists():
        raise ManifestError(
            f"{name} comes from {location}, where there is nothing",
            f"looked for {path}",
            hint="correct the path in lumienv.toml; it starts at the folder of that file",
        )
    return path


def take_archive(
    wheelhouse: Wheelhouse, project: Path, name: str, location: str, locked: Origin | None
) -> Kept:
    """The wheel or source archive at a URL or path, in the wheelhouse.

    `locked` is what it was: a file with that hash that is already here is taken as it is, unless it lies on
    this machine, where it costs nothing to look. Raises ManifestError for a file that is not there,
    PackageIndexError for one that cannot be fetched or has changed.
    """
    url = location
    if "://" not in location:
        url = local_place(project, name, location).absolute().as_uri()
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    if not filename.endswith(DISTRIBUTIONS):
        raise ManifestError(
            f"{name} comes from {location}, which is no wheel and no source distribution",
            hint=f"name a folder, or a file that ends in one of {', '.join(DISTRIBUTIONS)}",
        )
    if url.startswith("file:"):
        local_place(project, name, str(local_path(url)))
    elif locked is not None and locked.sha256:
        kept = wheelhouse.held(locked.sha256, filename)
        if kept is not None:
            return kept
    try:
        kept = wheelhouse.take_in(filename, url)
    except BrokenReleaseError as error:  # a page that lists a file answers for it; here it was the user
        raise ManifestError(
            f"{name} comes from {location}, where there is nothing",
            *error.facts,
            hint="correct the address in lumienv.toml",
        ) from error
    if locked is not None and locked.sha256 and kept.sha256 != locked.sha256.lower():
        where = "" if url.startswith("file:") else f" from {place(url)}"
        raise PackageIndexError(
            f"{filename} is no longer the file that was locked",
            f"locked: sha256 {locked.sha256.lower()}",
            f"now:    sha256 {kept.sha256}{where}",
            hint=f"if you trust the new one, lock it: lumienv lock -P {name}",
        )
    return kept
