"""Slurm: is a command to go through `srun`, and with which words?

What holds about steps and allocations was tried with Slurm 22.05 (tests/integration/test_srun.py).
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from lumienv.errors import UsageError

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from lumienv.launch.slurm_options import SlurmOption

LAUNCHERS = ("auto", "srun", "direct")

# From this id on steps are Slurm's own: `salloc`'s interactive step, the batch script (slurm.h,
# SLURM_INTERACTIVE_STEP = 0xfffffffa). A shell in one of them stands in no step of the user's.
_SLURMS_OWN_STEPS = 4294967290

# Options of srun that belong to a step, whatever the allocation is like. The others make a job: in an
# allocation they are settled, or mean something else (`--exclusive`, `--time`, `--mem`).
_STEP = """
accel-bind acctg-freq bcast bcast-exclude chdir compress cpu-bind cpu-freq disable-status distribution
epilog exact export external-launcher gpu-bind gpu-freq het-group hint immediate input interactive
kill-on-bad-exit label mem-bind mpi msg-timeout multi-prog network no-kill ntasks-per-core oom-kill-step
open-mode overcommit overlap preserve-env profile prolog propagate pty quiet quit-on-interrupt relative
resv-ports send-libs slurmd-debug task-epilog task-prolog threads threads-per-core treewidth tres-bind
unbuffered verbose wait whole x11"""
STEP_OPTIONS = frozenset(_STEP.split())

# An option, and the variables that say an allocation was made with such a one: srun reads them itself.
_INHERITED: Mapping[str, tuple[str, ...]] = {
    "ntasks": ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"),
    "ntasks-per-node": ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"),
    "cpus-per-task": ("SLURM_CPUS_PER_TASK", "SRUN_CPUS_PER_TASK", "SLURM_CPUS_PER_GPU"),
}

# Of each of these one is enough: what is typed replaces the others too, which srun would refuse beside it.
_ALTERNATIVES: tuple[frozenset[str], ...] = (
    frozenset(("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket", "gres")),
    frozenset(("mem", "mem-per-cpu", "mem-per-gpu")),
    frozenset(("cpus-per-task", "cpus-per-gpu")),
)


# Of no use to one task with a terminal; srun refuses some of them there.
_NOT_INTERACTIVE = frozenset(
    ("label", "unbuffered", "output", "error", "input", "cpu-bind", "ntasks-per-node", "multi-prog")
)


def typed_words(text: str) -> list[str]:
    """What `--srun` was given, split as a shell does. Raises UsageError where no shell could."""
    if not text:
        return []
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--srun {text}: {error}") from None


def starts_step(choice: str, environ: Mapping[str, str]) -> bool:
    """Whether `srun` is to stand in front: with `auto`, in an allocation and not in one of its steps.

    Raises UsageError for a `choice` that there is not.
    """
    if choice not in LAUNCHERS:
        raise UsageError(f"there is no launcher {choice}", hint=f"known: {', '.join(LAUNCHERS)}")
    return choice == "srun" or (choice == "auto" and "SLURM_JOB_ID" in environ and not in_step(environ))


def in_step(environ: Mapping[str, str]) -> bool:
    """Whether this is a task of a step that somebody started with srun."""
    step = environ.get("SLURM_STEP_ID", "")
    if not step.isdigit() or int(step) >= _SLURMS_OWN_STEPS:
        return False
    daemon = _step_daemon()
    if daemon is None:
        return True
    job, _, name = daemon.partition(".")
    # A job that was submitted from a step, or an allocation that was made in one, has that step's variables
    # still. The parts of a heterogeneous job have ids of their own, and the variable of the first.
    return name.isdigit() and (job == environ.get("SLURM_JOB_ID") or "SLURM_HET_SIZE" in environ)


def _step_daemon() -> str | None:
    """Which step's daemon has started this process, as it calls itself: `410.0`, `410.batch`."""
    process = os.getppid()
    while process > 1:
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123 - before every job
                title = file.read()
            if title.startswith(b"slurmstepd: ["):
                return title[13:].partition(b"]")[0].decode("ascii", "replace")
            with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
                process = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return None
    return None


def launcher_words(
    options: Mapping[str, str | bool],
    typed: Sequence[str],
    environ: Mapping[str, str],
    note: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """`srun` and its options: the manifest's `[slurm]` in `options`, by their long names, then what is typed.

    Of `[slurm]` only that counts which neither `typed` nor the allocation has settled. `note` is told of
    what an allocation is too small for.
    """
    from lumienv.launch.slurm_options import read_options

    asked, _ = read_options(typed)
    given = {option.name for option in asked}
    left = {name: value for name, value in options.items() if not replaced(name, given)}
    if "pty" in given:
        left = {name: value for name, value in left.items() if name not in _NOT_INTERACTIVE}
    if "SLURM_JOB_ID" in environ or "jobid" in given:
        left = _of_step(left, environ, note)
    # Whatever SLURM_EXPORT_ENV says: the plan travels in the environment. Another that is asked for wins.
    export = [] if "export" in left else ["--export=ALL"]
    return ["srun", *option_words(left), *export, *typed]


def option_words(options: Mapping[str, str | bool]) -> list[str]:
    """The words of `[slurm]`'s options; one that is false is none."""
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in options.items()
        if value is not False
    ]


def replaced(name: str, given: Iterable[str]) -> bool:
    """Whether an option of `[slurm]` has to go, as one of the names `given` was typed."""
    names = set(given)
    alternatives = (group for group in _ALTERNATIVES if name in group)
    # A limit for each node goes with a new total, but not the other way round.
    return (
        name in names
        or any(names & group for group in alternatives)
        or (name == "ntasks" and "ntasks-per-node" in names)
    )


def _of_step(
    options: Mapping[str, str | bool], environ: Mapping[str, str], note: Callable[[str], None]
) -> dict[str, str | bool]:
    """What is left of `[slurm]` for a step in an allocation that was made with other options.

    GPUs are never asked for again: without an option a step has all of its job's, and srun refuses more.
    """
    kept: dict[str, str | bool] = {}
    for name, value in options.items():
        if name in STEP_OPTIONS:
            kept[name] = value
        elif name in _INHERITED and not any(variable in environ for variable in _INHERITED[name]):
            if _fits(name, value, options, environ):
                kept[name] = value
            else:
                note(f"[slurm] {name} = {value} is left out: this allocation has no room for it")
    return kept


def _fits(
    name: str, value: str | bool, options: Mapping[str, str | bool], environ: Mapping[str, str]
) -> bool:
    """Whether the allocation has processors for so many tasks, as far as its variables tell."""
    each = _counts(environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    if not each or not str(value).isdigit() or options.get("overcommit"):
        return True
    wanted = int(value)
    if name == "cpus-per-task":
        tasks = _counts(environ.get("SLURM_TASKS_PER_NODE", "")) or [1] * len(each)
        return all(here >= wanted * count for here, count in zip(each, tasks, strict=False))
    width = environ.get("SLURM_CPUS_PER_TASK", str(options.get("cpus-per-task", "1")))
    wanted *= int(width) if width.isdigit() else 1
    return wanted <= (sum(each) if name == "ntasks" else min(each))


def _counts(text: str) -> list[int]:
    """`8(x2),3` is 8, 8, 3; nothing for what has another form."""
    counts: list[int] = []
    for part in text.split(","):
        count, _, times = part.rstrip(")").partition("(x")
        if not count.isdigit() or not (times or "1").isdigit():
            return []
        counts += [int(count)] * int(times or "1")
    return counts


def with_processors(words: Sequence[str], presets: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """srun's words, with the allocation's --cpus-per-task where nobody says otherwise.

    Slurm from 22.05 on does not hand it to srun: tasks would share one processor. `presets` are the words
    that presets have added: of those that say how many tasks there are, each shall have what it gets.
    """
    width = environ.get("SLURM_CPUS_PER_TASK", "")
    if not words or not width.isdigit() or "SRUN_CPUS_PER_TASK" in environ:
        return list(words)
    from lumienv.launch.slurm_options import read_options

    given = {option.name for option in read_options(words[1:])[0]}
    spread = {option.name for option in read_options(presets)[0]} & {"ntasks", "ntasks-per-node"}
    if spread or given & {"cpus-per-task", "cpus-per-gpu", "jobid", "tres-per-task", "pty"}:
        return list(words)
    return [words[0], f"--cpus-per-task={width}", *words[1:]]


def reaching(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The same srun words, but with the variables `names` reaching the tasks whatever --export is asked for.

    `NONE` becomes these names alone, a list is made longer; values stay off the command line
    (srun's manual, --export: what is named is taken from srun's own environment).
    """
    if not words:
        return []
    from lumienv.launch.slurm_options import read_options

    options, rest = read_options(words[1:])
    adjusted: list[str] = []
    for option in options:
        adjusted += [_exported(option, names)] if option.name == "export" else option.words
    return [words[0], *adjusted, *rest]


def _exported(option: "SlurmOption", names: Sequence[str]) -> str:
    kept = [name for name in (option.value or "").split(",") if name not in ("", "NONE", "NIL")]
    if "ALL" not in kept:
        kept += [name for name in names if name not in kept]
    return "--export=" + ",".join(kept)
