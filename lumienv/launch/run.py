"""`lumienv run`: find the environment, see that it is still the right one, and become the command."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lumienv.errors import ContainerError, ImageError, StoreError, UsageError
from lumienv.launch.arguments import RunArguments
from lumienv.launch.plan import LaunchPlan, launch_plan
from lumienv.launch.slurm import launcher_words
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest import Manifest, find_manifest, start_folder
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import Generation, current_generation
from lumienv.site import load_site


def plan_run(
    arguments: RunArguments,
    environ: Mapping[str, str],
    sync: Callable[[Path, str], None],
) -> LaunchPlan:
    """The plan for what was typed. A stale environment is synced first with `sync(project folder, reason)`.

    Inside a job nothing is synced: compute nodes may have no network, and every task would do it. Raises
    LumienvError's children.
    """
    manifest = read_manifest(find_manifest(start_folder(arguments.project, environ)))
    if not arguments.no_sync:
        reason = why_stale(manifest)
        if reason is not None and "SLURM_JOB_ID" in environ:
            raise StoreError(
                f"the environment is not up to date: {reason}",
                hint=f"on a login node, run: lumienv sync -C {shlex.quote(str(manifest.directory))}\n"
                "or use it as it is with: lumienv run --no-sync",
            )
        if reason is not None and arguments.print_only:
            raise StoreError(
                f"the environment is not up to date: {reason}", hint="bring it up to date first: lumienv sync"
            )
        if reason is not None:
            sync(manifest.directory, reason)
    generation = current_generation(manifest.store_path)
    _check_identity(generation)
    command = task_words(manifest.tasks, arguments.command)
    launcher = launcher_words(arguments.launcher, manifest.slurm, arguments.srun, environ)
    return launch_plan(
        generation,
        command,
        manifest,
        load_site(environ, manifest.directory),
        environ,
        env=arguments.env,
        bind=arguments.bind,
        launcher=launcher,
    )


def why_stale(manifest: Manifest) -> str | None:
    """Why the current environment is not what the manifest and the lock ask for; None when it is."""
    if not (manifest.store_path / "current").is_symlink():
        return "there is none yet"
    try:
        generation = current_generation(manifest.store_path)
        raw = (manifest.directory / LOCK_NAME).read_bytes()
    except StoreError as error:
        return error.message
    except FileNotFoundError:
        return "there is no lock"
    if generation.inputs != manifest.inputs_digest():
        return _what_changed(manifest, raw)
    if generation.selection != manifest.image.selection():
        return "[image] has changed since it was synced"
    if generation.lock != bytes_digest(raw):
        return f"{LOCK_NAME} has changed since it was synced"
    try:
        _check_identity(generation)
    except ImageError as error:
        return error.message
    return None


def _what_changed(manifest: Manifest, lock: bytes) -> str:
    """Which line of the manifest is another one than when it was locked."""
    import tomllib

    from lumienv.manifest.changes import what_changed

    try:
        guard = tomllib.loads(lock.decode())["tool"]["lumienv"]
        if guard["inputs"] != manifest.inputs_digest():
            return what_changed(guard["declared"], manifest.declared())
    except (ValueError, KeyError, TypeError):
        return "lumienv.toml has changed since it was locked"
    return f"{LOCK_NAME} has changed since it was synced"


def _check_identity(generation: Generation) -> None:
    """Raises ImageError when the base is gone, or is another one than the environment was made for."""
    if generation.mode == "sif":
        from lumienv.overlay.output import check_image

        check_image(generation)
        if not os.path.exists(generation.base_path):  # noqa: PTH110 - all of it is in the image
            return
    if generation.base_kind == "host":
        from lumienv.image.hostpython import host_fingerprint

        same = host_fingerprint(generation.base_path) == generation.fingerprint or _same_packages(generation)
    else:
        from lumienv.image.sif import read_sif

        same = read_sif(Path(generation.base_path)).identity == generation.identity
    if not same:
        raise ImageError(
            f"the image {generation.base_name} has changed since the environment was made for it",
            hint="make the environment anew, on a login node: lumienv sync",
        )


def _same_packages(generation: Generation) -> bool:
    """Whether a host base that was touched provides what it did: costs a look into it."""
    from lumienv.image.base import host_base
    from lumienv.image.probing import take_snapshot
    from lumienv.runtime.host import Host

    snapshot = take_snapshot(host_base(generation.base_path), "auto", Host(), None)
    return snapshot.image.identity == generation.identity


def task_words(tasks: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """The words of a `[tasks]` entry when its name is the first word, else the command as it is."""
    if command[0] not in tasks:
        return list(command)
    try:
        words = shlex.split(tasks[command[0]])
    except ValueError as error:
        raise UsageError(f"[tasks] {command[0]} cannot be split into words: {error}") from None
    if not words:
        raise UsageError(f"[tasks] {command[0]} is empty")
    return [*words, *command[1:]]


def become(plan: LaunchPlan, environ: Mapping[str, str]) -> None:
    """Replace this process by the plan's command: exit status and signals are then the command's own.

    Raises ContainerError when it cannot be started.
    """
    env = plan.environment(environ)
    try:
        os.execvpe(plan.argv[0], plan.argv, env)  # noqa: S606 - this is the point
    except FileNotFoundError:
        hint = (
            "there is no Slurm here; `--launcher direct` starts without it"
            if plan.argv[0] == "srun"
            else None
        )
        raise ContainerError(f"cannot start {plan.argv[0]}: there is no such program", hint=hint) from None
    except OSError as error:
        raise ContainerError(f"cannot start {plan.argv[0]}: {error.strerror}") from None
