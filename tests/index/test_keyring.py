"""The keyring: a real program on PATH, asked only when it is configured, and seldom."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from index_server import IndexServer
from keyring_program import KeyringProgram
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.config import index_source
from lumienv.index.keyring import KeyringProvider, keyring_provider

ClientOf = Callable[..., IndexClient]
USER, WORD = "someone", "s3cret/p@ss:%"


@pytest.fixture
def guarded(server: IndexServer, wheels: Path) -> IndexServer:
    for number in range(6):
        make_wheel(wheels, f"thing-{number}", "1.0", ["a"])
    server.password = (USER, WORD)
    return server


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., KeyringProgram]:
    """Puts the program on PATH and configures it."""

    def make(known: Mapping[tuple[str, str], str], *, hangs: bool = False) -> KeyringProgram:
        program = KeyringProgram(tmp_path / "bin", known, hangs=hangs)
        monkeypatch.setenv("PATH", f"{program.directory}:{os.environ['PATH']}")
        monkeypatch.setenv("PIP_KEYRING_PROVIDER", "subprocess")
        return program

    return make


def with_name(server: IndexServer) -> str:
    return server.url.replace("://", f"://{USER}@")


def host(server: IndexServer) -> str:
    return f"127.0.0.1:{server.port}"


def refused(client: IndexClient) -> PackageIndexError:
    with pytest.raises(PackageIndexError) as caught:
        client.page("thing-0").result()
    return caught.value


def test_a_name_in_the_url_is_completed_before_anything_is_sent(
    guarded: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({(f"{guarded.url}/", USER): WORD})
    client = client_of(with_name(guarded))
    pages = [client.page(f"thing-{number}") for number in range(6)]
    for page in pages:
        found = page.result()
        assert found is not None
        assert client.metadata(found.files[0]).result().requires_dist == ("a",)
    assert program.asked() == [[f"{guarded.url}/", USER]]
    assert all("authorization" in request.headers for request in guarded.requests)


@pytest.mark.parametrize("service", ["slash", "bare", "host"])
def test_without_a_name_the_keyring_is_asked_for_both_after_a_refusal(
    guarded: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram], service: str
) -> None:
    services = {"slash": f"{guarded.url}/", "bare": guarded.url, "host": host(guarded)}
    program = keyring({(services[service], USER): WORD})
    client = client_of(guarded.url)
    for page in [client.page(f"thing-{number}") for number in range(6)]:
        assert page.result() is not None
    expected = list(services.values())[: list(services).index(service) + 1]
    assert program.asked() == [[asked, "--mode", "creds"] for asked in expected]


def test_an_index_that_wants_no_password_does_not_wake_the_keyring(
    server: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({})
    assert client_of(server.url).page("nothing").result() is None
    assert program.asked() == []


@pytest.mark.parametrize("provider", ["", "auto", "disabled"])
def test_without_being_configured_it_is_never_asked(
    guarded: IndexServer,
    client_of: ClientOf,
    keyring: Callable[..., KeyringProgram],
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    program = keyring({(f"{guarded.url}/", USER): WORD})
    monkeypatch.setenv("PIP_KEYRING_PROVIDER", provider)
    refused(client_of(with_name(guarded)))
    assert program.asked() == []


def test_a_password_in_the_url_leaves_the_keyring_alone(
    guarded: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({(f"{guarded.url}/", USER): WORD})
    refused(client_of(guarded.url_with(USER, "wrong-word")))
    assert client_of(guarded.url_with(USER, WORD)).page("thing-0").result() is not None
    assert program.asked() == []


def test_netrc_comes_first_and_the_keyring_after_its_refusal(
    guarded: IndexServer,
    client_of: ClientOf,
    keyring: Callable[..., KeyringProgram],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    program = keyring({(f"{guarded.url}/", USER): WORD})
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    for word, asked in ((WORD, []), ("old-word", [[f"{guarded.url}/", USER]])):
        netrc.write_text(f'machine 127.0.0.1 login {USER} password "{word}"\n')
        netrc.chmod(0o600)
        assert client_of(guarded.url, cache=None).page("thing-0").result() is not None
        assert program.asked() == asked


def test_a_named_index_takes_the_name_from_the_environment_and_the_word_from_the_keyring(
    guarded: IndexServer, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({(host(guarded), USER): WORD})
    source = index_source(guarded.url, name="group", environ={"UV_INDEX_GROUP_USERNAME": USER})
    with IndexClient([source], cache=None, backoff=0.001) as client:
        assert client.page("thing-0").result() is not None
    assert program.asked() == [[service, USER] for service in (f"{guarded.url}/", guarded.url, host(guarded))]


def test_another_host_that_a_page_leads_to_is_never_looked_up(
    guarded: IndexServer, wheels: Path, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    with IndexServer(wheels, password=(USER, WORD)) as other:
        program = keyring({(f"{guarded.url}/", USER): WORD, (host(other), USER): WORD})
        link = f"{other.root}/files/thing_0-1.0-py3-none-any.whl"
        guarded.pages["/simple/thing-0/"] = ("text/html", f"<a href='{link}'>thing</a>".encode())
        guarded.redirects["/simple/thing-1/"] = f"{other.url}/thing-1/"
        client = client_of(guarded.url)
        page = client.page("thing-0").result()
        assert page is not None
        with pytest.raises(PackageIndexError, match="wants a password"):
            client.metadata(page.files[0]).result()
        with pytest.raises(PackageIndexError, match="wants a password"):
            client.page("thing-1").result()
        assert program.asked() == [[f"{guarded.url}/", "--mode", "creds"]]
        assert not any("authorization" in request.headers for request in other.requests)


def test_a_keyring_that_does_not_know_it_is_named_in_the_message(
    guarded: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({(f"{guarded.url}/", USER): "stale-word"})
    error = refused(client_of(with_name(guarded)))
    assert error.message == f"the package index {host(guarded)} does not accept the password"
    assert (
        "the keyring has no password that is accepted: asked because of PIP_KEYRING_PROVIDER" in error.facts
    )
    assert "stale-word" not in f"{error}{error!r}{error.__cause__!r}"
    assert program.asked() == [[f"{guarded.url}/", USER]]


def test_a_keyring_that_hangs_is_ended_and_asked_no_more(
    guarded: IndexServer,
    client_of: ClientOf,
    keyring: Callable[..., KeyringProgram],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LUMIENV_HTTP_TIMEOUT", "1")
    program = keyring({}, hangs=True)
    error = refused(client_of(guarded.url))
    assert any("did not answer within 1 seconds" in fact for fact in error.facts)
    assert len(program.asked()) <= 1


def test_a_missing_program_is_said(
    guarded: IndexServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    said = "the program `keyring` is not on PATH: asked because of UV_KEYRING_PROVIDER"
    assert said in refused(client_of(guarded.url)).facts


def test_a_program_that_cannot_be_started_is_said(
    guarded: IndexServer, client_of: ClientOf, keyring: Callable[..., KeyringProgram]
) -> None:
    program = keyring({})
    (program.directory / "keyring").write_text("#!/no/such/interpreter\n")
    said = refused(client_of(guarded.url)).facts
    assert any(fact.startswith(f"cannot start {program.directory}/keyring: ") for fact in said)


def test_import_runs_the_package_beside_lumienv(
    guarded: IndexServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "packages"
    package.mkdir()
    (package / "keyring.py").write_text(f"import sys\nprint({WORD!r} if sys.argv[1] == 'get' else '')\n")
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("PIP_KEYRING_PROVIDER", "import")
    assert client_of(with_name(guarded)).page("thing-0").result() is not None


def test_the_provider_is_pips_then_uvs(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nkeyring-provider = subprocess\n")
    (tmp_path / "uv.toml").write_text('keyring-provider = "subprocess"\n')
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
    assert keyring_provider(environ) is None
    environ["UV_CONFIG_FILE"] = str(tmp_path / "uv.toml")
    assert keyring_provider(environ) == KeyringProvider(
        "subprocess", "`keyring-provider` in uv's configuration"
    )
    environ["UV_KEYRING_PROVIDER"] = "disabled"
    assert keyring_provider(environ) is None
    environ["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    assert keyring_provider(environ) == KeyringProvider(
        "subprocess", "`keyring-provider` in pip's configuration"
    )
    environ["PIP_KEYRING_PROVIDER"] = "wallet"
    with pytest.raises(PackageIndexError, match="PIP_KEYRING_PROVIDER is wallet, which names no keyring"):
        keyring_provider(environ)
