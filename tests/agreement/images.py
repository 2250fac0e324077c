"""The frozen lists in tests/frozen, as snapshots: all that uv is told too, and no more."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.utils import canonicalize_name

from lumienv.image.handmade import snapshot_of_list
from lumienv.image.snapshot import Snapshot
from lumienv.resolve.standins import stand_ins

FROZEN = Path(__file__).parents[1] / "frozen"


@dataclass(frozen=True)
class FrozenImage:
    """One list of packages, with the Python and glibc that its first line tells."""

    path: Path

    @property
    def name(self) -> str:
        """The list's name, without a suffix."""
        return self.path.stem

    @property
    def text(self) -> str:
        """`name==version` a line, comments before."""
        return self.path.read_text(encoding="utf-8")

    @property
    def python(self) -> str:
        """The full version."""
        return self._told[1]

    @property
    def glibc(self) -> str:
        """Major and minor version."""
        return self._told[2]

    @property
    def _told(self) -> re.Match[str]:
        found = re.match(r"# \S+: Python ([\d.]+), glibc ([\d.]+), x86_64\n", self.text)
        assert found is not None, self.path
        return found

    @cached_property
    def snapshot(self) -> Snapshot:
        """Made by hand from the list."""
        return snapshot_of_list(self.text, python=self.python, glibc=self.glibc, name=self.name)

    @cached_property
    def provided(self) -> dict[str, str]:
        """Name, normalised → version of what the image has."""
        return {str(canonicalize_name(one.name)): one.version for one in self.snapshot.packages}

    @cached_property
    def stood_for(self) -> dict[str, str]:
        """Name → version of the image package that owns its module, and is taken for it."""
        found = stand_ins(self.provided.keys(), (), lambda _: False)
        return {name: self.provided[one.name] for name, one in found.items() if one.judged}


def frozen_images() -> list[FrozenImage]:
    """All lists, sorted by name."""
    return [FrozenImage(path) for path in sorted(FROZEN.glob("*.txt"))]
