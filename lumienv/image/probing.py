"""Take a snapshot of a base: run the probe in it, once, and remember the answer by the base's identity."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lumienv.errors import ImageError
from lumienv.files import private_directory
from lumienv.image.hostpython import host_identity
from lumienv.image.probe import MARK
from lumienv.image.snapshot import (
    Activation,
    Base,
    ImagePackage,
    ImageScript,
    Python,
    Snapshot,
    snapshot_from_json,
)
from lumienv.image.tags import wheel_tags
from lumienv.runtime import Surroundings, closed_capture
from lumienv.runtime.process import Completed, answered
from lumienv.runtime.protocol import Runtime
from lumienv.sealed import read_sealed, write_sealed

# Finds the image's Python and hands over to the probe. The shell waits instead of becoming Python, so that
# the probe can read the variables as they were before activation from /proc/<parent>/environ.
#
# LUMI's older images define WITH_CONDA as the command that activates their environment (a bash word:
# `source`); newer ones set it to `true`. LAIF images put /opt/venv/bin on PATH.
_ENTER = r"""
probe='p=$(command -v python || command -v python3) || { echo lumienv: no python >&2; exit 66; }; exec "$p" -'
export LUMIENV_PROBE_PARENT=$$
case $1 in
  auto)
    if [ -n "${WITH_CONDA:-}" ] && [ "$WITH_CONDA" != true ]; then
      kind=with-conda command=$WITH_CONDA
    elif command -v python >/dev/null || command -v python3 >/dev/null; then
      kind=none command=
    else
      kind=none command=
      for found in /opt/venv/bin /opt/miniconda3/envs/*/bin /opt/conda/bin; do
        if [ -x "$found/python" ]; then kind=found command=$found PATH=$found:$PATH; break; fi
      done
    fi ;;
  none) kind=none command= ;;
  *) kind=command command=$1 ;;
esac
export LUMIENV_PROBE_KIND=$kind LUMIENV_PROBE_COMMAND=$command
case $kind in
  with-conda|command) bash -c "$command && { $probe; }" ;;
  *) sh -c "$probe" ;;
esac
exit $?
"""

# Variables that a shell or a runtime changes by itself, not the image's activation.
_NOT_ACTIVATION = {"_", "SHLVL", "PWD", "OLDPWD", "PS1", "PROMPT_COMMAND"}

# What the probe itself is started with; without the last, Python would set LC_CTYPE (PEP 538).
_PROBE_ENV = {"PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONCOERCECLOCALE": "0"}
_RUNTIME_PREFIXES = ("SINGULARITY", "APPTAINER", "BASH_FUNC_", "LUMIENV_")

_CACHE = "snapshots"
# Raised whenever the same answer of the probe becomes another snapshot.
_FORMAT = "2"

# Every runtime appends this to LD_LIBRARY_PATH by itself (SingularityCE/Apptainer, 99-base.sh).
_RUNTIME_LIBS = "/.singularity.d/libs"


def take_snapshot(base: Base, activate: str, runtime: Runtime, cache: Path | None) -> Snapshot:
    """The snapshot of `base`, from the cache or from a probe; a cached one starts no container.

    Raises ImageError when the base has no usable Python.
    """
    entry = None
    if cache is not None:
        with suppress(OSError):  # a cache that cannot be used costs time, nothing else
            entry = private_directory(cache / _CACHE) / _key(base, activate)
    known = _cached(entry) if entry is not None else None
    if known is not None:
        return _of_base(known, base)
    snapshot = snapshot_from_probe(base, run_probe(base, activate, runtime, probe_source()))
    if entry is not None:
        write_sealed(entry.parent, entry, snapshot.to_json().encode())
    return _of_base(snapshot, base)


def cached_snapshot(base: Base, cache: Path, activate: str = "auto") -> Snapshot | None:
    """The snapshot of `base` if the cache has one; starts nothing. Raises StoreError."""
    folder = _existing(cache)
    known = _cached(folder / _key(base, activate)) if folder is not None else None
    return _of_base(known, base) if known is not None else None


def cached_places(cache: Path, activate: str = "auto") -> Iterator[Path]:
    """Where the SIFs lay of which the cache has a snapshot, entered in this way; some may be gone by now."""
    folder = _existing(cache)
    for entry in sorted(folder.iterdir()) if folder is not None else ():
        known = _cached(entry)
        if known is not None and known.image.kind == "sif":
            base = replace(known.image, fingerprint=known.image.identity)
            if entry.name == _key(base, activate):
                yield Path(known.image.path)


def _existing(cache: Path) -> Path | None:
    folder = cache / _CACHE
    return private_directory(folder) if os.path.lexists(folder) else None


def _key(base: Base, activate: str) -> str:
    """What a cached snapshot is called: it holds for this base, entered like this and asked by this probe."""
    facts = (base.fingerprint, activate, probe_source(), _ENTER, _FORMAT)
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _cached(entry: Path) -> Snapshot | None:
    text = read_sealed(entry)
    if text is not None:
        with suppress(ImageError, UnicodeDecodeError):
            return snapshot_from_json(text.decode(), str(entry))
    return None


def _of_base(snapshot: Snapshot, base: Base) -> Snapshot:
    """The snapshot with the base as it was found now: it may lie elsewhere than when it was probed.

    The identity of a host base is known only here, as it covers the frozen list.
    """
    if base.kind == "host":
        python = snapshot.python
        identity = host_identity(base.path, python.version, python.prefix, snapshot.frozen_digest())
        base = replace(base, identity=identity)
    return replace(snapshot, image=base)


def probe_source() -> str:
    """The text of the probe."""
    return files("lumienv.image").joinpath("probe.py").read_text(encoding="utf-8")


def run_probe(base: Base, activate: str, runtime: Runtime, text: str) -> dict[str, Any]:
    """Run the probe in `base` and return its facts. Raises ImageError."""
    in_image = ["/bin/sh", "-c", _ENTER, "sh", activate]
    # -I: nothing of the user's surroundings; in an image PYTHONPATH is a part of it.
    command = [base.path, "-I", "-"] if base.kind == "host" else in_image
    done = closed_capture(
        runtime, base.path, command, Surroundings(env=_PROBE_ENV), inherited=os.environ, stdin=text
    )
    facts = answered(MARK, done.stdout)
    if facts is None:
        raise _no_answer(base, activate, done)
    return facts


def _no_answer(base: Base, activate: str, done: Completed) -> ImageError:
    said = [line for line in done.stderr.strip().splitlines() if line.strip()][-3:]
    if done.returncode == 66 or "no python" in done.stderr:
        return ImageError(
            f"the image {base.name} has no Python",
            f'looked on its PATH, after activation ("{activate}"), and in /opt/venv, /opt/miniconda3, '
            "/opt/conda",
            hint="choose an image with a Python, or name the command that makes it available:\n"
            '[image] activate = "source /…/activate myenv"',
        )
    return ImageError(
        f"the Python of {base.name} could not be asked what it provides (exit status {done.returncode})",
        *said,
        hint=f"see whether the image starts: {done.argv[0]} exec {base.path} python --version"
        if base.kind != "host"
        else f"see whether it starts: {base.path} --version",
    )


def snapshot_from_probe(base: Base, facts: Mapping[str, Any]) -> Snapshot:
    """What the probe reported, as a snapshot: tags and activation are worked out here."""
    python = facts["python"]
    if python["implementation"] != "cpython":
        raise ImageError(
            f"the Python of {base.name} is {python['implementation']}; lumienv knows CPython only",
            hint="choose another image, or another activation",
        )
    return Snapshot(
        image=base,
        python=Python(**python | {"site_packages": tuple(python["site_packages"])}),
        # A node's kernel, not the image's: with it a lock could differ between login and compute nodes.
        markers={**facts["markers"], "platform_release": "", "platform_version": ""},
        tags=wheel_tags(python["version"], facts["abi"]),
        packages=tuple(
            ImagePackage(
                name=entry["name"],
                version=entry["version"],
                requires=tuple(entry["requires"]),
                extras=tuple(entry["extras"]),
                modules=tuple(entry["modules"]),
                location=entry["location"],
                installer=entry["installer"],
            )
            for entry in facts["packages"]
        ),
        scripts=tuple(ImageScript(**entry) for entry in facts["scripts"]),
        overlays=tuple(facts["overlays"]) if base.kind == "sif" else (),
        compilers=facts["compilers"],
        activation=_activation(facts["activation"]),
    )


def _activation(facts: Mapping[str, Any]) -> Activation:
    """The difference that entering the environment made, as plain variables.

    PATH becomes directories to prepend. Of LD_LIBRARY_PATH the runtime's own tail is left out, as the
    runtime will append it again.
    """
    before, after = facts["before"], facts["after"]
    changed: dict[str, str] = {}
    for name, value in after.items():
        if name in _NOT_ACTIVATION or name.startswith(_RUNTIME_PREFIXES) or before.get(name) == value:
            continue
        if name == "LD_LIBRARY_PATH":
            value = value.removesuffix(f":{_RUNTIME_LIBS}")
        if name != "PATH" and name not in _PROBE_ENV:
            changed[name] = value
    return Activation(
        kind=facts["kind"],
        command=facts["command"],
        set=changed,
        prepend_path=_prepended(before.get("PATH", ""), after.get("PATH", "")),
    )


def _prepended(before: str, after: str) -> tuple[str, ...]:
    """What activation put in front of PATH; where it rearranged the rest, the entries that are new."""
    if after == before or after.endswith(f":{before}"):
        return tuple(after.removesuffix(before).rstrip(":").split(":")) if after != before else ()
    old = before.split(":")
    return tuple(entry for entry in after.split(":") if entry and entry not in old)
