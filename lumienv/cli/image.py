"""`lumienv image …`"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lumienv.cli.image_pull import command as pull
from lumienv.cli.main import Commands, Common, common_options
from lumienv.files import user_path
from lumienv.ui import with_nulls

if TYPE_CHECKING:
    from lumienv.image.description import Layer, Origin
    from lumienv.image.snapshot import Snapshot


@click.group(name="image", cls=Commands)
def command() -> None:
    """Look at base images, and pull them from a registry."""


command.add_command(pull)


@command.command(name="list", short_help="The images that there are, newest first.")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def list_(
    common: Common,
    as_json: bool,
) -> None:
    """The images in the site's folders (or in LUMIENV_IMAGE_PATH), newest first; then those pulled."""
    from lumienv.image.catalog import FoundImage, list_images
    from lumienv.image.names import parse
    from lumienv.image.pulled import pulled_images
    from lumienv.site import load_site

    output = common.output
    site = load_site(os.environ)
    images = list_images(site.image_folders)
    listed = {os.path.realpath(image.path) for image in images}  # where one was pulled into such a folder
    places = [Path(one.path) for one in pulled_images(site.cache)]
    images += [
        FoundImage(path, parse(path.name))
        for path in places
        if path.is_file() and os.path.realpath(path) not in listed
    ]
    if as_json:
        output.data([{"path": str(image.path)} | with_nulls(asdict(image.name)) for image in images])
        return
    if not images:
        output.note(
            "there are no images in " + (", ".join(map(str, site.image_folders)) or "any known folder")
        )
        output.note("LUMIENV_IMAGE_PATH names folders with .sif files, separated by colons")
        return
    rows = [
        [
            "-".join(filter(None, [image.name.what, image.name.variant])) or "?",
            image.name.version,
            image.name.rocm,
            image.name.python,
            str(image.path),
        ]
        for image in images
    ]
    output.table(["name", "version", "rocm", "python", "path"], rows)


@command.command(short_help="What an image is and provides.")
@common_options
@click.argument("image", required=False)
@click.option("--hash-image", is_flag=True, help="Read the whole file, and tell its sha256.")
@click.option("--json", "as_json", is_flag=True, help="Answer with the whole snapshot in JSON.")
def show(
    common: Common,
    image: str | None,
    hash_image: bool,
    as_json: bool,
) -> None:
    """What an image is and provides: IMAGE is a path, name or address; else the project's."""
    from lumienv.ui import plain

    output = common.output
    file = _file(common, image)
    layers, origin = _made(file)
    if hash_image and file is None:
        raise click.UsageError("--hash-image is for a SIF: there is no file of an image here")
    digest = _hashed(common, file) if hash_image and file is not None else None
    if not as_json:  # what the file says of itself, before it is started to be asked more
        for number, layer in enumerate(layers, start=1):
            made = f"{layer.mount} on {layer.base} by {layer.builder}, lock {layer.lock[:19]}…"
            output.text(f"{f'layer {number}':<12}{plain(made)}")
        if origin is not None:
            output.text(f"{'pulled':<12}{plain(f'{origin.uri} {origin.digest}')}")
        if digest is not None:
            output.text(f"{'sha256':<12}{digest}")
    snapshot = _snapshot(common, image)
    if as_json:
        pulled = asdict(origin) if origin is not None else None
        own: dict[str, object] = {"layers": [asdict(one) for one in layers], "pulled": pulled}
        own |= {"sha256": digest} if digest is not None else {}
        output.text(json.dumps({**json.loads(snapshot.to_json()), **own}))
        return
    activation = snapshot.activation
    for label, value in (
        ("image", snapshot.image.path or snapshot.image.name),
        ("identity", snapshot.image.identity or "none, as it was made by hand"),
        ("python", " ".join(filter(None, (snapshot.python.version, snapshot.python.executable)))),
        ("activation", activation.command or "none needed"),
        ("packages", str(len(snapshot.packages))),
    ):
        output.text(f"{label:<12}{value}")
    for package in sorted(snapshot.packages, key=lambda package: package.name.lower()):
        output.result(f"  {package.name} {package.version}")


@command.command(short_help="What changes from one image to another.")
@common_options
@click.argument("before", metavar="[A]")
@click.argument("after", metavar="B", required=False)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def diff(common: Common, before: str, after: str | None, as_json: bool) -> None:
    """What changes from image A to image B; in a project also what a move to B would change for it.

    A and B are paths, names, or snapshots that `image freeze` saved. Without A it is the project's image.
    """
    from lumienv.cli.image_diff import diff_data, show_diff
    from lumienv.project.image_diff import image_diff, snapshot_called, with_move

    new = snapshot_called(after or before, os.environ)
    old = snapshot_called(before, os.environ) if after is not None else _snapshot(common, None)
    found = with_move(
        image_diff(old, new), new, common.project, os.environ, common.output, offline=common.offline
    )
    if as_json:
        common.output.data(diff_data(found))
    else:
        show_diff(common.output, found)


@command.command(short_help="Save what an image provides, to lock elsewhere.")
@common_options
@click.argument("image", required=False)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    envvar="LUMIENV_FREEZE_OUTPUT",
    help="Where to save it; `-` prints it.",
)
@click.option(
    "--from-list", metavar="FILE", help="Make it by hand, from `pip list --format=freeze`; `-` reads it."
)
@click.option("--python", metavar="VERSION", help="With --from-list: the image's Python, such as 3.12.11.")
@click.option("--glibc", metavar="VERSION", default="2.31", show_default=True, help="… its C library.")
@click.option("--machine", metavar="NAME", default="x86_64", show_default=True, help="… its processor.")
@click.option("--name", metavar="NAME", help="… its file name; by default the list's.")
def freeze(
    common: Common,
    image: str | None,
    target: str | None,
    from_list: str | None,
    python: str | None,
    glibc: str,
    machine: str,
    name: str | None,
) -> None:
    """Save an image's snapshot, to lock where the image is not: IMAGE is a path or a name.

    Without IMAGE it is the project's. The file may be committed and shared.
    """
    from lumienv.image.saved import file_name, save_snapshot

    output = common.output
    if from_list is None:
        if python is not None or name is not None:
            raise click.UsageError("--python and --name describe a list: give --from-list, too")
        snapshot = _snapshot(common, image)
    elif image is not None or python is None:
        problem = "--from-list needs --python" if image is None else "give either IMAGE or --from-list"
        raise click.UsageError(problem)
    else:
        snapshot = _by_hand(common, from_list, python, glibc, machine, name)
    if snapshot.image.kind == "host":
        output.note("the image is a Python of this machine: the snapshot names its places here")
    if target == "-":
        output.text(snapshot.saved().rstrip("\n"))
        return
    path = user_path(target or file_name(snapshot))
    save_snapshot(snapshot, path)
    output.result(
        f"saved the snapshot of {snapshot.image.name} ({len(snapshot.packages)} packages) in {path}"
    )


def _snapshot(common: Common, image: str | None) -> "Snapshot":
    """Of the image that was named, else of the project's."""
    from lumienv.project import base_of, open_project, snapshot_of
    from lumienv.project.freeze import snapshot_of_image

    if image is not None:
        return snapshot_of_image(image, os.environ)
    opened = open_project(common.project, os.environ, offline=common.offline)
    return snapshot_of(opened, base_of(opened))


def _file(common: Common, image: str | None) -> Path | None:
    """The SIF that was named, else the project's; None for a Python of this machine, or a snapshot."""
    from lumienv.project import base_of, open_project
    from lumienv.project.freeze import image_base

    if image is not None:
        base = image_base(image, os.environ)
    else:
        base = base_of(open_project(common.project, os.environ, offline=common.offline))
    return Path(base.path) if base.kind == "sif" and base.path else None


def _made(file: Path | None) -> "tuple[tuple[Layer, ...], Origin | None]":
    """What lumienv has put into the image, or where it has pulled it from, as its header tells."""
    from lumienv.image.description import layers_of, origin_of

    return (layers_of(file), origin_of(file)) if file is not None else ((), None)


def _hashed(common: Common, file: Path) -> str:
    from lumienv.image.sif import whole_sha256

    with common.output.waiting(f"reading {file}"):
        return whole_sha256(file)


def _by_hand(
    common: Common, source: str, python: str, glibc: str, machine: str, name: str | None
) -> "Snapshot":
    from lumienv.image.handmade import snapshot_of_list
    from lumienv.project.freeze import client_anywhere, read_list, with_requirements

    called = name or (Path(source).stem if source != "-" else "image")
    made = snapshot_of_list(read_list(source), python=python, glibc=glibc, machine=machine, name=called)
    names = {package.name.lower() for package in made.packages}
    if "pip" not in names:
        common.output.warn(
            "the list has no pip: `pip freeze` leaves it out, and setuptools and wheel too, which makes\n"
            "another list of packages; use `python -m pip list --format=freeze`"
        )
    with client_anywhere(common.project, os.environ, offline=common.offline) as client:
        return with_requirements(made, client, common.output)


@command.command(short_help="Which image would satisfy the project.")
@common_options
@click.argument("files", nargs=-1, metavar="[SNAPSHOT.json]...")
@click.option("--probe", is_flag=True, help="Start the images that were never looked into.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def suggest(
    common: Common,
    files: tuple[str, ...],
    probe: bool,
    as_json: bool,
) -> None:
    """Which image would satisfy the project's dependencies, the best first.

    Compared are the images in the site's folders and those used before, as far as lumienv has looked
    into them; or the snapshots that are named.
    """
    from lumienv.project import open_project
    from lumienv.project.suggest import NOT_PROBED
    from lumienv.project.suggest import suggest as suggestions

    output = common.output
    opened = open_project(common.project, os.environ, offline=common.offline)
    found = suggestions(opened, output, files, probe=probe)
    if as_json:
        output.data([with_nulls(asdict(one)) for one in found])
        return
    if not found:
        output.note("no image is known: name the folders that hold .sif files in LUMIENV_IMAGE_PATH,")
        output.note("or give snapshots that `lumienv image freeze` saved")
        return
    rows = [
        [
            one.image + (" (in use)" if one.current else ""),
            one.verdict,
            str(len(one.provided)) if one.provided or one.added else "",
            str(len(one.added)) if one.provided or one.added else "",
            one.reason or one.selection,
        ]
        for one in found
    ]
    output.table(["image", "", "from image", "added", ""], rows)
    never = sum(one.verdict == NOT_PROBED for one in found)
    if never and not probe:
        images = "1 image was" if never == 1 else f"{never} images were"
        output.note(f"{images} never looked into; all at once: lumienv image suggest --probe")
