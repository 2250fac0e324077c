"""Room is looked for before anything is written: where each carrier needs it."""

from pathlib import Path

import pytest
from wheels import make_wheel

from lumienv.errors import StoreError
from lumienv.overlay.room import check_room, needs_of

EXABYTE = 10**18


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Ten megabytes that compress to nothing, and nine modules."""
    modules = {f"thing/part{number}.py": "x = 1\n" for number in range(8)}
    return make_wheel(
        tmp_path,
        "thing",
        "1.0",
        modules={"thing/__init__.py": "", **modules, "thing/data.txt": " " * 10_000_000},
    )


def needed(mode: str, builder: str, wheel: Path, base: int = 0) -> dict[str, int]:
    """Megabytes in each place."""
    found: dict[str, int] = {}
    for need in needs_of(mode, builder, [wheel], base, Path("/store"), Path("/scratch")):
        found[need.place.name] = found.get(need.place.name, 0) + need.size.bytes // 1_000_000
    return found


def test_a_directory_needs_room_in_the_store_alone(wheel: Path) -> None:
    assert needed("venv", "", wheel) == {"store": 10}


def test_a_squashfs_file_is_built_in_scratch_and_needs_little_in_the_store(wheel: Path) -> None:
    assert needed("squashfs", "", wheel) == {"scratch": 10, "store": 0}


def test_an_appended_image_needs_a_copy_of_its_base_in_the_store(wheel: Path) -> None:
    assert needed("sif", "append", wheel, 1_000_000_000) == {"scratch": 10, "store": 1000}


def test_a_repacked_image_is_unpacked_in_scratch_and_copied_there(wheel: Path) -> None:
    found = needed("sif", "cotainr", wheel, 1_000_000_000)
    assert found["store"] == 1000
    assert found["scratch"] == 2 * (3000 + 10) + 1000


def test_every_module_is_a_file_and_one_of_bytecode(wheel: Path) -> None:
    (need,) = needs_of("venv", "", [wheel], 0, Path("/store"), Path("/scratch"))
    (without,) = needs_of("venv", "", [], 0, Path("/store"), Path("/scratch"))
    assert need.size.files - without.size.files >= 2 * 9


def test_where_there_is_room_nothing_is_said(wheel: Path, tmp_path: Path) -> None:
    check_room("squashfs", "", [wheel], 0, tmp_path / "store" / "generations", tmp_path)


def test_what_is_missing_is_said_with_the_place_and_a_way_out(wheel: Path, tmp_path: Path) -> None:
    """Store and scratch are on one disk: what both need is added up."""
    with pytest.raises(StoreError) as refused:
        check_room("sif", "append", [wheel], EXABYTE, tmp_path / "to-be-made", tmp_path)
    said = str(refused.value)
    assert said.startswith("there is not enough room for the environment\n")
    assert f"{tmp_path / 'to-be-made'} has " in said
    assert "left; building the environment and packing it and the image: about 1000000000.0 GB" in said
    assert "help: free some space, or name another place in TMPDIR, or choose another place with" in said
    assert "[sync] store; nothing was changed" in said
