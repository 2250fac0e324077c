"""`lumienv image …`"""

import os
from dataclasses import asdict
from pathlib import Path

import click

from lumienv.cli.main import Common, common_options


@click.group(name="image")
def command() -> None:
    """Look at base images."""


@command.command(name="list")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def list_(
    common: Common,
    as_json: bool,
) -> None:
    """The images in the site's folders (or in LUMIENV_IMAGE_PATH), newest first."""
    from lumienv.image.catalog import list_images
    from lumienv.site import load_site

    output = common.output
    site = load_site(os.environ)
    images = list_images(site.image_folders)
    if as_json:
        output.data([{"path": str(image.path)} | asdict(image.name) for image in images])
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


@command.command()
@common_options
@click.argument("image", required=False)
@click.option("--json", "as_json", is_flag=True, help="Answer with the whole snapshot in JSON.")
def show(
    common: Common,
    image: str | None,
    as_json: bool,
) -> None:
    """What an image is and provides: IMAGE is a path; without it, the project's image."""
    from lumienv.image.base import sif_base
    from lumienv.image.probing import take_snapshot
    from lumienv.project import base_of, open_project, snapshot_of
    from lumienv.runtime.singularity import find
    from lumienv.site import load_site

    output = common.output
    if image is not None:
        site = load_site(os.environ)
        base = sif_base(Path(image).absolute())
        snapshot = take_snapshot(base, "auto", find(os.environ), site.cache)
    else:
        opened = open_project(common.project, os.environ, offline=common.offline)
        snapshot = snapshot_of(opened, base_of(opened))
    if as_json:
        output.text(snapshot.to_json())
        return
    activation = snapshot.activation
    for label, value in (
        ("image", snapshot.image.path),
        ("identity", snapshot.image.identity),
        ("python", f"{snapshot.python.version} ({snapshot.python.executable})"),
        ("activation", activation.command or "none needed"),
        ("packages", str(len(snapshot.packages))),
    ):
        output.text(f"{label:<12}{value}")
    for package in sorted(snapshot.packages, key=lambda package: package.name.lower()):
        output.result(f"  {package.name} {package.version}")
