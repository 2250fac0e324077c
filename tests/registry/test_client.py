"""What a registry is asked and how its refusals read: a server on loopback that answers as it is told.

`tests/integration/test_pull.py` asks a real one; this one gives out tokens, and misbehaves.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import Authority, make_authority

from lumienv.errors import ImageError
from lumienv.image.oci import LARGEST, digest_of
from lumienv.manifest.imageaddress import parse_address
from lumienv.registry.client import Registry

MANIFEST = b'{"schemaVersion": 2}'
Answer = tuple[int, dict[str, str], bytes]


class Server:
    """`answers`: path → what it answers, or a function of the request's Authorization header."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.answers: dict[str, Answer | Callable[[str], Answer]] = {}
        self.seen: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization", "")
                server.seen.append((self.path, authorization))
                answer = server.answers.get(self.path.partition("?")[0], (404, {}, b"{}"))
                status, headers, body = answer(authorization) if callable(answer) else answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is told."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_port}"
        if authority is not None:
            self.http.socket = authority.server().wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )


@contextmanager
def serving(made: Server) -> Iterator[Server]:
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        thread.join()
        made.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def closed_server(authority) -> Iterator[Server]:
    """One that speaks https."""
    with serving(Server(authority)) as made:
        yield made


@pytest.fixture
def ask(server: Server, tmp_path, monkeypatch) -> Callable[..., bytes]:
    return asking(server, tmp_path, monkeypatch, https=False)


@pytest.fixture
def ask_closed(closed_server: Server, tmp_path, monkeypatch) -> Callable[..., bytes]:
    return asking(closed_server, tmp_path, monkeypatch, https=True)


def asking(
    server: Server, home: Path, monkeypatch, *, https: bool, variables: bool = True
) -> Callable[..., bytes]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def asked(name: str = "org/image:1", **given: str) -> bytes:
        address = parse_address(f"docker://{server.host}/{name}")
        environ = {"HOME": str(home), **given}
        return Registry(address, environ, https=https, variables=variables).manifest()

    return asked


WHO = {"SINGULARITY_DOCKER_USERNAME": "me", "SINGULARITY_DOCKER_PASSWORD": "secret"}
ME = "Basic bWU6c2VjcmV0"


def refusal(ask: Callable[..., bytes], *words: str, **variables: str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        ask(*words, **variables)
    assert "secret" not in str(caught.value)
    return caught.value


def test_a_tag_and_a_digest_are_asked_for_as_they_are(server, ask):
    server.answers["/v2/org/image/manifests/1"] = (200, {}, MANIFEST)
    digest = digest_of(MANIFEST)
    server.answers[f"/v2/org/image/manifests/{digest}"] = (200, {}, MANIFEST)
    assert ask() == ask(f"org/image@{digest}") == MANIFEST
    assert [sent for _, sent in server.seen] == ["", ""]


def guarded(server: Server, realm: str) -> None:
    """A registry that wants a token, which `realm` gives to whom it knows."""
    wanted = f'Bearer realm="{realm}",service="the registry",scope="repository:org/image:pull"'

    def manifest(authorization: str) -> Answer:
        if authorization == "Bearer of-me":
            return 200, {}, MANIFEST
        return 401, {"WWW-Authenticate": wanted}, b"{}"

    def token(authorization: str) -> Answer:
        return (200, {}, b'{"token": "of-me"}') if authorization == ME else (401, {}, b"{}")

    server.answers |= {"/v2/org/image/manifests/1": manifest, "/token": token}


def test_a_token_is_fetched_with_the_password_and_sent_alone(server, ask):
    guarded(server, f"http://{server.host}/token")
    assert ask(**WHO) == MANIFEST
    (_, first), (path, second), (_, third) = server.seen
    assert (first, second, third) == ("", ME, "Bearer of-me")
    assert path == "/token?service=the+registry&scope=repository%3Aorg%2Fimage%3Apull"


def test_without_a_password_it_is_said_that_one_is_wanted(server, ask):
    guarded(server, f"http://{server.host}/token")
    assert "wants a password for docker://" in refusal(ask).message


def test_a_password_that_is_not_taken_is_said_to_be_wrong(server, ask):
    guarded(server, f"http://{server.host}/token")
    wrong = {**WHO, "SINGULARITY_DOCKER_PASSWORD": "other secret"}
    assert "wrong password, or no right to it" in refusal(ask, **wrong).message


def test_a_password_in_variables_is_not_told_to_a_host_that_the_user_did_not_name(
    server, tmp_path, monkeypatch
):
    guarded(server, f"http://{server.host}/token")
    ask = asking(server, tmp_path, monkeypatch, https=False, variables=False)
    error = refusal(ask, **WHO)
    assert "are not told to a host that lumienv.toml names" in error.facts[1]
    assert f"lumienv image pull docker://{server.host}/org/image:1" in str(error.hint)
    assert {sent for _, sent in server.seen} == {""}
    # A login that is kept for this registry is.
    (tmp_path / ".docker").mkdir()
    kept = {"auths": {server.host: {"username": "me", "password": "secret"}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(kept))
    assert ask() == MANIFEST


def test_a_keyring_is_asked_once_and_only_by_a_registry_that_wants_to_know(server, ask, tmp_path):
    asked = tmp_path / "asked"
    program = tmp_path / "docker-credential-safe"
    program.write_text(
        f'#!/bin/sh\necho once >>{asked}\nprintf \'{{"Username": "me", "Secret": "secret x"}}\'\n'
    )
    program.chmod(0o755)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"credsStore": "safe"}')
    server.answers["/v2/org/image/manifests/2"] = (200, {}, MANIFEST)
    assert ask("org/image:2", PATH=f"{tmp_path}:/usr/bin:/bin") == MANIFEST
    assert not asked.exists()
    guarded(server, f"http://{server.host}/token")
    assert "wrong password" in refusal(ask, PATH=f"{tmp_path}:/usr/bin:/bin").message
    assert asked.read_text() == "once\n"


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "", "ftp://127.0.0.1/token", "https://[x"])
def test_a_password_goes_to_no_strange_place(server, ask, realm):
    guarded(server, realm)
    refusal(ask, **WHO)
    assert [sent for _, sent in server.seen] == [""]


def test_credentials_do_not_follow_a_redirect_to_another_host(server, ask):
    guarded(server, f"http://{server.host}/token")
    with serving(Server()) as other:
        other.answers["/there"] = (200, {}, MANIFEST)
        old = server.answers["/v2/org/image/manifests/1"]

        def moved(authorization: str) -> Answer:
            assert callable(old)
            there = (307, {"Location": f"http://{other.host}/there"}, b"")
            return there if authorization == "Bearer of-me" else old(authorization)

        server.answers["/v2/org/image/manifests/1"] = moved
        assert ask(**WHO) == MANIFEST
        assert other.seen == [("/there", "")]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "the registry wants a password for"),
        (404, "there is no image"),
        (429, "has been asked too often from here"),
        (500, "does not work at the moment"),
        (418, "is no registry of images"),
    ],
)
def test_a_refusal_is_a_sentence_with_the_status_and_a_way_out(server, ask, status, said):
    server.answers["/v2/org/image/manifests/1"] = (status, {}, b"<html>no</html>")
    error = refusal(ask)
    assert said in error.message
    assert f"HTTP {status}" in error.facts[0]
    assert error.hint


def test_who_is_asked_too_often_is_believed_at_once(server, ask):
    later = (429, {"Retry-After": "1"}, b"{}")
    server.answers["/v2/org/image/manifests/1"] = later
    assert "try again later" in str(refusal(ask).hint)
    assert len(server.seen) == 1


def test_a_tag_that_is_not_there_is_answered_with_those_that_are(server, ask):
    tags = [f"2.{number}" for number in range(9)]
    server.answers["/v2/org/image/tags/list"] = (200, {}, json.dumps({"tags": tags}).encode())
    assert refusal(ask, "org/image:2.77").facts[-1].startswith("tags there: 2.7, ")
    server.answers["/v2/org/image/tags/list"] = (200, {}, b'{"tags": null}')
    assert len(refusal(ask, "org/image:2.77").facts) == 1


@pytest.mark.parametrize("tags", [b"[" * 99999, b'{"tags": 5}', b'{"tags": "2.7"}', b"[]", b"\xff"])
def test_a_list_of_tags_that_cannot_be_read_is_left_out(server, ask, tags):
    server.answers["/v2/org/image/tags/list"] = (200, {}, tags)
    error = refusal(ask)
    assert "there is no image" in error.message
    assert len(error.facts) == 1


@pytest.mark.parametrize(
    "token",
    [
        *(b'{"token": "a\\nb"}', '{"token": "\u20ac"}'.encode(), b'{"token": 5}', b'{"token": ["x"]}'),
        *(b"[" * 99999, b"{}", b"[]", b"<html>", b'{"token": ""}'),
    ],
)
def test_a_token_that_cannot_be_sent_is_none(server, ask, token):
    guarded(server, f"http://{server.host}/token")
    server.answers["/token"] = (200, {}, token)
    assert "HTTP 401" in refusal(ask, **WHO).facts[0]


@pytest.mark.parametrize("there", ["http://[x", "http://127.0.0.1:x/", "file:///etc/passwd", "http://"])
def test_a_redirect_to_nowhere_is_a_sentence(server, ask, there):
    server.answers["/v2/org/image/manifests/1"] = (307, {"Location": there}, b"")
    assert server.host.partition(":")[0] in refusal(ask).message


def test_a_redirect_in_circles_is_followed_a_few_times(server, ask):
    server.answers["/v2/org/image/manifests/1"] = (302, {"Location": "1"}, b"")
    assert "sends on in circles" in refusal(ask).message
    assert len(server.seen) == 6


def test_a_flood_is_cut_off(server, ask):
    server.answers["/v2/org/image/manifests/1"] = (200, {}, b" " * (LARGEST + 2))
    assert "answers with more than a document" in refusal(ask).message


def test_a_proxy_that_is_not_there_is_named_as_the_reason(server, ask, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    error = refusal(ask, http_proxy="http://127.0.0.1:1")
    assert error.facts[0].startswith("through the proxy: ")


# -- https -----------------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted_is_made_known_and_never_gone_around(
    closed_server, ask_closed, authority
):
    error = refusal(ask_closed)
    assert "its certificate is not trusted" in error.facts[0]
    assert "SSL_CERT_FILE" in str(error.hint)
    assert "--no-https" not in str(error.hint)
    closed_server.answers["/v2/org/image/manifests/1"] = (200, {}, MANIFEST)
    assert ask_closed(SSL_CERT_FILE=str(authority.certificate)) == MANIFEST


def test_where_no_https_is_spoken_at_all_it_is_offered_to_go_without(server, tmp_path, monkeypatch):
    error = refusal(asking(server, tmp_path, monkeypatch, https=True))
    assert "lumienv image pull --no-https" in str(error.hint)


def test_a_password_goes_to_no_place_less_closed_than_the_registry(
    closed_server, server, ask_closed, authority
):
    guarded(closed_server, f"http://{server.host}/token")
    server.answers["/token"] = (200, {}, b'{"token": "of-me"}')
    refusal(ask_closed, **WHO, SSL_CERT_FILE=str(authority.certificate))
    assert [sent for _, sent in closed_server.seen] == [""]
    assert server.seen == []
