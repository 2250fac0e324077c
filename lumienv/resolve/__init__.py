"""Find the packages to put on top of an image, such that nothing of the image is ever replaced unasked.

The image's packages are the only candidates for their names: an axiom, not a constraint, as no index could
supply `torch 2.7.1+rocm6.2.4`. Their own requirements are not followed (images are often inconsistent
inside, which is not the user's fault); extras asked of them are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.version import Version

from lumienv.index.pages import File
from lumienv.resolve.origin import Origin


@dataclass(frozen=True)
class Pin:
    """One package to install: which file, and what it needs."""

    name: str
    """normalised"""
    version: Version
    file: File | None
    """a wheel or source distribution on an index; None for a direct source"""
    index: str
    """URL of the index it comes from; empty for a direct source"""
    requires_python: str | None
    requires: tuple[str, ...]
    """all Requires-Dist lines, as the core metadata has them"""
    dependencies: tuple[str, ...]
    """the names among them that apply here, normalised, whether pinned or of the image"""
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """the dependency groups that alone need it; empty when a dependency needs it"""
    origin: Origin | None = None
    """what a direct source is: an archive, a commit, a folder"""


@dataclass(frozen=True)
class Resolution:
    """What to install, and what of the image that rests on."""

    pins: tuple[Pin, ...]
    provided: tuple[tuple[str, str], ...]
    """name and version of each image package that a requirement is met by"""
    warnings: tuple[str, ...] = ()
    stand_ins: tuple[tuple[str, str, str], ...] = ()
    """a name that is needed, the image package that stands for it, as both own a module, and its version"""
    versions: Mapping[str, str] = field(default_factory=dict)
    """name → version of all pins"""
    of_extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """image package → the names that its extras add, as far as these were asked for"""
