"""A cluster's facts as data: one TOML file a site, with the source of each fact beside it.

`LUMIENV_SITE` names another file, or one of those shipped here; without it the site is recognised by
what stands in its `[detect]` table. The user's own `~/.config/lumienv/site.toml` adds to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from lumienv.errors import ManifestError
from lumienv.paths import Path
from lumienv.site.facts import Family, Preset, Setting, Site, SiteBind, SlurmOption
from lumienv.site.presets import read_presets, read_settings
from lumienv.toml import read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Family", "Preset", "Setting", "Site", "SiteBind", "SlurmOption", "load_site"]

_SHIPPED = Path(__file__).parent


def load_site(environ: Mapping[str, str], folder: Path | None = None) -> Site:
    """The site of this machine, with the user's `LUMIENV_IMAGE_PATH` and `LUMIENV_CACHE_DIR` applied.

    `folder` is the project's, by default the current one.

    Raises ManifestError for a site file that is missing, broken, or says what no site file says.
    """
    path, data = _site_file(environ)
    own = user_file(environ)
    if os.path.isfile(own):  # noqa: PTH113 - pathlib raises where its folder is closed
        data = _with({"name": path.stem} | data, _read(own), own)
        path = own
    try:
        return _site(path, data, environ, folder or Path.cwd())
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise ManifestError(
            f"the site file {path} does not have the form of one ({type(error).__name__}: {error})",
            hint=f"compare it with {_SHIPPED / 'lumi.toml'}",
        ) from None


def _site(path: Path, data: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Site:
    images = environ.get("LUMIENV_IMAGE_PATH")
    folders = images.split(":") if images else data.get("images", {}).get("folders", [])
    if not isinstance(folders, list):
        raise TypeError("images.folders is a list")
    cache = environ.get("LUMIENV_CACHE_DIR") or _cache(data, environ, folder)
    return Site(
        name=str(data.get("name", path.name.removesuffix(".toml"))),
        image_folders=tuple(_absolute(name) for name in folders if name),
        binds=tuple(
            SiteBind(
                entry["path"],
                bool(entry.get("optional", True)),
                _texts(entry.get("families", ())),
                str(entry.get("source", "")),
                bool(entry.get("in-jobs", False)),
            )
            for entry in data.get("bind", [])
        ),
        cache=_absolute(cache),
        processors=_processors(data, environ),
        scratch=_absolute(environ.get("TMPDIR") or data.get("scratch", {}).get("folder", "/tmp")),  # noqa: S108
        node_local=_absolute(data.get("scratch", {}).get("folder", "/tmp")),  # noqa: S108
        families=tuple(Family(entry["name"], tuple(entry["python"])) for entry in data.get("family", [])),
        settings=read_settings(data.get("set", [])),
        presets=read_presets(data.get("preset", {})),
        whole_node_partitions=tuple(data.get("slurm", {}).get("whole-node-partitions", ())),
        loop_devices=data.get("limits", {}).get("loop-devices"),
    )


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's additions to the site stand, if there are any: `~/.config/lumienv/site.toml`."""
    config = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".config")
    return Path(config) / "lumienv" / "site.toml"


def _with(site: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The site's facts with the user's: lists are made longer, presets replaced by name, the rest overridden.

    Raises ManifestError where the user's file says which site this is.
    """
    for key in ("name", "detect"):
        if key in own:
            raise ManifestError(
                f"{path}: {key} says which site this is, and this file adds to whatever site it is",
                hint=f"take it out; a whole site of your own is named by LUMIENV_SITE={path}",
            )
    merged = dict(site)
    for key, value in own.items():
        there = merged.get(key)
        if isinstance(value, list):
            merged[key] = [*(there or []), *value]
        elif key == "preset":
            merged[key] = {**(there or {}), **value}
        else:
            table = dict(there or {})
            for name, fact in value.items():
                table[name] = [*table.get(name, []), *fact] if isinstance(fact, list) else fact
            merged[key] = table
    return merged


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _processors(data: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Those that this process may use; outside a job at most the site's `[login] processors`."""
    allowed = len(os.sched_getaffinity(0))
    limit = data.get("login", {}).get("processors", 16)
    if not isinstance(limit, int) or limit < 1:
        raise TypeError("login.processors is a number of processors")
    return allowed if "SLURM_JOB_ID" in environ else min(allowed, limit)


def _absolute(name: str) -> Path:
    """Builds run in another folder, so a relative place is settled here."""
    return Path(name).expanduser().absolute()


def _site_file(environ: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    wanted = environ.get("LUMIENV_SITE")
    if wanted:
        path = Path(wanted) if "/" in wanted else _SHIPPED / f"{wanted}.toml"
        return path, _read(path)
    for path in _profiles():
        data = _read(path)
        detect = data.get("detect", {}).get("directory")
        if detect and Path(detect).is_dir():
            return path, data
    return _SHIPPED / "generic.toml", _read(_SHIPPED / "generic.toml")


def _profiles() -> list[Path]:
    """The sites that come with lumienv; what else lies beside them is no site."""
    others = ("modules.toml", "presets.toml", "conflicts.toml")
    files = (name for name in os.listdir(_SHIPPED) if name.endswith(".toml"))  # noqa: PTH208
    return [_SHIPPED / name for name in sorted(files) if name not in others]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = read_toml(text)
    except FileNotFoundError:
        shipped = ", ".join(file.stem for file in _profiles())
        raise ManifestError(
            f"there is no site file {path}",
            hint=f"LUMIENV_SITE takes the path of one, or the name of one that comes with lumienv: {shipped}",
        ) from None
    except IsADirectoryError:
        raise ManifestError(
            f"{path} is a directory", hint="LUMIENV_SITE takes a file, or the name of a site: lumi, generic"
        ) from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise ManifestError(
            f"the site file {path} is not valid TOML: {error}",
            hint=f"mend it there; {_SHIPPED / 'lumi.toml'} shows what one looks like",
        ) from None
    except PermissionError as error:
        raise ManifestError(
            f"the site file {path} cannot be read: {error.strerror}",
            hint=f"let your user read it: chmod u+r {path}",
        ) from None
    if path.parent != _SHIPPED:  # those that come with lumienv are checked by a test
        from lumienv.site.form import check_site

        check_site(data, path, text)
    return data


def _cache(data: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> str:
    """The site's cache folder, its `{project}` and `{user}` filled in; else the XDG one."""
    pattern = data.get("cache", {}).get("folder")
    if pattern is not None and not isinstance(pattern, str):
        raise TypeError("cache.folder is text")
    (pattern or "").format(project="", user="")  # a placeholder that nobody fills is a mistake everywhere
    user = environ.get("USER") or environ.get("LOGNAME") or str(os.getuid())
    if pattern and "{project}" not in pattern:
        place = str(pattern.format(user=user))
        if _can_be_made(place):
            return place
    elif pattern:
        for project in _projects(environ, folder):
            place = str(pattern.format(project=project, user=user))
            if os.access(pattern.partition("{project}")[0] + project, os.W_OK):
                return place
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".cache")
    return str(Path(home) / "lumienv")


def _can_be_made(place: str) -> bool:
    """Whether this user may write to the folder, or to the nearest one above it that is there."""
    while not os.path.exists(place) and os.path.dirname(place) != place:  # noqa: PTH110, PTH120 - before every job
        place = os.path.dirname(place)  # noqa: PTH120
    return os.path.isdir(place) and os.access(place, os.W_OK)  # noqa: PTH112


def _projects(environ: Mapping[str, str], folder: Path) -> list[str]:
    """The LUMI projects that may be meant, the likeliest first.

    That in whose folder the user works (workspaces may be links), that which Slurm is asked to bill, those
    that the user is a member of.
    """
    import grp

    parts = f"{folder}/{os.path.realpath(folder)}".split("/")
    named = [part for part in parts if part.startswith("project_")]
    named += [environ[name] for name in ("SLURM_JOB_ACCOUNT", "SBATCH_ACCOUNT") if environ.get(name)]
    for number in os.getgroups():
        try:
            group = grp.getgrgid(number).gr_name
        except KeyError:
            continue
        named += [group] if group.startswith("project_") else []
    return list(dict.fromkeys(named))
