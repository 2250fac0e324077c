"""A builder for this machine's own Python, with an index on loopback: builds are real."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench
from index_server import IndexServer

from lumienv.image.base import host_base
from lumienv.image.probing import take_snapshot
from lumienv.image.snapshot import Snapshot
from lumienv.runtime.host import Host


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "LUMIENV_", "GIT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture(scope="session")
def machine() -> Snapshot:
    """This machine's Python as a base."""
    return take_snapshot(host_base(sys.executable), "none", Host(), None)


@pytest.fixture
def bench(tmp_path: Path, machine: Snapshot) -> Iterator[Bench]:
    (tmp_path / "offered").mkdir()
    with IndexServer(tmp_path / "offered") as server:
        bench = Bench(tmp_path, server, machine)
        yield bench
        bench.close()
    assert list(bench.scratch.iterdir()) == []  # whatever came of it, nothing is left behind
