"""Versions as an image states them, which PEP 440 need not know: what they meet, and which are the same."""

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version


def accepts(specifier: SpecifierSet, version: str) -> bool:
    """Whether a version that is there lies in the range, pre-releases too; an unreadable one in no range."""
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not str(specifier)


def same_version(one: str, other: str) -> bool:
    """Whether both spell one version, as `1.0` and `1.0.0` do."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
