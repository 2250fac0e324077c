"""Which SIF an image of a registry was made into."""

import os
from pathlib import Path

import pytest
from sif_files import DataObject, sif

from lumienv.errors import ImageError, StoreError
from lumienv.image.base import find_base, pulled_base
from lumienv.image.pulled import Pulled, note_pulled, pulled_image, pulled_images, usual_place
from lumienv.image.sif import read_sif
from lumienv.manifest import ImageTable
from lumienv.manifest.imageaddress import parse_address
from lumienv.site import Site

MACHINE = os.uname().machine
DIGEST = "sha256:" + "ab" * 32
TAG = parse_address("docker://org/image:1")
PIN = TAG.pinned(DIGEST)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    return root


def noted(cache: Path, content: bytes = b"root") -> Pulled:
    place = usual_place(cache, TAG, DIGEST)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(sif([DataObject(content)], machine=MACHINE))
    made = Pulled(str(TAG), DIGEST, str(place), read_sif(place).identity)
    note_pulled(cache, TAG, made)
    return made


def test_an_image_is_found_by_the_address_it_was_pulled_from(cache):
    made = noted(cache)
    assert pulled_image(cache, TAG) == made
    assert pulled_image(cache, parse_address("docker://docker.io/org/image:1")) == made
    assert pulled_image(cache, PIN) is None
    base = find_base(ImageTable("uri", str(TAG)), cache.parent, Site("here", cache=cache))
    assert (base.path, base.pulled, base.locked_as) == (made.path, f"oci:{DIGEST}", f"oci:{DIGEST}")
    assert base.identity == made.identity


def test_its_file_is_named_after_image_and_digest_and_lies_in_the_cache(cache):
    assert usual_place(cache, TAG, DIGEST) == cache / "images" / "org-image-abababababababab.sif"
    strange = parse_address("oci-archive:/data/../ä b.tar")
    assert usual_place(cache, strange, DIGEST).name == "b-abababababababab.sif"


def test_what_was_not_pulled_is_said_with_the_command(cache):
    with pytest.raises(ImageError, match="has not been fetched yet") as caught:
        pulled_base(TAG, cache)
    assert caught.value.hint == "fetch it: lumienv image pull docker://org/image:1"


def test_what_is_gone_or_another_one_by_now_is_said(cache):
    made = noted(cache)
    Path(made.path).write_bytes(sif([DataObject(b"other")], machine=MACHINE))
    assert not made.is_whole
    with pytest.raises(ImageError, match="is another one than was fetched"):
        pulled_base(TAG, cache)
    Path(made.path).unlink()
    with pytest.raises(ImageError, match="is gone"):
        pulled_base(TAG, cache)


def test_a_damaged_note_is_none(cache):
    noted(cache)
    (note,) = (cache / "images" / "notes").iterdir()
    note.write_bytes(note.read_bytes()[:-1])
    assert pulled_image(cache, TAG) is None
    assert pulled_images(cache) == []


def test_each_image_is_listed_once_by_its_digest_where_that_is_known(cache):
    made = noted(cache)
    assert pulled_images(cache) == [made]
    pinned = Pulled(str(PIN), DIGEST, made.path, made.identity)
    note_pulled(cache, PIN, pinned)
    assert pulled_images(cache) == [pinned]


def test_a_cache_that_is_somebody_elses_is_not_written_to(cache, tmp_path):
    (cache / "images").symlink_to(tmp_path)
    with pytest.raises(StoreError):
        note_pulled(cache, TAG, Pulled(str(TAG), DIGEST, "/x.sif", "sif:1"))
