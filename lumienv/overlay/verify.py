"""Hold a tree, before it is published, against what was promised: by looking from inside the container."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from packaging.utils import canonicalize_name, canonicalize_version
from packaging.version import Version

from lumienv.errors import StoreError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.lockfile import LockedWheel
from lumienv.overlay.generation import Generation
from lumienv.overlay.inspection import MARK
from lumienv.overlay.modules import NOBODYS
from lumienv.runtime import Surroundings, closed_capture
from lumienv.runtime.process import answered
from lumienv.runtime.protocol import Runtime


@dataclass(frozen=True)
class Expectation:
    """What must be true of a tree."""

    wheels: Sequence[LockedWheel]
    direct: Collection[str]
    """the names that the user asked for"""
    provided: Mapping[str, str]
    """image packages that the lock rests on: name → version"""
    replace: Collection[str]
    """image packages that the overlay may shadow, normalised"""


def verify_tree(
    generation: Generation,
    snapshot: Snapshot,
    expectation: Expectation,
    runtime: Runtime,
    surroundings: Surroundings,
) -> list[str]:
    """Import from the tree as its carrier brings it; returns warnings: modules that cannot be imported here.

    Those are no error: a package may need a GPU that a login node has not. Raises StoreError when a locked
    package is not what imports find, when a package of the image would be hidden, or is gone.
    """
    answer = _ask(generation, snapshot, expectation, runtime, surroundings)
    problems = overlay_problems(answer["overlay"], expectation, snapshot.packages)
    problems += image_problems(answer["image"], expectation.provided)
    if answer["user_site"]:
        problems.append("packages in ~/.local would be seen")
    if problems:
        raise StoreError(
            f"the environment does not fit on {snapshot.image.name}, so it was not put in place",
            *problems,
            hint="a package that the image provides under another name: [resolve] omit = […]\n"
            "one that shall hide the image's: [resolve] replace = […]; the old environment still works",
        )
    versions: dict[str, str] = {wheel.name: wheel.version for wheel in expectation.wheels}
    return [
        failed_import(name, module, reason, culprit, versions)
        for name, module, reason, culprit in answer["failed"]
    ]


def failed_import(name: str, module: str, reason: str, culprit: str, versions: Mapping[str, str]) -> str:
    """A warning that names who gave up, and the line that takes an older release of it."""
    said = f"import {module} ({name}) failed: {reason}"
    version = versions.get(canonicalize_name(culprit))
    if version is None:
        return said
    # What a package was built against changes with its first number: one release older would fail alike.
    older = Version(version).major or version
    constraint = f'constraints = ["{culprit}<{older}"]'
    return f"{said}\n  raised in {culprit} {version}; an older one may do: [resolve] {constraint}"


def _ask(
    generation: Generation,
    snapshot: Snapshot,
    expectation: Expectation,
    runtime: Runtime,
    surroundings: Surroundings,
) -> dict[str, Any]:
    done = closed_capture(
        runtime,
        generation.image,
        [f"{generation.prefix}/bin/python", "-"],
        questions(generation, snapshot, expectation, surroundings),
        inherited=os.environ,
        stdin=program_text("inspection.py"),
    )
    answer = answered(MARK, done.stdout)
    if answer is None:
        raise StoreError(
            f"the new environment's Python does not start on {snapshot.image.name}",
            *done.stderr.strip().splitlines()[-3:],
            hint="the old environment still works; see whether the image does: lumienv image show",
        )
    return answer


def questions(
    generation: Generation, snapshot: Snapshot, expectation: Expectation, surroundings: Surroundings
) -> Surroundings:
    """The surroundings of a command, with the inspection's questions among its variables."""
    by_name = snapshot.by_name()
    question = {
        "prefix": generation.prefix,
        "image_sites": snapshot.python.site_packages,
        "overlay": [
            {"name": wheel.name, "direct": wheel.name in expectation.direct} for wheel in expectation.wheels
        ],
        "image": [
            {"name": name, "modules": by_name[canonicalize_name(name)].modules}
            for name in expectation.provided
            if canonicalize_name(name) in by_name
        ],
    }
    env = {**surroundings.env, "LUMIENV_INSPECTION": json.dumps(question), "PYTHONDONTWRITEBYTECODE": "1"}
    return Surroundings(env, surroundings.prepend_path, surroundings.binds)


def program_text(name: str) -> str:
    """The text of one of this room's programs that run in the container."""
    return files("lumienv.overlay").joinpath(name).read_text(encoding="utf-8")


def overlay_problems(
    found: Mapping[str, Any], expectation: Expectation, packages: Sequence[ImagePackage]
) -> list[str]:
    """Sentences: what imports do not find in the overlay, what it would hide of the image's `packages`."""
    owners = {module: package for package in packages for module in package.modules}
    problems = []
    for wheel in expectation.wheels:
        have = found[wheel.name]
        if have["version"] is None:
            problems.append(f"{wheel.name} {wheel.version} is locked, but was not installed")
            continue
        if canonicalize_version(have["version"]) != canonicalize_version(wheel.version) or not have["inside"]:
            problems.append(f"{wheel.name} {wheel.version} is locked, but imports find {have['version']}")
        hidden: dict[str, list[str]] = {}
        for path in have["clashes"]:
            top = path.split("/")[0].split(".")[0]
            owner = owners.get(top)
            name = canonicalize_name(owner.name) if owner is not None else top
            if (
                name not in expectation.replace
                and wheel.name not in expectation.replace
                and top not in NOBODYS
            ):
                label = f"{owner.name} {owner.version}" if owner is not None else "a module"
                hidden.setdefault(label, []).append(path)
        problems += [
            f"{wheel.name} {wheel.version} would hide {label} of the image: both have {paths[0]}"
            + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
            for label, paths in hidden.items()
        ]
    return problems


def image_problems(found: Mapping[str, Any], provided: Mapping[str, str]) -> list[str]:
    """Sentences: which of the image packages that the lock rests on imports do not find."""
    problems = []
    for name, have in found.items():
        if have["version"] != provided[name]:
            problems.append(f"the image's {name} {provided[name]} is not seen (found: {have['version']})")
        elif have["shadowed"]:
            problems.append(f"the image's {name} would be hidden: import {have['shadowed'][0]} finds another")
        elif have["gone"]:
            problems.append(f"the image's {name} cannot be found by import {have['gone'][0]}")
    return problems
