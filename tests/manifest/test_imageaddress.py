"""Addresses of images: what they lead to, and what is refused before any program sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.manifest.imageaddress import ImageAddress, parse_address

DIGEST = "sha256:" + "0123456789abcdef" * 4


def reason(text: str) -> str:
    with pytest.raises(ValueError, match=r"^(has|is|names|needs) ") as caught:
        parse_address(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "repository", "reference"),
    [
        ("docker://ubuntu", "docker.io", "library/ubuntu", "latest"),
        ("docker://docker.io/ubuntu:24.04", "docker.io", "library/ubuntu", "24.04"),
        ("docker://rocm/pytorch:rocm6.2", "docker.io", "rocm/pytorch", "rocm6.2"),
        ("docker://ghcr.io/org/image", "ghcr.io", "org/image", "latest"),
        ("docker://localhost/image:1", "localhost", "image", "1"),
        ("docker://127.0.0.1:5000/a/b/c__d--e:T_1.x-y", "127.0.0.1:5000", "a/b/c__d--e", "T_1.x-y"),
        (f"docker://org/image@{DIGEST}", "docker.io", "org/image", DIGEST),
        (f"docker://org/image:2.7@{DIGEST}", "docker.io", "org/image", DIGEST),
    ],
)
def test_an_address_leads_to_a_registry_a_name_and_a_reference(text, host, repository, reference):
    address = parse_address(text)
    assert (address.host, address.repository, address.reference) == (host, repository, reference)
    assert str(address) == text


def test_all_ways_to_write_an_address_have_one_key():
    ways = ("docker://ubuntu", "docker://ubuntu:latest", "docker://docker.io/library/ubuntu")
    assert {parse_address(way).key for way in ways} == {"docker://docker.io/library/ubuntu:latest"}
    assert parse_address("docker://ubuntu:22.04").key != parse_address("docker://ubuntu").key


def test_a_pinned_address_names_the_digest_alone():
    assert str(parse_address("docker://org/image:2.7").pinned(DIGEST)) == f"docker://org/image@{DIGEST}"


@pytest.mark.parametrize(
    "text", ["docker://user:secret@host.example/org/image", f"docker://user:secret@h.io/image@{DIGEST}"]
)
def test_a_password_is_refused_and_not_repeated(text):
    said = reason(text)
    assert "user name or a password" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "text",
    [
        *("", "docker", "docker:image", "docker://", "docker:///image", "https://example.org/image"),
        *("library://org/image", "docker://Org/image", "docker://org/../image", "docker://org/image:"),
        *("docker://org/image:a b", "docker://org/image:$(id)", "docker://org/ima\nge", "docker://-x/image"),
        *("docker://org//image", "docker://org/image/", "docker://org/_image", "docker://org/a..b"),
        *("docker://host:port/image", "docker://a.-b.c/image", "docker://org/image@sha256:12"),
        *(
            "docker://org/image@sha512:" + "0" * 128,
            "docker://org/image:" + "x" * 129,
            "docker://" + "a" * 300,
        ),
        *("oci-archive:", "oci-archive://host/file", "oci:folder:tag", "oci-archive:a\nb", "--help"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text):
    assert reason(text)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive", "oci"])
def test_an_archive_is_named_by_its_path(kind):
    assert parse_address(f"{kind}:/data/my image.tar") == ImageAddress(kind, "/data/my image.tar")
    assert parse_address(f"{kind}:../x").key == f"{kind}:../x"


@given(st.text(alphabet="abcAZ09.:/@-_ $'\"\\\n\t;|&\x00é", max_size=40))
@examples(400)
def test_whatever_is_accepted_is_harmless_in_a_shell_and_on_a_command_line(text):
    try:
        address = parse_address(f"docker://{text}")
    except ValueError:
        return
    assert set(str(address)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/@-_")
    assert str(address) == f"docker://{text}"
