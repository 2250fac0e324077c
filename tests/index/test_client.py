"""The client against servers that are down, slow, guarded or broken; its cache; its end."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from index_server import IndexServer
from wheels import make_wheel
from workspace import interruptible

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.index.pages import Page

ClientOf = Callable[..., IndexClient]
THING = "/simple/thing/"


def names(page: Page | None) -> list[str]:
    return [] if page is None else list(page.files.names)


def failure(client: IndexClient, name: str = "thing") -> PackageIndexError:
    with pytest.raises(PackageIndexError) as caught:
        client.page(name).result()
    return caught.value


@pytest.fixture
def thing(wheels: Path) -> Path:
    return make_wheel(wheels, "thing", "1.0", ["a>=1"])


def test_a_project_that_no_index_has_is_none(server: IndexServer, client_of: ClientOf) -> None:
    assert client_of(server.url).page("nothing").result() is None


def test_asking_twice_is_one_request(server: IndexServer, thing: Path, client_of: ClientOf) -> None:
    client = client_of(server.url)
    assert client.page("Thing") is client.page("thing")
    client.page("thing").result()
    assert len(server.requests) == 1


def test_the_first_index_that_has_a_project_wins(
    server: IndexServer, thing: Path, tmp_path: Path, client_of: ClientOf
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make_wheel(other, "thing", "9.0")
    make_wheel(other, "late", "1.0")
    with IndexServer(other) as second:
        client = client_of(server.url, second.url)
        page, late = client.page("thing").result(), client.page("late").result()
        assert page is not None
        assert late is not None
        assert (page.index, late.index) == (server.url, second.url)
        assert second.paths() == ["/simple/late/"]


def test_a_pinned_name_is_asked_of_its_index_only(
    server: IndexServer, thing: Path, tmp_path: Path, cache: Path
) -> None:
    with IndexServer(tmp_path) as private:
        sources = [
            index_source(server.url),
            index_source(private.url, name="own", explicit=True, packages=frozenset({"Thing"})),
        ]
        with IndexClient(sources, cache=cache) as client:
            assert client.page("thing").result() is None
            assert client.page("other").result() is None
        assert (server.paths(), private.paths()) == (["/simple/other/"], ["/simple/thing/"])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(
    server: IndexServer, thing: Path, client_of: ClientOf, status: int
) -> None:
    server.statuses[THING] = deque([status, status])
    assert names(client_of(server.url).page("thing").result()) == [thing.name]
    assert len(server.requests) == 3


def test_a_lasting_fault_is_said_with_its_status(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    server.statuses[THING] = deque([503] * 20)
    error = failure(client_of(server.url))
    assert "does not work at the moment" in error.message
    assert "HTTP 503" in error.facts[0]
    assert len(server.requests) == 4


def test_a_page_that_breaks_off_is_fetched_again(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    server.cut[THING] = deque([20, 40])
    assert names(client_of(server.url).page("thing").result()) == [thing.name]


def test_a_range_that_breaks_off_is_fetched_again(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    server.cut[f"/files/{thing.name}"] = deque([100])
    client = client_of(server.url)
    page = client.page("thing").result()
    assert page is not None
    assert client.metadata(page.files[0]).result().version == "1.0"


def test_a_refused_connection_is_said_without_a_traceback(client_of: ClientOf) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = failure(client_of(f"http://name:hidden-word@127.0.0.1:{port}/simple"))
    assert error.message == f"cannot reach the package index at 127.0.0.1:{port}: no network?"
    assert error.facts[0] == "connection refused"
    assert "--offline" in (error.hint or "")
    assert "hidden-word" not in str(error)


def test_a_name_that_does_not_resolve_is_said(client_of: ClientOf) -> None:
    error = failure(client_of("http://packages.invalid/simple"))
    assert (error.message[:51], error.facts[0]) == (
        "cannot reach the package index at packages.invalid:",
        "the name cannot be resolved",
    )


def test_a_server_that_does_not_answer_is_given_up(
    server: IndexServer, thing: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMIENV_HTTP_TIMEOUT", "0.05")
    server.latency = 200
    assert "LUMIENV_HTTP_TIMEOUT" in failure(client_of(server.url)).facts[0]


def test_a_time_limit_that_is_no_number_is_said(
    server: IndexServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMIENV_HTTP_TIMEOUT", "soon")
    assert "no number of seconds" in failure(client_of(server.url)).message


def test_https_to_a_server_that_speaks_http_is_said(server: IndexServer, client_of: ClientOf) -> None:
    error = failure(client_of(server.url.replace("http:", "https:")))
    assert error.message == f"cannot talk to 127.0.0.1:{server.port} securely"


def test_a_missing_ca_bundle_names_the_setting(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    error = failure(client_of("https://127.0.0.1:9/simple"))
    assert error.facts == ("named by PIP_CERT",)


def test_requests_go_through_the_proxy_that_the_environment_names(
    server: IndexServer, thing: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://proxyuser:proxyword@127.0.0.1:{server.port}")
    client_of("http://packages.example.org/simple").page("nothing").result()
    seen = server.requests[0]
    assert seen.path == "http://packages.example.org/simple/nothing/"
    assert "proxy-authorization" in seen.headers
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert names(client_of(server.url).page("thing").result()) == [thing.name]


def test_a_cached_page_makes_no_request_and_imports_no_http(
    server: IndexServer, thing: Path, client_of: ClientOf, cache: Path
) -> None:
    with client_of(server.url) as client:
        page = client.page("thing").result()
        assert page is not None
        client.metadata(page.files[0]).result()
    asked = len(server.requests)
    code = (
        "import sys; from pathlib import Path; from lumienv.index.client import IndexClient\n"
        "from lumienv.index.config import index_source\n"
        f"with IndexClient([index_source({server.url!r})], cache=Path({str(cache)!r})) as client:\n"
        "    page = client.page('thing').result()\n"
        "    print(client.metadata(page.files[0]).result().requires_dist, 'urllib3' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "('a>=1',) False\n"
    assert len(server.requests) == asked


def test_an_unchanged_page_is_confirmed_by_its_etag(
    server: IndexServer, thing: Path, wheels: Path, client_of: ClientOf
) -> None:
    server.etags = True
    for expected in (1, 1, 2):
        if expected == 2:
            make_wheel(wheels, "thing", "2.0")
        with client_of(server.url) as client:
            assert len(names(client.page("thing").result())) == expected
    conditions = [request.headers.get("if-none-match") for request in server.requests]
    assert conditions[0] is None
    assert conditions[1] is not None
    assert conditions[1] == conditions[2]


def test_refresh_asks_again_and_no_store_keeps_nothing(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    for _ in range(2):
        with client_of(server.url, refresh=True) as client:
            client.page("thing").result()
    assert len(server.requests) == 2
    server.headers["Cache-Control"] = "no-store"
    make_wheel(thing.parent, "secretive", "1.0")
    for _ in range(2):
        with client_of(server.url) as client:
            client.page("secretive").result()
    assert server.paths().count("/simple/secretive/") == 2


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_entry_is_fetched_again(
    server: IndexServer, thing: Path, client_of: ClientOf, cache: Path, damage: bytes | None
) -> None:
    for _ in range(2):
        with client_of(server.url) as client:
            page = client.page("thing").result()
            assert page is not None
            assert client.metadata(page.files[0]).result().requires_dist == ("a>=1",)
        entries = [path for path in cache.rglob("*") if path.is_file()]
        assert len(entries) == 2
        for path in entries:
            content = path.read_bytes()
            path.write_bytes(content[:-3] + b"???" if damage is None else damage)
    assert len(server.requests) == 4


def test_the_cache_is_this_users_alone(
    server: IndexServer, thing: Path, client_of: ClientOf, cache: Path
) -> None:
    with client_of(server.url) as client:
        client.page("thing").result()
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_written_does_not_matter(
    server: IndexServer, thing: Path, client_of: ClientOf, cache: Path
) -> None:
    cache.mkdir()
    (cache / "pages").write_text("in the way")
    with client_of(server.url) as client:
        assert names(client.page("thing").result()) == [thing.name]


def test_many_processes_share_one_cache(server: IndexServer, wheels: Path, cache: Path) -> None:
    projects = [f"project-{number}" for number in range(8)]
    for project in projects:
        make_wheel(wheels, project, "1.0", ["a"])
    code = (
        "import sys; from pathlib import Path; from lumienv.index.client import IndexClient\n"
        "from lumienv.index.config import index_source\n"
        f"with IndexClient([index_source({server.url!r})], cache=Path({str(cache)!r}), refresh=True) as c:\n"
        f"    pages = [f.result() for f in [c.page(n) for n in {projects!r}]]\n"
        "    print(sum(len(f.result().requires_dist) for f in [c.metadata(p.files[0]) for p in pages]))\n"
    )
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["8\n"] * 3
    assert not list(cache.glob(".new-*"))


def test_offline_answers_from_the_cache_whatever_its_age(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    server.headers["Cache-Control"] = "max-age=0"
    with client_of(server.url) as client:
        page = client.page("thing").result()
        assert page is not None
        client.metadata(page.files[0]).result()
    server.close()
    offline = client_of(server.url, offline=True)
    again = offline.page("thing").result()
    assert again == page
    assert offline.metadata(page.files[0]).result().version == "1.0"


def test_offline_names_what_is_missing(server: IndexServer, thing: Path, client_of: ClientOf) -> None:
    with client_of(server.url) as client:
        page = client.page("thing").result()
    assert page is not None
    offline = client_of(server.url, offline=True)
    assert failure(offline, "other").message == (
        f"the page of other on {server.url} is not in the cache, and lumienv is offline"
    )
    with pytest.raises(PackageIndexError, match=f"the metadata of {thing.name} is not in the cache"):
        offline.metadata(page.files[0]).result()


def test_offline_knows_which_index_did_not_have_a_project(
    server: IndexServer, thing: Path, tmp_path: Path, client_of: ClientOf
) -> None:
    with IndexServer(tmp_path) as first:
        with client_of(first.url, server.url) as client:
            assert names(client.page("thing").result()) == [thing.name]
        offline = client_of(first.url, server.url, offline=True)
        assert names(offline.page("thing").result()) == [thing.name]
        make_wheel(tmp_path, "thing", "3.0")
        with client_of(first.url, server.url) as client:
            assert names(client.page("thing").result()) == ["thing-3.0-py3-none-any.whl"]


def test_closing_cancels_what_waits_and_waits_for_nothing(
    server: IndexServer, thing: Path, client_of: ClientOf
) -> None:
    server.latency = 300
    client = client_of(server.url, workers=1)
    running, waiting = client.page("one"), client.page("two")
    while not (running.running() or running.done()):
        time.sleep(0)
    client.close()
    assert waiting.cancelled()
    assert not running.cancelled()
    assert client.page("three").cancelled()
    running.exception()


def test_ctrl_c_ends_the_interpreter_while_a_server_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code = (
            "from lumienv.index.client import IndexClient; from lumienv.index.config import index_source\n"
            f"with IndexClient([index_source('http://127.0.0.1:{port}/simple')], cache=None) as client:\n"
            "    client.page('thing').result()\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(10)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=15)
    assert "KeyboardInterrupt" in errors
    assert child.returncode in (1, 130, -signal.SIGINT)


def test_many_threads_ask_at_once(server: IndexServer, thing: Path, client_of: ClientOf) -> None:
    client = client_of(server.url)
    results: list[Page | None] = []
    threads = [
        threading.Thread(target=lambda: results.append(client.page("thing").result())) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16
    assert len(server.requests) == 1


def test_preparing_asks_nothing_and_fails_nothing(
    server: IndexServer, thing: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = client_of(server.url)
    client.prepare()
    assert names(client.page("thing").result()) == [thing.name]
    assert len(server.requests) == 1
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    client_of("https://packages.example.org/simple").prepare()
    client_of().prepare()


def test_connections_are_used_again(server: IndexServer, wheels: Path, client_of: ClientOf) -> None:
    client = client_of(server.url, workers=1)
    for number in range(5):
        client.page(f"missing-{number}").result()
    pool = next(iter(client.transport._pools.values())).connection_from_url(server.url)
    assert (pool.num_connections, pool.num_requests) == (1, 5)
