"""conda's `environment.yml`: its pip section as it is, its packages as far as an index has them too.

Nothing here asks a channel: most of what conda-forge and an index both have they call the same. What is
known to be called otherwise, or to be no Python package, stands below (conda-forge's feedstocks, 2026).
"""

import re
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.errors import ManifestError
from lumienv.manifest import HostValue
from lumienv.manifest.sources import without_secret
from lumienv.project.imported import Imported
from lumienv.project.requirement_files import read_lines, requirements_text

_RENAMED = {
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "tensorflow-base": "tensorflow",
    "pytables": "tables",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "matplotlib-base": "matplotlib",
    "seaborn-base": "seaborn",
    "dask-core": "dask",
    "msgpack-python": "msgpack",
    "python-graphviz": "graphviz",
    "py-xgboost": "xgboost",
    "importlib_metadata": "importlib-metadata",
    "prompt_toolkit": "prompt-toolkit",
}
# No Python packages: libraries, compilers and tools, which the image has, or nobody needs on top of it.
_NO_PYTHON = re.compile(
    r"_.*|pip|setuptools|wheel|python_abi|cudatoolkit.*|cuda(-.*)?|cudnn|nccl|pytorch-cuda|pytorch-mutex|mkl.*|"
    r"blas|openblas|lib.*|gcc.*|gxx.*|gfortran.*|clang.*|.*-compilers?|compilers|cmake|make|ninja|git|git-lfs|"
    r"ffmpeg|openmpi|mpich|hdf5|netcdf4?-c|zlib|zstd|lz4-c|xz|bzip2|openssl|ca-certificates|sqlite|readline|"
    r"tk|ncurses|ld_impl_linux-64|icu|nodejs|r-.*|llvm-openmp|intel-openmp|tzdata|graphviz|sysroot_.*|"
    r"binutils.*|pkg-config|gdal|geos|proj|eigen|boost(-cpp)?|fftw|gsl|glib|gmp|jpeg|freetype"
)
# Python packages that are called like one of those, and have the same name in an index.
_PYTHON_ALL_THE_SAME = re.compile(
    r"lib(archive-c|conf|cst|ensemble|ertem(-.*)?|gravatar|honey|hxl|ify|ipld|nacl|pass|pysal|pyvinyl|"
    r"roadrunner|rosa|routeros|rt|scrc|sonata|taxii|tmux|usb1|valkey)|"
    r"cuda-(bindings|cooperative|core|parallel|pathfinder|python|tile)"
)
_SPEC = re.compile(r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<range>.*)")
_SECRET = re.compile(r"TOKEN|SECRET|PASS|PWD|KEY|AUTH|CREDENTIAL", re.IGNORECASE)


def read_environment(path: Path, folder: Path) -> Imported:
    """What an `environment.yml` asks for; paths in it are seen from the project, `folder`.

    Raises ManifestError where it cannot be read or is none.
    """
    text = requirements_text(path)
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ManifestError(f"{path} is not valid YAML{where}", hint="nothing was written") from None
    entries = data.get("dependencies") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise ManifestError(
            f"{path} is no environment.yml of conda's: it has no list of dependencies",
            hint="`conda env export --from-history` writes one; nothing was written",
        )
    found = Imported(notes=tuple(_left_out(path, data)), **_environment(data))
    conda: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            found += _package(entry.strip(), path.name, conda)
        elif isinstance(entry, dict) and isinstance(entry.get("pip"), list):
            lines = [line.partition(" #")[0].strip() for line in entry["pip"] if isinstance(line, str)]
            found += read_lines([line for line in lines if line], f"{path.name}: pip", path.parent, folder)
        elif entry is not None:
            what = f"a section {next(iter(entry))}" if isinstance(entry, dict) and entry else _scalar(entry)
            found += Imported(notes=(f"{path.name}: left out: {what} (neither a package nor a pip section)",))
    if conda:
        found += Imported(
            notes=(
                f"{path.name}: taken from conda by their names: {', '.join(conda)}; an index may lack one",
            )
        )
    return found


def _scalar(value: object) -> str:
    """A value as it may be shown: never a list, which aliases of YAML can make endless."""
    return str(value) if isinstance(value, (str, int, float)) else "something that is no text"


def _left_out(path: Path, data: dict[Any, Any]) -> list[str]:
    notes = []
    if data.get("channels"):
        notes.append(f"{path.name}: left out: channels (packages come from package indexes, not from conda)")
    known = {"name", "prefix", "channels", "dependencies", "variables"}
    variables = data.get("variables")
    for name, value in variables.items() if isinstance(variables, dict) else ():
        if not _is_variable(name, value):
            notes.append(f"{path.name}: left out: variable {_scalar(name)} (no name and text for a shell)")
        elif _is_secret(name, str(value)):
            notes.append(
                f"{path.name}: {name} is taken from the host when a command starts: its value is not written"
            )
    notes += [
        f"{path.name}: left out: {_scalar(key)} (lumienv has nothing like it)"
        for key in data
        if key not in known
    ]
    return notes


def _environment(data: dict[Any, Any]) -> dict[str, Any]:
    variables = data.get("variables")
    if not isinstance(variables, dict):
        return {}
    fit = {name: str(value) for name, value in variables.items() if _is_variable(name, value)}
    return {
        "env": {name: HostValue(name) if _is_secret(name, value) else value for name, value in fit.items()}
    }


def _is_variable(name: object, value: object) -> bool:
    """Whether both are what conda would set: YAML's own true and null are neither a name nor a text."""
    is_name = isinstance(name, str) and name.isascii() and name.isidentifier()
    is_text = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return is_name and is_text and "\0" not in str(value)


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET.search(name)) or without_secret(value) != value


def _package(spec: str, file: str, conda: list[str]) -> Imported:
    """One of conda's packages; the name of one that is taken over is added to `conda`."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        return Imported(notes=(f"{file}: left out: {spec} (no package of conda's)",))
    name, given = found["name"].lower(), found["range"].strip()
    if name == "python":
        return Imported(python=_range(given) or "")
    if _NO_PYTHON.fullmatch(name) and not _PYTHON_ALL_THE_SAME.fullmatch(name):
        quiet = name in ("pip", "setuptools", "wheel") or name.startswith("_")
        note = f"{file}: left out: {spec} (no Python package; the image has its own)"
        return Imported(notes=() if quiet else (note,))
    specifier = _range(given)
    called = _RENAMED.get(name, str(canonicalize_name(name)))
    notes = (
        []
        if specifier is not None
        else [f"{file}: {spec}: taken without its version, which pip could not say"]
    )
    if called != canonicalize_name(name):
        notes.append(f"{file}: {name} is called {called} outside of conda")
    text = called + (specifier or "")
    try:
        Requirement(text)
    except InvalidRequirement:
        return Imported(notes=(f"{file}: left out: {spec} (no name that an index could have)",))
    conda.append(called)
    return Imported(dependencies=(text,), notes=tuple(notes))


def _range(given: str) -> str | None:
    """A range as pip writes it: conda's `=1.26` is any 1.26, builds are left away; None where none is."""
    if inside := re.fullmatch(r"\[(.*)\]", given):  # `numpy[version='>=1.2,<3', build=…]`
        version = re.search(r"version\s*=\s*(\"[^\"]*\"|'[^']*'|[^,\s]+)", inside[1])
        given = version[1].strip("\"'") if version else ""
    given = re.sub(r"\[.*\]$", "", given).strip()
    given = re.sub(r"\s*,\s*", ",", given)
    if not given or given == "*":
        return ""
    if exact := re.fullmatch(r"==?\s*([\w.+!]+)=[\w.*]+", given):  # version and build
        given = f"=={exact[1]}"
    elif fuzzy := re.fullmatch(r"=\s*([\w.+!]+?)(?:\.?\*)?(?:=[\w.*]+)?", given):  # `=1.26`, `=1.26.*=cuda*`
        given = f"=={fuzzy[1]}.*"
    elif bare := re.fullmatch(
        r"([\d][\w.+!]*?)(\.?\*)?(?:[\s=][\w.*]+)?", given
    ):  # `numpy 1.26.*`, `numpy 1.26 py312_0`
        given = f"=={bare[1]}.*" if bare[2] else f"=={bare[1]}"
    elif built := re.fullmatch(r"([<>!~]=?[\w.+!]+)=[\w.*]+", given):
        given = built[1]
    elif "|" in given:
        return None
    try:
        SpecifierSet(given)
    except InvalidSpecifier:
        return None
    return given
