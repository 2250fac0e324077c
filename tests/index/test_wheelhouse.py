"""Wheels brought into the wheelhouse: whole and right, or not at all."""

import errno
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from index_server import IndexServer
from wheels import make_wheel

from lumienv.errors import InterruptedByUserError, PackageIndexError, StoreError
from lumienv.index import wheelhouse as module
from lumienv.index.client import IndexClient
from lumienv.index.wheelhouse import Wheelhouse, WheelRequest

ClientOf = Callable[..., IndexClient]
SIZE = 900_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "wheelhouse"


@pytest.fixture
def thing(wheels: Path) -> Path:
    return make_wheel(wheels, "thing", "1.0", padding=SIZE)


def request_for(server: IndexServer, wheel: Path, **changes: Any) -> WheelRequest:
    values = {
        "filename": wheel.name,
        "url": f"{server.root}/files/{wheel.name}",
        "sha256": server.digest(wheel),
        "size": wheel.stat().st_size,
    }
    return WheelRequest(**{**values, **changes})


def ranges(server: IndexServer) -> list[str | None]:
    return [request.headers.get("range") for request in server.requests]


def left_behind(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_wheels_are_fetched_under_their_hashes_and_progress_is_told(
    server: IndexServer, wheels: Path, root: Path, client_of: ClientOf
) -> None:
    made = [make_wheel(wheels, f"thing{number}", "1.0", padding=1000 * number) for number in range(6)]
    told: dict[str, tuple[int, int | None]] = {}

    def tell(name: str, received: int, total: int | None) -> None:
        told[name] = (received, total)

    house = Wheelhouse(root, client_of(server.url))
    paths = house.fetch([request_for(server, wheel) for wheel in made], tell)
    for wheel in made:
        path = paths[wheel.name]
        digest = server.digest(wheel)
        assert path == root / digest[:2] / digest / wheel.name == house.path(digest, wheel.name)
        assert path.read_bytes() == wheel.read_bytes()
        assert told[wheel.name] == (wheel.stat().st_size, wheel.stat().st_size)
    assert len(left_behind(root)) == 6


def test_what_is_there_is_checked_and_not_fetched_again(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    request = request_for(server, thing)
    for _ in range(2):
        Wheelhouse(root, client_of(server.url)).fetch([request])
    assert len(server.requests) == 1
    offline = Wheelhouse(root, client_of(server.url, offline=True))
    assert offline.fetch([request])[thing.name].is_file()


def test_a_damaged_entry_is_replaced(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    house = Wheelhouse(root, client_of(server.url))
    path = house.fetch([request_for(server, thing)])[thing.name]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    house.fetch([request_for(server, thing)])
    assert path.read_bytes() == thing.read_bytes()
    assert len(server.requests) == 2


def test_a_wheel_with_another_hash_is_refused_and_named(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    with pytest.raises(PackageIndexError) as caught:
        Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing, sha256="0" * 64)])
    assert caught.value.message.startswith(f"{thing.name} is not what the index promised")
    assert caught.value.facts == (
        f"expected sha256 {'0' * 64}",
        f"received sha256 {server.digest(thing)} from 127.0.0.1:{server.port}",
    )
    assert caught.value.hint is not None
    assert left_behind(root) == []


def test_a_download_that_breaks_off_goes_on_where_it_ended(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    server.cut[f"/files/{thing.name}"] = deque([300_000, 300_000])
    paths = Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])
    assert paths[thing.name].read_bytes() == thing.read_bytes()
    assert ranges(server) == [None, "bytes=300000-", "bytes=600000-"]


def test_a_download_starts_again_where_the_server_cannot_resume(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    server.ranges = "none"
    server.cut[f"/files/{thing.name}"] = deque([300_000])
    told: list[int] = []
    house = Wheelhouse(root, client_of(server.url))
    paths = house.fetch([request_for(server, thing)], lambda _name, received, _total: told.append(received))
    assert paths[thing.name].read_bytes() == thing.read_bytes()
    assert told[-1] == thing.stat().st_size


def test_a_server_that_refuses_to_resume_is_asked_for_the_whole(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    server.ranges = "no-explicit"
    server.cut[f"/files/{thing.name}"] = deque([300_000])
    paths = Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])
    assert paths[thing.name].read_bytes() == thing.read_bytes()
    assert ranges(server) == [None, "bytes=300000-", None]


def test_a_server_that_keeps_going_away_is_given_up_with_a_sentence(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    server.cut[f"/files/{thing.name}"] = deque([10] * 50)
    with pytest.raises(PackageIndexError, match="broke off, several times"):
        Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])
    assert left_behind(root) == []


def test_a_wheel_that_is_gone_is_said(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    request = request_for(server, thing)
    thing.unlink()
    with pytest.raises(PackageIndexError, match="does not have"):
        Wheelhouse(root, client_of(server.url)).fetch([request])


def test_offline_names_the_wheel_that_is_missing(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    with pytest.raises(PackageIndexError, match=f"{thing.name} is not in the wheelhouse"):
        Wheelhouse(root, client_of(server.url, offline=True)).fetch([request_for(server, thing)])


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A real full disk needs a mount, which only root may make; the error is the kernel's own.
    def full(transport: object, url: str, sink: Any, tell: object) -> tuple[str, int]:
        sink.write(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "download", full)
    with pytest.raises(StoreError, match=f"cannot store {thing.name}: the disk is full"):
        Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])
    assert left_behind(root) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_really_full_disk_is_a_sentence_and_leaves_nothing(
    server: IndexServer, thing: Path, tmp_path: Path, client_of: ClientOf
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with pytest.raises(StoreError, match="the disk is full"):
            Wheelhouse(small / "house", client_of(server.url)).fetch([request_for(server, thing)])
        assert left_behind(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_parts_of_killed_processes_are_removed_and_those_of_running_ones_are_not(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    parts = root / "parts"
    parts.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    node = os.uname().nodename
    dead = parts / f"{ended.pid}-{node}-1.part"
    living = parts / f"{os.getpid()}-{node}-2.part"
    elsewhere, old = parts / f"{ended.pid}-{node}x-3.part", parts / f"{ended.pid}-{node}x-4.part"
    for part in (dead, living, elsewhere, old):
        part.write_bytes(b"half")
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])
    assert set(parts.iterdir()) == {living, elsewhere}


def test_a_process_that_is_killed_leaves_nothing_in_use(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    request = request_for(server, thing)
    code = (
        "import os, signal; from pathlib import Path; from lumienv.index.client import IndexClient\n"
        "from lumienv.index.wheelhouse import Wheelhouse, WheelRequest\n"
        "def die(name, received, total): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Wheelhouse(Path({str(root)!r}), IndexClient([], cache=None)).fetch([{request!r}], die)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    house = Wheelhouse(root, client_of(server.url))
    assert not house.path(request.sha256, request.filename).exists()
    assert house.fetch([request])[thing.name].read_bytes() == thing.read_bytes()


def test_two_processes_fill_one_wheelhouse(server: IndexServer, thing: Path, root: Path) -> None:
    request = request_for(server, thing)
    code = (
        "from pathlib import Path; from lumienv.index.client import IndexClient\n"
        "from lumienv.index.wheelhouse import Wheelhouse, WheelRequest\n"
        f"Wheelhouse(Path({str(root)!r}), IndexClient([], cache=None)).fetch([{request!r}])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert [path.read_bytes() for path in left_behind(root)] == [thing.read_bytes()]


@pytest.mark.parametrize(
    ("filename", "sha256"),
    [("../x.whl", "0" * 64), ("/x.whl", "0" * 64), ("x.whl", "../" * 21 + "x"), ("x.whl", "")],
)
def test_a_lock_cannot_name_a_path_outside(
    root: Path, client_of: ClientOf, filename: str, sha256: str
) -> None:
    with pytest.raises(PackageIndexError, match="cannot be fetched"):
        Wheelhouse(root, client_of()).path(sha256, filename)


def test_a_symlink_for_a_wheelhouse_is_refused(
    server: IndexServer, thing: Path, root: Path, tmp_path: Path, client_of: ClientOf
) -> None:
    (tmp_path / "elsewhere").mkdir()
    root.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is not a directory"):
        Wheelhouse(root, client_of(server.url)).fetch([request_for(server, thing)])


def test_a_wheel_of_a_local_index_is_copied_and_checked(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    house = Wheelhouse(root, client_of(offline=True))
    paths = house.fetch([request_for(server, thing, url=thing.as_uri())])
    assert paths[thing.name].read_bytes() == thing.read_bytes()


def test_one_failure_gives_up_the_others(
    server: IndexServer, wheels: Path, thing: Path, root: Path, client_of: ClientOf
) -> None:
    others = [request_for(server, make_wheel(wheels, f"other{n}", "1.0")) for n in range(3)]
    wrong = request_for(server, thing, sha256="1" * 64)
    with pytest.raises(PackageIndexError, match="its hash is wrong"):
        Wheelhouse(root, client_of(server.url, workers=1)).fetch([wrong, *others])


def test_closing_the_client_ends_a_fetch(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    client = client_of(server.url)
    client.close()
    with pytest.raises(InterruptedByUserError):
        Wheelhouse(root, client).fetch([request_for(server, thing)])


# -- files whose hash nobody told ------------------------------------------------------------------------


def test_a_file_without_a_known_hash_is_kept_under_the_one_it_has(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    wheelhouse = Wheelhouse(root, client_of(server.url))
    kept = wheelhouse.take_in(thing.name, f"{server.root}/files/{thing.name}")
    assert kept.sha256 == server.digest(thing)
    assert kept.size == thing.stat().st_size
    assert kept.path.read_bytes() == thing.read_bytes()
    assert wheelhouse.held(kept.sha256, thing.name) == kept
    assert left_behind(root) == [kept.path]


def test_offline_a_file_without_a_known_hash_comes_from_this_machine_or_not_at_all(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    wheelhouse = Wheelhouse(root, client_of(server.url, offline=True))
    assert wheelhouse.take_in(thing.name, thing.as_uri()).sha256 == server.digest(thing)
    with pytest.raises(PackageIndexError, match="is not in the wheelhouse, and lumienv is offline"):
        wheelhouse.take_in(thing.name, f"{server.root}/files/{thing.name}")


def test_a_wheel_of_this_machine_is_copied_in(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    wheelhouse = Wheelhouse(root, client_of(server.url))
    kept = wheelhouse.keep(thing)
    thing.unlink()
    assert kept.path.stat().st_size == kept.size
    assert wheelhouse.held(kept.sha256.upper(), kept.filename) == kept


def test_a_damaged_file_is_not_held(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    wheelhouse = Wheelhouse(root, client_of(server.url))
    kept = wheelhouse.keep(thing)
    kept.path.write_bytes(b"damaged")
    assert wheelhouse.held(kept.sha256, kept.filename) is None
    assert wheelhouse.held("0" * 64, kept.filename) is None


def test_a_file_that_cannot_be_had_leaves_nothing(
    server: IndexServer, thing: Path, root: Path, client_of: ClientOf
) -> None:
    wheelhouse = Wheelhouse(root, client_of(server.url))
    with pytest.raises(PackageIndexError):
        wheelhouse.take_in("other-1.0.tar.gz", f"{server.root}/files/other-1.0.tar.gz")
    assert left_behind(root) == []
