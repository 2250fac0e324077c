"""Snapshots as files that people keep."""

from dataclasses import replace
from pathlib import Path

import pytest
from universe import snapshot

from lumienv.errors import ImageError, StoreError
from lumienv.image.saved import file_name, read_snapshot, save_snapshot

SNAPSHOT = snapshot("numpy==1.26.4", "torch==2.7.1+rocm6.2.4")


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    save_snapshot(SNAPSHOT, tmp_path / "image.json")
    assert read_snapshot(tmp_path / "image.json") == SNAPSHOT


def test_the_same_snapshot_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.json", "other.json"):
        save_snapshot(SNAPSHOT, tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_a_snapshot_is_replaced_by_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    save_snapshot(snapshot("numpy==1.0"), path)
    save_snapshot(SNAPSHOT, path)
    assert read_snapshot(path) == SNAPSHOT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b'{"name": "my data"}', b"\xff\xfe", b""])
def test_a_file_that_is_no_snapshot_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a snapshot that lumienv has saved"):
        save_snapshot(SNAPSHOT, path)
    assert path.read_bytes() == content


def test_a_directory_is_answered_with_a_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory") as caught:
        save_snapshot(SNAPSHOT, tmp_path)
    assert f"-o {tmp_path / file_name(SNAPSHOT)}" in (caught.value.hint or "")


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot save the snapshot: no such file or directory"):
        save_snapshot(SNAPSHOT, tmp_path / "none" / "image.json")


def test_a_snapshot_that_is_not_there_is_named_with_the_command_that_saves_one(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"there is no snapshot {tmp_path}/image.json") as caught:
        read_snapshot(tmp_path / "image.json")
    assert "lumienv image freeze -o image.json" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["directory", "binary"])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ImageError):
        read_snapshot(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("sif", "lumi-pytorch.sif", "lumi-pytorch.json"),
        ("host", "host /usr/bin/python3", "host-python-3.12.9.json"),
        ("snapshot", "my list/of May", "my-list-of-May.json"),
        ("snapshot", "../../up", "up.json"),
    ],
)
def test_a_file_is_called_after_its_image_and_stays_in_its_folder(kind: str, name: str, file: str) -> None:
    assert file_name(replace(SNAPSHOT, image=replace(SNAPSHOT.image, kind=kind, name=name))) == file
