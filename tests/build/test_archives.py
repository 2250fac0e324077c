"""Source archives, among them those that nobody should unpack."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from sources import make_sdist, make_zip

from lumienv.build.archives import unpack
from lumienv.errors import BrokenReleaseError


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def tar_of(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def refusal(archive: Path, target: Path) -> str:
    with pytest.raises(BrokenReleaseError) as caught:
        unpack(archive, target)
    assert caught.value.hint
    return caught.value.message


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_one_folder_of_an_archive_is_the_project(tmp_path: Path, target: Path) -> None:
    archive = make_sdist(tmp_path, "thing", "1.0", {"pyproject.toml": "", "src/thing.py": "x = 1"})
    assert unpack(archive, target) == target / "thing-1.0"
    assert (target / "thing-1.0" / "src" / "thing.py").read_text() == "x = 1"


def test_an_archive_with_several_entries_is_the_project_itself(tmp_path: Path, target: Path) -> None:
    archive = make_zip(tmp_path / "thing-1.0.zip", {"pyproject.toml": "", "thing.py": "x = 1"})
    assert unpack(archive, target) == target


def test_programs_stay_programs_and_links_inside_stay_links(tmp_path: Path, target: Path) -> None:
    script = member("t-1/configure", size=3)
    script.mode = 0o755
    archive = tar_of(tmp_path / "t-1.tar.gz", script, member("t-1/link", tarfile.SYMTYPE, "configure"))
    folder = unpack(archive, target)
    assert (folder / "configure").stat().st_mode & 0o777 == 0o755
    assert (folder / "link").readlink() == Path("configure")


def test_files_of_1970_are_dated_such_that_a_wheel_can_hold_them(tmp_path: Path, target: Path) -> None:
    folder = unpack(tar_of(tmp_path / "t-1.tar.gz", member("t-1/a", size=1)), target)
    assert zipfile.ZipInfo.from_file(folder / "a").date_time >= (1980, 1, 1)


def test_programs_in_a_zip_file_stay_programs(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "t-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        script = zipfile.ZipInfo("t-1/configure")
        script.external_attr = 0o755 << 16
        archive.writestr(script, "#!/bin/sh\n")
    assert unpack(path, target).joinpath("configure").stat().st_mode & 0o100


def test_set_user_id_bits_are_not_kept(tmp_path: Path, target: Path) -> None:
    script = member("t-1/tool", size=1)
    script.mode = 0o4777
    folder = unpack(tar_of(tmp_path / "t-1.tar.gz", script), target)
    assert (folder / "tool").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize("name", ["../x", "t-1/../../x", "/tmp/lumienv-x", "t-1\\..\\..\\x"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, target: Path, name: str) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member(name, size=1))
    assert "would be written outside its folder" in refusal(archive, target)
    zipped = make_zip(tmp_path / "t-1.zip", {name: "x"})
    assert "would be written outside its folder" in refusal(zipped, target)
    assert everything_in(target) == []
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("link", ["/etc", "../../x", "a/../../../x"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: Path, link: str) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/link", tarfile.SYMTYPE, link))
    assert "is a link that leads out of its folder" in refusal(archive, target)


def test_nothing_is_written_through_a_link(tmp_path: Path, target: Path) -> None:
    inner = member("t-1/a", tarfile.SYMTYPE, ".")
    archive = tar_of(tmp_path / "t-1.tar.gz", inner, member("t-1/a/b", size=1))
    assert "stands behind a link" in refusal(archive, target)


def test_a_link_is_not_written_over(tmp_path: Path, target: Path) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/a", tarfile.SYMTYPE, "b"), member("t-1/a", size=1))
    assert "stands behind a link" in refusal(archive, target)


def test_a_hard_link_out_of_the_folder_is_refused(tmp_path: Path, target: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/a", tarfile.LNKTYPE, "../secret"))
    assert "would be written outside its folder" in refusal(archive, target)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, target: Path, kind: bytes) -> None:
    assert "t-1/dev is no file" in refusal(tar_of(tmp_path / "t-1.tar.gz", member("t-1/dev", kind)), target)


def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path, target: Path) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/zeros", size=130 << 20))
    assert archive.stat().st_size < 1 << 20
    assert "absurdly large" in refusal(archive, target)
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= 101 << 20


def test_a_zip_file_that_unpacks_to_a_thousand_times_its_size_is_refused(
    tmp_path: Path, target: Path
) -> None:
    archive = tmp_path / "t-1.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("t-1/zeros", bytes(130 << 20))
    assert "absurdly large" in refusal(archive, target)
    assert everything_in(target) == []


def test_headers_alone_that_unpack_to_too_much_are_refused(tmp_path: Path, target: Path) -> None:
    archive = tmp_path / "t-1.tar.gz"
    long_header = member("x", tarfile.XHDTYPE, size=130 << 20)
    with gzip.open(archive, "wb") as stream:
        stream.write(long_header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(130):
            stream.write(bytes(1 << 20))
    assert "absurdly large" in refusal(archive, target)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00cut off"])
@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
def test_what_is_no_archive_is_said_to_be_damaged(
    tmp_path: Path, target: Path, content: bytes, ending: str
) -> None:
    archive = tmp_path / f"t-1.{ending}"
    archive.write_bytes(content)
    assert refusal(archive, target) == f"t-1.{ending} is not unpacked: it is no archive, or a damaged one"


def test_an_archive_that_is_cut_short_is_said_to_be_damaged(tmp_path: Path, target: Path) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/a", size=100_000))
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert "damaged" in refusal(archive, target)


def test_a_link_through_another_link_cannot_lead_out(tmp_path: Path, target: Path) -> None:
    deep = member("t-1/a/b/c", tarfile.DIRTYPE)
    through = member("t-1/pyproject.toml", tarfile.SYMTYPE, "a/b/c/up/../../../../etc/hosts")
    up = member("t-1/a/b/c/up", tarfile.SYMTYPE, "../../..")
    assert "link that leads out" in refusal(tar_of(tmp_path / "t-1.tar.gz", deep, through, up), target)
    assert not (target / "t-1" / "pyproject.toml").is_symlink()


@pytest.mark.parametrize("moment", ["inf", "nan", "1e300"])
def test_impossible_times_are_not_taken_over(tmp_path: Path, target: Path, moment: str) -> None:
    odd = member("t-1/a", size=1)
    odd.pax_headers = {"mtime": moment}
    folder = unpack(tar_of(tmp_path / "t-1.tar.gz", odd), target)
    assert zipfile.ZipInfo.from_file(folder / "a").date_time >= (1980, 1, 1)


def test_fields_that_hold_rubbish_are_refused(tmp_path: Path, target: Path) -> None:
    odd = member("t-1/a", size=1)
    odd.pax_headers = {"GNU.sparse.size": "1e99", "GNU.sparse.map": "1,z"}
    assert "damaged" in refusal(tar_of(tmp_path / "t-1.tar.gz", odd), target)


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path, target: Path) -> None:
    archive = tar_of(tmp_path / "t-1.tar.gz", member("t-1/a", tarfile.LNKTYPE, "t-1/nothing"))
    assert "damaged" in refusal(archive, target)


def test_zip_names_that_are_no_text_are_refused(tmp_path: Path, target: Path) -> None:
    path = make_zip(tmp_path / "t-1.zip", {"t-1/é": ""})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    assert "damaged" in refusal(path, target)


@pytest.mark.parametrize("names", [("t-1/a", "t-1/a/b"), ("t-1/" + "x" * 300,)])
def test_names_that_no_disk_can_hold_are_the_archives_fault(
    tmp_path: Path, target: Path, names: tuple[str, ...]
) -> None:
    path = make_zip(tmp_path / "t-1.zip", dict.fromkeys(names, "x"))
    assert "file names that no disk can hold" in refusal(path, target)
