"""`lumienv image pull`: an image of a registry or an archive made into a SIF, under a name that stays."""

import os
import secrets
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv import __version__
from lumienv.errors import ImageError, ManifestError, StoreError, UsageError
from lumienv.files import abandoned, beside, disk_errors, one_writer, own_prefix, private_directory
from lumienv.image.description import Origin, origin_of
from lumienv.image.oci import OciImage, archived_image, image_of
from lumienv.image.pulled import FOLDER, Pulled, note_pulled, pulled_image, usual_place
from lumienv.image.pulling import Making, discard, make_image
from lumienv.image.sif import read_sif
from lumienv.manifest.imageaddress import REGISTRY, ImageAddress, parse_address
from lumienv.overlay.room import UNPACKED, Need, Size, check_needs
from lumienv.overlay.sif import copying
from lumienv.project import Report, open_project
from lumienv.project.cacheuse import using_cache
from lumienv.registry.client import Registry
from lumienv.runtime.singularity import TEMPORARY_VARIABLES, find
from lumienv.site import Site
from lumienv.site.scratch import scratch_directory

_PARTS = ".new-"
# An image of 20 GB takes the runtime an hour; who waits for another's pull waits as long.
_PATIENCE = 4 * 3600.0


@dataclass(frozen=True)
class PullOutcome:
    """What was pulled, or was there already."""

    address: ImageAddress
    digest: str
    """empty where an archive was not looked into"""
    path: Path
    size: int
    """bytes of the SIF"""
    fresh: bool
    """it was there already: nothing was started"""
    before: Pulled | None = None
    """what the same tag led to when it was pulled last, where that was another image"""
    unasked: str = ""
    """why the registry was not asked whether the tag has moved"""

    @property
    def pin(self) -> str:
        """The address that always leads to this image; empty for an archive."""
        return str(self.address.pinned(self.digest)) if self.address.transport == REGISTRY else ""


@dataclass(frozen=True)
class Wanted:
    """What is to be pulled, and where to."""

    address: ImageAddress
    site: Site
    environ: Mapping[str, str]
    output: Path | None = None
    https: bool = True
    offline: bool = False
    typed: bool = True
    """the user has named it; else the project has, which may be somebody else's: it is told no password that
    is not kept for its registry"""

    def place(self, digest: str) -> Path:
        """Where the image of this digest is to lie."""
        return self.output or usual_place(self.site.cache, self.address, digest)

    @property
    def work(self) -> Path:
        """Where the runtime works: where the user has told it to, else the site's folder for such work."""
        named = next((self.environ[name] for name in TEMPORARY_VARIABLES if self.environ.get(name)), None)
        return Path(named) if named else self.site.scratch


def wanted_address(uri: str | None, folder: str | None, environ: Mapping[str, str]) -> ImageAddress:
    """The address that was typed, else that of the project. Raises UsageError, ManifestError."""
    if uri is None:
        manifest = open_project(folder, environ).manifest
        if manifest.image.kind != "uri":
            raise ManifestError(
                f"the project's image is named by {manifest.image.kind}: there is nothing to pull",
                hint="name an address: lumienv image pull docker://org/image:tag",
            )
        return parse_address(manifest.image.value)
    try:
        address = parse_address(uri)
    except ValueError as error:
        raise UsageError(f"ADDRESS {error}", hint="lumienv image pull docker://org/image:tag") from None
    if address.transport == REGISTRY:
        return address
    path = os.path.abspath(os.path.expanduser(address.name))  # noqa: PTH100, PTH111 - `..` as it is typed
    try:
        return parse_address(f"{address.transport}:{path}")
    except ValueError as error:
        raise UsageError(f"the path {path} {error}", hint="rename it, or make a link to it") from None


def printed_pull(wanted: Wanted) -> tuple[str, ...]:
    """What `pull` would start, as lines of a shell; the registry is asked. Raises ImageError."""
    image = None if wanted.offline and wanted.address.transport == REGISTRY else _look(wanted)
    digest = image.digest if image is not None else wanted.address.digest
    making = _making(wanted, digest)
    place = wanted.place(digest)
    lines = making.printed(find(wanted.environ), place, wanted.work, wanted.environ)
    if wanted.output is not None:
        return lines
    # Closed to others, as lumienv makes its cache.
    return f"(umask 077 && mkdir -p {shlex.quote(str(place.parent))})", *lines


def pull(wanted: Wanted, report: Report) -> PullOutcome:
    """Have the image as a SIF; one that is there already is left as it is, and nothing is started.

    Raises ImageError, ContainerError, StoreError; nothing half-made is used or left.
    """
    cache, address = wanted.site.cache, wanted.address
    known = pulled_image(cache, address)
    whole = known is not None and known.is_whole
    if known is not None and whole and address.digest:
        return _there(wanted, known)
    if wanted.offline and address.transport == REGISTRY:
        if known is None or not whole:
            raise ImageError(
                f"{address} has not been fetched yet, and lumienv is offline",
                hint="fetch it once without `--offline`, where there is a network",
            )
        return _there(wanted, known, unasked="lumienv is offline")
    image = _look(wanted)
    before = known if known is not None and known.digest != image.digest else None
    there = _present(wanted, image.digest)
    if there is not None:
        _remember(wanted, there)
        return replace(_there(wanted, there), before=before)
    target = wanted.place(image.digest)
    if wanted.output is not None:
        _check_output(wanted.output)
    with disk_errors("make a place for the image", cache):
        private_directory(private_directory(cache) / FOLDER)
    lock = cache / FOLDER / f"{usual_place(cache, address, image.digest).name}.lock"
    one_at_a_time = one_writer(lock, "pull the image", report.note, patience=_PATIENCE)
    with using_cache(cache, report.note), one_at_a_time:
        there = _present(wanted, image.digest)  # by whom this one has waited for
        if there is None:
            there = _made(wanted, image, target, report)
            made = replace(_there(wanted, there), fresh=False, before=before)
        else:
            made = replace(_there(wanted, there), before=before)
        _remember(wanted, there)
    return made


def _look(wanted: Wanted) -> OciImage:
    """What the address leads to now. Raises ImageError."""
    address, machine = wanted.address, os.uname().machine
    if address.transport != REGISTRY:
        return archived_image(address, machine)
    registry = Registry(address, wanted.environ, https=wanted.https, variables=wanted.typed)
    image = image_of(registry.manifest(), registry.document, address, machine)
    if address.digest and image.digest != address.digest:
        raise ImageError(
            f"the registry {address.host} gives something else than what was asked for: {image.digest}",
            f"asked for {address}",
            hint="tell those who run it; nothing was fetched",
        )
    return image


def _present(wanted: Wanted, digest: str) -> Pulled | None:
    """The whole SIF of this digest, if there is one: by its note, or in the usual place without."""
    cache, address = wanted.site.cache, wanted.address
    names = (address.pinned(digest), address) if address.transport == REGISTRY else (address,)
    noted = [found for name in names if (found := pulled_image(cache, name)) and found.digest == digest]
    for found in noted:
        if found.is_whole:
            return found
    place = usual_place(cache, address, digest)
    if any(Path(found.path) == place for found in noted):
        return None  # it was changed
    with suppress(ImageError, OSError):  # a pull that was killed before it could note anything
        origin = origin_of(place)
        if origin is not None and origin.digest == digest:
            return Pulled(str(address), digest, str(place), read_sif(place).identity)
    return None


def _there(wanted: Wanted, pulled: Pulled, unasked: str = "") -> PullOutcome:
    """The outcome for an image that is there; it is put where it is wanted, too."""
    path = Path(pulled.path)
    if wanted.output is not None and not (wanted.output.exists() and wanted.output.samefile(path)):
        _check_output(wanted.output)
        _copy(path, wanted.output)
        path = wanted.output
    return PullOutcome(wanted.address, pulled.digest, path, path.stat().st_size, True, unasked=unasked)


def _remember(wanted: Wanted, pulled: Pulled) -> None:
    note_pulled(wanted.site.cache, wanted.address, pulled)
    if wanted.address.transport == REGISTRY:
        pinned = wanted.address.pinned(pulled.digest)
        note_pulled(wanted.site.cache, pinned, replace(pulled, uri=str(pinned)))


def _making(wanted: Wanted, digest: str) -> Making:
    address = wanted.address
    if address.transport == REGISTRY:
        source = address.pinned(digest) if digest else address
        return Making(source, Origin(str(address), digest, __version__), wanted.https, wanted.typed)
    named = f"{address.transport}:{Path(address.name).name}"
    return Making(address, Origin(named, digest, __version__))


def _made(wanted: Wanted, image: OciImage, target: Path, report: Report) -> Pulled:
    """The image, made aside and put in its place by one rename."""
    runtime = find(wanted.environ)
    with scratch_directory(wanted.work) as scratch:  # ends what killed ones have started, too
        check_needs(
            [
                Need(wanted.work, Size((UNPACKED + 1) * image.size), "unpacking it", _ELSEWHERE),
                Need(target.parent, Size(image.size), "the image", "put it elsewhere: -o FILE"),
            ],
            "the image",
        )
        part = _part(target) if wanted.output is None else beside(target)
        try:
            with report.step(f"pulling {wanted.address} ({image.size / 1e6:,.0f} MB)"):
                sif = make_image(_making(wanted, image.digest), runtime, part, scratch, wanted.environ)
            if wanted.output is not None:
                _check_output(wanted.output)
            with disk_errors("put the image in its place", target):
                part.replace(target)
        finally:
            discard(part)
    return Pulled(str(wanted.address), image.digest, str(target), sif.identity)


_ELSEWHERE = "name another place in TMPDIR"


def _part(target: Path) -> Path:
    """A name of this process's own for what is being made; what killed ones have left is removed."""
    for left in abandoned(target.parent, _PARTS):
        discard(left)
    return target.with_name(f"{own_prefix(_PARTS)}{secrets.token_hex(4)}")


def _check_output(output: Path) -> None:
    """See that the image may be put there. Raises StoreError."""
    folder = output.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why = "permission denied" if folder.is_dir() else "there is no such folder"
        raise StoreError(
            f"the image cannot be put in {folder}: {why}", hint="choose a place where you may write: -o FILE"
        )
    if not os.path.lexists(output):
        return
    ours = None
    with suppress(ImageError):  # no SIF at all, or a damaged one
        ours = origin_of(output)
    if output.is_dir() or ours is None:
        raise StoreError(
            f"{output} is there already, and was not pulled by lumienv, so it is not replaced",
            hint="move it away, or choose another name: -o FILE",
        )


def _copy(source: Path, target: Path) -> None:
    """A second name for the image where the file system can, else a copy, put there by one rename."""
    aside = beside(target)
    with disk_errors("put the image where it is wanted", target):
        try:
            try:
                aside.hardlink_to(source)
            except OSError:
                for _ in copying(source, aside):
                    pass
            aside.replace(target)
        finally:
            discard(aside)
