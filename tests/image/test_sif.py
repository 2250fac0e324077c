"""A SIF's first kilobytes: is it one, is it whole, which one is it?"""

import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from sif_files import DESCRIPTOR_SIZE, HEADER_SIZE, LABELS, SLOTS, DataObject, sif

from lumienv.errors import ImageError
from lumienv.image.sif import GENERIC_JSON, SifFile, read_object, read_sif
from lumienv.image.sif import DataObject as Entry

EDGE = 64 * 1024
ROOT_FILES = bytes(range(256)) * 1024  # 256 KiB: more than two edges
WHOLE = sif([DataObject(b'{"label": "x"}', LABELS), DataObject(ROOT_FILES)])
PARTITION_AT = WHOLE.rindex(ROOT_FILES)
TABLE_AT = 4096


def identify(tmp_path: Path, content: bytes, name: str = "image.sif") -> SifFile:
    (tmp_path / name).write_bytes(content)
    return read_sif(tmp_path / name)


def refusal(tmp_path: Path, content: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        identify(tmp_path, content)
    return caught.value


def changed(position: int) -> bytes:
    content = bytearray(WHOLE)
    content[position] ^= 0xFF
    return bytes(content)


def test_a_sif_has_an_identity_a_size_and_an_architecture(tmp_path: Path) -> None:
    found = identify(tmp_path, WHOLE)
    assert found.identity.startswith("sif:")
    assert len(found.identity) == len("sif:") + 64
    assert (found.size, found.architecture) == (len(WHOLE), "x86_64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "ppc64le", "s390x"])
def test_the_architecture_is_that_of_the_root_file_system(tmp_path: Path, machine: str) -> None:
    assert identify(tmp_path, sif([DataObject(b"root")], machine=machine)).architecture == machine


def test_a_sif_without_a_root_file_system_names_no_architecture(tmp_path: Path) -> None:
    assert identify(tmp_path, sif([DataObject(b"{}", LABELS)])).architecture == ""


def test_a_copy_under_another_name_and_date_is_the_same_image(tmp_path: Path) -> None:
    one = identify(tmp_path, WHOLE)
    other = identify(tmp_path, WHOLE, "other.sif")
    os.utime(tmp_path / "other.sif", (0, 0))
    assert one == other == read_sif(tmp_path / "other.sif")


@pytest.mark.parametrize(
    "position",
    [
        pytest.param(60, id="the header's UUID"),
        pytest.param(TABLE_AT + 100, id="a descriptor"),
        pytest.param(TABLE_AT + DESCRIPTOR_SIZE * 2 + 50, id="a descriptor not in use"),
        pytest.param(WHOLE.index(b'{"label'), id="the labels"),
        pytest.param(PARTITION_AT, id="the first byte of the partition"),
        pytest.param(PARTITION_AT + EDGE - 1, id="the last byte of its first 64 KiB"),
        pytest.param(PARTITION_AT + len(ROOT_FILES) - EDGE, id="the first byte of its last 64 KiB"),
        pytest.param(PARTITION_AT + len(ROOT_FILES) - 1, id="the last byte of the partition"),
    ],
)
def test_a_change_at_the_edges_changes_the_identity(tmp_path: Path, position: int) -> None:
    assert identify(tmp_path, changed(position)).identity != identify(tmp_path, WHOLE).identity


def test_an_appended_byte_changes_the_identity(tmp_path: Path) -> None:
    assert identify(tmp_path, WHOLE + b"x").identity != identify(tmp_path, WHOLE).identity


def test_only_the_edges_are_read(tmp_path: Path) -> None:
    """It costs kilobytes, not gigabytes: the middle of a partition does not count."""
    middle = changed(PARTITION_AT + len(ROOT_FILES) // 2)
    assert identify(tmp_path, middle).identity == identify(tmp_path, WHOLE).identity


@examples(200)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_copy_cut_short_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    error = refusal(tmp_path, WHOLE[:length])
    assert "truncated" in error.message or "is not a SIF file" in error.message


@pytest.mark.parametrize(
    "length", [HEADER_SIZE, TABLE_AT, TABLE_AT + 100, TABLE_AT + DESCRIPTOR_SIZE * SLOTS - 1, 40_000]
)
def test_a_copy_cut_short_behind_its_header_is_said_to_be_truncated(tmp_path: Path, length: int) -> None:
    error = refusal(tmp_path, WHOLE[:length])
    assert "truncated" in error.message
    assert error.hint == "copy it again"


@examples(300)
@given(
    field=st.sampled_from([*range(64, HEADER_SIZE, 8), *(TABLE_AT + at for at in (0, 4, 5, 9, 17, 25, 33))]),
    value=st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, 2**40, 2**62]),
)
def test_a_damaged_header_is_refused_or_read_but_never_breaks(tmp_path: Path, field: int, value: int) -> None:
    content = bytearray(WHOLE)
    content[field : field + 8] = struct.pack("<q", value)
    with suppress(ImageError):
        assert identify(tmp_path, bytes(content)).size == len(WHOLE)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF" + bytes(500), b"hsqs" + bytes(5000)])
def test_a_file_that_is_no_sif_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    error = refusal(tmp_path, content)
    assert error.message == f"the image {tmp_path / 'image.sif'} is not a SIF file"
    assert "singularity build" in (error.hint or "")


def test_an_image_that_is_missing_a_dangling_link_or_a_folder_says_which(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        read_sif(tmp_path / "missing.sif")
    (tmp_path / "link.sif").symlink_to(tmp_path / "gone.sif")
    with pytest.raises(ImageError, match="is a link to a file that is gone"):
        read_sif(tmp_path / "link.sif")
    with pytest.raises(ImageError, match="is a directory"):
        read_sif(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError):
        read_sif(tmp_path / "file" / "image.sif")


@pytest.mark.parametrize(
    ("path", "reason"), [("loop.sif", "too many levels of symbolic links"), ("x" * 300, "file name too long")]
)
def test_whatever_else_the_system_says_of_an_image_is_passed_on(
    tmp_path: Path, path: str, reason: str
) -> None:
    (tmp_path / "loop.sif").symlink_to("loop.sif")
    with pytest.raises(ImageError, match=f"cannot be read: {reason}") as caught:
        read_sif(tmp_path / path)
    assert "lumienv image list" in (caught.value.hint or "")


def test_a_file_system_that_fails_while_an_image_is_read_is_no_bug_of_lumienv() -> None:
    # No process has memory at its address 0: Linux answers as a broken disk does.
    with pytest.raises(ImageError, match="input/output error"):
        read_object(Path("/proc/self/mem"), Entry(GENERIC_JSON, 1, 1, 0, 16, ""))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_image_that_is_closed_to_this_user_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "image.sif").write_bytes(WHOLE)
    (tmp_path / "image.sif").chmod(0)
    with pytest.raises(ImageError, match="permission denied"):
        read_sif(tmp_path / "image.sif")
