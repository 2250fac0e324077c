"""lumienv and uv agree on what fits on four real images; docs/agreement.md has the table."""

import pytest
from agreement.ask import ask
from agreement.compare import Comparison, Outcome
from agreement.images import frozen_images
from agreement.sets import SETS
from agreement.table import table, written

from lumienv.index.client import IndexClient

pytestmark = pytest.mark.once

IMAGES = frozen_images()
AGREED = (Outcome.SAME, Outcome.NEITHER)
# Explained on the page, each checked by asking again.
EXPLAINED = (Outcome.OTHER_CHOICE, Outcome.PRERELEASE, Outcome.STAND_IN)


@pytest.fixture(scope="module")
def compared(real_index: IndexClient, tmp_path_factory: pytest.TempPathFactory) -> "Compared":
    """List → set → what came of asking both, each list when it is first looked at."""
    return Compared(real_index, tmp_path_factory)


class Compared(dict[str, dict[str, Comparison]]):
    def __init__(self, client: IndexClient, folders: pytest.TempPathFactory) -> None:
        self.client = client
        self.folders = folders

    def __missing__(self, name: str) -> dict[str, Comparison]:
        image = next(image for image in IMAGES if image.name == name)
        self[name] = ask(image, self.client, self.folders.mktemp("uv"))
        return self[name]

    def all(self) -> dict[str, dict[str, Comparison]]:
        return {image.name: self[image.name] for image in IMAGES}


def test_there_are_enough_sets_and_lists() -> None:
    assert len(SETS) >= 30
    assert len(IMAGES) >= 4


@pytest.mark.parametrize("image", [image.name for image in IMAGES])
def test_both_find_something_or_neither_does(compared: Compared, image: str) -> None:
    alone = (Outcome.ONLY_UV, Outcome.ONLY_LUMIENV)
    assert {name: one.why for name, one in compared[image].items() if one.outcome in alone} == {}


@pytest.mark.parametrize("image", [image.name for image in IMAGES])
def test_what_was_asked_for_has_the_same_version_or_the_difference_is_explained(
    compared: Compared, image: str
) -> None:
    odd = {
        name: (one.outcome, one.differing, one.why)
        for name, one in compared[image].items()
        if one.outcome not in (*AGREED, *EXPLAINED)
    }
    assert odd == {}


def test_few_answers_need_an_explanation(compared: Compared) -> None:
    outcomes = [one.outcome for found in compared.all().values() for one in found.values()]
    assert sum(outcome in AGREED for outcome in outcomes) >= 0.9 * len(outcomes)
    assert outcomes.count(Outcome.NEITHER) >= len(outcomes) / 5


def test_the_page_has_the_table_that_was_found(compared: Compared) -> None:
    assert written() == table(SETS, compared.all()), "write it anew: cd tests && python -m agreement"
