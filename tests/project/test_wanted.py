"""Which dependency groups an environment is to have."""

from pathlib import Path

import pytest

from lumienv.errors import UsageError
from lumienv.manifest import Manifest
from lumienv.manifest.reader import manifest_of
from lumienv.project.wanted import groups_of


def declaring(*groups: str) -> Manifest:
    lines = "".join(f"{group} = []\n" for group in groups)
    text = f'[image]\nhost = "python3"\n[dependency-groups]\n{lines}'
    return manifest_of(Path("lumienv.toml"), text)


@pytest.mark.parametrize("typed", ["dev-tools", "Dev_Tools", "DEV--tools"])
def test_a_group_is_found_by_its_normal_form_and_called_as_the_file_calls_it(typed: str) -> None:
    assert groups_of(declaring("docs", "Dev_Tools"), [typed], []) == ("Dev_Tools",)
    assert groups_of(declaring("docs", "Dev_Tools"), ["docs", "Dev_Tools"], [typed]) == ("docs",)


@pytest.mark.parametrize("written", ["dev", "DEV"])
def test_the_group_dev_counts_unless_it_is_left_out(written: str) -> None:
    assert groups_of(declaring(written), [], []) == (written,)
    assert groups_of(declaring(written), [], ["dev"]) == ()


def test_a_group_that_the_file_does_not_have_is_said_to_be_none() -> None:
    with pytest.raises(UsageError, match="there is no dependency group dev_tool in") as caught:
        groups_of(declaring("dev-tools", "docs"), ["dev_tool"], [])
    assert caught.value.facts == ("groups: dev-tools, docs",)
