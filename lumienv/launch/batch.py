"""Batch scripts that need no lumienv where they run: bash, srun and the container runtime are enough.

The script looks up the environment, writes down that its job uses it, sets variables and becomes `srun`: so
signals (`scancel`, `--signal=B:…`), the exit status and requeueing are as with srun alone.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lumienv.errors import ContainerError, UsageError
from lumienv.launch.plan import LaunchPlan
from lumienv.launch.shape import gpus_in
from lumienv.launch.slurm import option_words, replaced
from lumienv.launch.slurm_options import BATCH, SBATCH, SRUN, read_options
from lumienv.manifest import Manifest
from lumienv.overlay.generation import FILE_NAME, Generation
from lumienv.overlay.leases import FOLDER

_WIDTH = 100  # columns

# About the submission, not about the job: they would mean nothing in the script.
_OF_THE_SUBMISSION = frozenset(("wait", "parsable", "test-only", "quiet", "verbose", "ignore-pbs", "version"))

# An option of sbatch → the variable by which its job's srun learns of it (srun's manual, INPUT ENVIRONMENT).
_SEEN_BY_SRUN = {
    "nodes": "SLURM_NNODES",
    "ntasks": "SLURM_NTASKS",
    "ntasks-per-node": "SLURM_NTASKS_PER_NODE",
    "gpus": "SLURM_GPUS",
    "gpus-per-node": "SLURM_GPUS_PER_NODE",
    "gpus-per-task": "SLURM_GPUS_PER_TASK",
    "partition": "SLURM_JOB_PARTITION",
    "cpus-per-task": "SRUN_CPUS_PER_TASK",
    "exclusive": "SBATCH_EXCLUSIVE",
}

# `leases` takes what lumienv itself would write (lumienv/overlay/leases.py): nothing is appended to a link,
# or to what somebody else has put there, and where nothing can be written the job runs all the same.
_LEASE = """\
(
  umask 022
  lease={leases}/$(printf %s "${{SLURM_CLUSTER_NAME:-slurm}}" | tr ./ __).$SLURM_JOB_ID
  set -C
  [ -e "$lease" ] || [ -L "$lease" ] || : >"$lease"
  set +C
  [ -f "$lease" ] && [ -O "$lease" ] && [ ! -L "$lease" ] && printf '%s\\n' "${{generation##*/}}" >>"$lease"
) 2>/dev/null"""

_PROCESSORS = """\
# Slurm from 22.05 on does not hand the job's --cpus-per-task to srun by itself.
[ -z "${SLURM_CPUS_PER_TASK-}" ] || export SRUN_CPUS_PER_TASK="${SRUN_CPUS_PER_TASK-$SLURM_CPUS_PER_TASK}\""""


@dataclass(frozen=True)
class BatchWords:
    """What was typed and what `[slurm]` holds, by who takes it."""

    submission: tuple[str, ...]
    """for sbatch's command line alone"""
    job: tuple[str, ...]
    """for the job: `#SBATCH` lines"""
    step: tuple[str, ...]
    """for srun in the job"""

    def named(self, words: tuple[str, ...]) -> "BatchWords":
        """The same, with the job's name in front."""
        return BatchWords(self.submission, (*words, *self.job), self.step)


def batch_words(options: Mapping[str, str | bool], typed: Sequence[str]) -> BatchWords:
    """Share out `[slurm]` and what is typed, which goes before it. Raises UsageError for --wrap."""
    asked, _ = read_options(typed, BATCH)
    given = {option.name for option in asked}
    if "wrap" in given:
        raise UsageError("--wrap: the command stands behind `--`", hint="lumienv sbatch OPTIONS -- COMMAND")
    left = {name: value for name, value in options.items() if not replaced(name, given)}
    mine = {name: value for name, value in left.items() if _is_of_the_step(name)}
    words: dict[bool, list[str]] = {
        True: option_words(mine),
        False: option_words({name: value for name, value in left.items() if name not in mine}),
    }
    submission = []
    for option in asked:
        if option.name in _OF_THE_SUBMISSION:
            submission.append(option.word if option.known else option.words[0])
        elif option.known:
            words[_is_of_the_step(option.name)].append(option.word)
        else:
            words[False] += option.words
    return BatchWords(tuple(submission), tuple(words[False]), tuple(words[True]))


def _is_of_the_step(name: str) -> bool:
    return SRUN.knows(name) and not SBATCH.knows(name)


def environ_of_job(environ: Mapping[str, str], job: Sequence[str]) -> dict[str, str]:
    """The environment as it will be in a job that is submitted with these words, as far as that is known.

    What Slurm has set for the job that this runs in, if any, says nothing about that one.
    """
    ours = {name: value for name, value in environ.items() if not name.startswith(("SLURM_", "SRUN_"))}
    ours["SLURM_JOB_ID"] = "0"
    options, _ = read_options(job, SBATCH)
    for option in options:
        if option.name in _SEEN_BY_SRUN:
            ours[_SEEN_BY_SRUN[option.name]] = option.value or ""
        gpus = gpus_in(option.value) if option.name == "gres" else None
        if gpus is not None:
            ours["SLURM_GPUS_PER_NODE"] = str(gpus)
    if "SLURM_NTASKS" not in ours and {"SLURM_NNODES", "SLURM_NTASKS_PER_NODE"} <= ours.keys():
        each, nodes = ours["SLURM_NTASKS_PER_NODE"], ours["SLURM_NNODES"]
        if each.isdigit() and nodes.isdigit():
            ours["SLURM_NTASKS"] = str(int(each) * int(nodes))
    return ours


def exported_names(job: Sequence[str]) -> frozenset[str] | None:
    """The variables that reach a job with these words; None where all do."""
    values = [option.value for option in read_options(job, SBATCH)[0] if option.name == "export"]
    words = (values[-1] or "").split(",") if values else ["ALL"]
    return None if "ALL" in words else frozenset(word.partition("=")[0] for word in words)


def job_name(command: Sequence[str], job: Sequence[str]) -> tuple[str, ...]:
    """The words that name the job after its command, where nothing else does: for sbatch it is `sbatch`."""
    named = any(option.name == "job-name" for option in read_options(job, SBATCH)[0])
    name = "".join(c for c in os.path.basename(command[0]) if c.isprintable())  # noqa: PTH119
    return () if named or not name else (f"--job-name={name}",)


def batch_script(plan: LaunchPlan, generation: Generation, manifest: Manifest, job: Sequence[str]) -> str:
    """The script for a plan that starts with `srun`. Raises UsageError for an option that fits no line."""
    store = manifest.store_path
    given = {option.name for option in read_options(plan.argv[1:])[0]}
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {_directive(word)}" for word in job),
        "",
        f"# {_comment(str(manifest.path))}: {_comment(generation.base_name)}, {generation.mode}.",
        "# Written by `lumienv sbatch`; it needs no lumienv where it runs.",
        f"generation={_found(generation, store)}",
        _check(generation, manifest),
        "",
        "# `lumienv clean` keeps the environment as long as this job is in the queue.",
        _LEASE.format(leases=shlex.quote(os.path.join(store, FOLDER))),  # noqa: PTH118
        "",
    ]
    if not given & {"cpus-per-task", "cpus-per-gpu", "ntasks", "ntasks-per-node"}:
        lines += [_PROCESSORS, ""]
    doubled = str(generation.path).replace('"', '""')
    own = {str(generation.path): '"$generation"'}
    if doubled != str(generation.path):  # as --mount's CSV writes it
        own[doubled] = '"$(printf %s "$generation" | sed \'s/"/""/g\')"'
    others = tuple(entry for entry in plan.written_as if entry[0] not in own)
    plan = replace(plan, written_as=(*reversed(own.items()), *others))
    if plan.unset:
        lines += [
            "# What may be set for other Pythons and containers (docs/launch.md).",
            *_unset(plan.unset),
            "",
        ]
    lines += plan.comments()
    missing = "has to be set when the job is submitted"
    lines += [f"export {name}={plan.word_for(name, missing)}" for name in plan.exported]
    by_env = [f"{name}={plan.word_for(name, missing)}" for name in plan.of_a_shell]
    start = " ".join(["exec", *(["env", *by_env] if by_env else []), _folded(plan)])
    return "\n".join([*lines, "", start, ""])


def submit(words: Sequence[str], script: str) -> None:
    """Become sbatch, with the script on its standard input: what it prints, and its status, are its own.

    Raises ContainerError when it cannot be started.
    """
    file = os.memfd_create("script")
    with os.fdopen(file, "wb", closefd=False) as written:
        written.write(os.fsencode(script))
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, 0)
    try:
        os.execvp("sbatch", ["sbatch", *words])  # noqa: S606 - this is the point
    except FileNotFoundError:
        raise ContainerError(
            "cannot start sbatch: there is no such program",
            hint="there is no Slurm here; for a machine that has it: lumienv sbatch --print",
        ) from None
    except OSError as error:
        raise ContainerError(f"cannot start sbatch: {error.strerror}") from None


def _unset(names: Sequence[str]) -> list[str]:
    """`unset`, a screen's width to a line."""
    lines = ["unset -v"]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append(" ")
        lines[-1] += f" {name}"
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _found(generation: Generation, store: "os.PathLike[str]") -> str:
    current = os.path.join(store, "current")  # noqa: PTH118
    if os.path.realpath(current) == os.path.realpath(generation.path):
        return f"$(readlink -f {shlex.quote(current)})"
    return shlex.quote(str(generation.path))


def _check(generation: Generation, manifest: Manifest) -> str:
    """What a later sync may have made of `current` is another carrier, or for another image."""
    # As the description has them: JSON, one to a line.
    told = [f'"mode": "{generation.mode}"', f'"identity": "{generation.identity}"']
    tests = " && ".join(f'grep -qsF {shlex.quote(text)} "$generation/{FILE_NAME}"' for text in told)
    problem = (
        f"error: the environment of {manifest.directory} is gone, or is of another image or mode than this "
        "script was written for\nhelp: run `lumienv sync` on a login node, and write the script anew with "
        "`lumienv sbatch`"
    )
    return f"{tests} || {{\n  printf '%s\\n' {shlex.quote(problem)} >&2\n  exit 1\n}}"


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _directive(word: str) -> str:
    """An option as sbatch reads it from a script: in quotes a backslash takes back what it and `"` mean."""
    if not word.isprintable():
        name = _comment(word.partition("=")[0])
        raise UsageError(
            f"the value of {name} has a newline or another character that no #SBATCH line can hold",
            hint="take it out of [slurm] in lumienv.toml, or of what was typed",
        )
    if all(c.isalnum() or c in "-_=.,:/%+@[]" for c in word):
        return word
    name, joined, value = word.partition("=")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}{joined}"{escaped}"'


def _folded(plan: LaunchPlan) -> str:
    """The words of the plan, a bind or an option of srun's to a line where they are many."""
    text, marks = "", ("--bind", "--mount")
    for place, word in enumerate(plan.argv):
        breaks = word in marks or (place > 1 and plan.argv[place - 2] in marks)
        text += (" \\\n  " if breaks else " " if place else "") + plan.quoted(word)
    return text
