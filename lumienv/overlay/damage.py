"""What has become of a published environment: its files against its records, and imports against the lock.

One container: a program under the image's Python reads the files, and only when all are as they were does the
overlay's Python start in it and import.
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name, canonicalize_version

from lumienv.errors import ContainerError, ImageError
from lumienv.image.sif import read_sif
from lumienv.image.snapshot import Snapshot
from lumienv.lockfile import LockedWheel
from lumienv.overlay.audit import MARK as AUDIT
from lumienv.overlay.generation import Generation
from lumienv.overlay.inspection import MARK as INSPECTION
from lumienv.overlay.records import Records
from lumienv.overlay.verify import (
    Expectation,
    failed_import,
    image_problems,
    overlay_problems,
    program_text,
    questions,
)
from lumienv.runtime import Surroundings, closed_capture
from lumienv.runtime.process import Completed, answered
from lumienv.runtime.protocol import Runtime

# The superblock of squashfs 4.0: magic first, the bytes used at offset 40.
_SQUASHFS = struct.Struct("<4s36xQ")


@dataclass(frozen=True)
class Damage:
    """What happened to a file of the tree, to its carrier, or to a whole distribution."""

    path: str
    kind: str
    """`changed`, `missing`, `unknown`, `bytecode`, `unreadable`, `package` or `carrier`"""
    package: str = ""
    """the distribution it belongs to, if it does"""
    reason: str = ""

    def __str__(self) -> str:
        of = f" ({self.package})" if self.package else ""
        return {
            "changed": f"{self.path}{of} has changed",
            "missing": f"{self.path}{of} is gone",
            "unknown": f"{self.path} belongs to nothing that was installed",
            "bytecode": f"{self.path}{of} is not what its source compiles to",
            "unreadable": f"{self.path}{of} cannot be read: {self.reason}",
        }.get(self.kind, f"{self.path} {self.reason}")


@dataclass(frozen=True)
class Findings:
    """What was found; nothing but numbers where all is well."""

    packages: int = 0
    files: int = 0
    damage: tuple[Damage, ...] = ()
    image: tuple[str, ...] = ()
    """what does not fit the image any more, as sentences"""
    imports: tuple[str, ...] = ()
    """modules that cannot be imported here"""


def carrier_damage(generation: Generation) -> Damage | None:
    """What is wrong with the carrier as a file: gone, another kind of file, or cut short."""
    carrier = generation.carrier
    reason = None
    if not carrier.exists():
        reason = "is gone"
    elif generation.mode == "sif":
        try:
            if read_sif(carrier).identity != generation.carrier_identity:
                reason = "is another image than the one that was made"
        except ImageError as error:
            reason = f"cannot be used: {error.message}"
    elif generation.mode == "squashfs":
        reason = _squashfs_damage(carrier)
    return Damage(str(carrier), "carrier", reason=reason) if reason else None


def _squashfs_damage(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            head = opened.read(_SQUASHFS.size)
        if len(head) < _SQUASHFS.size or not head.startswith(b"hsqs"):
            return "is no squashfs file"
        if _SQUASHFS.unpack(head)[1] > file.stat().st_size:
            return "is cut short"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def look_again(
    generation: Generation,
    records: Records,
    snapshot: Snapshot,
    runtime: Runtime,
    surroundings: Surroundings,
    *,
    imports: bool,
    processors: int,
) -> Findings:
    """Look at every file of the tree, and at what imports find; `imports`: import every module, too.

    Raises ContainerError when the container cannot be started.
    """
    expectation = Expectation(
        wheels=[LockedWheel(name, version, "", "", "") for name, version in records.packages.items()],
        direct=list(records.packages) if imports else (),
        provided=records.provided,
        replace=records.replace,
    )
    done = _start(generation, records, snapshot, expectation, runtime, surroundings, processors)
    audit = answered(AUDIT, done.stdout)
    if audit is None:
        raise ContainerError(
            f"the environment in {generation.path} could not be looked at",
            *done.stderr.strip().splitlines()[-3:],
            hint="see whether the image starts: lumienv image show",
        )
    damage = [*_wrong_packages(audit["packages"], records.packages), *map(_damage, audit["problems"])]
    found = Findings(len(audit["packages"]), audit["files"], tuple(damage))
    if audit["problems"]:
        return found
    answer = answered(INSPECTION, done.stdout)
    if answer is None:
        said = done.stderr.strip().splitlines()[-1:]
        return Findings(
            found.packages,
            found.files,
            found.damage,
            (": ".join(["the environment's Python does not start on this image", *said]),),
        )
    image = overlay_problems(answer["overlay"], expectation, snapshot.packages)
    image += image_problems(answer["image"], records.provided)
    versions = dict(records.packages)
    failed = [
        failed_import(name, module, reason, culprit, versions)
        for name, module, reason, culprit in answer["failed"]
    ]
    return Findings(found.packages, found.files, found.damage, tuple(image), tuple(failed))


def _start(
    generation: Generation,
    records: Records,
    snapshot: Snapshot,
    expectation: Expectation,
    runtime: Runtime,
    surroundings: Surroundings,
    processors: int,
) -> Completed:
    ask = {
        "prefix": generation.prefix,
        "own": dict(records.own),
        "processors": min(processors, len(os.sched_getaffinity(0))),
        "inspection": program_text("inspection.py"),
    }
    return closed_capture(
        runtime,
        generation.image,
        [snapshot.python.executable, "-I", "-S", "-"],
        questions(generation, snapshot, expectation, surroundings),
        inherited=os.environ,
        stdin=f"ASK = {json.dumps(ask)!r}\n{program_text('audit.py')}",
    )


def _damage(problem: Sequence[str]) -> Damage:
    path, what, package = problem
    kind, _, reason = what.partition(": ")
    return Damage(path, kind, package, reason)


def _wrong_packages(found: Sequence[tuple[str, str]], locked: Mapping[str, Any]) -> list[Damage]:
    """Distributions that are not there, are there in another version, or should not be there."""
    have = {str(canonicalize_name(name)): version for name, version in found}
    wrong = []
    for name, version in sorted(locked.items()):
        there = have.pop(name, None)
        if there is None:
            wrong.append(Damage(f"{name} {version}", "package", name, "is locked, and is not there"))
        elif canonicalize_version(there) != canonicalize_version(version):
            wrong.append(Damage(f"{name} {version}", "package", name, f"is locked, and {there} is there"))
    wrong += [
        Damage(f"{name} {version}", "package", name, "is there, and is not locked")
        for name, version in sorted(have.items())
    ]
    return wrong
