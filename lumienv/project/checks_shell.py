"""The user's shell: variables, modules and packages of their own that reach into containers unasked."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from lumienv.errors import PackageIndexError
from lumienv.index.settings import PipConfiguration
from lumienv.project.finding import FINE, NOTE, PROBLEM, Case, Finding, is_there, listed, written
from lumienv.runtime.singularity import SINGULARITY
from lumienv.site.conflicts import conflicts

_BINDS = ("SINGULARITY_BIND", "SINGULARITY_BINDPATH", "APPTAINER_BIND", "APPTAINER_BINDPATH")

# Variables of the host that reach a container, and what they do there. lumienv sets them aside.
_LEAKS = {
    "PYTHONPATH": "goes before all packages of a container",
    "PYTHONHOME": "makes a container's Python look for its library elsewhere",
    "PYTHONSTARTUP": "is run by every interactive Python",
    "LD_PRELOAD": "names libraries of the host, which a container does not have",
}
_ENVIRONMENTS = {"VIRTUAL_ENV": "a venv", "CONDA_PREFIX": "a conda environment"}


def check_binds_of_shell(case: Case) -> Iterator[Finding]:
    """Paths that the runtime is told to bind: a source that is not there kills plain singularity."""
    environ = case.machine.environ
    found = False
    for name in _BINDS:
        if case.runtime is not None and case.runtime.flavour == SINGULARITY and name.startswith("APPTAINER"):
            continue  # SingularityCE does not read it
        missing = [path for path in bind_sources(environ.get(name, "")) if not is_there(path)]
        if missing:
            found = True
            verb = "is" if len(missing) == 1 else "are"
            facts = f"{name} names {listed(missing)}, which {verb} not on this node: plain singularity fails"
            yield Finding("binds", PROBLEM, facts, f"unset {name}, or unload the module that sets it")
    named = [name for name in _BINDS if environ.get(name)]
    if not found:
        yield Finding("binds", FINE, f"all paths of {listed(named)} are there" if named else "none is set")


def bind_sources(text: str) -> list[str]:
    """The host paths in `src[:dst[:opts]],…`; a word without a slash is an option of the one before it."""
    parts = [part.split(":")[0] for part in text.split(",")]
    return [part for part in parts if part.startswith(("/", ".", "~"))]


def check_variables(case: Case) -> Iterator[Finding]:
    """Variables and environments that a container would see."""
    environ = case.machine.environ
    found = False
    for name, why in _LEAKS.items():
        if environ.get(name):
            found = True
            facts = f"{name} is set and {why}; lumienv run sets it aside, plain singularity does not"
            yield Finding("variables", NOTE, facts, f"unset {name}")
    for name, what in _ENVIRONMENTS.items():
        if environ.get(name):
            found = True
            leave = "deactivate" if name == "VIRTUAL_ENV" else "conda deactivate"
            facts = (
                f"{what} is active ({written(environ[name], case.machine)}): it counts for nothing in images"
            )
            yield Finding("variables", NOTE, facts, leave)
    given = sorted(n for n in environ if re.match(r"(SINGULARITY|APPTAINER)ENV_", n))
    if given:
        found = True
        facts = f"{listed(given)} {'is' if len(given) == 1 else 'are'} handed to every container"
        yield Finding("variables", NOTE, facts, f"unset {' '.join(given)}")
    if not found:
        yield Finding("variables", FINE, "none that reaches into containers")


def check_modules(case: Case) -> Iterator[Finding]:
    """Loaded modules and folders on PATH that are known to get in the way."""
    environ = case.machine.environ
    found = list(conflicts(case.site.name, environ))
    for conflict in found:
        verdict = PROBLEM if conflict.is_problem else NOTE
        facts = f"{conflict.what} {conflict.why}"
        yield Finding("modules", verdict, facts, conflict.remedy, conflict.source)
    if not found:
        loaded = len(list(filter(None, environ.get("LOADEDMODULES", "").split(":"))))
        yield Finding(
            "modules", FINE, f"none of the {loaded} that are loaded" if loaded else "none is loaded"
        )


def check_user_packages(case: Case) -> Iterator[Finding]:
    """`~/.local`: what pip puts there when it cannot write into an image, every Python of that version sees.

    Source: LUMI-EasyBuild-containers, PyTorch/USER.md.
    """
    base = Path(case.machine.environ.get("PYTHONUSERBASE") or case.machine.home / ".local")
    wanted = f"python{case.python}" if case.python else "python3*"
    found = False
    for folder in sorted(base.glob(f"lib/{wanted}/site-packages")):
        names = sorted(path.name.split("-")[0] for path in folder.glob("*.dist-info"))
        if names:
            found = True
            version = folder.parent.name.removeprefix("python")
            place = written(folder, case.machine)
            facts = (
                f"{place} has {listed(names, 3)}, which Python {version} of every image sees; "
                "not so in lumienv run"
            )
            remedy = f"mv {_typed(folder, case)} {_typed(folder.with_name('site-packages.off'), case)}"
            source = "LUMI-EasyBuild-containers, PyTorch/USER.md"
            yield Finding("packages in ~/.local", NOTE, facts, remedy, source)
    if not found:
        of = f" for Python {case.python}" if case.python else ""
        yield Finding("packages in ~/.local", FINE, f"none{of}")


def _typed(path: Path, case: Case) -> str:
    short = written(path, case.machine)
    return "~/" + shlex.quote(short[2:]) if short.startswith("~/") else shlex.quote(short)


def check_pip(case: Case) -> Iterator[Finding]:
    """Which index pip is configured with; nobody is asked over the network."""
    pip = PipConfiguration(case.machine.environ)
    try:
        index = pip.get("index-url") or case.machine.environ.get("UV_DEFAULT_INDEX")
        further = [name for name in ("extra-index-url", "find-links") if pip.get(name)]
    except PackageIndexError as error:
        yield Finding("pip", PROBLEM, error.message, error.hint or "")
        return
    if pip.get("no-index") in ("1", "true", "yes", "on"):
        facts = "pip is told to use no index (no-index); lumienv uses the one of uv all the same"
        yield Finding("pip", NOTE, facts, "[[index]] in lumienv.toml names another")
    if further:
        facts = f"pip's {listed(further)} {'is' if len(further) == 1 else 'are'} not taken over by lumienv"
        yield Finding("pip", NOTE, facts, "[[index]] in lumienv.toml, if packages are to come from there")
    # The host alone: the rest of the address may hold a password.
    host = urlsplit(index).hostname if index else None
    if not further:
        said = f"packages come from {host}" if host else "packages come from the index that uv has built in"
        yield Finding("pip", FINE, said)


def check_locale(case: Case) -> Iterator[Finding]:
    """A locale without UTF-8 garbles names of files; C is read as UTF-8 by every Python since 3.7."""
    environ = case.machine.environ
    name = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if name in ("", "C", "POSIX") or re.search(r"utf-?8", name, re.IGNORECASE):
        yield Finding("locale", FINE, name or "not set, which Python reads as UTF-8")
        return
    facts = f"the locale {name} is not of UTF-8: names of files with other letters come out wrong"
    yield Finding("locale", NOTE, facts, "export LC_ALL=C.UTF-8")


def check_umask(case: Case) -> Iterator[Finding]:
    """The umask: what others may do with what is made here."""
    found = re.search(r"^Umask:\s*(\d+)", case.machine.text("/proc/self/status") or "", re.MULTILINE)
    if found is None:
        return
    mask = int(found[1], 8)
    if not mask & 0o002:
        facts = f"with the umask {mask:03o} everybody may write to what you make"
        yield Finding("umask", NOTE, facts, "umask 007")
    elif mask & 0o070 == 0o070 and os.geteuid() != 0:
        facts = f"with the umask {mask:03o} your group cannot read what you make"
        yield Finding("umask", NOTE, facts, "umask 007, or: lumienv sync --share", "LUMI's default is 007")
    else:
        yield Finding("umask", FINE, f"{mask:03o}")
