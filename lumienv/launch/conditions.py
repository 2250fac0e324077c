"""Whether what a site says of a variable or an option holds for one launch (`when`, `unless`, `families`)."""

from collections.abc import Mapping, Sequence

from lumienv.launch.shape import Shape, asked_for
from lumienv.site import Setting, SlurmOption
from lumienv.values import dataclass

# What stands for an option where the words of srun do not say it (srun's manual, INPUT
# ENVIRONMENT VARIABLES).
# SLURM_CPU_BIND is srun's own output in a step, and the user's wish elsewhere.
_VARIABLES = {"cpu-bind": "SLURM_CPU_BIND", "gpu-bind": "SLURM_GPU_BIND", "hint": "SLURM_HINT"}


@dataclass(frozen=True)
class Circumstances:
    """All that decides which entries hold."""

    family: str
    shape: Shape
    asked: Mapping[str, str]
    """srun's options as they are asked for: long name → value"""
    environ: Mapping[str, str]

    @property
    def cpus_per_task(self) -> int | None:
        """What is asked for, or the job was; srun takes it from a variable of its own (Slurm 22.05 on)."""
        texts = (self.asked.get("cpus-per-task"), *map(self.environ.get, _CPUS))
        return next((int(text) for text in texts if text and text.isdigit()), None)

    @property
    def numbers(self) -> dict[str, int | None]:
        """The numbers that templates and conditions may name, None where they are not known."""
        shape, cpus = self.shape, self.cpus_per_task
        each = shape.tasks_per_node
        return {
            "nodes": shape.nodes,
            "tasks": shape.tasks,
            "tasks-per-node": each,
            "gpus-per-node": shape.gpus_per_node,
            "cpus-per-task": cpus,
            "cpus-per-node": each * cpus if each and cpus else None,
        }

    def concern(self, what: Setting | SlurmOption) -> bool:
        """Whether this entry holds here."""
        return (
            (not what.families or self.family in what.families)
            and all(map(self.holds, what.when))
            and not any(map(self.is_given, what.unless))
        )

    def holds(self, condition: str) -> bool:
        """Whether one condition of `site.presets` is known to hold."""
        name, compared, value = condition.partition("=")
        if name.isupper():
            here = self.environ.get(name, "")
            return here == value if compared else bool(here)
        if not compared:
            if condition == "allocated":
                return "SLURM_JOB_ID" in self.environ
            if condition in ("gpus", "no-gpus"):
                has_gpus = self.shape.gpus_per_node is not None or bool(
                    self.environ.get("SLURM_GPUS_ON_NODE")
                )
                return self.shape.slurm and has_gpus == (condition == "gpus")
            return self.shape.holds(condition)
        known = self.numbers[name]
        return known == int(value) or (known is None and name == "cpus-per-task")

    def is_given(self, name: str) -> bool:
        """Whether the user says this option of srun's, or has this variable."""
        if name.isupper():
            return bool(self.environ.get(name))
        in_step = "SLURM_STEP_ID" in self.environ
        return name in self.asked or (not in_step and bool(self.environ.get(_VARIABLES.get(name, ""))))


_CPUS = ("SRUN_CPUS_PER_TASK", "SLURM_CPUS_PER_TASK")


def circumstances(
    family: str, shape: Shape, launcher: Sequence[str], environ: Mapping[str, str]
) -> Circumstances:
    """Those of a launch with these words of srun's."""
    return Circumstances(family, shape, dict(asked_for(launcher)), environ)
