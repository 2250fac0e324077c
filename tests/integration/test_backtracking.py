"""Requirements that made other tools search for ever: each ends here, after a bounded number of rounds."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from universe import manifest

from lumienv.image.handmade import snapshot_of_list
from lumienv.index.client import IndexClient
from lumienv.resolve.policy import policy_of
from lumienv.resolve.provider import Provider
from lumienv.resolve.requirements import Environment
from lumienv.resolve.search import DeadEnd, search

pytestmark = pytest.mark.once

_FILE = Path(__file__).parents[2] / "benchmarks" / "backtracking.toml"
CASES: list[dict[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["issue"] for case in CASES])
def test_a_search_ends_as_it_should_and_within_its_bound(
    real_index: IndexClient, case: dict[str, Any]
) -> None:
    image = snapshot_of_list("pip==24.0", python=case["python"], glibc="2.39", name="empty")
    asked = manifest(case["requirements"], exclude_newer=case["date"], build="never")
    provider = Provider(image, real_index, policy_of(asked, Environment(image.markers), {}))
    # Raises SearchTooLongError when it takes more rounds.
    result = search(provider, provider.roots(asked.dependencies), case["rounds"])
    assert ("nothing" if isinstance(result, DeadEnd) else "found") == case["outcome"]


def test_there_are_enough_cases_and_their_bounds_are_not_idle() -> None:
    assert len(CASES) >= 12
    assert all(case["rounds"] <= 20_000 for case in CASES)
    assert sum(case["outcome"] == "found" for case in CASES) >= 8
