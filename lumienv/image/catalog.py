"""Find images: by path, or by name and selectors in the site's image folders."""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ImageError
from lumienv.image.names import ImageName, newest_first, parse

SELECTORS = ("rocm", "python", "version", "hash")


@dataclass(frozen=True)
class FoundImage:
    """An image file and what its name says."""

    path: Path
    name: ImageName


def list_images(folders: Sequence[Path]) -> list[FoundImage]:
    """All images in `folders` and, for LAIF's folder per release, one level below; newest first.

    Reads names only. An image that several names lead to is listed once, by the most telling name: one
    with a build hash outlives the floating names (LUMI-EasyBuild-containers, PyTorch/USER.md).
    """
    found: dict[str, FoundImage] = {}
    for folder in folders:
        for path in _sif_files(folder):
            image = FoundImage(path, parse(path.name))
            real = os.path.realpath(path)
            if not os.path.exists(real):  # noqa: PTH110 - a link to an image that was removed
                continue
            if real not in found or (image.name.hash and not found[real].name.hash):
                found[real] = image
    return sorted(
        found.values(), key=lambda image: (*newest_first(image.name), image.name.file), reverse=True
    )


def _sif_files(folder: Path, depth: int = 1) -> list[Path]:
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".sif"):
                    files.append(Path(entry.path))
                elif depth and entry.is_dir(follow_symlinks=False):
                    files += _sif_files(Path(entry.path), depth - 1)
    except OSError:
        return files  # a folder that this machine does not have, or that is closed to this user
    return files


def find_image(
    name: str,
    selectors: Mapping[str, str],
    folders: Sequence[Path],
    *,
    preferred: str | None = None,
) -> FoundImage:
    """The newest image called `name` that fits the selectors; `preferred` (a file name) if it fits.

    `name` is a family (`pytorch`, `multitorch-full`) or a file's name. Raises ImageError, with near
    misses, when there is none.
    """
    images = list_images(folders)
    fitting = [image for image in images if image.name.matches(name, **selectors)]
    for image in fitting:
        # A lock names the file itself; what is found may be a link to it under a floating name.
        if preferred in (image.name.file, os.path.basename(os.path.realpath(image.path))):  # noqa: PTH119
            return image
    if fitting:
        return fitting[0]
    wanted = " ".join([name, *(f"{key}={value}" for key, value in selectors.items())])
    if not images:
        raise ImageError(
            f"no image called {wanted} was found: there are no images in the site's folders",
            *(f"looked in {folder}" for folder in folders),
            hint='give the image\'s path ([image] path = "/…/image.sif"), or name the folders that hold\n'
            "images in LUMIENV_IMAGE_PATH (separated by colons); where the image is not, lock for a saved\n"
            "snapshot of it: lumienv lock --snapshot FILE",
        )
    same = [image for image in images if image.name.matches(name)]
    near = same or [image for image in images if image.name.what in _close(name, images)] or images
    lead = (
        f"there is {name}, but with other facts:"
        if same
        else f"the closest of the {len(images)} images found:"
        if near is not images
        else f"there are {len(images)} images:"
    )
    raise ImageError(
        f"no image called {wanted} was found",
        lead,
        *(f"  {image.name.file}" for image in near[:6]),
        hint="`lumienv image list` shows all; the selectors are " + ", ".join(SELECTORS),
    )


def _close(name: str, images: Sequence[FoundImage]) -> list[str]:
    return difflib.get_close_matches(name, {image.name.what for image in images if image.name.what}, n=3)
