"""Who the user is to a registry, as the runtimes and Docker know it."""

import base64
import json
from pathlib import Path

import pytest

from lumienv.registry.credentials import credentials_for


def encoded(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def found(host: str, home: Path, **variables: str) -> tuple[str, str | None] | None:
    known = credentials_for(host, {"HOME": str(home), "PATH": str(home), **variables})
    return (known.username, known.password) if known is not None else None


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("prefix", ["APPTAINER_DOCKER", "SINGULARITY_DOCKER", "DOCKER"])
def test_variables_of_the_runtimes_count_for_every_registry(tmp_path, prefix):
    given = {f"{prefix}_USERNAME": "me", f"{prefix}_PASSWORD": "secret"}
    assert found("ghcr.io", tmp_path, **given) == ("me", "secret")


@pytest.mark.parametrize(
    "file", [".apptainer/docker-config.json", ".singularity/docker-config.json", ".docker/config.json"]
)
def test_a_login_that_was_kept_counts_for_its_registry(tmp_path, file):
    write(tmp_path / file, {"auths": {"ghcr.io": {"auth": encoded("me:se:cret")}}})
    assert found("ghcr.io", tmp_path) == ("me", "se:cret")
    assert found("quay.io", tmp_path) is None
    assert found("docker.io", tmp_path) is None


def test_dockers_own_registry_has_a_name_of_its_own_in_logins(tmp_path):
    write(
        tmp_path / ".docker/config.json",
        {"auths": {"https://index.docker.io/v1/": {"auth": encoded("me:x")}}},
    )
    assert found("docker.io", tmp_path) == ("me", "x")


def test_docker_config_names_another_folder(tmp_path):
    write(tmp_path / "other/config.json", {"auths": {"https://quay.io": {"username": "me", "password": "x"}}})
    assert found("quay.io", tmp_path, DOCKER_CONFIG=str(tmp_path / "other")) == ("me", "x")


@pytest.mark.parametrize("table", [{"credsStore": "safe"}, {"credHelpers": {"quay.io": "safe"}}])
def test_dockers_program_for_a_keyring_is_asked(tmp_path, table):
    write(tmp_path / ".docker/config.json", {"auths": {"quay.io": {}}, **table})
    program = tmp_path / "docker-credential-safe"
    write(program, '#!/bin/sh\nread host\nprintf \'{"Username": "me at %s", "Secret": "x"}\' "$host"\n')
    program.chmod(0o755)
    assert found("quay.io", tmp_path) == ("me at quay.io", "x")


@pytest.mark.parametrize(
    "said",
    [
        *("{}", "[]", "null", "rubbish", ""),
        *('{"Username": "me"}', '{"Secret": "x"}', '{"Username": 1, "Secret": "x"}'),
        '{"Username": "<token>", "Secret": "x"}',
    ],
)
def test_a_program_that_answers_with_nothing_knows_nobody(tmp_path, said):
    write(tmp_path / ".docker/config.json", {"credsStore": "safe"})
    program = tmp_path / "docker-credential-safe"
    write(program, f"#!/bin/sh\nprintf '%s' '{said}'\n")
    program.chmod(0o755)
    assert found("quay.io", tmp_path) is None


@pytest.mark.parametrize("helper", ["missing", "../x", "/bin/sh"])
def test_a_program_that_is_not_there_or_no_name_is_not_asked(tmp_path, helper):
    write(tmp_path / ".docker/config.json", {"credsStore": helper})
    assert found("quay.io", tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "rubbish",
        "[]",
        '{"auths": 1}',
        '{"auths": {"quay.io": {"auth": "%%"}}}',
        '{"auths": {"quay.io": 1}}',
        '{"credsStore": 5}',
    ],
)
def test_a_file_that_cannot_be_read_knows_nobody(tmp_path, content):
    write(tmp_path / ".docker/config.json", content)
    assert found("quay.io", tmp_path) is None


def test_printing_what_was_found_shows_no_password(tmp_path):
    known = credentials_for(
        "quay.io", {"HOME": str(tmp_path), "DOCKER_USERNAME": "me", "DOCKER_PASSWORD": "secret"}
    )
    assert "secret" not in repr(known)
