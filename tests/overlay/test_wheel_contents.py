"""What an index calls a wheel is looked into before anything is built of it."""

import zipfile
from pathlib import Path

import pytest
from wheels import make_wheel

from lumienv.errors import BrokenReleaseError
from lumienv.overlay.modules import modules_of
from lumienv.overlay.room import needs_of

NAME = "my_lib-1.0-py3-none-any.whl"
SHARED = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def refusal(wheel: Path) -> BrokenReleaseError:
    with pytest.raises(BrokenReleaseError, match="cannot be installed") as caught:
        modules_of(wheel)
    return caught.value


@pytest.mark.parametrize("content", [b"this is no zip", b"", b"PK\x05\x06"])
def test_a_file_that_is_no_archive_is_a_broken_release_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    """Its hash may be right, and its metadata beside it on the index (PEP 658)."""
    wheel = tmp_path / NAME
    wheel.write_bytes(content)
    assert str(refusal(wheel)).splitlines() == [
        f"{NAME} cannot be installed: it is no zip archive, or a damaged one",
        'help: take another release: [resolve] constraints = ["my-lib!=1.0"]',
        "      and tell those who offer this file",
    ]


def test_room_is_not_reckoned_by_a_file_that_is_no_archive(tmp_path: Path) -> None:
    wheel = tmp_path / NAME
    wheel.write_bytes(b"this is no zip")
    with pytest.raises(BrokenReleaseError, match="cannot be installed"):
        needs_of("venv", "", [wheel], 0, tmp_path, tmp_path)


def test_a_module_that_is_damaged_in_its_archive_is_a_broken_release(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "my-lib", "1.0", modules={"my_lib/__init__.py": SHARED})
    with zipfile.ZipFile(wheel) as archive:
        start = archive.getinfo("my_lib/__init__.py").header_offset
    content = bytearray(wheel.read_bytes())
    content[start + 55] ^= 0xFF
    wheel.write_bytes(content)
    refusal(wheel)


def test_an_archive_that_is_locked_with_a_password_is_a_broken_release(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "my-lib", "1.0", modules={"my_lib/__init__.py": SHARED})
    content = wheel.read_bytes()
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(header) + flags
        content = content[:at] + b"\x01" + content[at + 1 :]
    wheel.write_bytes(content)
    refusal(wheel)
