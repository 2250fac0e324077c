"""The project: its image, lock and environment, and what its `[run]` table asks of this machine."""

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lumienv.errors import LumienvError, ManifestError, StoreError
from lumienv.image.hostpython import find_python, no_python
from lumienv.launch.binds import user_bind
from lumienv.launch.run import changed_sources
from lumienv.lockfile import read_lock
from lumienv.manifest import HostValue
from lumienv.overlay.generation import current_generation
from lumienv.overlay.leases import read_leases, start_time
from lumienv.overlay.room import check_room
from lumienv.project.activation import activation_differences
from lumienv.project.finding import (
    FINE,
    NOTE,
    PROBLEM,
    UNKNOWN,
    Case,
    Finding,
    is_folder,
    is_there,
    last_line,
    listed,
    mount_of,
    written,
)
from lumienv.runtime import Surroundings, closed_capture

# Seconds for a container to start: where there is no FUSE, all of a large image is unpacked first.
_PATIENCE = 60.0


def check_image(case: Case) -> Iterator[Finding]:
    """Whether the image is found, starts, and is of a family that the site knows.

    It is started closed, as for a probe: nothing of the project is seen in it.
    """
    if case.project is None or case.status is None:
        return
    image, table = case.status.image, case.project.manifest.image
    if image.problem:
        yield Finding("image", PROBLEM, image.problem, case.status.remedy)
        return
    if table.kind == "host":
        program = find_python(table.value, case.machine.environ.get("PATH"))
        there = program or is_there(case.project.manifest.directory / os.path.expanduser(table.value))  # noqa: PTH111
        facts = f"a Python of this machine, {program or table.value}"
        absent = no_python(table.value, case.machine.environ.get("PATH"))
        yield (
            Finding("image", FINE, facts)
            if there
            else Finding("image", PROBLEM, absent.message, absent.hint or "")
        )
        return
    if table.kind == "snapshot" or case.runtime is None:
        yield Finding("image", FINE if table.kind == "snapshot" else UNKNOWN, image.name)
        return
    environ = case.machine.environ
    done = closed_capture(
        case.runtime, image.path, ["true"], Surroundings(), inherited=environ, timeout=_PATIENCE
    )
    if done.returncode != 0:
        facts = f"{image.name} does not start: {last_line(done.stderr)}"
        yield Finding("image", PROBLEM, facts, f"{case.runtime.program} exec {shlex.quote(image.path)} true")
        return
    yield Finding("image", FINE, f"{image.name} is found and starts")
    if not case.site.families:
        return
    if case.snapshot is None:
        yield Finding("family", UNKNOWN, "the image has not been looked into yet", "lumienv lock")
        return
    prefix = case.snapshot.python.prefix
    if case.family:
        yield Finding("family", FINE, f"{case.family}, as its Python lies in {prefix}")
    else:
        facts = f"the image is of no family of {case.site.name}, as its Python lies in {prefix}"
        yield Finding("family", NOTE, facts, "lumienv run --print -- true shows binds and variables")


def check_lock(case: Case) -> Iterator[Finding]:
    """Whether the lock belongs to the manifest and the image."""
    if case.project is None or case.status is None:
        return
    lock = case.status.lock
    try:
        read_lock(case.project.lock_path)
    except LumienvError as error:
        yield Finding("lock", PROBLEM, error.message, error.hint or "lumienv lock")
        return
    if lock.problem:
        yield Finding("lock", _stale(case), lock.problem, case.status.remedy or "lumienv lock")
    else:
        yield Finding("lock", FINE, f"up to date, {lock.packages:,} packages")


def _stale(case: Case) -> str:
    """Outside a job `lumienv run` mends it by itself; in one it refuses to start."""
    return PROBLEM if "SLURM_JOB_ID" in case.machine.environ else NOTE


def check_environment(case: Case) -> Iterator[Finding]:
    """Whether `lumienv run` would take the environment as it is."""
    if case.project is None or case.status is None:
        return
    found = case.status
    if found.problem:
        yield Finding("environment", _stale(case), found.problem, found.remedy or "lumienv sync")
    else:
        modes = [one.mode for one in found.environments if one.current]
        yield Finding("environment", FINE, ", ".join(["up to date", *modes]))
    with suppress(StoreError):
        generation = current_generation(case.project.manifest.store_path)
        for line in changed_sources(case.project.manifest, generation):
            facts, _, remedy = line.rpartition(": ")
            yield Finding("sources", NOTE, facts, remedy)
        for folder in generation.editable:
            if not is_folder(folder):
                facts = f"the folder {folder}, which is installed editable, is gone"
                yield Finding("sources", PROBLEM, facts, "say in [sources] where it is now; lumienv sync")


def check_activation(case: Case) -> Iterator[Finding]:
    """Whether what a launch sets is what the command does that enters the image. Starts two containers."""
    if not case.deep or case.project is None or case.snapshot is None:
        return
    command = case.snapshot.activation.command
    manifest = case.project.manifest
    with suppress(StoreError):
        generation = current_generation(manifest.store_path)
        if generation.entrance.live or not command or generation.base_kind == "host":
            yield Finding("activation", FINE, "there is no recorded one to compare")
            return
        found = activation_differences(generation, command, manifest, case.site, case.machine.environ)
        if found:
            names = listed([one.name for one in found])
            facts = f"what was recorded is not what `{command}` does now: {names} differ"
            yield Finding("activation", PROBLEM, facts, '[image] activate = "live", then: lumienv sync')
        else:
            yield Finding("activation", FINE, f"recorded, and the same as by `{command}`")


def check_store(case: Case) -> Iterator[Finding]:
    """What the store lies on, who uses it, and what killed commands have left there."""
    if case.project is None:
        return
    manifest = case.project.manifest
    store = manifest.store_path
    mount = mount_of(store, case.machine)
    place = written(store, case.machine)
    modes = {one.mode for one in case.status.environments} if case.status else set()
    if mount is not None and mount.kind == "lustre" and (manifest.mode == "venv" or "venv" in modes):
        facts = f"{place} is on Lustre, and the mode venv puts thousands of small files there"
        yield Finding("store", NOTE, facts, "lumienv sync --mode squashfs", "LUMI user guide, storage")
    left = [
        path.name
        for folder in (store / "generations", store)
        if is_folder(folder)
        for path in folder.iterdir()
        if path.name.startswith((".staging-", ".removing-", ".current-"))
    ]
    if left:
        facts = f"{len(left)} folders in {place} are of a sync under way, or of one that was killed"
        yield Finding("store", NOTE, facts, "lumienv clean")
    leases = read_leases(store)
    gone = [one for one in leases if one.host == os.uname().nodename and start_time(one.pid) != one.started]
    if len(gone) > 100:
        facts = f"{len(gone):,} leases in {place} are of processes that have ended"
        yield Finding("store", NOTE, facts, "lumienv clean")
    old = len(case.status.environments) - 1 if case.status else 0
    if old > 5:
        yield Finding("store", NOTE, f"{place} holds {old} older environments", "lumienv clean --dry-run")
    if not left and old <= 5 and not (mount is not None and mount.kind == "lustre"):
        said = f"{place}{f' on {mount.kind}' if mount else ''}"
        yield Finding("store", FINE, said)


def check_run_table(case: Case) -> Iterator[Finding]:
    """What `[run]` takes from the machine: variables of the host, and paths to bind."""
    if case.project is None:
        return
    manifest = case.project.manifest
    found = False
    for name, value in manifest.run.env.items():
        if isinstance(value, HostValue) and value.name not in case.machine.environ:
            found = True
            facts = f"[run] env: {name} is taken from the host, where {value.name} is not set"
            yield Finding("[run]", PROBLEM, facts, f"export {value.name}=…")
    for text in manifest.run.bind:
        try:
            source = user_bind(text, manifest, look=False).source
        except ManifestError as error:
            found = True
            yield Finding("[run]", PROBLEM, error.message, error.hint or "")
            continue
        if not is_there(source):
            found = True
            facts = f"[run] bind: {source} does not exist here, and no container starts without it"
            yield Finding("[run]", PROBLEM, facts, f"mkdir -p {shlex.quote(source)}, or remove the bind")
    if not found and (manifest.run.env or manifest.run.bind):
        parts = [(len(manifest.run.env), "variables"), (len(manifest.run.bind), "binds")]
        said = listed([f"{number} {what}" for number, what in parts if number])
        yield Finding("[run]", FINE, f"{said}: all there")


def check_room_for_sync(case: Case) -> Iterator[Finding]:
    """Whether an image of the mode `sif` could be made: cotainr unpacks and packs all of the base."""
    project = case.project
    if project is None or project.manifest.mode != "sif" or case.status is None or not case.status.image.path:
        return
    size = Path(case.status.image.path).stat().st_size
    manifest, site = project.manifest, project.site
    try:
        check_room("sif", manifest.sif.builder, (), size, manifest.store_path, site.scratch)
    except LumienvError as error:
        hint = (error.hint or "").removesuffix("; nothing was changed")
        yield Finding("room for the image", PROBLEM, "; ".join((error.message, *error.facts)), hint)
    else:
        yield Finding("room for the image", FINE, f"enough for {manifest.sif.builder} in {site.scratch}")
