"""For all tests: what lumienv notes down about this user goes to a place of the tests' own."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Not monkeypatch: programs that tests start inherit it, and a session has one such place.
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
