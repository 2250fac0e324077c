"""The facts of a site as values; `lumienv.site` reads them from TOML, where each has its source beside it."""

from collections.abc import Mapping

from lumienv.paths import Path
from lumienv.values import dataclass, field


@dataclass(frozen=True)
class SiteBind:
    """A host path that containers of this site should see; `optional`: left out where it is missing."""

    path: str
    optional: bool = True
    families: tuple[str, ...] = ()
    """the image families that need it; empty: all"""
    source: str = ""
    in_jobs: bool = False
    """only compute nodes have it: that it is missing elsewhere is no news"""


@dataclass(frozen=True)
class Setting:
    """A variable that commands find, of the site itself or of a preset.

    In `value`, `{SLURM_PROCID}` is that variable of each task, and a name in small letters (`{first-node}`)
    is worked out by `launch.task`; nothing in it is ever run by a shell.
    """

    name: str
    value: str | None
    """None: no preset sets it, whichever else is named"""
    source: str = ""
    when: tuple[str, ...] = ()
    """conditions of `launch.conditions`, all of which have to hold"""
    families: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    """options of srun, or variables of the host: where one of them is given, this is left out"""


@dataclass(frozen=True)
class SlurmOption:
    """An option for srun, by its long name; what the user says goes before it."""

    name: str
    value: str | bool
    source: str = ""
    when: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preset:
    """What one word in `[run] preset` stands for."""

    name: str
    about: str = ""
    settings: tuple[Setting, ...] = ()
    options: tuple[SlurmOption, ...] = ()
    gpus: bool = False
    """it is of no use without GPUs: `run` says so outside a job"""
    one_task_a_node: bool = False
    """its program starts the other processes: `run` says so where there are several tasks a node"""


@dataclass(frozen=True)
class Family:
    """Images that are made alike: they need the same binds and variables."""

    name: str
    prefixes: tuple[str, ...] = ()
    """where their Python lies, as the probe found it"""


@dataclass(frozen=True)
class Site:
    """The facts that lumienv needs of the machine it runs on."""

    name: str
    image_folders: tuple[Path, ...] = ()
    binds: tuple[SiteBind, ...] = ()
    cache: Path = Path("~/.cache/lumienv")
    """for what lasts: snapshots, index pages, wheels"""
    scratch: Path = Path("/tmp")  # noqa: S108 - the default of TMPDIR
    """node-local, for staging: TMPDIR, where it is set"""
    node_local: Path = Path("/tmp")  # noqa: S108
    """where each node has room of its own, that containers see"""
    processors: int = 1
    """how many processors to use for packing"""
    families: tuple[Family, ...] = ()
    settings: tuple[Setting, ...] = ()
    """those of every command, whatever preset"""
    presets: Mapping[str, Preset] = field(default_factory=dict)
    whole_node_partitions: tuple[str, ...] = ()
    """partitions of Slurm in which a job always has all of its nodes"""
    loop_devices: int | None = None
    """how many file-system images may be mounted on a node at once; None: not known"""

    def family_of(self, python_prefix: str) -> str:
        """The family of an image whose Python has this `sys.prefix`; empty when it is of none."""
        for family in self.families:
            for prefix in family.prefixes:
                if python_prefix == prefix or python_prefix.startswith(prefix.rstrip("/") + "/"):
                    return family.name
        return ""
