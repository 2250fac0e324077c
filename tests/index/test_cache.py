"""The cache under everything that may happen to it: many processes, a kill, damage, a disk that refuses."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_server import IndexServer
from wheels import make_wheel

from lumienv.index.cache import IndexCache
from lumienv.index.client import IndexClient
from lumienv.sealed import read_sealed, write_sealed

ClientOf = Callable[..., IndexClient]
INDEX = "https://packages.example.org/simple"
NOBODY = 65534

# Writes two different entries in turn under one name, and tells of each.
WRITER = """
import sys
from pathlib import Path
from lumienv.index.cache import IndexCache

cache, times = IndexCache(Path(sys.argv[1])), int(sys.argv[2])
for turn in range(times):
    cache.keep_page(sys.argv[3], "thing", b"ab"[turn % 2 : turn % 2 + 1] * (1_000_000 + turn % 2))
    print(turn, flush=True)
"""
CONTENTS = {b"a" * 1_000_000, b"b" * 1_000_001}

# Looks up a page and its first file's metadata, and says what it found.
READER = """
import os, resource, signal, sys
from pathlib import Path
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source

url, cache, uid, limit, *projects = sys.argv[1:]
if int(uid):
    # Once without the cache, to import all that it takes: the other user may not be able to.
    import msgspec.json
    with IndexClient([index_source(url)], cache=None) as client:
        client.metadata(client.page(projects[0]).result().files[0]).result()
    os.setuid(int(uid))
if int(limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
with IndexClient([index_source(url)], cache=Path(cache)) as client:
    for project in projects:
        page = client.page(project).result()
        print(*page.files.names, *client.metadata(page.files[0]).result().requires_dist)
"""


def reader(server: IndexServer, cache: Path, *projects: str, uid: int = 0, limit: int = 0) -> list[str]:
    command = [sys.executable, "-c", READER, server.url, str(cache), str(uid), str(limit), *projects]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def temporary(cache: Path) -> list[Path]:
    return list(cache.rglob(".new-*"))


# -- many processes --------------------------------------------------------------------------------------


def test_whoever_reads_while_others_write_finds_one_whole_entry(cache: Path) -> None:
    kept = IndexCache(cache)
    kept.keep_page(INDEX, "thing", next(iter(CONTENTS)))
    command = [sys.executable, "-c", WRITER, str(cache), "60", INDEX]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    found = set()
    while any(writer.poll() is None for writer in writers):
        found.add(kept.page(INDEX, "thing"))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert found
    assert found <= CONTENTS
    assert not temporary(cache)


def test_two_processes_that_start_on_an_empty_cache_both_get_all(
    server: IndexServer, wheels: Path, cache: Path
) -> None:
    projects = [f"project-{number}" for number in range(6)]
    for project in projects:
        make_wheel(wheels, project, "1.0", ["a"])
    command = [sys.executable, "-c", READER, server.url, str(cache), "0", "0", *projects]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].splitlines() for process in running]
    assert said[0] == said[1]
    assert said[0] == [f"project_{number}-1.0-py3-none-any.whl a" for number in range(6)]
    asked = len(server.requests)
    assert reader(server, cache, *projects) == said[0]
    assert len(server.requests) == asked


# -- a kill ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", [1, 2, 5, 8])
def test_a_writer_that_is_killed_leaves_a_whole_entry(cache: Path, turns: int) -> None:
    command = [sys.executable, "-c", WRITER, str(cache), "1000000", INDEX]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(turns):
            writer.stdout.readline()
        writer.kill()  # at whatever point of writing the next one it is
    assert writer.returncode == -signal.SIGKILL
    kept = IndexCache(cache)
    assert kept.page(INDEX, "thing") in CONTENTS
    kept.keep_page(INDEX, "thing", b"new")
    assert kept.page(INDEX, "thing") == b"new"
    assert temporary(cache) == []


def test_what_killed_writers_left_is_swept_up_and_what_is_being_written_is_not(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    left, young = cache / ".new-left", cache / ".new-young"
    for path in (left, young):
        path.write_bytes(b"half")
    os.utime(left, (0, time.time() - 7200))
    IndexCache(cache).keep_page(INDEX, "thing", b"content")
    assert temporary(cache) == [young]


# -- damage ----------------------------------------------------------------------------------------------


def test_no_cut_and_no_flipped_bit_of_an_entry_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "entry"
    assert write_sealed(tmp_path, path, b'{"schema": 2}\n["links", [], []]\n')
    whole = path.read_bytes()
    assert read_sealed(path) is not None
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in range(8)
        if at != 64  # the line's end after the seal says nothing
    ]
    damaged += [whole + b"\0", b"\0" * len(whole)]
    for content in damaged:
        path.write_bytes(content)
        assert read_sealed(path) is None


@pytest.mark.parametrize("room", ["pages", "metadata"])
@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, "cut", "empty", "a folder"])
def test_a_damaged_page_or_metadata_is_fetched_again(
    server: IndexServer, wheels: Path, client_of: ClientOf, cache: Path, room: str, place: float | str
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1"])
    # In place of a folder nothing can be kept; everything else goes on.
    for asked in (2, 3, 4 if place == "a folder" else 3):
        with client_of(server.url) as client:
            page = client.page("thing").result()
            assert page is not None
            assert client.metadata(page.files[0]).result().requires_dist == ("a>=1",)
        assert len(server.requests) == asked
        if asked == 2:
            (entry,) = (path for path in (cache / room).rglob("*") if path.is_file())
            damage(entry, place)


def damage(entry: Path, place: float | str) -> None:
    content = bytearray(entry.read_bytes())
    if isinstance(place, float):
        content[int(place * len(content))] ^= 0x10
    else:
        del content[0 if place == "empty" else len(content) // 2 :]
    entry.write_bytes(content)
    if place == "a folder":
        entry.unlink()
        entry.mkdir()


# -- a disk that refuses ---------------------------------------------------------------------------------


@pytest.fixture
def open_cache() -> Iterator[Path]:
    """A cache that another user can get to: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory(prefix="lumienv-test-") as folder:
        cache = Path(folder) / "cache"
        cache.mkdir(mode=0o700)
        yield cache
        for path in (Path(folder), *Path(folder).rglob("*")):
            if path.is_dir():
                path.chmod(0o700)


def test_a_read_only_cache_is_read_and_what_it_lacks_is_fetched(
    server: IndexServer, wheels: Path, open_cache: Path
) -> None:
    for project in ("known", "new"):
        make_wheel(wheels, project, "1.0", ["a"])
    assert reader(server, open_cache, "known") == ["known-1.0-py3-none-any.whl a"]
    paths = [open_cache, *open_cache.rglob("*")]
    uid = NOBODY if os.geteuid() == 0 else 0  # root may write anywhere
    for path in paths if uid else ():
        os.chown(path, uid, uid)
    if uid:
        os.chown(open_cache.parent, uid, uid)
    for path in reversed(paths):
        path.chmod(0o500 if path.is_dir() else 0o400)
    asked = len(server.requests)
    said = reader(server, open_cache, "known", "new", uid=uid)
    assert said == ["known-1.0-py3-none-any.whl a", "new-1.0-py3-none-any.whl a"]
    assert len(server.requests) == asked + (4 if uid else 2)
    for path in paths:
        if path.is_dir():
            path.chmod(0o700)
    assert [open_cache, *open_cache.rglob("*")] == paths


def test_a_disk_that_is_full_costs_the_entry_and_nothing_else(
    server: IndexServer, wheels: Path, cache: Path
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a"])
    for limit in (10, 80):  # bytes that a file may have: the seal is cut, or what follows it
        assert reader(server, cache, "thing", limit=limit) == ["thing-1.0-py3-none-any.whl a"]
        assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert len(server.requests) == 4
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
