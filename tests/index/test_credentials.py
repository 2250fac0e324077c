"""Passwords: sent where they belong, seen nowhere else."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from index_server import IndexServer
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.index.credentials import Credentials, CredentialStore, split_credentials

ClientOf = Callable[..., IndexClient]
USER, WORD = "someone", "s3cret/p@ss:%"


@pytest.fixture
def guarded(server: IndexServer, wheels: Path) -> IndexServer:
    make_wheel(wheels, "thing", "1.0", ["a"])
    server.password = (USER, WORD)
    return server


def write_netrc(directory: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = directory / "netrc"
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


def test_a_password_in_the_configured_url_is_used_and_kept_out_of_everything(
    guarded: IndexServer, client_of: ClientOf, cache: Path
) -> None:
    with client_of(guarded.url_with(USER, WORD)) as client:
        page = client.page("thing").result()
        assert page is not None
        assert client.metadata(page.files[0]).result().requires_dist == ("a",)
        kept = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
        shown = f"{page} {page.files[0]} {client.sources} {kept!r}"
    assert page.index == guarded.url
    for secret in (WORD, USER, "s3cret", "Basic"):
        assert secret not in shown


def test_an_index_that_wants_a_password_says_how_to_give_one(
    guarded: IndexServer, client_of: ClientOf
) -> None:
    with pytest.raises(PackageIndexError) as caught:
        client_of(guarded.url).page("thing").result()
    assert caught.value.message == f"the package index 127.0.0.1:{guarded.port} wants a password"
    assert "~/.netrc: machine 127.0.0.1 login" in (caught.value.hint or "")
    assert len(guarded.requests) == 1


def test_a_wrong_password_is_said_and_not_shown(guarded: IndexServer, client_of: ClientOf) -> None:
    with pytest.raises(PackageIndexError, match="does not accept the password") as caught:
        client_of(guarded.url_with(USER, "wrong-word")).page("thing").result()
    assert "wrong-word" not in f"{caught.value!s}{caught.value!r}{caught.value.__cause__!r}"


def test_a_forbidden_index_says_so(server: IndexServer, client_of: ClientOf) -> None:
    server.statuses["/simple/thing/"] = deque([403])
    with pytest.raises(PackageIndexError, match="refuses access"):
        client_of(server.url).page("thing").result()


def test_netrc_gives_the_password(
    guarded: IndexServer, client_of: ClientOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, monkeypatch, f'machine 127.0.0.1 login {USER} password "{WORD}"\n')
    assert client_of(guarded.url).page("thing").result() is not None


def test_netrcs_default_entry_is_sent_to_nobody(
    guarded: IndexServer, client_of: ClientOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, monkeypatch, f'default login {USER} password "{WORD}"\n')
    with pytest.raises(PackageIndexError, match="wants a password"):
        client_of(guarded.url).page("thing").result()


def test_a_broken_netrc_counts_as_none(
    server: IndexServer, client_of: ClientOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, monkeypatch, "machine what is this")
    assert client_of(server.url).page("thing").result() is None


@pytest.mark.parametrize("source", ["url", "netrc"])
def test_a_redirect_to_another_host_carries_no_password(
    guarded: IndexServer,
    wheels: Path,
    client_of: ClientOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    write_netrc(
        tmp_path,
        monkeypatch,
        f'machine 127.0.0.1 login {USER} password "{WORD}"\n'
        f'machine localhost login {USER} password "{WORD}"\n',
    )
    if source == "url":
        monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with IndexServer(wheels) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        guarded.redirects["/simple/thing/"] = f"{elsewhere}/thing/"
        url = guarded.url_with(USER, WORD) if source == "url" else guarded.url
        page = client_of(url).page("thing").result()
        assert page is not None
        assert page.files[0].url.startswith(f"http://localhost:{other.port}/files/")
        assert "authorization" in guarded.requests[0].headers
        assert "authorization" not in other.requests[0].headers


def test_a_redirect_within_the_host_keeps_the_password(guarded: IndexServer, client_of: ClientOf) -> None:
    guarded.redirects["/simple/thing/"] = "/simple/Thing/"
    guarded.pages["/simple/Thing/"] = ("text/html", b"<a href='/files/thing-1.0-py3-none-any.whl'>x</a>")
    page = client_of(guarded.url_with(USER, WORD)).page("thing").result()
    assert page is not None
    assert "authorization" in guarded.requests[1].headers


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_http_is_refused(server: IndexServer, client_of: ClientOf, target: str) -> None:
    server.redirects["/simple/thing/"] = target
    with pytest.raises(PackageIndexError, match="redirects to an address that is not secure"):
        client_of(server.url).page("thing").result()


def test_redirects_in_circles_end(server: IndexServer, client_of: ClientOf) -> None:
    server.redirects["/simple/thing/"] = "/simple/thing/"
    with pytest.raises(PackageIndexError, match="redirects in circles"):
        client_of(server.url).page("thing").result()


def test_a_file_on_another_host_gets_no_password(
    guarded: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    with IndexServer(wheels) as other:
        link = f"http://127.0.0.1:{other.port}/files/thing-1.0-py3-none-any.whl"
        guarded.pages["/simple/thing/"] = ("text/html", f"<a href='{link}'>thing</a>".encode())
        client = client_of(guarded.url_with(USER, WORD))
        page = client.page("thing").result()
        assert page is not None
        client.metadata(page.files[0]).result()
        assert "authorization" not in other.requests[0].headers


def test_the_index_with_the_longest_path_gives_the_password() -> None:
    a, b = Credentials("a", "1"), Credentials("b", "2")
    store = CredentialStore([("https://h.example.org/one", a), ("https://h.example.org/one/two", b)])
    assert store.find("https://h.example.org/one/x/") is a
    assert store.find("https://h.example.org:443/one/two/x/") is b
    assert store.find("https://h.example.org/files/x.whl") is not None
    assert store.find("http://h.example.org/one/x/") is None
    assert store.find("https://h.example.org:8443/one/x/") is None


def test_credentials_are_never_printed() -> None:
    bare, credentials = split_credentials("https://us%40er:pa%3Ass@h.example.org/simple")
    assert bare == "https://h.example.org/simple"
    assert credentials == Credentials("us@er", "pa:ss")
    assert repr(credentials) == str(credentials) == "Credentials(hidden)"


def test_a_named_index_takes_its_password_from_the_environment() -> None:
    environ = {"UV_INDEX_MY_GROUP_USERNAME": "u", "UV_INDEX_MY_GROUP_PASSWORD": "p"}
    source = index_source("https://packages.example.org/simple/", name="my-group", environ=environ)
    assert source.credentials == Credentials("u", "p")
    assert source.url == "https://packages.example.org/simple"
