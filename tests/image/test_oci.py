"""What an image's documents say before it is fetched."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from lumienv.errors import ImageError
from lumienv.image.oci import archived_image, digest_of, image_of
from lumienv.manifest.imageaddress import ImageAddress, parse_address

ADDRESS = parse_address("docker://org/image:1")


class Documents(dict[str, bytes]):
    """By their digests."""

    def add(self, document: object) -> str:
        content = json.dumps(document).encode()
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self[digest] = content
        return digest

    def image(self, machine: str = "amd64", sizes: tuple[int, ...] = (100, 20)) -> str:
        config = self.add({"architecture": machine, "os": "linux"})
        layers = [{"digest": "sha256:" + "0" * 64, "size": size} for size in sizes]
        return self.add({"schemaVersion": 2, "config": {"digest": config}, "layers": layers})

    def listed(self, **machines: str) -> str:
        entries = [
            {"digest": digest, "platform": {"architecture": machine, "os": "linux"}}
            for machine, digest in machines.items()
        ]
        return self.add({"schemaVersion": 2, "manifests": entries})


@pytest.fixture
def documents() -> Documents:
    return Documents()


def read(documents: Documents, top: str, machine: str = "x86_64"):
    return image_of(documents[top], documents.__getitem__, ADDRESS, machine)


def test_an_image_is_known_by_its_manifest_and_as_large_as_its_layers(documents):
    top = documents.image()
    found = read(documents, top)
    assert (found.digest, found.size) == (top, 120)


def test_of_a_list_that_of_this_machine_is_taken_and_the_list_is_what_is_noted(documents):
    small, large = documents.image("arm64", (1,)), documents.image("amd64", (7,))
    top = documents.listed(arm64=small, unknown=small, amd64=large)
    assert (read(documents, top).digest, read(documents, top).size) == (top, 7)
    assert read(documents, top, "aarch64").size == 1


def test_an_image_of_other_machines_alone_is_refused_with_what_there_is(documents):
    image = documents.image("arm64")
    for top in (image, documents.listed(arm64=image, unknown=image)):
        with pytest.raises(ImageError, match="has no image for this machine, which is amd64") as caught:
            read(documents, top)
        assert caught.value.facts == ("there is one for arm64",)


def test_a_document_of_another_digest_is_refused(documents):
    top = documents.listed(amd64=documents.image())
    wrong = documents.image(sizes=(1,))
    damaged = dict.fromkeys(documents, documents[wrong])
    with pytest.raises(ImageError, match="is damaged: a document in it has another digest"):
        image_of(documents[top], damaged.__getitem__, ADDRESS, "x86_64")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>", b"[]", b"null", b"{}", b"[" * 9999, b"\xff\xfe"),
        *(b'{"manifests": 1}', b'{"manifests": [1]}', b'{"manifests": [{"digest": 1}]}'),
        *(b'{"manifests": [{"digest": "sha256:../../etc/passwd"}]}', b'{"layers": [], "config": []}'),
        b'{"schemaVersion": 1, "fsLayers": []}',
    ],
)
def test_what_is_no_image_is_said_to_be_none(documents, content):
    with pytest.raises(ImageError, match="is no image that the runtimes can read"):
        image_of(content, documents.__getitem__, ADDRESS, "x86_64")


def test_a_list_that_leads_to_lists_for_ever_is_no_image(documents):
    top = documents.image()
    for _ in range(9):
        top = documents.listed(amd64=top)
    with pytest.raises(ImageError, match="is no image"):
        read(documents, top)


# -- archives --------------------------------------------------------------------------------------------


def archive(path: Path, **members: bytes) -> None:
    with tarfile.open(path, "w") as opened:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))


def of_skopeo(documents: Documents, *tops: str) -> dict[str, bytes]:
    name = "org.opencontainers.image.ref.name"
    entries = [{"digest": top, "annotations": {name: f"v{number}"}} for number, top in enumerate(tops)]
    blobs = {f"blobs/{digest.replace(':', '/')}": content for digest, content in documents.items()}
    return {"index.json": json.dumps({"manifests": entries}).encode(), **blobs}


@pytest.mark.parametrize("begin", ["", "./"])
def test_an_archive_is_read_whether_or_not_its_names_begin_with_a_dot(documents, tmp_path, begin):
    top = documents.image()
    members = {begin + name: content for name, content in of_skopeo(documents, top).items()}
    archive(tmp_path / "x.tar", **members)
    found = archived_image(ImageAddress("oci-archive", str(tmp_path / "x.tar")), "x86_64")
    assert (found.digest, found.size) == (top, 120)


def test_of_several_images_none_is_guessed(documents, tmp_path):
    first, second = documents.image(), documents.image(sizes=(3,))
    archive(tmp_path / "x.tar", **of_skopeo(documents, first, second))
    with pytest.raises(ImageError, match="holds 2 images") as caught:
        archived_image(ImageAddress("oci-archive", str(tmp_path / "x.tar")), "x86_64")
    assert caught.value.facts == ("  v0", "  v1")
    listed = [{"Config": "c", "RepoTags": ["a:1"]}, {"Config": "c", "RepoTags": None}]
    archive(tmp_path / "y.tar", **{"manifest.json": json.dumps(listed).encode()})
    with pytest.raises(ImageError, match="holds 2 images") as caught:
        archived_image(ImageAddress("docker-archive", str(tmp_path / "y.tar")), "x86_64")
    assert caught.value.facts == ("  a:1", "  ?")
    listed = [{"Config": "c", "RepoTags": tags} for tags in (5, {"a": 1}, [])]
    archive(tmp_path / "z.tar", **{"manifest.json": json.dumps(listed).encode()})
    with pytest.raises(ImageError, match="holds 3 images") as caught:
        archived_image(ImageAddress("docker-archive", str(tmp_path / "z.tar")), "x86_64")
    assert caught.value.facts == ("  ?", "  ?", "  ?")


def test_what_docker_saved_is_known_by_dockers_own_id(tmp_path):
    config = json.dumps({"architecture": "amd64"}).encode()
    manifest = json.dumps([{"Config": "abc.json", "Layers": []}]).encode()
    archive(tmp_path / "x.tar", **{"manifest.json": manifest, "abc.json": config})
    address = ImageAddress("docker-archive", str(tmp_path / "x.tar"))
    assert archived_image(address, "x86_64").digest == digest_of(config)
    with pytest.raises(ImageError, match="for this machine, which is arm64"):
        archived_image(address, "aarch64")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{}", b"[1]", b"rubbish", b'[{"Config": 1}]', b'[{"Config": "x"}]'),
        *(b"[" * 99999, b'{"manifests": ' * 99999),
    ],
)
def test_an_archive_of_something_else_is_no_image(tmp_path, content):
    archive(tmp_path / "x.tar", **{"manifest.json": content, "index.json": content})
    for kind in ("docker-archive", "oci-archive"):
        with pytest.raises(ImageError, match=r"is no image|holds 0 images"):
            archived_image(ImageAddress(kind, str(tmp_path / "x.tar")), "x86_64")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_an_archive_with_a_link_that_leads_to_itself_is_no_image(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as opened:
        for name in ("index.json", "manifest.json"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, name
            opened.addfile(entry)
    for transport in ("docker-archive", "oci-archive"):
        with pytest.raises(ImageError, match="is no image"):
            archived_image(ImageAddress(transport, str(tmp_path / "x.tar")), "x86_64")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_archive_that_is_damaged_is_a_sentence(tmp_path, pack):
    archive(tmp_path / "x.tar", **{"index.json": os.urandom(300_000)})
    content = bytearray(pack((tmp_path / "x.tar").read_bytes()))
    content[200_000:200_100] = bytes(100)  # behind what is read to know how it is packed
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(ImageError, match=r"is no image|cannot be read"):
        archived_image(ImageAddress("oci-archive", str(tmp_path / "x.tar")), "x86_64")


def test_a_folder_or_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    for kind in ("oci", "oci-archive"):
        with pytest.raises(ImageError, match="there is no /"):
            archived_image(ImageAddress(kind, str(tmp_path / "gone")), "x86_64")
        with pytest.raises(ImageError, match=r"is no image|cannot be read"):
            archived_image(ImageAddress(kind, str(tmp_path)), "x86_64")
