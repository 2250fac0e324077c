"""`lumienv image pull`"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lumienv.cli.main import Common, common_options
from lumienv.files import user_path
from lumienv.manifest import start_folder
from lumienv.ui import Output, megabytes

if TYPE_CHECKING:
    from lumienv.project.pull import PullOutcome


@click.command(name="pull", short_help="Make a SIF of an image in a registry or an archive.")
@common_options
@click.argument("address", metavar="[ADDRESS]", required=False)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    envvar="LUMIENV_PULL_OUTPUT",
    help="Put the image there, not into the cache.",
)
@click.option("--no-https", is_flag=True, help="Ask the registry by plain http, as one on this machine.")
@click.option(
    "--print",
    "--dry-run",
    "print_only",
    is_flag=True,
    help="Show what would be started, and start nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(
    common: Common,
    address: str | None,
    target: str | None,
    no_https: bool,
    print_only: bool,
    as_json: bool,
) -> None:
    """Make a SIF of an image in a registry, or in an archive; without ADDRESS, of the project's.

    ADDRESS is docker://ORG/IMAGE:TAG, or with @sha256:… behind it, oci-archive:FILE, docker-archive:FILE or
    oci:FOLDER. What was pulled already is not pulled again.
    """
    from lumienv.project.pull import Wanted, printed_pull, pull, wanted_address
    from lumienv.site import load_site

    if print_only and as_json:
        raise click.UsageError("--print shows lines of a shell, --json an outcome: give one.")
    output = common.output
    wanted = Wanted(
        wanted_address(address, common.project, os.environ),
        load_site(os.environ, Path(start_folder(common.project, os.environ))),
        os.environ,
        user_path(target).absolute() if target is not None else None,
        https=not no_https,
        offline=common.offline,
        typed=address is not None,
    )
    if print_only:
        for line in printed_pull(wanted):
            output.text(line)
        return
    outcome = pull(wanted, output)
    if as_json:
        output.data(_data(outcome))
    else:
        _show(output, outcome, typed=address is not None)


def _show(output: Output, outcome: "PullOutcome", *, typed: bool) -> None:
    if outcome.before is not None:
        output.note(f"{outcome.address} is another image now: it was {outcome.before.digest}")
        if Path(outcome.before.path).is_file():
            output.note(f"that one stays: {outcome.before.path}")
    if outcome.unasked:
        output.note(f"whether {outcome.address} has moved is not known: {outcome.unasked}")
    said = f"{outcome.address} is there already" if outcome.fresh else f"pulled {outcome.address}"
    output.result(f"{said}: {outcome.digest}")
    output.result(f"  {outcome.path} ({megabytes(outcome.size)})")
    if not outcome.pin:
        output.result(f'to use it: [image] path = "{outcome.path}"')
    elif typed or str(outcome.address) != outcome.pin:
        output.result(f'to have this very image: [image] uri = "{outcome.pin}"')


def _data(outcome: "PullOutcome") -> dict[str, object]:
    return {
        "address": str(outcome.address),
        "digest": outcome.digest,
        "path": str(outcome.path),
        "size": outcome.size,
        "pulled": not outcome.fresh,
        "before": outcome.before.digest if outcome.before is not None else None,
        "uri": outcome.pin or None,
    }
