"""A new project: an image chosen, what other files ask for taken over, and `lumienv.toml` written."""

import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from lumienv.errors import ImageError, LumienvError, ManifestError
from lumienv.files import disk_errors, user_path, write_atomically
from lumienv.image.base import pulled_base, sif_base
from lumienv.image.catalog import SELECTORS, FoundImage, find_image, list_images
from lumienv.image.names import ImageName, parse
from lumienv.image.probing import cached_snapshot
from lumienv.image.saved import read_snapshot
from lumienv.image.snapshot import Snapshot
from lumienv.manifest import FILE_NAME
from lumienv.manifest.imageaddress import parse_address
from lumienv.manifest.reader import read_manifest
from lumienv.manifest.template import Draft, manifest_text
from lumienv.project.imported import Imported, on_image
from lumienv.project.other_tools import read_file
from lumienv.resolve.standins import stand_ins
from lumienv.site import Site

# Images that are built around torch; of others only a look into them tells.
_WITH_TORCH = ("pytorch", "multitorch")
_NO_TORCH = ("rocm", "libfabric", "mpich")
# What other tools have such files called, where people look first.
IMPORTABLE = ("requirements.txt", "environment.yml", "environment.yaml")


@dataclass(frozen=True)
class Offer:
    """An image that may be chosen, as a list shows it; empty where neither name nor cache tells."""

    path: Path
    name: ImageName
    torch: str
    python: str
    provided: Mapping[str, str] = field(default_factory=dict)
    """name (normalised) → version, as far as that is known without starting it"""
    looked_into: bool = False

    @property
    def rocm(self) -> str:
        return self.name.rocm


@dataclass(frozen=True)
class Chosen:
    """A base for the new project."""

    table: Mapping[str, str]
    """the keys of `[image]`"""
    file: str = ""
    """the image's file name, where it was found"""
    provided: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    looked_into: bool = True
    """what it provides is known, not guessed by its name"""
    notes: tuple[str, ...] = ()
    first: str = ""
    """the command to type before anything else"""


@dataclass(frozen=True)
class InitOutcome:
    """What was written."""

    path: Path
    image: Mapping[str, str]
    dependencies: tuple[str, ...]
    notes: tuple[str, ...]
    next: str
    """the command to type next"""


def new_folder(project: str | None, directory: str | None) -> Path:
    """Where the project is to be; it need not exist. Raises ManifestError where there is one already."""
    folder = Path(os.path.normpath(Path.cwd() / (project or "") / user_path(directory or "")))
    if os.path.lexists(folder / FILE_NAME):
        raise _there_already(folder)
    if folder.exists() and not folder.is_dir():
        raise ManifestError(f"{folder} is no folder", hint="name another: lumienv init DIR")
    return folder


def _there_already(folder: Path) -> ManifestError:
    return ManifestError(
        f"there is a {FILE_NAME} in {folder} already",
        hint="edit it, or name another folder: lumienv init DIR; nothing was changed",
    )


def offers(site: Site) -> list[Offer]:
    """The images in the site's folders, newest first. Starts nothing."""
    return [_offer(image, site) for image in list_images(site.image_folders)]


def _offer(image: FoundImage, site: Site) -> Offer:
    name, snapshot = image.name, _known(image.path, site)
    provided = _provided(snapshot, name)
    python = snapshot.python.version if snapshot is not None else name.python
    return Offer(image.path, name, provided.get("torch", ""), python, provided, snapshot is not None)


def _known(path: Path, site: Site) -> Snapshot | None:
    with suppress(LumienvError, OSError):
        return cached_snapshot(sif_base(path), site.cache)
    return None


def _provided(snapshot: Snapshot | None, name: ImageName) -> dict[str, str]:
    if snapshot is not None:
        return {name: package.version for name, package in snapshot.by_name().items()}
    torch = name.what in _WITH_TORCH and name.variant not in _NO_TORCH
    return {"torch": name.version} if torch and name.version else {}


def usual(found: Sequence[Offer]) -> int:
    """Which of the images most people want: the position of the newest with torch, else of the newest."""
    return next((number for number, one in enumerate(found) if one.torch), 0)


def choose(offer: Offer, site: Site) -> Chosen:
    """The words that lead to an image of the list, now and when newer ones have come, as far as names go."""
    found = list_images(site.image_folders)
    name = offer.name
    facts = {key: getattr(name, key) for key in SELECTORS if getattr(name, key)}
    build = facts.pop("hash", "")
    family = "-".join(filter(None, (name.what, name.variant)))
    for selectors in (facts, facts | ({"hash": build} if build else {})):
        first = next((one for one in found if family and one.name.matches(family, **selectors)), None)
        if first is not None and first.path == offer.path:
            return _chosen({"name": family, **selectors}, offer)
    return _chosen({"path": str(offer.path)}, offer)


def _chosen(table: Mapping[str, str], offer: Offer) -> Chosen:
    return Chosen(table, offer.path.name, offer.provided, offer.python, offer.looked_into)


def chosen_by_words(
    image: str | None, host: str | None, selectors: Mapping[str, str], site: Site, folder: Path
) -> Chosen:
    """The base that the options name: an image by name, path or address, a snapshot, a Python here.

    Where there are no images at all, any name will do: the project may be meant for another machine. Raises
    ImageError where there are, and none of that name, and where a path leads to no image.
    """
    if host is not None:
        return Chosen({"host": _from(folder, host) if "/" in host else host})
    assert image is not None
    if image.endswith(".json"):
        snapshot = read_snapshot(user_path(image))
        provided = _provided(snapshot, parse(snapshot.image.name))
        return Chosen(
            {"snapshot": _from(folder, image)}, snapshot.image.name, provided, snapshot.python.version
        )
    if "://" in image:
        return _in_registry(image, site)
    if "/" in image or Path(image).is_file():
        path = user_path(image)
        sif_base(path.absolute())
        return _chosen(
            {"path": _from(folder, image)}, _offer(FoundImage(path.absolute(), parse(path.name)), site)
        )
    table = {"name": image, **selectors}
    if not list_images(site.image_folders):
        note = f"no image is in the site's folders here: {FILE_NAME} names {image} as you wrote it"
        return Chosen(table, looked_into=False, notes=(note,))
    return _chosen(table, _offer(find_image(image, selectors, site.image_folders), site))


def _in_registry(uri: str, site: Site) -> Chosen:
    """The image of this address; it need not have been pulled yet."""
    try:
        address = parse_address(uri)
    except ValueError as error:
        raise ImageError(f"--image {error}", hint="lumienv init --image docker://org/image:tag") from None
    try:
        path = Path(pulled_base(address, site.cache).path)
    except ImageError:
        return Chosen({"uri": uri}, looked_into=False, first="lumienv image pull")
    return _chosen({"uri": uri}, _offer(FoundImage(path, parse(path.name)), site))


def _from(folder: Path, written: str) -> str:
    """A path that was typed in the current folder, as the project in `folder` sees it; absolute ones stay."""
    if written.startswith(("/", "~")):
        return written
    return os.path.relpath(Path(written).absolute(), folder)


def import_files(files: Sequence[str], folder: Path) -> Imported:
    """What requirements files and `environment.yml`s ask for. Raises ManifestError."""
    found = Imported()
    for file in files:
        found += read_file(user_path(file).absolute(), folder)
    return found


def init(folder: Path, chosen: Chosen, imported: Imported) -> InitOutcome:
    """Write the manifest, after it was read back as every command will read it. Raises StoreError."""
    fitted = on_image(imported, _with_stand_ins(chosen.provided), chosen.python)
    notes = [*chosen.notes, *fitted.notes]
    if not chosen.looked_into and any(Requirement(text).specifier for text in fitted.dependencies):
        notes.append(
            "what the image provides is not known yet: a pin of one of its packages may have to go; "
            "`lumienv lock` tells"
        )
    if fitted.python and not chosen.python:
        notes.append(f"python{fitted.python}: left out: the image's Python counts")
    if fitted.indexes:
        notes.append("indexes are asked in the order of lumienv.toml: the first that has a package is taken")
    draft = Draft(
        chosen.table,
        chosen.file if "name" in chosen.table else "",
        fitted.dependencies,
        fitted.sources,
        fitted.constraints,
        fitted.prerelease,
        fitted.build,
        fitted.indexes,
        fitted.env,
    )
    text = manifest_text(draft)
    _check(text)
    path = folder / FILE_NAME
    with disk_errors("write the project", path):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(path, text.encode(), new=True)
        except FileExistsError:  # somebody else's, since the user was asked for the image
            raise _there_already(folder) from None
    there = os.path.relpath(folder)
    go = "" if there == "." else f"cd {shlex.quote(there)} && "
    follows = "lumienv sync" if fitted.dependencies else "lumienv add PACKAGE"
    follows = " && ".join(filter(None, (chosen.first, follows)))
    return InitOutcome(path, chosen.table, fitted.dependencies, tuple(notes), go + follows)


def _with_stand_ins(provided: Mapping[str, str]) -> dict[str, str]:
    """What the image provides, and what else it answers to: to `triton`, where it has pytorch-triton-rocm."""
    stands = stand_ins(provided, (), lambda _: False)
    return {**provided, **{name: provided[one.name] for name, one in stands.items()}}


def _check(text: str) -> None:
    """Read it as every command will, before anything of the user's is touched. Raises ManifestError."""
    with tempfile.TemporaryDirectory(prefix="lumienv-init-") as scratch:
        path = Path(scratch) / FILE_NAME
        path.write_text(text, encoding="utf-8")
        read_manifest(path)


def no_image_named(found: Sequence[Offer]) -> ImageError:
    """What is said where nobody can be asked which image is meant."""
    names = dict.fromkeys(
        "-".join(filter(None, (one.name.what, one.name.variant))) or str(one.path) for one in found
    )
    facts = [f"{name}" for name in list(names)[:8]]
    example = facts[0] if facts else "pytorch"
    return ImageError(
        "which image is the base? Nobody can be asked here",
        *(["there are images called:", *(f"  {fact}" for fact in facts)] if facts else []),
        hint=f"name it: lumienv init --image {example}\n"
        "or take a Python of this machine, without a container: lumienv init --host",
    )
