"""`[sif] output`: the image where the user wants it, beside being in the store.

A hard link, so that it takes no room; across file systems the only copy, with a link to it in the store.
"""

import errno
import os
import shlex
from contextlib import suppress
from pathlib import Path

from lumienv.errors import ImageError, StoreError
from lumienv.files import beside, disk_errors, owner_name
from lumienv.image.description import layers_of
from lumienv.image.sif import read_sif
from lumienv.overlay.generation import Generation

# Another file system, or one that knows no hard links.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)


def check_output(output: Path) -> None:
    """See, before any work, that the image may be put there. Raises StoreError."""
    folder = output.parent
    if not folder.is_dir():
        raise StoreError(
            f"the image cannot be put in {folder}: there is no such folder",
            hint=f"mkdir -p {shlex.quote(str(folder))}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"the image cannot be put in {folder}: permission denied",
            hint="choose a place where you may write: [sif] output, or --output FILE",
        )
    if not output.is_symlink() and not output.exists():
        return
    ours: tuple[object, ...] = ()
    with suppress(ImageError):  # no SIF at all, or a damaged one
        ours = layers_of(output)
    if output.is_dir() or not ours:
        raise StoreError(
            f"{output} is there already, and was not made by lumienv, so it is not replaced",
            hint="move it away, or choose another name: [sif] output, or --output FILE",
        )


def check_not_base(output: Path, base: str) -> None:
    """Refuse to replace the image that is built upon, whoever made it. Raises StoreError."""
    with suppress(OSError):
        if output.samefile(base):
            raise StoreError(
                f"{output} is the image that the environment is built on, so it is not replaced",
                hint="choose another name: [sif] output, or --output FILE",
            )


def put_out(generation: Generation, output: Path) -> None:
    """Have the image of a published generation at `output` too, atomically. Raises StoreError.

    One that somebody else shares stays whole in their store.
    """
    carrier = generation.carrier
    image = Path(os.path.realpath(carrier))
    if output.exists() and output.samefile(image):
        return
    check_output(output)
    aside = beside(output)
    with disk_errors("put the image where it is wanted", output):
        try:
            try:
                aside.hardlink_to(image)
                linked = True
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _copy(image, aside)
                linked = False
            aside.replace(output)
        finally:
            with suppress(OSError):
                aside.unlink()
        if not linked and not carrier.is_symlink() and carrier.parent.stat().st_uid == os.geteuid():
            link = beside(carrier)
            link.symlink_to(Path(os.path.realpath(output)))
            link.replace(carrier)


def image_is_whole(generation: Generation) -> bool:
    """Whether the image of a `sif` generation is there, and the one that was made."""
    with suppress(ImageError):
        check_image(generation)
        return True
    return False


def check_image(generation: Generation) -> None:
    """Raises ImageError when the image of a `sif` generation is gone, or is another one by now."""
    image = Path(os.path.realpath(generation.carrier))
    hint = "make it anew, on a login node: lumienv sync"
    try:
        status = image.stat()
    except OSError:
        raise ImageError(f"the image {image}, which has the environment inside, is gone", hint=hint) from None
    # Whose the generation is, and whether they may be trusted, was looked at before.
    if status.st_uid not in (os.geteuid(), 0, generation.path.stat().st_uid) or status.st_mode & 0o022:
        raise ImageError(
            f"the image {image}, which has the environment inside, could have been changed by others",
            f"it belongs to {owner_name(status.st_uid)}, its permissions are {status.st_mode & 0o777:o}",
            hint=hint,
        )
    if read_sif(image).identity != generation.carrier_identity:
        raise ImageError(f"the image {image} is another one than the environment was made with", hint=hint)


def _copy(source: Path, target: Path) -> None:
    from lumienv.overlay.sif import copying

    for _ in copying(source, target):
        pass
    target.chmod(source.stat().st_mode & 0o7555)
    descriptor = os.open(target, os.O_RDONLY)  # the copy in the store goes: this one has to be on the disk
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
