"""What a command does not inherit from the shell it is started in: data, each with its reason.

All else reaches the command, in a container too: Slurm's and PMI's variables, proxies, the locale, what
modules set for the network, and whatever the user exports. What the plan sets by itself (activation,
`[run] env`, `--env`, PYTHONPATH and PYTHONHOME) goes before what is inherited.
"""

from collections.abc import Iterable, Mapping

from lumienv.runtime import Bind
from lumienv.runtime.singularity import APPTAINER
from lumienv.values import dataclass


@dataclass(frozen=True)
class Withheld:
    """Variables of the host that a command must not find."""

    reason: str
    names: tuple[str, ...]
    where: tuple[str, ...] = ("container", "host")
    """with which kinds of base"""


WITHHELD = (
    Withheld(
        "conda activate: of an environment of this machine's. By them an image's own conda takes itself for "
        "activated, and compilers and packages look for their parts there",
        (
            *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "CONDA_PROMPT_MODIFIER"),
            *("CONDA_EXE", "CONDA_PYTHON_EXE", "_CE_CONDA", "_CE_M"),
        ),
    ),
    Withheld("a venv's activate: VIRTUAL_ENV is the overlay's, this the other's", ("VIRTUAL_ENV_PROMPT",)),
    Withheld(
        "pip's manual, configuration: pip would look at another Python, or at one folder of it alone",
        ("PIP_PYTHON", "PIP_PATH", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER"),
    ),
    Withheld(
        "Python's manual, environment variables: places of modules that are not the overlay's",
        ("PYTHONUSERBASE", "PYTHONPLATLIBDIR"),
    ),
    Withheld(
        "Python's manual, environment variables: files of this machine, run or written by every Python",
        ("PYTHONSTARTUP", "PYTHONPYCACHEPREFIX"),
        ("container",),
    ),
    Withheld(
        "ld.so's manual: libraries of this machine, which the image lacks or which do not fit it. Profilers "
        "and site tools set it for programs of the host",
        ("LD_PRELOAD", "LD_AUDIT"),
        ("container",),
    ),
    Withheld(
        "bash's manual: a script of this machine that every bash in the image would run (Lmod sets it)",
        ("BASH_ENV",),
        ("container",),
    ),
    Withheld(
        "the runtime believes it: in a folder reached by a link it would make an empty one of that name. "
        "Without it the command starts in that folder by its real path (seen with Apptainer 1.4.5)",
        ("PWD",),
        ("container",),
    ),
)

# Options of the runtimes' `exec` that have a variable (SingularityCE 4.1 and Apptainer 1.4, cmd/internal/cli/
# actions.go): those that change which files, variables and folder a command finds. What concerns its
# temporary files, GPUs, namespaces and limits stays the user's.
_OPTIONS = (
    *("BIND", "BINDPATH", "MOUNT", "OVERLAY", "FUSESPEC", "SCRATCH", "SCRATCHDIR", "WORKDIR", "CONTAINLIBS"),
    *("HOME", "NO_HOME", "NO_MOUNT", "PWD", "CWD", "TARGET_PWD", "APP", "APPNAME"),
    *("CONTAIN", "CONTAINALL", "COMPAT", "CLEANENV", "ENV_FILE", "WRITABLE", "WRITABLE_TMPFS"),
)

_BINDS = ("BIND", "BINDPATH")
_MOUNTS = ("MOUNT", "OVERLAY")


def withheld(flavour: str, base_prefix: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names to unset, whether or not they are set now: what is printed may run in another shell.

    `flavour` is the runtime's, `host` without one; `base_prefix` the `sys.prefix` of the base's Python. A
    host Python that belongs to the conda environment that is active keeps conda's variables.
    """
    where = "host" if flavour == "host" else "container"
    own_conda = where == "host" and base_prefix != "" and environ.get("CONDA_PREFIX") == base_prefix
    names = [
        name
        for entry in WITHHELD
        if where in entry.where
        for name in entry.names
        if not (own_conda and name.startswith(("CONDA_", "_CE_")))
    ]
    return (*names, *(f"{prefix}_{name}" for prefix in prefixes(flavour) for name in _OPTIONS))


def prefixes(flavour: str) -> tuple[str, ...]:
    """Of the variables that a runtime reads: Apptainer takes those of Singularity for its own, too."""
    if flavour == "host":
        return ()
    return ("APPTAINER", "SINGULARITY") if flavour == APPTAINER else ("SINGULARITY",)


def unused_binds(flavour: str, environ: Mapping[str, str], binds: Iterable[Bind]) -> str | None:
    """A sentence about paths that the user's variables would bind and `binds` do not; None without any."""
    seen = [bind.target for bind in binds]
    named: list[str] = []
    lost: list[str] = []
    for prefix in prefixes(flavour):
        for name in _BINDS:
            paths = [entry.split(":")[0] for entry in environ.get(f"{prefix}_{name}", "").split(",")]
            missing = [path for path in paths if path and not is_below(path, seen)]
            named += [f"{prefix}_{name}"] if missing else []
            lost += [path for path in missing if path not in lost]
        for name in _MOUNTS:
            if environ.get(f"{prefix}_{name}"):
                named.append(f"{prefix}_{name}")
    if not named:
        return None
    verb = "is" if len(named) == 1 else "are"
    what = f" ({', '.join(lost)})" if lost else ""
    return f"{' and '.join(named)} {verb} not used{what}; name what is to be seen in [run] bind"


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` is one of the folders, or lies in one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)
