"""The place that these tests work in, without the machine's own configuration."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_server import IndexServer
from place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "LUMIENV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("wheels", "images", "project"):
        (tmp_path / name).mkdir()
    with IndexServer(tmp_path / "wheels", sidecars=True) as server:
        environ = {
            **os.environ,
            "LUMIENV_CACHE_DIR": str(tmp_path / "cache"),
            "LUMIENV_IMAGE_PATH": str(tmp_path / "images"),
            "PIP_INDEX_URL": server.url,
        }
        yield Place(tmp_path / "project", server, environ)
