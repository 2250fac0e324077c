"""Core metadata: beside the wheel, out of its tail, out of all of it, on servers of every kind."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from index_server import IndexServer
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.archive import metadata_in_wheel
from lumienv.index.client import IndexClient
from lumienv.index.metadata import CoreMetadata, parse_metadata
from lumienv.index.pages import File

ClientOf = Callable[..., IndexClient]
BIG = 400_000


def only_file(client: IndexClient, name: str = "thing") -> File:
    page = client.page(name).result()
    assert page is not None
    return page.files[0]


def fetched_from(server: IndexServer) -> list[str]:
    """The Range headers (or "all") of what was asked of /files/."""
    return [
        seen.headers.get("range", "all") if seen.path.endswith(".whl") else "sidecar"
        for seen in server.requests
        if seen.path.startswith("/files/")
    ]


@pytest.mark.parametrize("with_hash", [True, False])
def test_the_sidecar_is_taken_where_the_page_offers_one(
    server: IndexServer, wheels: Path, client_of: ClientOf, with_hash: bool
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1", "b; extra == 'x'"], extras=["x"], requires_python=">=3.8")
    server.sidecars, server.sidecar_hashes = True, with_hash
    client = client_of(server.url)
    metadata = client.metadata(only_file(client)).result()
    assert metadata == CoreMetadata("thing", "1.0", ("a>=1", "b; extra == 'x'"), ">=3.8", ("x",))
    assert fetched_from(server) == ["sidecar"]


def test_a_sidecar_with_another_hash_is_refused(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    server.sidecars, server.wrong_sidecar = True, {wheel.name}
    client = client_of(server.url)
    with pytest.raises(PackageIndexError, match=f"the metadata of {wheel.name} is not what"):
        client.metadata(only_file(client)).result()


def test_a_sidecar_that_is_offered_but_missing_is_done_without(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a"])
    server.sidecars = True
    client = client_of(server.url)
    file = only_file(client)
    server.sidecars = False
    assert client.metadata(file).result().requires_dist == ("a",)
    assert fetched_from(server)[0] == "sidecar"


@pytest.mark.parametrize(
    ("ranges", "sizes", "requests"),
    [
        ("all", True, 1),
        ("all", False, 1),
        ("no-suffix", True, 1),
        ("no-suffix", False, 3),
        ("no-explicit", False, 1),
        ("no-explicit", True, 2),
        ("none", True, 1),
        ("none", False, 1),
    ],
)
def test_metadata_is_read_from_the_wheels_tail_when_the_page_offers_none(
    server: IndexServer, wheels: Path, client_of: ClientOf, ranges: str, sizes: bool, requests: int
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1"], padding=BIG)
    server.ranges, server.sizes = ranges, sizes  # type: ignore[assignment]
    client = client_of(server.url)
    assert client.metadata(only_file(client)).result().requires_dist == ("a>=1",)
    assert len(fetched_from(server)) == requests


@pytest.mark.parametrize("ranges", ["unnamed", "too-short"])
@pytest.mark.parametrize("sizes", [True, False])
def test_where_a_server_gets_ranges_wrong_the_whole_wheel_is_read(
    server: IndexServer, wheels: Path, client_of: ClientOf, ranges: str, sizes: bool
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1"], padding=BIG)
    server.ranges, server.sizes = ranges, sizes  # type: ignore[assignment]
    client = client_of(server.url)
    assert client.metadata(only_file(client)).result().requires_dist == ("a>=1",)
    assert fetched_from(server)[-1] == "all"


def test_a_whole_wheel_may_come_without_its_length(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1"], padding=BIG)
    server.ranges, server.lengths = "none", False
    client = client_of(server.url)
    assert client.metadata(only_file(client)).result().requires_dist == ("a>=1",)


def test_metadata_at_the_wheels_start_takes_one_more_range(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    make_wheel(wheels, "thing", "1.0", ["a>=1"], padding=BIG, metadata_first=True)
    client = client_of(server.url)
    assert client.metadata(only_file(client)).result().requires_dist == ("a>=1",)
    assert [stretch[:8] for stretch in fetched_from(server)] == ["bytes=33", "bytes=0-"]


def test_a_table_of_contents_longer_than_the_tail_takes_one_more_range(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    modules = {f"thing/a_rather_long_module_name_{n}.py": f"x = {n}\n" for n in range(900)}
    make_wheel(wheels, "thing", "1.0", ["a>=1"], modules=modules, padding=BIG)
    client = client_of(server.url)
    assert client.metadata(only_file(client)).result().requires_dist == ("a>=1",)
    assert len(fetched_from(server)) == 2


def test_a_whole_wheel_with_another_hash_is_refused(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    server.ranges, server.wrong_hash = "none", {wheel.name}
    client = client_of(server.url)
    with pytest.raises(PackageIndexError, match="its hash is wrong"):
        client.metadata(only_file(client)).result()


def test_a_listed_wheel_that_is_not_there_is_said(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    client = client_of(server.url)
    file = only_file(client)
    wheel.unlink()
    with pytest.raises(PackageIndexError, match=f"does not have {wheel.name}, although the index lists it"):
        client.metadata(file).result()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a zip", "it is no zip archive"),
        (b"", "it is no zip archive"),
        (b"PK\x05\x06" + b"\0" * 8 + b"\xf0" * 10, "it is cut short"),
        (b"PK\x05\x06" + b"\0" * 3, "it is no zip archive"),
    ],
)
def test_a_wheel_that_is_no_archive_is_said(
    server: IndexServer, wheels: Path, client_of: ClientOf, content: bytes, reason: str
) -> None:
    (wheels / "thing-1.0-py3-none-any.whl").write_bytes(content)
    client = client_of(server.url)
    with pytest.raises(PackageIndexError, match=reason) as caught:
        client.metadata(only_file(client)).result()
    assert "thing-1.0-py3-none-any.whl" in caught.value.message


def test_every_cut_and_flipped_byte_ends_in_an_error_or_the_truth(tmp_path: Path) -> None:
    whole = make_wheel(tmp_path, "thing", "1.0", ["a"]).read_bytes()
    good = metadata_in_wheel(lambda s, n: whole[s : s + n], len(whole), "thing-1.0-py3-none-any.whl")
    damaged = [whole[:end] for end in range(0, len(whole), 7)]
    damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(0, len(whole), 3)]
    for content in damaged:
        try:
            read = metadata_in_wheel(
                lambda s, n, content=content: content[s : s + n], len(content), "thing-1.0-py3-none-any.whl"
            )
        except PackageIndexError:
            continue
        assert read == good


def test_a_wheel_of_more_than_four_gigabytes_is_read() -> None:
    """Its table of contents and positions are 64-bit; the file is a hole but for its end."""
    name, text = b"thing-1.0.dist-info/METADATA", b"Name: thing\nVersion: 1.0\n"
    start = 5 << 30
    sizes = struct.pack("<3I", zlib.crc32(text), len(text), len(text))
    member = b"PK\x03\x04" + struct.pack("<5H", 45, 0, 0, 0, 0) + sizes + struct.pack("<2H", len(name), 0)
    member += name + text
    extra = struct.pack("<2HI", 0x7777, 4, 0) + struct.pack("<2HQ", 1, 8, start)
    table = b"PK\x01\x02" + struct.pack("<6H", 45, 45, 0, 0, 0, 0) + sizes
    table += struct.pack("<5H2I", len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF) + name + extra
    record_at = start + len(member) + len(table)
    record = b"PK\x06\x06" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, 1, 1, len(table), start + len(member))
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, record_at, 1)
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    content = member + table + record + locator + end
    size = start + len(content)

    def read(at: int, length: int) -> bytes:
        zeros = b"\0" * max(0, min(length, start - at))
        return zeros + content[max(0, at - start) : max(0, at + length - start)]

    assert metadata_in_wheel(read, size, "thing-1.0-py3-none-any.whl") == text


def test_a_wheel_with_another_projects_metadata_is_refused(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    other = make_wheel(wheels, "other", "1.0")
    other.rename(wheels / "thing-1.0-py3-none-any.whl")
    client = client_of(server.url)
    with pytest.raises(PackageIndexError, match=r"its metadata is that of other-1\.0"):
        client.metadata(only_file(client)).result()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Metadata-Version: 2.1\nVersion: 1.0\n", "it gives no name"),
        ("Metadata-Version: 2.1\nName: thing\n", "it gives no version"),
        ("Name: other\nVersion: 1.0\n", "is that of another project"),
        ("Name: thing\nVersion: 1.1\n", "is that of another version"),
    ],
)
def test_broken_metadata_names_the_file(text: str, reason: str) -> None:
    with pytest.raises(PackageIndexError, match=reason) as caught:
        parse_metadata(text.encode(), "thing-1.0-py3-none-any.whl")
    assert "thing-1.0-py3-none-any.whl" in caught.value.message


def test_spellings_that_mean_the_same_are_accepted() -> None:
    metadata = parse_metadata(
        b"Name: Foo.Bar\r\nVersion: 1.0.0+a-b\r\n\r\ntext", "foo_bar-1.0+a_b-py3-none-any.whl"
    )
    assert (metadata.name, metadata.version) == ("Foo.Bar", "1.0.0+a-b")


def test_folded_lines_and_the_description_are_told_apart() -> None:
    content = b"Name: thing\nVersion: 1\nDescription: a\n        Requires-Dist: no\nRequires-Dist: yes\n"
    content += b" >=1\n\nRequires-Dist: never\n"
    assert parse_metadata(content, "thing-1-py3-none-any.whl").requires_dist == ("yes >=1",)


def test_a_missing_hash_is_computed_from_the_file(
    server: IndexServer, wheels: Path, client_of: ClientOf
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    server.hashes = False
    client = client_of(server.url)
    file = only_file(client)
    assert file.sha256 is None
    assert client.hashed(file).result().sha256 == server.digest(wheel)


def test_a_source_distribution_has_no_wheel_metadata(client_of: ClientOf) -> None:
    with pytest.raises(ValueError, match="no wheel"):
        client_of().metadata(File("thing-1.0.tar.gz", "https://packages.example.org/thing-1.0.tar.gz"))
