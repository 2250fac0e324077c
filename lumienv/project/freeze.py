"""Snapshots to take away: of an image, or from a list of its packages and what an index knows of them."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import ImageError, ManifestError, PackageIndexError
from lumienv.files import user_path
from lumienv.image.base import pulled_base, sif_base
from lumienv.image.catalog import find_image
from lumienv.image.probing import take_snapshot
from lumienv.image.snapshot import Base, ImagePackage, Snapshot
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index
from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Page
from lumienv.manifest import find_manifest, start_folder
from lumienv.manifest.imageaddress import parse_address
from lumienv.project import Report, index_client, open_project
from lumienv.resolve.candidates import Platform, Releases, as_version
from lumienv.runtime.singularity import find
from lumienv.site import load_site


def snapshot_of_image(image: str, environ: Mapping[str, str]) -> Snapshot:
    """The snapshot of an image that is named as `image_base` takes it; it is started if need be.

    Raises ImageError, ContainerError.
    """
    return take_snapshot(image_base(image, environ), "auto", find(environ), load_site(environ).cache)


def image_base(image: str, environ: Mapping[str, str]) -> Base:
    """The image that is named by path, by address, or as in `[image] name`; it is not started.

    Raises ImageError.
    """
    if "://" in image:
        try:
            address = parse_address(image)
        except ValueError as error:
            raise ImageError(f"IMAGE {error}", hint="lumienv image pull docker://org/image:tag") from None
        return pulled_base(address, load_site(environ).cache)
    if "/" in image or Path(image).is_file():
        return sif_base(user_path(image).absolute())
    return sif_base(find_image(image, {}, load_site(environ).image_folders).path)


def client_anywhere(folder: str | None, environ: Mapping[str, str], *, offline: bool) -> IndexClient:
    """A client for the project's indexes, or outside of a project for the one that pip or uv use here."""
    try:
        find_manifest(start_folder(folder, environ))
    except ManifestError:
        if folder is not None:
            raise
        cache = load_site(environ).cache / "index"
        return IndexClient([default_index(cache, environ)], cache=cache, offline=offline)
    return index_client(open_project(folder, environ, offline=offline))


def with_requirements(snapshot: Snapshot, client: IndexClient, report: Report) -> Snapshot:
    """The snapshot with its packages' requirements and extras, of those releases that an index has.

    They decide nothing but what an extra of an image package adds, and which image packages are warned about
    when `replace` shadows one: a package that no index has stays as it is.

    Of an image's own build (2.7.1+rocm6.2.4) no index knows anything. The public release (2.7.1) has the same
    extras, so these and what they add are taken from it. What it needs always is not: there the builds differ
    (CUDA's libraries and triton for one, ROCm's for the other).
    """
    platform = Platform.of(snapshot.python.version, snapshot.tags)
    pages = [(package, client.page(canonicalize_name(package.name))) for package in snapshot.packages]
    asked: list[tuple[ImagePackage, Future[CoreMetadata] | None]] = []
    trouble: PackageIndexError | None = None
    for package, future in pages:
        try:
            file = _wheel_of(package, future.result(), platform)
        except PackageIndexError as error:
            trouble = error
            file = None
        asked.append((package, client.metadata(file) if file is not None else None))
    filled = []
    for package, metadata in asked:
        try:
            filled.append(_filled(package, metadata.result()) if metadata is not None else package)
        except PackageIndexError as error:
            trouble = error
            filled.append(package)
    known = sum(package is not before for package, before in zip(filled, snapshot.packages, strict=True))
    report.note(f"the index knows what {known} of the {len(filled)} packages require")
    if trouble is not None:
        reason = "lumienv is offline" if client.offline else trouble.message
        report.note(f"it was not asked about all of them: {reason}")
    return replace(snapshot, packages=tuple(filled))


def _wheel_of(package: ImagePackage, page: Page | None, platform: Platform) -> File | None:
    """The release's best wheel for the image, else any: the requirements are the same in nearly all cases."""
    version = as_version(package.version)
    if page is None or version is None:
        return None
    releases = Releases(page, platform)
    for wanted in dict.fromkeys((version, Version(version.public))):
        best = releases.best(wanted)
        if isinstance(best, File):
            return best
        for wheel in _wheels(page, wanted):
            return wheel
    return None


def _wheels(page: Page, version: Version) -> Iterator[File]:
    return (file for file in page.releases.files(version) if file.is_wheel)


def _filled(package: ImagePackage, metadata: CoreMetadata) -> ImagePackage:
    requires = metadata.requires_dist
    version = as_version(package.version)
    if version is not None and version != as_version(metadata.version):
        requires = tuple(line for line in requires if "extra" in line.partition(";")[2])
    return replace(package, requires=requires, extras=metadata.provides_extra)


def read_list(name: str) -> str:
    """The text of a list of packages in a file, or with `-` on standard input. Raises ImageError."""
    try:
        return Path("/dev/stdin" if name == "-" else name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ImageError(
            f"the list of packages {name} cannot be read: {(error.strerror or '').lower()}",
            hint="make it in the image with: python -m pip list --format=freeze",
        ) from None
