"""What other tools' files ask for, said in lumienv's words; what could not be taken over is named.

pip's requirements files and conda's `environment.yml` end here as one value, which is then held against what
the image provides.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.image.versions import accepts
from lumienv.manifest import HostValue, IndexTable
from lumienv.resolve.cuda import is_of_cuda

_CUDA_BUILD = re.compile(r"\+cu\d+\b")
"""in a version that is pinned: `2.5.1+cu121`"""


@dataclass(frozen=True)
class Imported:
    """What a file asks for."""

    dependencies: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    indexes: tuple[IndexTable, ...] = ()
    prerelease: str = ""
    build: str = ""
    env: Mapping[str, str | HostValue] = field(default_factory=dict)
    python: str = ""
    """the range of Python that is asked for, as conda has it"""
    notes: tuple[str, ...] = ()
    """what was left out or changed, a line each"""

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            tuple(dict.fromkeys((*self.dependencies, *other.dependencies))),
            {**self.sources, **other.sources},
            tuple(dict.fromkeys((*self.constraints, *other.constraints))),
            tuple(dict.fromkeys((*self.indexes, *other.indexes))),
            self.prerelease or other.prerelease,
            self.build or other.build,
            {**self.env, **other.env},
            other.python or self.python,
            (*self.notes, *other.notes),
        )


def on_image(imported: Imported, provided: Mapping[str, str], python: str = "") -> Imported:
    """The same without what the image decides: `provided` is name (normalised) → version.

    A pin of an image package becomes its bare name, as pins in such files say what was installed somewhere
    else. A range that the image does not fit stays: it is a need, and `lumienv lock` tells the ways out.
    """
    notes = list(imported.notes)
    cuda: list[str] = []
    same: list[str] = []
    dependencies = []
    for text in imported.dependencies:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        have = provided.get(name)
        if is_of_cuda(name) and have is None:
            cuda.append(requirement.name)
            continue
        if have is None and _CUDA_BUILD.search(str(requirement.specifier)):
            notes.append(f"{_short(requirement)}: written without version: it is a build for NVIDIA's GPUs")
            dependencies.append(_bare(requirement))
        elif have is None or (not requirement.url and not requirement.specifier):
            dependencies.append(text)
        elif requirement.url or _pins(requirement):
            if requirement.url:
                notes.append(f"{requirement.name}: written without its address: the image has {have}")
            elif accepts(requirement.specifier, have):
                same.append(requirement.name)
            else:
                notes.append(f"{_short(requirement)}: written without version: the image has {have}")
            dependencies.append(_bare(requirement))
        else:
            if not accepts(requirement.specifier, have):
                notes.append(
                    f"{_short(requirement)}: the image has {have}; "
                    "the lock will tell what can be done about it"
                )
            dependencies.append(text)
    if same:
        notes.append(f"written without version, as the image has just this one: {', '.join(same)}")
    if cuda:
        notes.append(f"left out, as they are for NVIDIA's GPUs: {', '.join(cuda)}")
    constraints = []
    for text in imported.constraints:
        requirement = Requirement(text)
        have = provided.get(canonicalize_name(requirement.name))
        if have is None:
            constraints.append(text)
        elif not accepts(requirement.specifier, have):
            notes.append(f"{_short(requirement)}: left out of the constraints: the image has {have}")
    if imported.python and python and not accepts(SpecifierSet(imported.python), python):
        notes.append(f"python{imported.python}: left out: the image has Python {python}")
    names = {Requirement(text).name for text in dependencies}
    sources = {name: table for name, table in imported.sources.items() if name in names}
    return replace(
        imported,
        dependencies=tuple(dict.fromkeys(dependencies)),
        constraints=tuple(constraints),
        sources=sources,
        notes=tuple(notes),
    )


def _pins(requirement: Requirement) -> bool:
    return any(one.operator in ("==", "===", "~=") for one in requirement.specifier)


def _bare(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{marker}"


def _short(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
