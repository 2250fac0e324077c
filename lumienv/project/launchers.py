"""Launchers for a project's environment, brought up to date with lumienv.toml by every sync."""

from lumienv.errors import LumienvError
from lumienv.launch.launchers import launcher_names, launcher_text
from lumienv.overlay.generation import Generation
from lumienv.overlay.launched import BIN, launchers, write_launchers
from lumienv.overlay.records import programs_in, read_records
from lumienv.project import Project, Report


def bring_up_launchers(project: Project, report: Report, generation: Generation) -> int:
    """Have launchers that start programs in `generation`, the current one; the caller is the store's writer.

    Returns how many there are, if there were none before, else 0. What keeps them from being written is told
    to `report`: the environment is there all the same.
    """
    root = project.store.root
    first = not launchers(root)
    group = root.parent.stat().st_gid if generation.shared else None
    try:
        text = launcher_text(generation, project.manifest, project.site, project.environ)
        names = launcher_names(_programs(generation))
        write_launchers(root, text, names, group)
    except LumienvError as error:
        where = f" ({error.facts[0]})" if error.facts else ""
        report.warn(f"the launchers in {root / BIN} are not up to date: {error.message}{where}")
        return 0
    return len(names) if first else 0


def _programs(generation: Generation) -> list[str]:
    """The names of what can be started in the tree. Raises StoreError."""
    known = list(read_records(generation).programs) if generation.records else []
    if not known and generation.mode == "venv":  # made by an earlier version
        known = programs_in(generation.carrier)
    return known or ["python", "python3"]
