"""What `lumienv doctor` finds, and what it looks at; the checks themselves stand in `project.checks_*`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.image.snapshot import Snapshot
from lumienv.project import Project
from lumienv.project.status import Status
from lumienv.runtime.process import Completed, capture
from lumienv.runtime.singularity import Singularity
from lumienv.site import Site

FINE = "fine"
NOTE = "note"
"""nothing has to be done; somebody who wonders about something else may be glad to know"""
PROBLEM = "problem"
UNKNOWN = "not checked"
VERDICTS = (FINE, NOTE, PROBLEM, UNKNOWN)

# Seconds for a program that only tells something. LUMI's controller takes its time now and then.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """what it was, in few words"""
    verdict: str
    """one of VERDICTS"""
    facts: str
    """a sentence"""
    remedy: str = ""
    """what to type or to do; empty where there is nothing to be done"""
    source: str = ""
    """where the site's fact comes from, or whose documentation says so"""
    group: str = ""
    """`machine`, `site`, `slurm`, `shell`, `project` or `home`"""


@dataclass(frozen=True)
class Machine:
    """This machine as the checks see it: paths of the system start at `root`, so that tests can make one."""

    environ: Mapping[str, str]
    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Where an absolute path of the system lies."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """What a file of the system says; None when it is not there, or closed."""
        with suppress(OSError):
            return self.at(path).read_text(encoding="utf-8", errors="replace")
        return None

    @property
    def home(self) -> Path:
        """The user's home directory."""
        return Path(self.environ.get("HOME") or Path.home())

    @property
    def is_compute_node(self) -> bool:
        """Whether this is a node of a job: slurmd tells its name to what it starts (srun's manual)."""
        return "SLURMD_NODENAME" in self.environ

    def ask(self, *words: str, patience: float = _PATIENCE) -> Completed:
        """What a program of this machine answers. Raises ContainerError when it cannot, or not in time."""
        return capture(words, env=self.environ, timeout=patience, cwd=Path("/"))


@dataclass(frozen=True)
class Case:
    """What is examined."""

    machine: Machine
    site: Site
    project: Project | None = None
    """None: there is no lumienv.toml here, or it cannot be read"""
    runtime: Singularity | None = None
    status: Status | None = None
    """what `lumienv status` says of the project"""
    snapshot: Snapshot | None = None
    """of the project's image, where it has been probed"""
    deep: bool = False
    """also what starts the environment, as `lumienv run` does"""

    @property
    def host(self) -> bool:
        """Whether the project's base is a Python of this machine, so that no container is started."""
        return self.project is not None and self.project.manifest.image.kind == "host"

    @property
    def family(self) -> str:
        """The family of the project's image; empty where it is of none, or not known."""
        return self.site.family_of(self.snapshot.python.prefix) if self.snapshot else ""

    @property
    def python(self) -> str:
        """The image's Python, as its folders are called (`3.12`); empty where it is not known."""
        return ".".join(self.snapshot.python.version.split(".")[:2]) if self.snapshot else ""


def written(path: Path | str, machine: Machine) -> str:
    """A path as people write it: `~` for the home directory."""
    text, home = os.fspath(path), os.fspath(machine.home)
    return "~" + text[len(home) :] if text == home or text.startswith(home.rstrip("/") + "/") else text


def amount(size: float) -> str:
    """Bytes as people read them."""
    for limit, divisor, unit in ((1e6, 1e3, "kB"), (1e9, 1e6, "MB"), (1e12, 1e9, "GB")):
        if size < limit:
            return f"{size / divisor:.0f} {unit}" if divisor < 1e9 else f"{size / divisor:.1f} {unit}"
    return f"{size / 1e12:.1f} TB"


def listed(words: list[str], most: int = 6) -> str:
    """`a, b and c`; of more than `most` only the first, and how many more there are."""
    shown = words if len(words) <= most else [*words[:most], f"{len(words) - most:,} more"]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1] if shown else "none"


def last_line(text: str) -> str:
    """What a program said last, which is usually why it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


@dataclass(frozen=True)
class Mount:
    """One line of `/proc/self/mountinfo` (proc(5))."""

    point: str
    kind: str
    """the type of the file system: `ext4`, `lustre`, `tmpfs`"""


def mount_of(path: Path, machine: Machine) -> Mount | None:
    """What a path lies on, links followed; None when that cannot be told."""
    real = os.path.realpath(path)
    found = None
    for mount in _mounts(machine):
        inside = real == mount.point or real.startswith(mount.point.rstrip("/") + "/")
        if inside and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _mounts(machine: Machine) -> Iterator[Mount]:
    for line in (machine.text("/proc/self/mountinfo") or "").splitlines():
        before, _, behind = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and behind:
            # A blank, a tab, a newline and a backslash are written in octal.
            point = fields[4].encode("latin-1", "replace").decode("unicode_escape")
            yield Mount(point, behind.split(" ")[0])


def is_there(path: Path | str) -> bool:
    """Whether this user finds anything at the path; what lies in a closed folder is not there for them."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises where a folder is closed


def is_folder(path: Path | str) -> bool:
    """Whether this user finds a folder at the path."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((one for one in (path, *path.parents) if is_there(one)), Path("/"))
