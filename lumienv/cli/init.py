"""`lumienv init`"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lumienv.cli.main import Common, common_options
from lumienv.errors import LumienvError
from lumienv.image.hostpython import find_python, no_python
from lumienv.project.init import (
    IMPORTABLE,
    Chosen,
    Offer,
    choose,
    chosen_by_words,
    import_files,
    init,
    new_folder,
    no_image_named,
    offers,
    usual,
)
from lumienv.site import Site, load_site
from lumienv.ui import Output, show_error

_SHOWN = 15  # images: more scroll away before anybody has read the first


@click.command(name="init")
@common_options
@click.argument("directory", metavar="[DIR]", required=False)
@click.option(
    "--image", metavar="NAME|PATH|URI", help="The base: a name, a .sif file, docker://…, or a snapshot."
)
@click.option("--rocm", metavar="VERSION", help="With a name: its ROCm.")
@click.option("--python", metavar="VERSION", help="… its Python.")
@click.option("--version", metavar="VERSION", help="… the release of what it is named after.")
@click.option("--hash", "build", metavar="HASH", help="… its build: docker hash, or time stamp.")
@click.option(
    "--host",
    metavar="[PYTHON]",
    is_flag=False,
    flag_value="python3",
    help="No container: this Python is the base.",
)
@click.option(
    "-r",
    "--requirements",
    "files",
    metavar="FILE",
    multiple=True,
    help="Take over a requirements.txt or an environment.yml.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    directory: str | None,
    image: str | None,
    rocm: str | None,
    python: str | None,
    version: str | None,
    build: str | None,
    host: str | None,
    files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a lumienv.toml in DIR, by default here; on a terminal, ask which image is the base.

    Nothing that is there is overwritten, and nothing is started.
    """
    given = {"rocm": rocm, "python": python, "version": version, "hash": build}
    selectors = {key: value for key, value in given.items() if value}
    _refuse_contradictions(image, host, list(selectors))
    folder = new_folder(common.project, directory)
    site = load_site(os.environ, folder)
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    imported = import_files(files or _found_here(folder, common.output, asks), folder)
    if image is None and host is None:
        chosen = _asked(offers(site), site, folder, common.output, asks)
    else:
        chosen = chosen_by_words(image, host, selectors, site, folder)
    outcome = init(folder, chosen, imported)
    if as_json:
        common.output.data(
            {
                "path": str(outcome.path),
                "image": dict(outcome.image),
                "dependencies": outcome.dependencies,
                "notes": outcome.notes,
                "next": outcome.next,
            }
        )
        return
    for note in outcome.notes:
        common.output.note(note)
    words = " and ".join(f'{key} = "{value}"' for key, value in outcome.image.items())
    common.output.result(f"wrote {os.path.relpath(outcome.path)}: [image] {words}")
    common.output.result(f"next: {outcome.next}")


def _refuse_contradictions(image: str | None, host: str | None, selectors: Sequence[str]) -> None:
    if image is not None and host is not None:
        raise click.UsageError("--image and --host name two bases: give one.")
    if selectors and (image is None or "/" in image or image.endswith((".sif", ".json"))):
        raise click.UsageError(f"--{selectors[0]} narrows --image NAME: give a name with it.")


def _found_here(folder: Path, output: Output, asks: bool) -> tuple[str, ...]:
    """The files of other tools in the folder, as far as the user wants them taken over."""
    taken = []
    for path in (folder / name for name in IMPORTABLE):
        if not path.is_file():
            continue
        if not asks:
            output.note(f"{path.name} is here: -r {path.name} would take it over")
        elif click.confirm(f"take over what {path.name} asks for?", default=True, err=True):
            taken.append(str(path))
    return tuple(taken)


def _asked(found: Sequence[Offer], site: Site, folder: Path, output: Output, asks: bool) -> Chosen:
    """The image that the user picks from the list; Enter takes the one most people want."""
    if not asks:
        raise no_image_named(found)
    if not found:
        output.note("no image is in the site's folders: LUMIENV_IMAGE_PATH names folders with .sif files")
        chosen = None
        while chosen is None:
            answer = click.prompt("a .sif file, or a Python of this machine", default="python3", err=True)
            chosen = _typed(answer, site, folder, output)
        return chosen
    preset = usual(found)
    shown = found[: max(_SHOWN, preset + 1)]
    rows = [
        [str(number), one.name.file, one.torch.partition("+")[0], one.rocm, one.python]
        for number, one in enumerate(shown, start=1)
    ]
    output.table(["", "image", "torch", "ROCm", "Python"], rows)
    if len(found) > len(shown):
        output.note(f"and {len(found) - len(shown)} older ones: `lumienv image list` shows all")
    while True:
        answer = click.prompt("which image (number, name or path)", default=str(preset + 1), err=True).strip()
        if answer.isdigit() and 1 <= int(answer) <= len(shown):
            return choose(found[int(answer) - 1], site)
        if answer.isdigit():
            output.note(f"there are {len(shown)} in the list")
        elif (chosen := _typed(answer, site, folder, output)) is not None:
            return chosen


def _typed(answer: str, site: Site, folder: Path, output: Output) -> Chosen | None:
    """A base by its name, of an image or of a Python; None where there is none, which is said."""
    is_python = Path(answer).name.startswith("python") and not answer.endswith(".sif")
    image, host = (None, answer) if is_python else (answer, None)
    try:
        if host is not None and find_python(os.path.expanduser(host)) is None:  # noqa: PTH111 - a bare name
            raise no_python(host)
        return chosen_by_words(image, host, {}, site, folder)
    except LumienvError as error:
        show_error(error, output.color)
        return None
