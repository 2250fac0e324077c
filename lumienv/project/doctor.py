"""`lumienv doctor`: look at the machine, the site, Slurm, the shell, the project and the home directory.

No network is used, nothing is written, and nothing is started that the project names, but for its image,
closed as for a probe; and where it is asked for, the environment that this user made.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv.errors import ContainerError, LumienvError
from lumienv.image.base import sif_base
from lumienv.image.probing import cached_snapshot
from lumienv.image.snapshot import Snapshot
from lumienv.manifest import FILE_NAME, find_manifest, start_folder
from lumienv.manifest.reader import read_manifest
from lumienv.project import Project
from lumienv.project import checks_home as home
from lumienv.project import checks_machine as machine
from lumienv.project import checks_project as project
from lumienv.project import checks_shell as shell
from lumienv.project import checks_site as site
from lumienv.project import checks_slurm as slurm
from lumienv.project.finding import FINE, NOTE, PROBLEM, UNKNOWN, Case, Finding, Machine
from lumienv.project.status import Status, status
from lumienv.runtime.singularity import Singularity, find
from lumienv.site import Site, load_site

Check = Callable[[Case], Iterator[Finding]]

# In this order they are shown.
CHECKS: Mapping[str, tuple[Check, ...]] = {
    "machine": (
        machine.check_runtime,
        machine.check_privileges,
        machine.check_configuration,
        machine.check_tools,
        home.check_temporary,
    ),
    "site": (site.check_profile, site.check_image_folders, site.check_binds, site.check_presets),
    "slurm": (slurm.check_slurm, slurm.check_slurm_variables),
    "shell": (
        shell.check_binds_of_shell,
        shell.check_variables,
        shell.check_modules,
        shell.check_user_packages,
        shell.check_pip,
        shell.check_locale,
        shell.check_umask,
    ),
    "project": (
        project.check_image,
        project.check_lock,
        project.check_environment,
        project.check_activation,
        project.check_store,
        project.check_run_table,
        project.check_room_for_sync,
    ),
    "home": (home.check_room, home.check_own_cache, home.check_caches),
}


@dataclass(frozen=True)
class Examination:
    """All that was found."""

    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is a problem."""
        return not self.of(PROBLEM)

    def of(self, verdict: str) -> tuple[Finding, ...]:
        """The findings of one verdict."""
        return tuple(finding for finding in self.findings if finding.verdict == verdict)


def examine(
    folder: str | None, environ: Mapping[str, str], *, deep: bool = False, root: Path = Path("/")
) -> Examination:
    """Examine the machine, and the project in `folder` or above it, if there is one.

    `deep` also starts the project's environment. Files of the system are looked for below `root`. Raises
    ManifestError when `folder` is none; whatever else is broken is a finding.
    """
    where = start_folder(folder, environ)
    case, found = _case(where, Machine(environ, root))
    case = replace(case, deep=deep)
    for group, checks in CHECKS.items():
        for check in checks:
            found += [replace(finding, group=group) for finding in _done(check, case)]
    order = {group: number for number, group in enumerate(CHECKS)}
    return Examination(tuple(sorted(found, key=lambda finding: order[finding.group])))


def _done(check: Check, case: Case) -> Iterator[Finding]:
    """What a check finds; where it cannot be done, that and why, whatever the machine is like."""
    try:
        yield from check(case)
    except LumienvError as error:
        yield Finding(_name(check), UNKNOWN, error.message, error.hint or "")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield Finding(_name(check), UNKNOWN, f"{where}{error.strerror or error}")
    except Exception as error:
        facts = f"an error in lumienv itself ({type(error).__name__}: {error})"
        yield Finding(_name(check), UNKNOWN, facts, "please report it")


def _name(check: Check) -> str:
    name = getattr(check, "__name__", "a check")
    return str(name).removeprefix("check_").replace("_", " ")


def _case(where: Path, of: Machine) -> tuple[Case, list[Finding]]:
    """What there is to examine, and what keeps some of it from being examined."""
    found: list[Finding] = []
    try:
        here = load_site(of.environ, where)
    except (LumienvError, OSError) as error:
        found.append(_refused("profile", error, "unset LUMIENV_SITE", "site"))
        here = _no_site(of.environ, where)
    opened = None
    try:
        opened = Project(read_manifest(find_manifest(where)), here, of.environ)
        found.append(Finding(FILE_NAME, FINE, str(opened.manifest.path), group="project"))
    except (LumienvError, OSError) as error:
        if _is_there(where):
            found.append(_refused(FILE_NAME, error, f"ls -ld {FILE_NAME}", "project"))
        else:
            facts = f"there is no {FILE_NAME} in {where} or above it: only the machine is looked at"
            found.append(Finding(FILE_NAME, FINE, facts, group="project"))
    case = Case(of, here, opened, _runtime(opened, of.environ))
    if opened is not None:
        try:
            seen = status(opened)
            case = replace(case, status=seen, snapshot=_snapshot(opened, seen))
        except (LumienvError, OSError) as error:
            found.append(_refused("store", error, "lumienv status", "project"))
    return case, found


def _refused(what: str, error: LumienvError | OSError, remedy: str, group: str) -> Finding:
    if isinstance(error, LumienvError):
        facts = "; ".join((error.message, *error.facts))
        return Finding(what, PROBLEM, facts, error.hint or remedy, group=group)
    return Finding(what, PROBLEM, f"{error.filename}: {error.strerror}", remedy, group=group)


def _no_site(environ: Mapping[str, str], where: Path) -> Site:
    """The site that stands in for one whose file is broken."""
    with suppress(LumienvError, OSError):
        return load_site({**environ, "LUMIENV_SITE": "generic"}, where)
    return Site("generic")


def _is_there(where: Path) -> bool:
    return any(os.path.lexists(folder / FILE_NAME) for folder in (where, *where.parents))


def _runtime(opened: Project | None, environ: Mapping[str, str]) -> Singularity | None:
    if opened is not None and opened.manifest.image.kind == "host":
        return None
    with suppress(ContainerError):
        return find(environ)
    return None


def _snapshot(opened: Project, seen: Status) -> Snapshot | None:
    if not seen.image.path:
        return None
    activate = opened.manifest.image.activate
    with suppress(LumienvError, OSError):
        base = sif_base(Path(seen.image.path))
        return cached_snapshot(base, opened.site.cache, "auto" if activate == "live" else activate)
    return None


__all__ = ["CHECKS", "FINE", "NOTE", "PROBLEM", "UNKNOWN", "Examination", "Finding", "examine"]
