"""Where the image may be put beside the store, and what is never written over."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sif_files import DataObject, sif

from lumienv.errors import StoreError
from lumienv.image.description import FILE_NAME, Layer, description
from lumienv.image.sif import GENERIC_JSON
from lumienv.overlay.generation import Generation
from lumienv.overlay.output import check_not_base, check_output, put_out

LAYER = Layer("/opt/lumienv", "base.sif", "sif:1", "sha256:1", "append", "0.1.0", "3.12.1")
OURS = sif([DataObject(b"root"), DataObject(description([LAYER]).encode(), GENERIC_JSON, name=FILE_NAME)])


def test_a_new_name_and_an_image_of_ours_may_be_written(tmp_path):
    check_output(tmp_path / "new.sif")
    (tmp_path / "old.sif").write_bytes(OURS)
    check_output(tmp_path / "old.sif")


@pytest.mark.parametrize("content", [b"", b"mine", sif([DataObject(b"root")])])
def test_what_others_made_is_not_written_over(tmp_path, content):
    (tmp_path / "theirs.sif").write_bytes(content)

    with pytest.raises(StoreError, match=r"theirs\.sif is there already, and was not made by lumienv"):
        check_output(tmp_path / "theirs.sif")


def test_neither_a_folder_nor_a_link_to_nothing_is_written_over(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nothing")

    for name in ("folder", "link"):
        with pytest.raises(StoreError, match="not replaced"):
            check_output(tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="there is no such folder") as caught:
        check_output(tmp_path / "none" / "image.sif")
    assert caught.value.hint == f"mkdir -p {tmp_path}/none"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="permission denied"):
        check_output(tmp_path / "image.sif")


@pytest.mark.parametrize("name", ["base.sif", "link.sif"])
def test_the_image_that_is_built_upon_is_never_replaced(tmp_path, name):
    (tmp_path / "base.sif").write_bytes(OURS)
    (tmp_path / "link.sif").symlink_to("base.sif")
    with pytest.raises(StoreError, match="is the image that the environment is built on"):
        check_not_base(tmp_path / name, str(tmp_path / "base.sif"))
    check_not_base(tmp_path / "other.sif", str(tmp_path / "base.sif"))


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/shm").is_dir(), reason="needs root, another disk")
def test_what_somebody_shares_is_copied_out_and_stays_whole_in_their_store(tmp_path):
    theirs = Generation(tmp_path, "", "sif", "sif", "/b.sif", "b.sif", "", {}, "", "", "apptainer", "")
    theirs.carrier.write_bytes(OURS)
    os.chown(tmp_path, 12345, 12345)
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        put_out(theirs, Path(elsewhere) / "mine.sif")
        assert (Path(elsewhere) / "mine.sif").read_bytes() == OURS
    assert not theirs.carrier.is_symlink()
    assert theirs.carrier.read_bytes() == OURS
