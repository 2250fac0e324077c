"""A generation and the file that describes it."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.overlay.generation import Entrance, Generation, distrust, read_generation
from lumienv.overlay.trust import note_down, notes_path, seal_of

MADE = Generation(
    path=Path("/store/generations/venv-aaaa"),
    digest="sha256:aaaa",
    mode="venv",
    base_kind="sif",
    base_path="/images/lumi.sif",
    base_name="lumi.sif",
    identity="sif:00",
    selection={"kind": "name", "value": "pytorch", "selectors": {"rocm": "6.2"}, "activate": "auto"},
    inputs="sha256:1",
    lock="sha256:2",
    runtime="apptainer",
    python="3.12.9",
    groups=("dev", "test"),
    entrance=Entrance({"CONDA_PREFIX": "/opt/conda", "NASTY": "a\n'\"$"}, ("/opt/conda/bin",), "source x"),
)


def written(folder: Path, text: str, *, noted: bool = True) -> Path:
    (folder / "tree").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "generation.json").write_text(text)
    (folder / "generation.json").chmod(0o644)
    if noted:
        note_down(seal_of(text.encode(), folder.stat().st_ino), os.environ)
    return folder


def test_one_that_this_user_did_not_make_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="was not made here by you: it is a copy") as caught:
        read_generation(written(tmp_path / "g", MADE.to_json(), noted=False))
    assert "lumienv sync" in (caught.value.hint or "")


def test_a_copy_of_ones_own_is_not_run_but_a_moved_one_is(tmp_path: Path) -> None:
    own = written(tmp_path / "own", MADE.to_json())
    shutil.copytree(own, tmp_path / "copy")
    with pytest.raises(StoreError, match="was not made here by you: it is a copy"):
        read_generation(tmp_path / "copy")
    own.rename(tmp_path / "moved")
    assert read_generation(tmp_path / "moved").digest == MADE.digest


def test_one_whose_description_was_changed_is_not_run(tmp_path: Path) -> None:
    own = written(tmp_path / "own", MADE.to_json())
    (own / "generation.json").write_text(MADE.to_json().replace("/images/lumi.sif", "/tmp/evil.sif"))
    with pytest.raises(StoreError, match="was not made here by you: it is a copy"):
        read_generation(own)


def test_a_line_that_a_full_disk_cut_off_spoils_no_other(tmp_path: Path) -> None:
    own = written(tmp_path / "own", MADE.to_json())
    notes = Path(notes_path(os.environ))
    line = notes.read_text().splitlines()[-1]
    notes.write_text(line[:20])
    with pytest.raises(StoreError, match="was not made here by you: it is a copy"):
        read_generation(own)
    note_down(line, os.environ)
    assert read_generation(own).digest == MADE.digest


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = written(tmp_path / "venv-aaaa", MADE.to_json())
    assert read_generation(folder) == replace(MADE, path=folder)


def test_the_file_does_not_say_where_it_lies_so_that_it_can_move(tmp_path: Path) -> None:
    assert "/store/generations" not in MADE.to_json()
    folder = written(tmp_path / "moved", MADE.at(tmp_path / "elsewhere").to_json())
    assert read_generation(folder).carrier == folder / "tree"


def test_the_overlay_is_seen_at_one_place_in_a_container_and_in_the_tree_without() -> None:
    assert MADE.prefix == "/opt/lumienv"
    assert replace(MADE, mount="/opt/lumienv-2").prefix == "/opt/lumienv-2"
    assert replace(MADE, base_kind="host").prefix == "/store/generations/venv-aaaa/tree"


def test_where_nothing_was_made_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="no environment here yet") as caught:
            read_generation(folder)
        assert "lumienv sync" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[]", "null", "5", '"text"', '{"schema": 1}', MADE.to_json()[:-40]]
    + [json.dumps({k: v for k, v in json.loads(MADE.to_json()).items() if k != "identity"})]
    + [json.dumps(json.loads(MADE.to_json()) | change) for change in ({"entrance": []}, {"colour": "red"})],
)
def test_a_damaged_description_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreError, match="is damaged") as caught:
        read_generation(written(tmp_path / "g", text))
    assert "lumienv sync" in (caught.value.hint or "")


def test_one_that_another_lumienv_made_is_said_to_be_so(tmp_path: Path) -> None:
    text = json.dumps(json.loads(MADE.to_json()) | {"schema": 99})
    with pytest.raises(StoreError, match="another version"):
        read_generation(written(tmp_path / "g", text))


@pytest.mark.parametrize("bits", [0o020, 0o002])
@pytest.mark.parametrize("what", [".", "generation.json"])
def test_what_others_could_have_changed_is_not_used(tmp_path: Path, what: str, bits: int) -> None:
    folder = written(tmp_path / "g", MADE.to_json())
    path = folder / what
    path.chmod(path.stat().st_mode | bits)
    with pytest.raises(StoreError, match="could have been changed by others"):
        read_generation(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", [".", "generation.json"])
def test_what_another_user_made_is_not_used(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "g", MADE.to_json())
    os.chown(folder / what, 65534, 65534)
    with pytest.raises(StoreError, match="was made by nobody") as caught:
        read_generation(folder)
    assert "nobody" in caught.value.message  # its owner's name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_is_closed_to_this_user_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = written(tmp_path / "g", MADE.to_json())
    (folder / "generation.json").chmod(0)
    with pytest.raises(StoreError):
        read_generation(folder)


def test_a_damaged_one_is_not_run_until_it_is_made_again(tmp_path: Path) -> None:
    generation = read_generation(written(tmp_path / "own", MADE.to_json()))
    distrust(generation)
    with pytest.raises(StoreError, match="is damaged") as caught:
        read_generation(generation.path)
    assert caught.value.hint == "make it anew: lumienv sync"
    # Another of the same description may get the inode of the one that was removed.
    note_down(seal_of(MADE.to_json().encode(), generation.path.stat().st_ino), os.environ)
    assert read_generation(generation.path) == generation
