"""What may stand behind an option or as an argument: names that this project, this site or this machine has.

Files and folders are looked at, nothing is started. Each function may fail: then nothing is offered.
"""

import os
from collections.abc import Callable, Iterator, Mapping

from lumienv.cli.complete import Typed
from lumienv.lockdigest import LOCK_NAME
from lumienv.manifest import find_manifest, group_key, start_folder
from lumienv.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Names = Mapping[str, str]
"""name → what it is for, or an empty text"""


def values_of(typed: Typed, option: str) -> Names:
    """What may follow the option of this long name; nothing where only a file or a text of one's own can."""
    find = _OF_OPTION.get((typed.command, option)) or _OF_OPTION.get(("", option))
    return find(typed) if find is not None else {}


def arguments_of(typed: Typed) -> Names | None:
    """What may be the next argument of a command; None where it can only be a file or a folder."""
    find = _OF_COMMAND.get(typed.command)
    if find is None:
        return None
    return {name: help_ for name, help_ in find(typed).items() if name not in typed.arguments}


def tasks(typed: Typed) -> Names:
    """Those of [tasks], with what they start; nothing where lumienv.toml cannot be read."""
    try:
        return {name: str(line) for name, line in _manifest(typed).get("tasks", {}).items()}
    except Exception:
        return {}


def programs(typed: Typed) -> Names:
    """The programs of the environment that was synced last, by the names of its launchers."""
    try:
        folder = _store(typed) / "bin"
        return dict.fromkeys(sorted(os.listdir(folder)), "")  # noqa: PTH208
    except Exception:
        return {}


# -- of the project --------------------------------------------------------------------------------------


def _folder(typed: Typed) -> Path:
    return find_manifest(start_folder(typed.project, typed.environ)).parent


def _manifest(typed: Typed) -> "dict[str, Any]":
    """lumienv.toml as it stands: what is wrong in one table is nothing to the others."""
    from lumienv.toml import read_toml

    return read_toml(find_manifest(start_folder(typed.project, typed.environ)).read_text(encoding="utf-8"))


def _store(typed: Typed) -> Path:
    from lumienv.manifest.reader import read_manifest

    return read_manifest(find_manifest(start_folder(typed.project, typed.environ))).store_path


def _groups(typed: Typed) -> Names:
    groups = _manifest(typed).get("dependency-groups", {})
    return {name: ", ".join(map(_name, entries)) for name, entries in groups.items()}


def _indexes(typed: Typed) -> Names:
    return {entry["name"]: entry["url"] for entry in _manifest(typed).get("index", []) if "name" in entry}


def _declared(typed: Typed) -> Names:
    """The packages that lumienv.toml asks for, in the group that is named, else outside of groups."""
    data = _manifest(typed)
    group = "dev" if "--dev" in typed.values else next(iter(typed.values.get("--group", ())), None)
    groups = data.get("dependency-groups", {})
    lines = data.get("dependencies", []) if group is None else groups.get(group_key(groups, group), [])
    return {name: line for line in lines if (name := _name(line))}


def _name(requirement: str) -> str:
    """`datasets[audio]>=3`: datasets."""
    end = next((at for at, c in enumerate(requirement) if not (c.isalnum() or c in "._-")), None)
    return requirement[:end]


def _locked(typed: Typed) -> Names:
    """The packages that the lock installs, with their versions."""
    return {name: version for table, name, version in _entries(typed) if table == "packages"}


def _known(typed: Typed) -> Names:
    """The packages that the lock installs, and those of the image that it rests on."""
    return {
        name: version if table == "packages" else f"{version} (image)"
        for table, name, version in _entries(typed)
    }


def _entries(typed: Typed) -> Iterator[tuple[str, str, str]]:
    """Table, name and version of each package in the lock: line by line, as lumienv writes it. Its parser
    would take many times as long."""
    table = name = ""
    with open(_folder(typed) / LOCK_NAME, encoding="utf-8") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("["):
                table, name = line.strip("[]\n"), ""
            elif line.startswith('name = "'):
                name = line[8:-2]
            elif line.startswith('version = "') and name:
                yield table, name, line[11:-2]
                name = ""


# -- of the site and the machine -------------------------------------------------------------------------


def _presets(typed: Typed) -> Names:
    from lumienv.site import load_site

    return dict.fromkeys(load_site(typed.environ).presets, "")


def _images(typed: Typed) -> Names:
    """Names that `[image] name` takes, each with the newest image of that name; then the files' names."""
    from lumienv.image.catalog import list_images
    from lumienv.site import load_site

    found: dict[str, str] = {}
    images = list_images(load_site(typed.environ).image_folders)
    for image in images:
        name = image.name
        if name.what:
            found.setdefault("-".join(filter(None, (name.what, name.variant))), name.file)
    return {**found, **{image.name.file: "" for image in images}}


def _fact(fact: str) -> Callable[[Typed], Names]:
    """The values of one fact of the images' names, of those that are called as `--image` says."""

    def found(typed: Typed) -> Names:
        from lumienv.image.catalog import list_images
        from lumienv.site import load_site

        wanted = next(iter(typed.values.get("--image", ())), None)
        names = [image.name for image in list_images(load_site(typed.environ).image_folders)]
        chosen = [name for name in names if wanted is None or name.matches(wanted)]
        return dict.fromkeys(filter(None, (str(getattr(name, fact)) for name in chosen)), "")

    return found


def _pythons(typed: Typed) -> Names:
    """The Pythons on PATH, by their names."""
    found = []
    for folder in typed.environ.get("PATH", "").split(":"):
        if os.path.isdir(folder):  # noqa: PTH112
            found += [name for name in os.listdir(folder) if name.startswith("python3")]  # noqa: PTH208
    return dict.fromkeys(sorted(name for name in found if name[6:].replace(".", "").isdigit()), "")


def _formats(typed: Typed) -> Names:  # noqa: ARG001
    from lumienv.export import FORMATS

    return dict.fromkeys(FORMATS, "")


_OF_OPTION: Mapping[tuple[str, str], Callable[[Typed], Names]] = {
    ("", "--group"): _groups,
    ("", "--no-group"): _groups,
    ("", "--upgrade-package"): _locked,
    ("", "--package"): _known,
    ("", "--index"): _indexes,
    ("", "--preset"): _presets,
    ("export", "--format"): _formats,
    ("init", "--image"): _images,
    ("init", "--rocm"): _fact("rocm"),
    ("init", "--python"): _fact("python"),
    ("init", "--version"): _fact("version"),
    ("init", "--hash"): _fact("hash"),
    ("init", "--host"): _pythons,
}
_OF_COMMAND: Mapping[str, Callable[[Typed], Names]] = {
    "remove": _declared,
    "why": _known,
    "image show": _images,
    "image diff": _images,
    "image freeze": _images,
}
