"""Slurm: its commands, whether it answers, and what the site and the project ask of it."""

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lumienv.errors import ContainerError
from lumienv.launch.slurm import option_words
from lumienv.project.finding import FINE, NOTE, PROBLEM, UNKNOWN, Case, Finding, Machine, last_line, listed

_COMMANDS = ("srun", "sbatch", "salloc", "squeue", "scontrol")

# What decides whether an account may use a partition in this way; the rest of [slurm] is of no concern here.
_ACCESS = (
    *("account", "partition", "qos", "reservation", "time", "nodes", "ntasks", "ntasks-per-node"),
    *("cpus-per-task", "gpus", "gpus-per-node", "gres", "mem", "mem-per-cpu", "mem-per-gpu"),
    *("constraint", "exclusive"),
)


@dataclass(frozen=True)
class Partition:
    """What `scontrol show partition` says of one."""

    name: str
    up: bool
    whole_nodes: bool
    """OverSubscribe=EXCLUSIVE: a job has its nodes for itself"""


def check_slurm(case: Case) -> Iterator[Finding]:
    """Commands, version, partitions. Where the cluster does not answer, nothing more is asked of it."""
    path = case.machine.environ.get("PATH")
    missing = [name for name in _COMMANDS if shutil.which(name, path=path) is None]
    if len(missing) == len(_COMMANDS):
        needed = bool(case.site.whole_node_partitions)
        yield Finding(
            "commands",
            PROBLEM if needed else FINE,
            "none of Slurm's is on PATH" + ("" if needed else ": commands start directly"),
            "log in anew, or: module load slurm" if needed else "",
        )
        return
    if missing:
        yield Finding("commands", NOTE, f"not on PATH: {listed(missing)}", "log in anew")
    try:
        version = case.machine.ask("scontrol", "--version").stdout.strip()
        told = case.machine.ask("scontrol", "--all", "--oneliner", "show", "partition")
    except ContainerError as error:
        yield Finding("cluster", PROBLEM, error.message, "try again in a minute; then: sinfo")
        return
    if told.returncode != 0:
        yield Finding(
            "cluster",
            PROBLEM,
            f"{version or 'Slurm'} does not answer: {last_line(told.stderr)}",
            "try again in a minute; then: sinfo",
        )
        return
    partitions = read_partitions(told.stdout)
    cluster = case.machine.environ.get("SLURM_CLUSTER_NAME", "")
    facts = f"{version} answers{f' for {cluster}' if cluster else ''}, with {len(partitions)} partitions"
    yield Finding("cluster", FINE, facts)
    yield from _whole_nodes(case, partitions)
    yield from _access(case, partitions)


def read_partitions(text: str) -> dict[str, Partition]:
    """name → partition, from the lines of `scontrol --oneliner show partition`."""
    found = {}
    for line in text.splitlines():
        values = dict(re.findall(r"(\w+)=(\S*)", line))
        if name := values.get("PartitionName"):
            exclusive = values.get("OverSubscribe") == "EXCLUSIVE"
            found[name] = Partition(name, values.get("State", "UP") == "UP", exclusive)
    return found


def _whole_nodes(case: Case, partitions: Mapping[str, Partition]) -> Iterator[Finding]:
    """The profile's partitions of whole nodes: CPU masks are set there and nowhere else."""
    named = case.site.whole_node_partitions
    gone = [name for name in named if name not in partitions]
    shared = [name for name in named if name in partitions and not partitions[name].whole_nodes]
    if gone:
        facts = f"the profile of {case.site.name} names {listed(gone)}, which this cluster does not have"
        yield Finding("partitions", NOTE, facts, "sinfo -s; tell the maintainers of the site's profile")
    if shared:
        facts = f"jobs in {listed(shared)} may share nodes, while the profile takes them for whole"
        remedy = "srun --exclusive; tell the maintainers of the site's profile"
        yield Finding("partitions", PROBLEM, facts, remedy, "scontrol show partition: OverSubscribe")
    if named and not gone and not shared:
        yield Finding("partitions", FINE, f"jobs in {listed(list(named))} have whole nodes")


def _access(case: Case, partitions: Mapping[str, Partition]) -> Iterator[Finding]:
    """Whether a job with the project's `[slurm]` would be taken; nothing is submitted."""
    options = case.project.manifest.slurm if case.project else {}
    name = options.get("partition")
    if isinstance(name, str):
        unknown = [one for one in name.split(",") if one not in partitions]
        down = [one for one in name.split(",") if one in partitions and not partitions[one].up]
        if unknown:
            facts = f"[slurm] partition: this cluster has no {listed(unknown)}"
            yield Finding("[slurm]", PROBLEM, facts, f"there are: {', '.join(partitions)}")
            return
        if down:
            yield Finding("[slurm]", NOTE, f"the partition {listed(down)} is not up: jobs wait", "sinfo -s")
    words = option_words({key: value for key, value in options.items() if key in _ACCESS})
    if not words:
        return
    try:
        tried = case.machine.ask("sbatch", "--test-only", *words, "--wrap", "true")
    except ContainerError as error:
        yield Finding(
            "[slurm]", UNKNOWN, error.message, f"sbatch --test-only {shlex.join(words)} --wrap true"
        )
        return
    if tried.returncode == 0:
        yield Finding("[slurm]", FINE, f"a job with {shlex.join(words)} would be taken")
        return
    facts = f"a job with {shlex.join(words)} would be refused: {_refusal(tried.stderr)}"
    yield Finding(
        "[slurm]", PROBLEM, facts, "change [slurm] in lumienv.toml; your accounts: sacctmgr show assoc"
    )


def _refusal(text: str) -> str:
    return re.sub(r"^(sbatch: error: |allocation failure: )+", "", last_line(text))


def check_slurm_variables(case: Case) -> Iterator[Finding]:
    """Variables that change what srun and sbatch do, set in a shell and forgotten."""
    environ = case.machine.environ
    in_job = "SLURM_JOB_ID" in environ
    found = False
    for name in ("SLURM_EXPORT_ENV", "SRUN_EXPORT_ENV", "SBATCH_EXPORT"):
        value = environ.get(name, "ALL")
        if value.split(",")[0] not in ("ALL", ""):
            found = True
            facts = f"{name}={value}: plain srun and sbatch leave your variables behind; lumienv run does not"
            yield Finding("variables", NOTE, facts, f"unset {name}", "srun's manual, --export")
    asked, given = environ.get("SLURM_CPUS_PER_TASK"), environ.get("SRUN_CPUS_PER_TASK")
    own = case.project is not None and "cpus-per-task" in case.project.manifest.slurm
    if in_job and asked not in (None, "1") and given is None and not own:
        found = True
        facts = f"the job has {asked} CPUs a task, but srun gives a task one: it does not take this over"
        remedy = "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK"
        yield Finding("variables", NOTE, facts, remedy, "srun's manual, --cpus-per-task, since 22.05")
    if given is not None and not in_job:
        found = True
        facts = f"SRUN_CPUS_PER_TASK={given} is set outside a job: every srun asks for so many CPUs"
        yield Finding("variables", NOTE, facts, "unset SRUN_CPUS_PER_TASK", "srun's manual")
    if not in_job and (stale := _left_over(case.machine)):
        found = True
        facts = f"{listed(stale)} are set outside a job: srun takes them for options"
        yield Finding("variables", NOTE, facts, f"unset {' '.join(stale)}", "srun's manual")
    if not found:
        yield Finding("variables", FINE, "none changes what srun and sbatch do")


def _left_over(machine: Machine) -> list[str]:
    """Variables of an allocation that has ended: from a shell that was saved, or a copied environment."""
    names = ("SLURM_NTASKS", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE", "SLURM_CPUS_PER_TASK", "SLURM_STEP_ID")
    return [name for name in names if name in machine.environ]
