"""`lumienv run`: find the environment, see that it is still the right one, and become the command."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence

from lumienv.errors import ContainerError, ImageError, StoreError, UsageError
from lumienv.launch.arguments import RunArguments
from lumienv.launch.notes import mistyped_task
from lumienv.launch.plan import LaunchPlan, launch_plan
from lumienv.launch.slurm import launcher_words, starts_step, typed_words
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest import Manifest, find_manifest, group_key, start_folder
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import (
    Generation,
    all_generations,
    current_generation,
    current_mode,
    read_generation,
)
from lumienv.overlay.leases import PRINTED, lease_name, take_lease
from lumienv.paths import Path
from lumienv.shell import quote
from lumienv.site import Site, load_site
from lumienv.values import replace

NOT_YET = "there is none yet"
"""why a lock or an environment that there is not is not up to date"""


def plan_run(
    arguments: RunArguments,
    environ: Mapping[str, str],
    sync: Callable[[Path, str], None],
    note: Callable[[str], None] = lambda _: None,
) -> LaunchPlan:
    """The plan for what was typed. A stale environment is synced first with `sync(project folder, reason)`.

    `note` is told of local projects whose code has changed since it was built: that alone syncs nothing, as
    anything that a job writes into such a folder is a change.

    Inside a job nothing is synced: compute nodes may have no network, and every task would do it. Raises
    LumienvError's children.
    """
    manifest, generation = ready(arguments, environ, sync, note)
    launcher: list[str] = []
    if starts_step(arguments.launcher, environ):
        typed = [*arguments.options, *typed_words(arguments.srun)]
        launcher = launcher_words(manifest.slurm, typed, environ, note)
    elif arguments.srun:
        note("--srun is not used, as this starts without a step of its own; with one: --launcher srun")
    site = load_site(environ, manifest.directory)
    plan = planned(arguments, generation, manifest, site, environ, launcher)
    for part in arguments.beside:
        words = [":", *launcher_words(manifest.slurm, part.options, environ, note)[1:]]
        plan = plan.beside(planned(arguments, generation, manifest, site, environ, words, part.command))
    return plan


def ready(
    arguments: RunArguments,
    environ: Mapping[str, str],
    sync: Callable[[Path, str], None],
    note: Callable[[str], None],
) -> tuple[Manifest, Generation]:
    """What is asked for, and an environment that fits it: a stale one is synced first, see `plan_run`."""
    manifest = read_manifest(find_manifest(start_folder(arguments.project, environ)))
    if arguments.presets:
        manifest = replace(manifest, run=replace(manifest.run, presets=arguments.presets))
    looked_at: Generation | None = None
    if arguments.mode is None and not arguments.no_sync:
        looked_at, reason = _look(manifest)
        if reason is not None and ("SLURM_JOB_ID" in environ or arguments.print_only):
            raise StoreError(f"the environment is not up to date: {reason}", hint=_remedy(manifest, environ))
        if reason is not None:
            sync(manifest.directory, reason)
            looked_at = None
    generation = _in_use(manifest, arguments, environ, looked_at)
    if not generation.path.is_dir():  # `clean` was there between the look and the lease
        generation = _in_use(manifest, arguments, environ)
    if generation is not looked_at:
        _check_identity(generation)
    for line in changed_sources(manifest, generation):
        note(line)
    return manifest, generation


def planned(
    arguments: RunArguments,
    generation: Generation,
    manifest: Manifest,
    site: Site,
    environ: Mapping[str, str],
    launcher: Sequence[str],
    command: Sequence[str] | None = None,
) -> LaunchPlan:
    """The plan for the typed command, or another one, with what was typed beside it."""
    words = arguments.command if command is None else command
    plan = launch_plan(
        generation,
        task_words(manifest.tasks, words),
        manifest,
        site,
        environ,
        env=arguments.env,
        bind=arguments.bind,
        launcher=launcher,
    )
    meant = mistyped_task(manifest.tasks, words[0], environ)
    return replace(plan, notes=(*meant, *plan.notes)) if meant else plan


def _in_use(
    manifest: Manifest,
    arguments: RunArguments,
    environ: Mapping[str, str],
    chosen: Generation | None = None,
) -> Generation:
    """The generation to run in, with a lease taken so that `clean` leaves it. Raises StoreError.

    A printed line needs none where it resolves `current` when it starts.
    """
    generation = chosen or chosen_generation(manifest, arguments.mode, environ, fitting=not arguments.no_sync)
    if not arguments.print_only:
        take_lease(generation.path, lease_name(environ))
    elif generation.path.name != Path(os.path.realpath(manifest.store_path / "current")).name:
        take_lease(generation.path, PRINTED)
    return generation


def chosen_generation(
    manifest: Manifest, mode: str | None, environ: Mapping[str, str], *, fitting: bool = True
) -> Generation:
    """The current generation, or the newest of `mode`; where `fitting`, of those that belong to the lock.

    In somebody else's store `current` may lead to what they do not share: then it is the newest that was
    accepted from them. Raises StoreError when there is none.
    """
    refused = StoreError("")
    if mode is None:
        try:
            return current_generation(manifest.store_path)
        except StoreError as error:
            refused = error
        if not _is_elses(manifest.store_path):
            raise refused
    reason = None
    for path in all_generations(manifest.store_path):
        if mode is not None and not path.name.startswith(f"{mode}-"):
            continue
        try:
            generation = read_generation(path)
        except StoreError as error:
            reason = reason or error.message
            continue
        unfit = misfit(manifest, generation) if fitting else None
        if unfit is None:
            return generation
        reason = reason or unfit
    if mode is None:
        raise refused
    if reason is None:
        raise StoreError(
            f"there is no environment of the mode {mode} here yet", hint=_remedy(manifest, environ, mode)
        )
    raise StoreError(
        f"there is no environment of the mode {mode} that is up to date: {reason}",
        hint=_remedy(manifest, environ, mode),
    )


def _is_elses(store: Path) -> bool:
    try:
        return store.stat().st_uid != os.geteuid()
    except OSError:
        return False


def _remedy(manifest: Manifest, environ: Mapping[str, str], mode: str | None = None) -> str:
    """What to do about an environment that is missing or stale."""
    words = sync_words(manifest, mode)
    if "SLURM_JOB_ID" in environ:
        words[2:2] = ["-C", str(manifest.directory)]
    line = " ".join(map(quote, words))
    if "SLURM_JOB_ID" not in environ:
        return f"bring it up to date first: {line}" if mode is None else f"make it: {line}"
    return f"on a login node, run: {line}\nor use it as it is with: lumienv run --no-sync"


def sync_words(manifest: Manifest, mode: str | None = None, have: Generation | None = None) -> list[str]:
    """The command that makes the current environment anew as it is, or `have`, or one like it of `mode`."""
    words = ["lumienv", "sync"]
    known = current_mode(manifest.store_path)
    wanted = mode or (known if known != manifest.mode else None)
    words += ["--mode", wanted] if wanted is not None else []
    try:
        have = have or current_generation(manifest.store_path)
    except StoreError:
        return words
    if mode in (None, have.mode) and have.builder not in ("", manifest.sif.builder):
        words += ["--builder", have.builder]
    for group in have.groups:
        known = group_key(manifest.groups, group)
        if known is not None and known != manifest.dev_group:
            words += ["--group", known]
    if manifest.dev_group is not None and group_key(have.groups, "dev") is None:
        words.append("--no-dev")
    return words


def why_stale(manifest: Manifest, *, look: bool = True) -> str | None:
    """Why the current environment is not what the manifest and the lock ask for; None when it is.

    `look` allows to start a host Python that was touched, to see whether it is another one.
    """
    return _look(manifest, look=look)[1]


def _look(manifest: Manifest, *, look: bool = True) -> tuple[Generation | None, str | None]:
    """The current environment, and why it is not what is asked for."""
    if not os.path.islink(manifest.store_path / "current") and not _is_elses(manifest.store_path):  # noqa: PTH114
        return None, NOT_YET
    try:
        generation = chosen_generation(manifest, None, {})
    except StoreError as error:
        return None, error.message
    reason = misfit(manifest, generation)
    if reason is None:
        try:
            _check_identity(generation, look=look)
        except ImageError as error:
            reason = error.message
    return generation, reason


def misfit(manifest: Manifest, generation: Generation) -> str | None:
    """Why `generation` was made for something else than the manifest and the lock are now."""
    try:
        raw = (manifest.directory / LOCK_NAME).read_bytes()
    except FileNotFoundError:
        return "there is no lock"
    except OSError as error:
        return f"{LOCK_NAME} cannot be read: {error.strerror}"
    if generation.inputs != manifest.inputs_digest():
        return _what_changed(manifest, raw)
    if generation.selection != manifest.image.selection():
        return "[image] has changed since it was synced"
    if generation.lock != bytes_digest(raw):
        return f"{LOCK_NAME} has changed since it was synced"
    return None


def changed_sources(manifest: Manifest, generation: Generation) -> list[str]:
    """A line for each local project that is not as it was when it was built into the environment."""
    if not generation.sources:
        return []
    from lumienv.build.folders import folder_state

    changed = []
    for name, (location, state) in generation.sources.items():
        folder = manifest.directory / Path(location).expanduser()
        if folder.is_dir() and folder_state(folder) != state:
            changed.append(
                f"{name} runs as it was when it was built; {location} has changed since: "
                f"lumienv sync{'' if generation.mode == manifest.mode else f' --mode {generation.mode}'}"
            )
    return changed


def _what_changed(manifest: Manifest, lock: bytes) -> str:
    """Which line of the manifest is another one than when it was locked."""
    from lumienv.manifest.changes import what_changed
    from lumienv.toml import parse_toml

    try:
        guard = parse_toml(lock.decode())["tool"]["lumienv"]
        if guard["inputs"] != manifest.inputs_digest():
            return what_changed(guard["declared"], manifest.declared(), guard["inputs"])
    except (ValueError, KeyError, TypeError):
        return "lumienv.toml has changed since it was locked"
    return f"{LOCK_NAME} has changed since it was synced"


def _check_identity(generation: Generation, *, look: bool = True) -> None:
    """Raises ImageError when the base is gone, or is another one than the environment was made for."""
    if generation.mode == "sif":
        from lumienv.overlay.output import check_image

        check_image(generation)
        if not os.path.exists(generation.base_path):  # noqa: PTH110 - all of it is in the image
            return
    changed: str | None = None
    if generation.base_kind == "host":
        from lumienv.image.hostpython import host_fingerprint

        if host_fingerprint(generation.base_path) != generation.fingerprint:
            changed = _difference(generation) if look else "it, or its packages, were touched"
    else:
        from lumienv.image.sif import read_sif

        if read_sif(Path(generation.base_path)).identity != generation.identity:
            changed = ""
    if changed is not None:
        raise ImageError(
            f"the image {generation.base_name} has changed since the environment was made for it"
            + (f": {changed}" if changed else ""),
            hint="make the environment anew, on a login node: lumienv sync",
        )


def _difference(generation: Generation) -> str | None:
    """What tells a touched host base from what it was; None when nothing does. Costs a look into it."""
    from lumienv.image.base import host_base
    from lumienv.image.probing import take_snapshot
    from lumienv.runtime.host import Host

    snapshot = take_snapshot(host_base(generation.base_path), "auto", Host(), None)
    if snapshot.image.identity == generation.identity:
        return None
    now, then = snapshot.python.version, generation.python
    return "it has other packages now" if now == then else f"it is Python {now} now, and was {then}"


def task_words(tasks: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """The words of a `[tasks]` entry when its name is the first word, else the command as it is."""
    if command[0] not in tasks:
        return list(command)
    import re
    import shlex

    text = tasks[command[0]]
    try:
        words = shlex.split(text)
    except ValueError as error:
        said = str(error).lower()
        raise UsageError(
            f"[tasks] {command[0]} cannot be split into words: {said}",
            f"it is: {text}",
            hint="quotes in it come in pairs, as in a shell",
        ) from None
    # Outside of quotes only a shell knows these; as words they would make a folder called `&&`.
    for_a_shell = re.search(r"&&|[|;&<>`]|\$[({A-Za-z_]", _outside_quotes(text))
    if for_a_shell is not None:
        sign = for_a_shell[0]
        raise UsageError(
            f"[tasks] {command[0]} is started without a shell, and only a shell understands its {sign}",
            f"it is: {text}",
            hint=f"have a shell read it: {command[0]} = \"bash -c '…'\"\n"
            "what is meant as it stands goes between single quotes",
        )
    if not words:
        raise UsageError(f"[tasks] {command[0]} is empty")
    return [*words, *command[1:]]


def _outside_quotes(text: str) -> str:
    """What a shell would act on of a line that `shlex` can split: without what is quoted or escaped.

    Dollar signs and backticks count between double quotes, too.
    """
    import re

    def acted_on(found: re.Match[str]) -> str:
        return re.sub(r"\\.|[^$({A-Za-z_`]", " ", found[1] or "")

    return re.sub(r"\\.|'[^']*'|" r'"((?:\\.|[^"\\])*)"', acted_on, text)


def become(plan: LaunchPlan, environ: Mapping[str, str]) -> None:
    """Replace this process by the plan's command: exit status and signals are then the command's own.

    Raises ContainerError when it cannot be started.
    """
    env = plan.environment(environ)
    try:
        os.execvpe(plan.argv[0], plan.argv, env)  # noqa: S606 - this is the point
    except FileNotFoundError:
        hint = (
            "there is no Slurm here; `lumienv run --launcher direct` starts without it"
            if plan.argv[0] == "srun"
            else None
        )
        raise ContainerError(f"cannot start {plan.argv[0]}: there is no such program", hint=hint) from None
    except OSError as error:
        hint = None
        if error.errno == errno.E2BIG:  # execve(2): 128 KiB each, about a fourth of the stack together
            hint = "no argument or variable may be longer than 128 KiB: put long values into a file"
        raise ContainerError(f"cannot start {plan.argv[0]}: {error.strerror}", hint=hint) from None
