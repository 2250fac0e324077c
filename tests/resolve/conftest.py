"""The world that these tests resolve in, without the machine's own configuration."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_server import IndexServer
from world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "LUMIENV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with IndexServer(wheels, sidecars=True) as server:
        yield World(tmp_path, server)
