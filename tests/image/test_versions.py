"""Versions that an image states, also those that PEP 440 does not know."""

import pytest
from packaging.specifiers import SpecifierSet

from lumienv.image.versions import accepts, same_version


@pytest.mark.parametrize(
    ("range_", "version", "within"),
    [
        (">=2.7", "2.7.1+rocm6.2.4", True),
        (">=2.7", "2.8.0a0+git1", True),  # what is there is there, also before its release
        ("<2.8", "2.8.0a0+git1", False),
        (">=2.8", "2.8.0a0+git1", False),
        (">=1", "2004d-custom", False),
        ("", "2004d-custom", True),
    ],
)
def test_what_is_there_lies_in_a_range_or_not(range_: str, version: str, within: bool) -> None:
    assert accepts(SpecifierSet(range_), version) is within


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.0", "1.0.0", True),
        ("1.0-1", "1.0.post1", True),
        ("2.7.1+rocm6.2", "2.7.1", False),
        ("2004d-x", "2004d-x", True),
        ("2004d-x", "1.0", False),
    ],
)
def test_spellings_of_one_version_are_the_same(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same
