"""How a launch is spread over nodes, tasks and GPUs, as far as that is known before it starts."""

from collections.abc import Iterator, Mapping, Sequence

from lumienv.site import Site
from lumienv.values import dataclass

# Short option → long option, of srun's that say how much is asked for (srun's manual).
_SHORT = {"-N": "nodes", "-n": "ntasks", "-c": "cpus-per-task", "-G": "gpus", "-p": "partition"}


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
    """The shape of what starts with these srun words (none: directly) in this environment."""
    asked = dict(asked_for(launcher))
    nodes = _number(asked.get("nodes") or environ.get("SLURM_NNODES"))
    tasks = _number(asked.get("ntasks") or environ.get("SLURM_NTASKS"))
    each = _number(asked.get("ntasks-per-node") or environ.get("SLURM_NTASKS_PER_NODE"))
    if each is None and nodes and tasks:
        each = tasks // nodes if tasks % nodes == 0 else None
    if tasks is None and nodes and each:
        tasks = nodes * each
    gpus = _number(asked.get("gpus-per-node") or environ.get("SLURM_GPUS_PER_NODE"))
    partition = asked.get("partition") or environ.get("SLURM_JOB_PARTITION", "")
    return Shape(
        slurm=bool(launcher) or "SLURM_STEP_ID" in environ,
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=each,
        gpus_per_node=gpus,
        whole_nodes="exclusive" in asked or partition in site.whole_node_partitions,
    )


def asked_for(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(long name, value) of the options among srun's words; the last of a name is the one that counts."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("--"):
            name, joined, value = word[2:].partition("=")
            yield name, value if joined else (waiting[0] if waiting else "")
        elif word[:2] in _SHORT:
            yield _SHORT[word[:2]], word[2:] or (waiting[0] if waiting else "")


def _number(text: str | None) -> int | None:
    """`8`, also out of `mi250:8` and `4-4`."""
    digits = (text or "").rpartition(":")[2].partition("-")[0]
    return int(digits) if digits.isdigit() else None
