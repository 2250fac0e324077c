"""The options of srun and sbatch, and words read as these programs read them (getopt_long).

The tables are those of the manuals of Slurm 22.05 to 24.05. A test holds them against the programs.
This is `lumienv run`'s way: it imports next to nothing.
"""

from collections.abc import Sequence

from lumienv.values import dataclass

_BOTH_VALUED = """account acctg-freq
bb bbf begin chdir cluster-constraint clusters comment constraint container
container-id context core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot
dependency distribution error exclude export extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node
gpus-per-socket gpus-per-task gres gres-flags hint input job-name licenses mail-type mail-user mcs-label mem
mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu
ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority profile qos reservation
segment signal sockets-per-node switches thread-spec threads-per-core time time-min tmp tres-bind
tres-per-task uid wckey"""
_BOTH_OPTIONAL = "exclusive nice no-kill oom-kill-step propagate"
_BOTH_FLAGS = """contiguous help hold overcommit oversubscribe quiet reboot spread-job stepmgr test-only usage
use-min-nodes verbose version"""

_SHORT = {
    **{"A": "account", "B": "extra-node-info", "C": "constraint", "D": "chdir", "F": "nodefile", "G": "gpus"},
    **{"H": "hold", "J": "job-name", "L": "licenses", "M": "clusters", "N": "nodes", "O": "overcommit"},
    **{"Q": "quiet", "S": "core-spec", "V": "version", "b": "begin", "c": "cpus-per-task"},
    **{"d": "dependency", "e": "error", "h": "help", "i": "input", "k": "no-kill", "m": "distribution"},
    **{"n": "ntasks", "o": "output", "p": "partition", "q": "qos", "s": "oversubscribe", "t": "time"},
    **{"v": "verbose", "w": "nodelist", "x": "exclude"},
}


@dataclass(frozen=True)
class SlurmProgram:
    """What one of Slurm's programs knows, by long names without dashes."""

    name: str
    valued: frozenset[str]
    optional: frozenset[str]
    """a value only where it is joined: `--exclusive=user`, `-K0`"""
    flags: frozenset[str]
    short: dict[str, str]

    def knows(self, name: str) -> bool:
        """Whether it has an option of this long name."""
        return name in self.valued or name in self.optional or name in self.flags

    def full_name(self, typed: str) -> str | None:
        """The long name that was meant: getopt takes any beginning that only one name has."""
        if self.knows(typed):
            return typed
        fitting = [
            name
            for names in (self.valued, self.optional, self.flags)
            for name in names
            if name.startswith(typed)
        ]
        return fitting[0] if len(fitting) == 1 else None


SRUN = SlurmProgram(
    "srun",
    frozenset(
        f"""{_BOTH_VALUED} accel-bind bcast-exclude cpu-bind epilog het-group jobid mpi msg-timeout prolog
        relative slurmd-debug task-epilog task-prolog threads treewidth wait""".split()
    ),
    frozenset(
        f"""{_BOTH_OPTIONAL} bcast compress immediate kill-on-bad-exit overlap resv-ports send-libs
        x11""".split()
    ),
    frozenset(
        f"""{_BOTH_FLAGS} debugger-test disable-status exact external-launcher interactive label multi-prog
        no-allocate preserve-env pty quit-on-interrupt unbuffered whole""".split()
    ),
    _SHORT
    | {"E": "preserve-env", "I": "immediate", "K": "kill-on-bad-exit", "T": "threads", "W": "wait"}
    | {"X": "disable-status", "Z": "no-allocate", "l": "label", "r": "relative", "u": "unbuffered"},
)
SBATCH = SlurmProgram(
    "sbatch",
    frozenset(f"{_BOTH_VALUED} array batch export-file kill-on-invalid-dep wait-all-nodes wrap".split()),
    frozenset(f"{_BOTH_OPTIONAL} get-user-env".split()),
    frozenset(f"{_BOTH_FLAGS} ignore-pbs no-requeue parsable requeue wait".split()),
    _SHORT | {"W": "wait", "a": "array"},
)
# What may be typed for a batch script: options of the job, and those that only its srun has.
BATCH = SlurmProgram(
    "sbatch",
    SBATCH.valued | SRUN.valued - SBATCH.flags,
    SBATCH.optional | SRUN.optional,
    SBATCH.flags | SRUN.flags,
    SRUN.short | SBATCH.short,
)


@dataclass(frozen=True)
class SlurmOption:
    """One option as it was typed."""

    name: str
    """its long name, or what was typed where no option is known by that"""
    value: str | None
    """None: it was given none"""
    words: tuple[str, ...]
    known: bool = True

    @property
    def word(self) -> str:
        """It as one word, by its long name."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


def read_options(words: Sequence[str], program: SlurmProgram = SRUN) -> tuple[list[SlurmOption], list[str]]:
    """The options at the beginning, and what follows: from the first word that is none, or behind `--`."""
    options: list[SlurmOption] = []
    waiting = list(words)
    while waiting:
        if waiting[0] == "--":
            return options, waiting[1:]
        if waiting[0][:1] != "-" or waiting[0] == "-":
            break
        options += next_options(waiting, program)
    return options, waiting


def next_options(waiting: list[str], program: SlurmProgram) -> list[SlurmOption]:
    """Take the first word, an option, off the list, and the word with its value if there is one."""
    word = waiting.pop(0)
    return [_long(word, waiting, program)] if word.startswith("--") else _short(word, waiting, program)


def _long(word: str, waiting: list[str], program: SlurmProgram) -> SlurmOption:
    typed, joined, value = word[2:].partition("=")
    name = program.full_name(typed)
    if joined:
        return SlurmOption(name or typed, value, (word,), known=name is not None)
    # Of one that a newer Slurm may have, it can only be told by what follows whether it takes a value.
    follows = waiting and (name in program.valued or (name is None and not waiting[0].startswith("-")))
    if follows:
        value = waiting.pop(0)
        return SlurmOption(name or typed, value, (word, value), known=name is not None)
    return SlurmOption(name or typed, None, (word,), known=name is not None)


def _short(word: str, waiting: list[str], program: SlurmProgram) -> list[SlurmOption]:
    """`-n4`, `-n 4`, `-K0`, and flags that are written together: `-lu`, `-lN2`."""
    options = []
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = program.short.get(letter)
        if name in program.valued or name in program.optional:
            assert name is not None
            words: tuple[str, ...] = (f"-{letter}{letters}",)
            value = letters or None
            if value is None and name in program.valued and waiting:
                value = waiting.pop(0)
                words = (f"-{letter}", value)
            options.append(SlurmOption(name, value, words))
            break
        options.append(SlurmOption(name or letter, None, (f"-{letter}",), known=name is not None))
    return options
