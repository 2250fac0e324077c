"""Room: file systems and quotas that lumienv writes to, and what fills a home directory."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import LumienvError
from lumienv.project.finding import (
    FINE,
    NOTE,
    PROBLEM,
    UNKNOWN,
    Case,
    Finding,
    amount,
    existing,
    is_folder,
    is_there,
    listed,
    mount_of,
    written,
)
from lumienv.project.quota import Quota, quota_of

# At 20 GB and 100,000 files for a home directory (LUMI user guide, storage) these are a share worth knowing.
_LARGE = 1_000_000_000
_MANY = 5_000
# Free bytes and files below which a sync is about to fail: a tree of a few packages takes as much.
_LITTLE_ROOM, _NO_ROOM = 2_000_000_000, 200_000_000
_FEW_FILES = 10_000
_NEARLY_FULL = 0.9

_QUOTA = "LUMI user guide, storage: 20 GB and 100,000 files in the home directory"


@dataclass(frozen=True)
class _Cache:
    """A folder in the home directory that programs fill."""

    folder: str
    of: str
    variable: str
    """what moves it elsewhere"""
    clean: str = ""
    """what empties it, where that loses nothing; else it is to be moved"""


_CACHES = (
    _Cache(".singularity", "SingularityCE", "SINGULARITY_CACHEDIR", "singularity cache clean --force"),
    _Cache(".apptainer", "Apptainer", "APPTAINER_CACHEDIR", "apptainer cache clean --force"),
    _Cache(".cache/pip", "pip", "PIP_CACHE_DIR", "rm -r ~/.cache/pip"),
    _Cache(".cache/uv", "uv", "UV_CACHE_DIR", "rm -r ~/.cache/uv"),
    _Cache(".cache/huggingface", "Hugging Face", "HF_HOME"),
    _Cache(".cache/torch", "PyTorch", "TORCH_HOME"),
    _Cache(".cache/miopen", "MIOpen", "MIOPEN_CUSTOM_CACHE_DIR", "rm -r ~/.cache/miopen"),
    _Cache(".cache/lumienv", "lumienv", "LUMIENV_CACHE_DIR", "rm -r ~/.cache/lumienv"),
    _Cache(".config/miopen", "MIOpen", "MIOPEN_USER_DB_PATH", "rm -r ~/.config/miopen"),
    _Cache(".miopen", "MIOpen", "MIOPEN_USER_DB_PATH", "rm -r ~/.miopen"),
    _Cache(".triton", "Triton", "TRITON_CACHE_DIR", "rm -r ~/.triton"),
    _Cache(".conda", "conda", "CONDA_PKGS_DIRS"),
    _Cache(".local/share/jupyter", "Jupyter", "JUPYTER_DATA_DIR"),
)


@dataclass(frozen=True)
class Extent:
    """What lies below a folder."""

    size: int
    """bytes"""
    files: int
    whole: bool
    """False: there is more, that was not counted"""

    def __str__(self) -> str:
        least = "" if self.whole else "at least "
        return f"{least}{amount(self.size)} in {self.files:,} files"


def extent(folder: Path, most: int = _MANY) -> Extent:
    """Size and number of files below `folder`; looks at no more than `most`, links are not followed."""
    size = files = 0
    waiting = [folder]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if files >= most:
                    return Extent(size, files, whole=False)
                files += 1
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
    return Extent(size, files, whole=True)


def check_caches(case: Case) -> Iterator[Finding]:
    """What programs have put into the home directory, by size and number of files."""
    small, large = [], False
    for cache in _CACHES:
        folder = case.machine.home / cache.folder
        if not is_folder(folder):
            continue
        if folder.resolve() != case.machine.home.resolve() / cache.folder:
            continue  # a link to another place, as people make it to spare their home directory
        found = extent(folder)
        if found.whole and found.size < _LARGE:
            small.append(f"~/{cache.folder} {amount(found.size)}")
            continue
        elsewhere = _elsewhere(case, cache.of)
        move = f"export {cache.variable}={elsewhere}"
        first = cache.clean or f"mv ~/{cache.folder} {elsewhere}"
        large = True
        facts = f"~/{cache.folder} ({cache.of}) has {found}"
        yield Finding("caches", NOTE, facts, f"{first}\n{move}", _quota_source(case))
    if not large:
        yield Finding("caches", FINE, listed(small) + ("" if small else " in the home directory"))


def _elsewhere(case: Case, of: str) -> str:
    """A folder for this program's cache that is not in the home directory, as it can be typed."""
    name = of.lower().replace(" ", "-")
    if not case.site.cache.is_relative_to(case.machine.home):
        return str(case.site.cache.parent / name)
    folder = "/scratch/project_465000000" if case.site.name == "lumi" else "/var/tmp"  # noqa: S108
    return f"{folder}/$USER/{name}"


def _quota_source(case: Case) -> str:
    return _QUOTA if case.site.name == "lumi" else ""


def check_own_cache(case: Case) -> Iterator[Finding]:
    """lumienv's own cache: on a cluster it belongs out of the home directory."""
    cache, home = case.site.cache, case.machine.home
    if cache.is_relative_to(home) and case.site.name != "generic":
        facts = f"lumienv's cache is {written(cache, case.machine)}: no folder of a project was found for it"
        remedy = "export LUMIENV_CACHE_DIR=/scratch/project_465000000/$USER/.cache/lumienv"
        yield Finding("cache of lumienv", NOTE, facts, remedy, _quota_source(case))
        return
    if cache.is_symlink() or (is_there(cache) and not is_folder(cache)):
        facts = f"{cache} is not a folder of its own: lumienv does not use it"
        yield Finding("cache of lumienv", PROBLEM, facts, f"rm {cache}, or name another in LUMIENV_CACHE_DIR")
        return
    if is_there(cache) and cache.stat().st_uid != os.geteuid():
        facts = f"{cache} belongs to somebody else: lumienv does not use it"
        yield Finding("cache of lumienv", PROBLEM, facts, "export LUMIENV_CACHE_DIR=… to a place of your own")
        return
    yield Finding("cache of lumienv", FINE, written(cache, case.machine))


def check_temporary(case: Case) -> Iterator[Finding]:
    """Where work in between goes: TMPDIR, and what the runtime has for itself."""
    environ, home = case.machine.environ, case.machine.home
    scratch = case.site.scratch
    if not is_folder(scratch):
        facts = f"TMPDIR is {scratch}, which is not there"
        yield Finding("temporary files", PROBLEM, facts, f"unset TMPDIR, or: mkdir -p {scratch}")
    elif not os.access(scratch, os.W_OK | os.X_OK):
        yield Finding("temporary files", PROBLEM, f"{scratch} is not writable", "unset TMPDIR")
    else:
        mount = mount_of(scratch, case.machine)
        kind = mount.kind if mount else ""
        said = f"{scratch}{f' ({kind})' if kind else ''}"
        if kind == "lustre":
            facts = f"temporary files go to {said}: environments are built there, file by file"
            yield Finding("temporary files", NOTE, facts, "unset TMPDIR", "LUMI user guide, storage")
        else:
            memory = ", which is memory" if kind in ("tmpfs", "ramfs") else ""
            yield Finding("temporary files", FINE, f"{said}{memory}")
    for name in ("SINGULARITY_TMPDIR", "SINGULARITY_CACHEDIR", "APPTAINER_TMPDIR", "APPTAINER_CACHEDIR"):
        value = environ.get(name)
        if value is None:
            continue
        folder = Path(value)
        if not is_folder(existing(folder)) or not os.access(existing(folder), os.W_OK):
            facts = f"{name} is {value}, which is not a folder that you may write to"
            yield Finding("temporary files", PROBLEM, facts, f"unset {name}, or: mkdir -p {value}")
        elif folder.is_relative_to(home):
            facts = f"{name} is {written(folder, case.machine)}: images fill the home directory"
            remedy = f"export {name}=/tmp/$USER"
            yield Finding("temporary files", NOTE, facts, remedy, "LUMI user guide, singularity")


def check_room(case: Case) -> Iterator[Finding]:
    """Bytes and files that are left where lumienv writes; on Lustre by quota, else of the file system."""
    for path, names in _places(case).items():
        what = f"room of {' and '.join(names)}"
        mount = mount_of(path, case.machine)
        if mount is not None and mount.kind == "lustre":
            yield from _lustre(case, path, what, names)
            continue
        try:
            disk = os.statvfs(path)
        except OSError as error:
            yield Finding(what, UNKNOWN, f"{path}: {error.strerror}")
            continue
        free = disk.f_bavail * disk.f_frsize
        # Some file systems (btrfs, FUSE ones) count no files, and say 0 of 0.
        files = disk.f_favail if disk.f_files else None
        place = written(path, case.machine)
        facts = (
            f"{place} has {amount(free)}" + (f" and {files:,} files" if files is not None else "") + " left"
        )
        few = files is not None and files < _FEW_FILES
        if free < _LITTLE_ROOM or few:
            verdict = PROBLEM if free < _NO_ROOM or files == 0 else NOTE
            yield Finding(what, verdict, facts, _make_room(names, files=few))
        else:
            yield Finding(what, FINE, facts)


def _places(case: Case) -> Mapping[Path, list[str]]:
    """Where lumienv writes → what it has there, one folder for each file system."""
    wanted = [("temporary files", case.site.scratch), ("the cache", case.site.cache)]
    if case.project is not None:
        with suppress(LumienvError):
            wanted.append(("environments", case.project.manifest.store_path))
    wanted.append(("home", case.machine.home))
    chosen: dict[int, Path] = {}
    names: dict[Path, list[str]] = {}
    for name, path in wanted:
        place = existing(path)
        with suppress(OSError):
            mount = mount_of(place, case.machine)
            # Folders of one Lustre have quotas of their own.
            key = hash(place) if mount and mount.kind == "lustre" else place.stat().st_dev
            names.setdefault(chosen.setdefault(key, place), []).append(name)
    return names


def _make_room(names: list[str], *, files: bool = False) -> str:
    if "environments" in names:
        return "lumienv clean" + (", or: lumienv sync --mode squashfs" if files else "")
    if "home" in names:
        return "see what is large: du -xh ~ | sort -h | tail"
    return "remove what you do not need, or name another place in TMPDIR or LUMIENV_CACHE_DIR"


def _lustre(case: Case, path: Path, what: str, names: list[str]) -> Iterator[Finding]:
    place = written(path, case.machine)
    try:
        quota = quota_of(path, case.machine)
    except LumienvError as error:
        yield Finding(what, UNKNOWN, error.message, "lumi-quota" if case.site.name == "lumi" else "")
        return
    if quota is None:
        yield Finding(what, UNKNOWN, f"{place} is on Lustre, and lfs tells no quota for it", "lfs quota -h .")
        return
    facts = f"{place} holds {_used(quota)}"
    if quota.share < _NEARLY_FULL:
        yield Finding(what, FINE, facts)
        return
    files = bool(quota.file_limit) and quota.files / quota.file_limit >= _NEARLY_FULL
    verdict = PROBLEM if quota.share >= 1 else NOTE
    yield Finding(what, verdict, facts, _make_room(names, files=files), "lfs quota")


def _used(quota: Quota) -> str:
    size = f"{amount(quota.used)} of {amount(quota.limit)}" if quota.limit else amount(quota.used)
    files = f"{quota.files:,} of {quota.file_limit:,}" if quota.file_limit else f"{quota.files:,}"
    return f"{size} and {files} files"
