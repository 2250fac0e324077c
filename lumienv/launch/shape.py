"""How a launch is spread over nodes, tasks and GPUs, as far as that is known before it starts."""

from collections.abc import Iterator, Mapping, Sequence

from lumienv.site import Site
from lumienv.values import dataclass

# Nodes, tasks, tasks on each node; None: not known, or not the same on all.
_Spread = tuple[int | None, int | None, int | None]


@dataclass(frozen=True)
class Shape:
    """Numbers that are not known are None."""

    slurm: bool = False
    """there are tasks of Slurm's: srun is in front, or this is one of its steps"""
    nodes: int | None = None
    tasks: int | None = None
    tasks_per_node: int | None = None
    gpus_per_node: int | None = None
    whole_nodes: bool = False
    """known to have all of each node"""

    def holds(self, condition: str) -> bool:
        """Whether a condition of `site.presets.CONDITIONS` is known to hold."""
        each = self.tasks_per_node
        return {
            "slurm": self.slurm,
            "one-node": self.nodes == 1,
            "several-nodes": self.nodes is not None and self.nodes > 1,
            "whole-node": self.whole_nodes,
            "one-task-a-node": each == 1,
            "task-a-gpu": each is not None and each > 1 and each == self.gpus_per_node,
            "no-gpus": self.slurm and self.gpus_per_node is None,
        }[condition]


def shape_of(launcher: Sequence[str], environ: Mapping[str, str], site: Site) -> Shape:
    """The shape of what starts with these srun words (none: directly) in this environment.

    The variables are those of an allocation, or of a step when nothing is put in front (srun's manual, INPUT
    and OUTPUT ENVIRONMENT VARIABLES); what the words ask for goes before them.
    """
    asked = dict(asked_for(launcher)) if launcher else {}
    spread = _of_step(environ) if not launcher and "SLURM_STEP_ID" in environ else _of_srun(asked, environ)
    nodes, tasks, each = spread
    if tasks is None and nodes and launcher:
        tasks, each = nodes, 1  # srun's own default: one task on each node
    return Shape(
        slurm=bool(launcher) or "SLURM_STEP_ID" in environ,
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=each,
        gpus_per_node=_gpus(asked, environ, spread),
        whole_nodes=_has_whole_nodes(asked, environ, site),
    )


def _of_step(environ: Mapping[str, str]) -> _Spread:
    return (
        _number(environ.get("SLURM_STEP_NUM_NODES") or environ.get("SLURM_NNODES")),
        _number(environ.get("SLURM_STEP_NUM_TASKS") or environ.get("SLURM_NTASKS")),
        evenly(environ.get("SLURM_STEP_TASKS_PER_NODE")),
    )


def _of_srun(asked: Mapping[str, str], environ: Mapping[str, str]) -> _Spread:
    nodes = _number(asked.get("nodes") or environ.get("SLURM_NNODES"))
    # The number of tasks of an allocation goes before --ntasks-per-node, which is a limit then.
    tasks = _number(asked.get("ntasks") or environ.get("SLURM_NTASKS") or environ.get("SLURM_NPROCS"))
    if tasks is None:
        each = _number(asked.get("ntasks-per-node") or environ.get("SLURM_NTASKS_PER_NODE"))
        return nodes, nodes * each if nodes and each else None, each
    if not asked.keys() & {"nodes", "ntasks"} and "SLURM_TASKS_PER_NODE" in environ:
        return nodes, tasks, evenly(environ["SLURM_TASKS_PER_NODE"])
    return nodes, tasks, tasks // nodes if nodes and tasks % nodes == 0 else None


def asked_for(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(long name, value) of the options among srun's words; the last of a name is the one that counts."""
    from lumienv.launch.slurm_options import read_options

    options, _ = read_options(words[1:] if words and words[0] in ("srun", ":") else words)
    for option in options:
        yield option.name, option.value or ""


def evenly(text: str | None) -> int | None:
    """How many tasks each node has, of `8(x2)` (SLURM_TASKS_PER_NODE); None where nodes differ."""
    counts = {part.partition("(")[0] for part in (text or "").split(",")}
    return _number(counts.pop()) if len(counts) == 1 else None


def gpus_in(gres: str | None) -> int | None:
    """How many GPUs a node has by `--gres`: `gpu:8`, `gpu:mi250:4`, `gpu`, `tmp:1,gpu:2(S:0)`."""
    total = None
    for entry in (gres or "").split(","):
        kind, _, rest = entry.partition("(")[0].replace("=", ":").partition(":")
        if kind == "gpu" or entry.startswith("gres/gpu"):
            count = rest.rpartition(":")[2]
            total = (total or 0) + (int(count) if count.isdigit() else 1)
    return total


def _gpus(asked: Mapping[str, str], environ: Mapping[str, str], spread: _Spread) -> int | None:
    """GPUs on each node: as asked for, else as the allocation has them."""
    found = _gpus_of(asked, "gpus-per-node", "gpus", "gpus-per-task", spread)
    if found is None:
        found = gpus_in(asked.get("gres"))
    if found is None:
        names = ("SLURM_GPUS_PER_NODE", "SLURM_GPUS", "SLURM_GPUS_PER_TASK")
        found = _gpus_of(environ, *names, _of_srun({}, environ))
    # Only on a node of the job: a batch script's, or a task's.
    return found if found is not None else _number(environ.get("SLURM_GPUS_ON_NODE"))


def _gpus_of(
    said: Mapping[str, str], per_node: str, total: str, per_task: str, spread: _Spread
) -> int | None:
    nodes, _, each = spread
    found, in_all, for_each = (_counted(said.get(name)) for name in (per_node, total, per_task))
    if found is None and nodes and in_all is not None and in_all % nodes == 0:
        found = in_all // nodes
    if found is None and each and for_each is not None:
        found = for_each * each
    return found


def _has_whole_nodes(asked: Mapping[str, str], environ: Mapping[str, str], site: Site) -> bool:
    # In a job --exclusive is about steps: this one's processors are no other's. The job has its submitter's
    # variables. With `=user` or `=mcs` others of one's own may be on the node (srun's and sbatch's manuals).
    exclusive = environ.get("SBATCH_EXCLUSIVE") if "SLURM_JOB_ID" in environ else asked.get("exclusive")
    if exclusive is not None and exclusive not in ("user", "mcs"):
        return True
    # Of a job's own partition srun cannot be told another.
    return (environ.get("SLURM_JOB_PARTITION") or asked.get("partition", "")) in site.whole_node_partitions


def _counted(text: str | None) -> int | None:
    """`8`, `mi250:8`, `a:4,b:4`."""
    numbers = [_number(part) for part in text.split(",")] if text else []
    known = [number for number in numbers if number is not None]
    return sum(known) if known and len(known) == len(numbers) else None


def _number(text: str | None) -> int | None:
    """`8`, also out of `mi250:8`, `4-4` and `2k`; None where the ends of a range differ."""
    first, ranged, last = (text or "").rpartition(":")[2].partition("-")
    digits, factor = (first[:-1], 1024) if first[-1:] in ("k", "K") else (first, 1)
    if ranged and last != first:
        return None
    return int(digits) * factor if digits.isdigit() else None
