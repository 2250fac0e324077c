"""The container runtime and its tools: are they there, and may they do what lumienv asks of them?"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lumienv.errors import ContainerError, StoreError
from lumienv.overlay.squashfs import find_program
from lumienv.project.finding import FINE, NOTE, PROBLEM, UNKNOWN, Case, Finding, Machine, is_there, last_line
from lumienv.runtime.singularity import APPTAINER, Singularity, find

# The first Apptainer that mounts an overlay inside a SIF of more than 2 GB.
_LARGE_OVERLAYS = (1, 3, 4)

_USER_NAMESPACES = "/proc/sys/user/max_user_namespaces"
# Distributions' own switches: Debian's kernel, Ubuntu's AppArmor.
_MORE_SWITCHES = {
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
}


def check_runtime(case: Case) -> Iterator[Finding]:
    """Which runtime `lumienv run` takes, and its version."""
    if case.host:
        yield Finding("runtime", FINE, "none is needed: the base is a Python of this machine")
        return
    try:
        runtime = case.runtime or find(case.machine.environ)
    except ContainerError as error:
        yield Finding("runtime", PROBLEM, error.message, error.hint or "")
        return
    said = case.machine.ask(runtime.program, "--version")
    version = re.search(r"\d+\.\d+(\.\d+)?\S*", said.stdout)
    if said.returncode != 0 or version is None:
        yield Finding(
            "runtime",
            PROBLEM,
            f"{runtime.program} does not tell its version: {last_line(said.stderr or said.stdout)}",
            f"{runtime.program} --version",
        )
        return
    numbers = tuple(int(number) for number in re.findall(r"\d+", version[0])[:3])
    if runtime.flavour == APPTAINER and numbers < _LARGE_OVERLAYS and _appends(case):
        facts = f"Apptainer {version[0]} does not mount what is appended to an image of more than 2 GB"
        remedy = "lumienv sync --mode sif --builder cotainr"
        yield Finding("runtime", NOTE, facts, remedy, "Apptainer's release notes, 1.3.4")
    forced = " (named by LUMIENV_RUNTIME)" if case.machine.environ.get("LUMIENV_RUNTIME") else ""
    yield Finding("runtime", FINE, f"{runtime.flavour} {version[0]}, {runtime.program}{forced}")


def check_privileges(case: Case) -> Iterator[Finding]:
    """How the runtime gets at what a container needs: setuid, user namespaces, FUSE."""
    if case.runtime is None:
        return
    machine = case.machine
    facts = _build_facts(case.runtime, machine)
    setuid = _is_setuid(case.runtime, facts)
    if os.geteuid() == 0:
        yield Finding("privileges", FINE, "this is root, who needs neither setuid nor user namespaces")
    elif setuid:
        yield Finding("privileges", FINE, "the runtime is installed setuid root")
    else:
        yield _user_namespaces(machine)
    if setuid or os.geteuid() == 0:
        return
    yield from _fuse(case.runtime, facts, machine)


def _user_namespaces(machine: Machine) -> Finding:
    allowed = (machine.text(_USER_NAMESPACES) or "").strip()
    closed = [path for path, off in _MORE_SWITCHES.items() if (machine.text(path) or "").strip() == off]
    if not allowed:
        return Finding("privileges", UNKNOWN, f"{_USER_NAMESPACES} cannot be read")
    if allowed == "0" or closed:
        switch = closed[0] if closed else _USER_NAMESPACES
        return Finding(
            "privileges",
            PROBLEM,
            f"the runtime is not setuid, and {switch} forbids user namespaces: no container can start",
            "ask the administrators for a setuid runtime or for user namespaces",
            "Apptainer admin guide, User Namespaces & Fakeroot",
        )
    return Finding("privileges", FINE, f"user namespaces are allowed ({allowed} for each user)")


def _fuse(runtime: Singularity, facts: Mapping[str, str], machine: Machine) -> Iterator[Finding]:
    """Without setuid, images are mounted by squashfuse."""
    device = machine.at("/dev/fuse")
    if not os.access(device, os.R_OK | os.W_OK):
        why = "is not there" if not is_there(device) else "is closed to you"
        yield Finding(
            "FUSE",
            PROBLEM,
            f"/dev/fuse {why}: without setuid an image is mounted through it, else unpacked at each start",
            "ask the administrators for /dev/fuse, or: modprobe fuse",
        )
        return
    inside = Path(facts.get("LIBEXECDIR", "/usr/libexec")) / runtime.flavour / "bin"
    path = os.pathsep.join([machine.environ.get("PATH", ""), str(inside), "/usr/bin", "/usr/sbin"])
    program = shutil.which("squashfuse_ll", path=path) or shutil.which("squashfuse", path=path)
    if program is None:
        yield Finding(
            "FUSE",
            PROBLEM,
            "there is no squashfuse: without setuid it mounts images, which are else unpacked at each start",
            "install squashfuse",
        )
        return
    yield Finding("FUSE", FINE, f"/dev/fuse is open, {program} mounts images")


def check_configuration(case: Case) -> Iterator[Finding]:
    """What an administrator may have switched off in the runtime's configuration."""
    if case.runtime is None:
        return
    path = _configuration(case.runtime, case.machine)
    text = case.machine.text(str(path)) if path else None
    if text is None:
        yield Finding("configuration", UNKNOWN, f"{path or 'the file of the runtime'} cannot be read")
        return
    settings = read_configuration(text)
    loops = settings.get("max loop devices", "")
    found = False
    if settings.get("user bind control") == "no":
        found = True
        yield Finding(
            "configuration",
            PROBLEM,
            f"{path} says user bind control = no: nothing can be bound, so no environment either",
            "lumienv sync --mode sif --builder append",
            "SingularityCE admin guide, singularity.conf",
        )
    if settings.get("enable overlay") == "no" and _appends(case):
        found = True
        yield Finding(
            "configuration",
            PROBLEM,
            f"{path} says enable overlay = no: what the builder append puts into an image is not seen",
            "lumienv sync --mode sif --builder cotainr",
            "SingularityCE admin guide, singularity.conf",
        )
    known = case.site.loop_devices
    if known is not None and loops.isdigit() and int(loops) != known:
        found = True
        yield Finding(
            "loop devices",
            NOTE,
            f"{path} allows {loops} on a node, the profile of {case.site.name} says {known}",
            "tell the maintainers of the site's profile",
        )
    if not found:
        shared = settings.get("shared loop devices", "no")
        yield Finding(
            "configuration", FINE, f"{path}: {loops or '?'} loop devices on a node, shared: {shared}"
        )


def _appends(case: Case) -> bool:
    manifest = case.project.manifest if case.project else None
    return manifest is not None and manifest.mode == "sif" and manifest.sif.builder == "append"


def read_configuration(text: str) -> dict[str, str]:
    """`key = value` lines of singularity.conf; of a key that stands several times, the last."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def check_tools(case: Case) -> Iterator[Finding]:
    """What makes squashfs files and images; a problem only where the project needs it."""
    manifest = case.project.manifest if case.project else None
    mode = manifest.mode if manifest else ""
    try:
        yield Finding("mksquashfs", FINE, find_program("mksquashfs"))
    except StoreError as error:
        verdict = PROBLEM if mode in ("squashfs", "sif") else NOTE
        yield Finding("mksquashfs", verdict, error.message, error.hint or "")
    import importlib.metadata
    import importlib.util

    if importlib.util.find_spec("cotainr") is not None:
        version = ""
        with suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version("cotainr")
        yield Finding("cotainr", FINE, version or "it can be imported")
        return
    needed = manifest is not None and mode == "sif" and manifest.sif.builder == "cotainr"
    yield Finding(
        "cotainr",
        PROBLEM if needed else NOTE,
        "cotainr cannot be imported: images are made by appending only",
        "lumienv sync --mode sif --builder append",
    )


def _build_facts(runtime: Singularity, machine: Machine) -> dict[str, str]:
    """What `buildcfg` tells of how the runtime was built; empty where it does not."""
    with suppress(ContainerError):
        told = machine.ask(runtime.program, "buildcfg")
        lines = (line.partition("=") for line in told.stdout.splitlines())
        return {key: value for key, equals, value in lines if equals}
    return {}


def _is_setuid(runtime: Singularity, facts: Mapping[str, str]) -> bool:
    starter = Path(facts.get("LIBEXECDIR", "/usr/libexec"), runtime.flavour, "bin", "starter-suid")
    with suppress(OSError):
        return bool(starter.stat().st_mode & stat.S_ISUID)
    return facts.get(f"{runtime.flavour.upper()}_SUID_INSTALL") == "1"


def _configuration(runtime: Singularity, machine: Machine) -> str | None:
    """Where the runtime's configuration lies, as it says itself; else where packages put it."""
    name = "apptainer" if runtime.flavour == APPTAINER else "singularity"
    told = _build_facts(runtime, machine).get(f"{name.upper()}_CONF_FILE")
    usual = [f"{folder}/{name}/{name}.conf" for folder in ("/etc", "/usr/local/etc")]
    places = [told, *usual] if told else usual
    return next((path for path in places if is_there(machine.at(path))), places[0])
