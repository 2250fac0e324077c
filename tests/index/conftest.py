"""A real index on loopback, a cache directory, and an environment without the machine's own configuration."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from index_server import IndexServer

from lumienv.index import settings
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.index.keyring import keyring_of

SECRET = "s3cret/p@ss"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "LUMIENV_", "SSL_")) or name.lower().endswith(
            ("_proxy", "_bundle")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "etc-pip.conf")
    keyring_of.cache_clear()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    directory = tmp_path / "wheels"
    directory.mkdir()
    return directory


@pytest.fixture
def server(wheels: Path) -> Iterator[IndexServer]:
    with IndexServer(wheels) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def client_of(cache: Path) -> Iterator[Callable[..., IndexClient]]:
    """Makes clients that share one cache and retry without waiting."""
    opened: list[IndexClient] = []

    def make(*urls: str, **options: Any) -> IndexClient:
        options = {"cache": cache, "backoff": 0.001, "workers": 4, **options}
        client = IndexClient([index_source(url) for url in urls], **options)
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()
