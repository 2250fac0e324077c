"""`lumienv sbatch`"""

import os
import sys
from collections.abc import Sequence

from lumienv.cli.run import sync_first
from lumienv.cli.srun_command import SlurmCommand
from lumienv.launch.arguments import RunArguments
from lumienv.launch.batch import (
    BatchWords,
    batch_script,
    batch_words,
    environ_of_job,
    exported_names,
    job_name,
    submit,
)
from lumienv.launch.plan import LaunchPlan
from lumienv.launch.run import planned, ready
from lumienv.launch.slurm_arguments import misspelt, parse_slurm
from lumienv.launch.slurm_options import BATCH
from lumienv.overlay.leases import PRINTED, take_lease
from lumienv.site import load_site
from lumienv.ui import Output, colored


def sbatch(words: Sequence[str]) -> int:
    """Become sbatch, with the script on its standard input; returns only when it was printed."""
    arguments = parse_slurm(words, os.environ, BATCH)
    output = Output(arguments.quiet, color=colored(arguments.color, os.environ))
    for line in misspelt(arguments.options, BATCH):
        output.warn(line)
    script, parts = _written(arguments, output)
    if arguments.print_only:
        sys.stdout.buffer.write(os.fsencode(script))
        sys.stdout.flush()
        return 0
    submit([*parts.submission, *parts.job], script)
    return 0


def _written(arguments: RunArguments, output: Output) -> tuple[str, BatchWords]:
    manifest, generation = ready(
        arguments, os.environ, lambda folder, reason: sync_first(folder, reason, arguments), output.note
    )
    if generation.path.name != os.path.basename(os.path.realpath(manifest.store_path / "current")):  # noqa: PTH119
        take_lease(generation.path, PRINTED)  # the job that will use it may wait for long
    parts = batch_words(manifest.slurm, arguments.options)
    parts = parts.named(job_name(arguments.command, parts.job))
    environ = environ_of_job(os.environ, parts.job)
    site = load_site(os.environ, manifest.directory)
    launcher = ["srun", *parts.step, "--export=ALL"]
    plan = planned(arguments, generation, manifest, site, environ, launcher)
    for line in plan.notes:
        output.note(line)
    _say_what_export_leaves_out(plan, parts, output)
    return batch_script(plan, generation, manifest, parts.job), parts


def _say_what_export_leaves_out(plan: LaunchPlan, parts: BatchWords, output: Output) -> None:
    names = exported_names(parts.job)
    for host in sorted(set(plan.secrets.values())) if names is not None else ():
        if host not in (names or ()):
            output.warn(f"the job needs {host} of this shell, and --export leaves it out")


command = SlurmCommand(
    "sbatch",
    sbatch,
    "Submit a command as a batch job, or write its script with --print. The script needs no lumienv where it "
    "runs. sbatch's options, srun's and those below stand before `--`; `-C`, `-q` and `-v` are sbatch's.",
    "[SBATCH'S OPTIONS] [OPTIONS] -- COMMAND...",
)
