"""https with a private authority and a user's certificate; forward proxies, with and without a password."""

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority, make_authority
from forward_proxy import ForwardProxy
from index_server import IndexServer
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient

ClientOf = Callable[..., IndexClient]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(wheels: Path, authority: Authority) -> Iterator[IndexServer]:
    make_wheel(wheels, "thing", "1.0", ["a"])
    with IndexServer(wheels, tls=authority.server()) as server:
        yield server


def found(client: IndexClient) -> bool:
    page = client.page("thing").result()
    return page is not None and client.metadata(page.files[0]).result().requires_dist == ("a",)


def refused(client: IndexClient) -> PackageIndexError:
    with pytest.raises(PackageIndexError) as caught:
        client.page("thing").result()
    return caught.value


def pip_conf(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    path = folder / "pip.conf"
    path.write_text(f"[global]\n{text}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))


def test_a_private_authority_is_not_trusted_unless_it_is_made_known(
    secure: IndexServer, client_of: ClientOf
) -> None:
    error = refused(client_of(secure.url))
    assert error.message == f"cannot talk to 127.0.0.1:{secure.port} securely"
    assert error.facts[0].startswith("its certificate is not trusted: ")
    assert "PIP_CERT" in (error.hint or "")


@pytest.mark.parametrize(
    "variable", ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "pip.conf"]
)
def test_an_authority_is_made_known_as_pip_and_uv_know_it(
    secure: IndexServer,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    if variable == "pip.conf":
        pip_conf(monkeypatch, tmp_path, f"cert = {authority.certificate}")
    else:
        monkeypatch.setenv(variable, str(authority.certificate))
    assert found(client_of(secure.url))


def test_a_folder_of_certificates_may_name_them_as_it_likes(
    secure: IndexServer,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "group.crt").write_bytes(authority.certificate.read_bytes())
    (folder / "README").write_text("not a certificate")
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'none'}:{folder}")
    assert found(client_of(secure.url, cache=None))
    system = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    monkeypatch.setenv("SSL_CERT_FILE", system)  # both count
    assert found(client_of(secure.url, cache=None))


def test_a_folder_of_certificates_named_by_their_hash_is_left_to_openssl(
    secure: IndexServer,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shutil.copy(authority.certificate, tmp_path / "group.pem")
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert found(client_of(secure.url))


def test_trusted_host_is_not_taken_over_and_said(
    secure: IndexServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip_conf(monkeypatch, tmp_path, "trusted-host = 127.0.0.1")
    assert any("`trusted-host` is not taken over" in fact for fact in refused(client_of(secure.url)).facts)


@pytest.mark.parametrize("variable", ["PIP_CLIENT_CERT", "SSL_CLIENT_CERT", "pip.conf"])
def test_a_client_certificate_is_shown_where_the_server_asks_for_one(
    wheels: Path,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a"])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with IndexServer(wheels, tls=authority.server(wants_certificate=True)) as server:
        assert "127.0.0.1" in refused(client_of(server.url)).message
        if variable == "pip.conf":
            pip_conf(monkeypatch, tmp_path, f"client-cert = {authority.user}")
        else:
            monkeypatch.setenv(variable, str(authority.user))
        assert found(client_of(server.url))


@pytest.mark.parametrize("problem", ["missing", "locked"])
def test_a_client_certificate_that_cannot_be_used_names_its_setting(
    secure: IndexServer,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    problem: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    path = authority.locked_user if problem == "locked" else tmp_path / "none.pem"
    monkeypatch.setenv("PIP_CLIENT_CERT", str(path))
    error = refused(client_of(secure.url))
    assert error.message == f"cannot read the client certificate {path}"
    assert error.facts[0].startswith("named by PIP_CLIENT_CERT")


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy(("user", "proxy-word")) as proxy:
        yield proxy


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("setting", ["environment", "all", "pip"])
def test_a_proxy_with_a_password_is_gone_through(
    wheels: Path,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    proxy: ForwardProxy,
    scheme: str,
    setting: str,
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a"])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    if setting == "pip":
        monkeypatch.setenv("no_proxy", "127.0.0.1")  # which pip does not mind either
        pip_conf(monkeypatch, tmp_path, f"proxy = {proxy.url('user:proxy-word')}")
    else:
        name = "ALL_PROXY" if setting == "all" else f"{scheme}_proxy"
        monkeypatch.setenv(name, proxy.url("user:proxy-word"))
    with IndexServer(wheels, tls=authority.server() if scheme == "https" else None) as server:
        assert found(client_of(server.url))
        expected = f"127.0.0.1:{server.port}" if scheme == "https" else f"{server.url}/thing/"
    assert proxy.asked[0] == expected
    assert not any("proxy-authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("userinfo", ["", "user:wrong-word"])
def test_a_proxy_that_wants_another_password_is_said(
    wheels: Path,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    proxy: ForwardProxy,
    scheme: str,
    userinfo: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url(userinfo))
    error = refused(client_of(f"{scheme}://packages.example.org/simple"))
    wanted = "the proxy does not accept the password" if userinfo else "the proxy wants a password"
    assert error.message == wanted
    assert f"{scheme}_proxy" in (error.hint or "")
    assert "wrong-word" not in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_the_proxy_is_not_for_is_asked_directly(
    wheels: Path,
    authority: Authority,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    proxy: ForwardProxy,
    scheme: str,
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a"])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url())
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with IndexServer(wheels, tls=authority.server() if scheme == "https" else None) as server:
        assert found(client_of(server.url))
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_names_its_setting(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with ForwardProxy() as gone:
        pass
    monkeypatch.setenv("PIP_PROXY", gone.url("user:hidden-word"))
    error = refused(client_of(f"{scheme}://packages.example.org/simple"))
    assert error.message.endswith("through the proxy")
    assert error.facts[0] == "connection refused"
    assert "PIP_PROXY" in (error.hint or "")
    assert "hidden-word" not in str(error)


def test_a_proxy_that_is_no_http_proxy_is_said_without_its_password(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:hidden-word@127.0.0.1:9")
    error = refused(client_of("http://packages.example.org/simple"))
    assert error.message == "the proxy that all_proxy names is no HTTP proxy"
    assert "hidden-word" not in str(error)
