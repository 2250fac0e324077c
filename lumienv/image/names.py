"""Read the facts that LUMI's image file names carry.

Two conventions (LUMI-EasyBuild-containers and laifs-container-recipes, as of 2026):

- AMD: `lumi-<what>-rocm-<rocm>[-python-<python>][-<package>-<version>…][-dockerhash-<hash>].sif`
- LAIF: `lumi-multitorch-<variant>-u24r70f21m50t210-<YYYYMMDD_HHMMSS>.sif`, where the middle part reads
  Ubuntu 24, ROCm 7.0, libfabric 2.1, MPICH 5.0, torch 2.10.

A name helps to find an image. What is in it only the probe knows: builds change under unchanged names.
"""

import re
from dataclasses import dataclass

_AMD = re.compile(
    r"""lumi-(?P<what>[a-z0-9]+(?:-[a-z]+)*?)
        -rocm-(?P<rocm>\d+(?:\.\d+)+)
        (?:-python-(?P<python>\d+\.\d+))?
        (?:-(?!dockerhash)(?P<rest>.+?))?
        (?:-dockerhash-(?P<hash>[0-9a-f]{12}))?$""",
    re.VERBOSE,
)
_LAIF = re.compile(
    r"""lumi-(?P<what>multitorch)
        (?:-(?P<variant>rocm|libfabric|mpich|torch|full|plus|latest))?
        (?:-(?P<digest>u\d\dr\d+(?:f\d+)?(?:m\d+)?(?:t\d+)?))?
        (?:-(?P<stamp>\d{8}_\d{6}))?$""",
    re.VERBOSE,
)
_PART = re.compile(r"([a-z])(\d+)")


@dataclass(frozen=True)
class ImageName:
    """The facts in one file name; empty where the name does not say."""

    file: str
    what: str = ""
    """`pytorch`, `mpi4py`, `multitorch`, …"""
    variant: str = ""
    """LAIF: `full`, `torch`, `mpich`, …"""
    rocm: str = ""
    python: str = ""
    version: str = ""
    """of the package the image is named after (LAIF: of torch)"""
    hash: str = ""
    """AMD: the first twelve digits of the docker image's id; LAIF: the build's time stamp"""

    def matches(self, name: str, **wanted: str) -> bool:
        """Whether this is an image called `name` with each of the wanted facts.

        A wanted version matches by its leading numbers: `6.2` matches 6.2.4, not 6.20.
        """
        names = {self.file, self.file.removesuffix(".sif")}
        if self.what:
            names |= {self.what, f"lumi-{self.what}"}
        if self.variant:
            names |= {f"{self.what}-{self.variant}", f"lumi-{self.what}-{self.variant}"}
        return name in names and all(
            value == "" or _starts(getattr(self, fact), value) for fact, value in wanted.items()
        )


def _starts(have: str, want: str) -> bool:
    want = want.removeprefix("v")
    return have == want or have.startswith((f"{want}.", f"{want}-", f"{want}_"))


def parse(file: str) -> ImageName:
    """The facts in a file's name; a name of no known convention has none but itself."""
    stem = file.removesuffix(".sif")
    if laif := _LAIF.match(stem):
        parts = dict(_PART.findall(laif["digest"] or ""))
        return ImageName(
            file,
            what=laif["what"],
            variant="" if laif["variant"] == "latest" else laif["variant"] or "",
            rocm=_dotted(parts.get("r", "")),
            version=_dotted(parts.get("t", "")),
            hash=laif["stamp"] or "",
        )
    if amd := _AMD.match(stem):
        # `pytorch-v2.7.1`, `jax-community-0.5.0`, `pytorch-20240918-vllm-4075b35`: from the first number on.
        rest = re.sub(r"^[a-z]\w*(?:-[a-z]+)*-(?=v?\d)", "", amd["rest"] or "").removeprefix("v")
        return ImageName(
            file,
            what=amd["what"],
            rocm=amd["rocm"],
            python=amd["python"] or "",
            version=rest,
            hash=amd["hash"] or "",
        )
    return ImageName(file)


def _dotted(digits: str) -> str:
    """`210` → `2.10`: the first digit is the major version (LAIF's template does so)."""
    return f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits


def newest_first(name: ImageName) -> tuple[tuple[int, ...], tuple[int, ...], str, bool]:
    """A sort key (with `reverse=True`): ROCm, then the package's version, then the build.

    Of one LAIF build `full` comes first, as in LAIF's own `lumi-multitorch-latest.sif`.
    """
    return _numbers(name.rocm), _numbers(name.version), name.hash, name.variant == "full"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
