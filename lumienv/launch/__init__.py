"""From a generation to the command that a job runs: computed once, before `srun`, and then become."""
