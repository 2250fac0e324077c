"""The README's picture of a terminal shows what the program shows."""

import os

import pytest
from recording import picture, plain, shown_in
from walkthrough import PICTURE, TITLE, comparable, recorded
from workspace import make_workspace


@pytest.mark.once
def test_the_walk_through_shows_what_a_terminal_shows(lab, slurm, real_index, tmp_path, conda_python):
    # How much is downloaded depends on what a cache has.
    place = make_workspace(tmp_path / "training", tmp_path / "cache", LUMIENV_IMAGE_PATH=str(lab.directory))
    lines = list(recorded(place))
    if os.environ.get("LUMIENV_TEST_WRITE_WALKTHROUGH"):
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture(lines, TITLE))
    shown = comparable(shown_in(PICTURE.read_text())).replace("/python3.12/", f"/python{conda_python}/")
    assert shown == comparable(list(map(plain, lines)))
