"""Project pages: what PEP 503, 592, 658, 691, 700 and 714 say, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from index_server import IndexServer
from packaging.version import Version
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.page_entry import fetched, from_bytes, to_bytes
from lumienv.index.pages import File, NotAnIndexError, Page, Skipped, parse_page

ClientOf = Callable[..., IndexClient]
BASE = "https://packages.example.org/simple/thing/"
DIGEST = "ab" * 32


def page_of(*files: object, base: str = BASE) -> Page:
    body = json.dumps({"meta": {"api-version": "1.1"}, "name": "thing", "files": list(files)}).encode()
    return parse_page("thing", base, base, "application/vnd.pypi.simple.v1+json", body)


def html_of(*links: str) -> Page:
    body = f"<html><h1>Links for thing</h1>{''.join(links)}</html>".encode()
    return parse_page("thing", BASE, BASE, "text/html; charset=utf-8", body)


@pytest.mark.parametrize("formats", ["json", "html"])
def test_json_and_html_pages_say_the_same(
    server: IndexServer, wheels: Path, client_of: ClientOf, formats: str
) -> None:
    wheel = make_wheel(wheels, "Thing", "1.0", requires_python=">=3.9,<4")
    make_wheel(wheels, "thing", "1.1")
    server.formats, server.sidecars = formats, True  # type: ignore[assignment]
    server.yanked = {wheel.name: "broken & bad"}
    page = client_of(server.url).page("Thing").result()
    assert page is not None
    file = page.files[0]
    assert (page.name, page.index, len(page.files)) == ("thing", server.url, 2)
    assert file.url == f"{server.root}/files/Thing-1.0-py3-none-any.whl"
    assert (file.requires_python, file.yanked) == (">=3.9,<4", "broken & bad")
    assert file.sha256 == server.digest(wheel)
    assert file.core_metadata is not None
    assert len(file.core_metadata) == 64


def test_json_gives_size_and_upload_time() -> None:
    page = page_of(
        {
            "filename": "thing-1.whl",
            "url": "thing-1.whl",
            "hashes": {},
            "size": 7,
            "upload-time": "2025-01-01",
        }
    )
    assert (page.files[0].size, page.files[0].upload_time) == (7, "2025-01-01")


@pytest.mark.parametrize(
    "rubbish",
    [
        "9999-12-31T23:59:59Z",
        "２０２５-01-01T00:00:00Z",
        "yesterday",
        "2025-13-01T00:00:00Z",
        "",
        1735689600,
        None,
        ["2025-01-01"],
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_an_upload_time_that_is_none_is_as_good_as_absent(rubbish: object) -> None:
    page = page_of({"filename": "thing-1.whl", "url": "a.whl", "hashes": {}, "upload-time": rubbish})
    assert page.files[0].upload_time is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2025-01-01T12:00:00.123456Z", "2025-01-01T12:00:00.123456Z"),
        ("2025-01-01T01:00:00+02:00", "2024-12-31T23:00:00+00:00"),
        ("20250101T120000Z", "2025-01-01T12:00:00+00:00"),
        ("2025-W01-3T12:00:00", "2025-01-01T12:00:00+00:00"),
    ],
)
def test_upload_times_are_in_utc_and_can_be_compared_as_text(written: str, meant: str) -> None:
    """PEP 700 allows one way to write them; other servers have others."""
    page = page_of({"filename": "thing-1.whl", "url": "a.whl", "hashes": {}, "upload-time": written})
    assert page.files[0].upload_time == meant


def test_yanked_without_a_reason_is_still_yanked() -> None:
    files = page_of(
        {"filename": "thing-1.whl", "url": "a.whl", "hashes": {}, "yanked": True},
        {"filename": "thing-2.whl", "url": "b.whl", "hashes": {}, "yanked": False},
    ).files
    assert [file.yanked for file in files] == ["", None]
    assert html_of('<a href="thing-1.whl" data-yanked>thing-1.whl</a>').files[0].yanked == ""


def test_the_renamed_metadata_key_wins_over_the_old_one() -> None:
    files = page_of(
        {"filename": "thing-1.whl", "url": "a.whl", "hashes": {}, "dist-info-metadata": {"sha256": DIGEST}},
        {"filename": "thing-2.whl", "url": "b.whl", "core-metadata": False, "dist-info-metadata": True},
        {"filename": "thing-3.whl", "url": "b.whl", "core-metadata": True},
    ).files
    assert [file.core_metadata for file in files] == [DIGEST, None, ""]


def test_only_wheels_and_source_distributions_are_listed() -> None:
    names = ["thing-1.exe", "thing-1.egg", "thing-1.tar.gz", "thing-1.zip", "thing-1-py3-none-any.whl"]
    page = page_of(*({"filename": name, "url": name, "hashes": {}} for name in names))
    assert list(page.files.names) == names[2:]


def test_a_source_distribution_keeps_all_that_a_page_says_of_it() -> None:
    said = {"hashes": {"sha256": DIGEST}, "size": 9, "upload-time": "2025-06-01T12:00:00Z"}
    said |= {"requires-python": ">=3.9", "yanked": "broken", "core-metadata": {"sha256": DIGEST}}
    names = ["thing-1.0.tar.gz", "Thing-One-0.9.zip"]
    files = page_of(*({"filename": name, "url": name, **said} for name in names)).files
    expected = ("sha256", DIGEST), ("requires_python", ">=3.9"), ("yanked", "broken"), ("size", 9)
    for file, name in zip(files, names, strict=True):
        assert (file.filename, file.is_wheel, file.upload_time) == (name, False, "2025-06-01T12:00:00Z")
        assert all(getattr(file, field) == value for field, value in expected)
        assert file.core_metadata == DIGEST
    link = f'<a href="{names[0]}#sha256={DIGEST}" data-requires-python="&gt;=3.9" data-yanked="broken">x</a>'
    file = html_of(link).files[0]
    assert (file.filename, file.url, file.size) == (names[0], BASE + names[0], None)
    assert (file.sha256, file.requires_python, file.yanked) == (DIGEST, ">=3.9", "broken")


def test_relative_links_credentials_and_fragments_are_resolved() -> None:
    page = page_of(
        {"filename": "a-1.whl", "url": "../../f/a-1.whl#sha256=00", "hashes": {}},
        {"filename": "b-1.whl", "url": "https://name:word@other.example.org/b-1.whl", "hashes": {}},
        {"filename": "c-1.whl", "url": "/f/c-1.whl", "hashes": {}},
    )
    assert [file.url for file in page.files] == [
        "https://packages.example.org/f/a-1.whl",
        "https://other.example.org/b-1.whl",
        "https://packages.example.org/f/c-1.whl",
    ]


def test_base_href_of_an_html_page_counts() -> None:
    page = html_of('<base href="https://files.example.org/x/">', '<a href="thing-1.whl">thing-1.whl</a>')
    assert page.files[0].url == "https://files.example.org/x/thing-1.whl"


def test_links_into_this_machines_file_system_are_refused_and_remembered() -> None:
    page = page_of(
        {"filename": "a-1.whl", "url": "file:///etc/a-1.whl", "hashes": {}},
        {"filename": "b-1.whl", "url": "ftp://packages.example.org/b-1.whl", "hashes": {}},
    )
    assert len(page.files) == 0
    assert page.skipped == (
        Skipped("a-1.whl", "its link points into this machine's file system"),
        Skipped("b-1.whl", "its link is not http but ftp"),
    )


@pytest.mark.parametrize("name", ["../a-1.whl", ".a-1.whl", "a/../../b-1.whl", "a\\b-1.whl", "a\nb-1.whl"])
def test_a_file_name_that_is_a_path_is_refused(name: str) -> None:
    page = page_of({"filename": name, "url": "a-1.whl", "hashes": {}})
    assert (len(page.files), page.skipped[0].reason) == (0, "its name is a path")


def test_malformed_entries_do_not_hide_the_others() -> None:
    page = page_of(
        {"filename": 7, "url": "a"},
        {"url": "a"},
        "a-2.whl",
        {
            "filename": "a-1.whl",
            "url": "a-1.whl",
            "hashes": {"sha256": "short"},
            "size": -3,
            "requires-python": 3,
        },
    )
    assert list(page.files) == [File("a-1.whl", BASE + "a-1.whl")]


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/vnd.pypi.simple.v1+json", b"{", "JSON that cannot be parsed"),
        ("application/json", b"[]", "JSON that is no project page"),
        ("application/json", b'{"files": ["\xff"]}', "JSON that cannot be parsed"),
        ("application/json", b"[" * 100_000, "JSON that cannot be parsed"),
        ("application/json", b'{"files": [], "meta": {"api-version": "2.0"}}', "version 2.0"),
        (
            "text/html",
            b"<form><a href='/forgot'>Forgot?</a></form>",
            "an HTML page that links to no packages",
        ),
        ("image/png", b"", "the content type image/png"),
        ("", b"", "no content type"),
    ],
)
def test_what_is_no_index_is_said(content_type: str, body: bytes, reason: str) -> None:
    with pytest.raises(NotAnIndexError, match=reason):
        parse_page("thing", BASE, BASE, content_type, body)


def test_a_login_page_instead_of_an_index_is_an_error_with_a_hint(
    server: IndexServer, client_of: ClientOf
) -> None:
    server.pages["/simple/thing/"] = ("text/html", b"<h1>Please log in</h1>")
    with pytest.raises(PackageIndexError) as caught:
        client_of(server.url).page("thing").result()
    assert caught.value.message == f"{server.url} is not a package index"
    assert "links to no packages" in caught.value.facts[0]
    assert "index-url" in (caught.value.hint or "")


def test_a_project_without_files_is_an_empty_page() -> None:
    assert len(html_of().files) == 0
    assert len(page_of().files) == 0


def test_a_page_comes_back_from_its_cached_form() -> None:
    page = page_of(
        {"filename": "a-1.whl", "url": "a-1.whl", "hashes": {"sha256": DIGEST}, "yanked": "why"},
        {"filename": "b-1.whl", "url": "file:///b-1.whl", "hashes": {}},
    )
    entry = from_bytes(to_bytes(fetched(page, {"ETag": '"x"', "Cache-Control": "public, max-age=60"})))
    assert entry is not None
    assert (entry.page, entry.etag, entry.max_age) == (page, '"x"', 60)
    assert from_bytes(b'{"schema": 99}\n[]') is None
    assert from_bytes(b"") is None


RELEASES = (
    *("thing-1.0.tar.gz", "thing-1.0-py3-none-any.whl", "thing-1-cp312-cp312-linux_x86_64.whl"),
    *("Thing-1.10-py3-none-any.whl", "thing-1.9.zip", "thing-1.9-2-py3-none-any.whl", "thing-2.0rc1.tar.gz"),
    *("other-3.0-py3-none-any.whl", "thing-nonsense-py3-none-any.whl", "thing-1.9-py3-none-any.whl"),
)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("form", ["json", "html"])
def test_the_files_of_a_page_are_told_apart_by_release(form: str, cached: bool) -> None:
    if form == "json":
        page = page_of(*({"filename": name, "url": f"https://x.example/{name}"} for name in RELEASES))
    else:
        page = html_of(*(f'<a href="{name}">{name}</a>' for name in RELEASES))
    if cached:
        entry = from_bytes(to_bytes(fetched(page, {})))
        assert entry is not None
        assert entry.page is not None
        assert sorted(entry.page.files.names) == sorted(RELEASES)
        page = entry.page
    releases = page.releases
    assert {str(version): list(releases.files(version).names) for version in releases.versions} == {
        "2.0rc1": ["thing-2.0rc1.tar.gz"],
        "1.10": ["Thing-1.10-py3-none-any.whl"],
        "1.9": ["thing-1.9.zip", "thing-1.9-2-py3-none-any.whl", "thing-1.9-py3-none-any.whl"],
        "1.0": list(RELEASES[:3]),
    }
    assert [str(version) for version in releases.versions] == ["2.0rc1", "1.10", "1.9", "1.0"]
    assert Version("1.10.0") in releases.versions
    assert Version("3.0") not in releases.versions
    assert list(releases.files(Version("3.0"))) == []
    assert [str(version) for version in releases.versions[1:3]] == ["1.10", "1.9"]


def test_a_page_that_was_confirmed_is_kept_as_it_was() -> None:
    page = page_of(*({"filename": name, "url": name, "hashes": {"sha256": DIGEST}} for name in RELEASES))
    first = from_bytes(to_bytes(fetched(page, {"ETag": '"x"'})))
    assert first is not None
    again = from_bytes(to_bytes(first.confirmed({"Cache-Control": "max-age=5"})))
    assert again is not None
    assert (again.page, again.etag, again.max_age) == (first.page, '"x"', 5)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"ETag": "x"}, 0),
        ({"Cache-Control": "max-age=30"}, 30),
        ({"Cache-Control": "no-cache, max-age=30"}, 0),
        ({"Cache-Control": "public"}, 600),
        ({"Cache-Control": "s-maxage=30"}, 600),
    ],
)
def test_how_long_a_page_is_believed(headers: dict[str, str], seconds: int) -> None:
    assert fetched(page_of(), headers).max_age == seconds


def test_files_are_a_sequence() -> None:
    files = page_of(*({"filename": f"a-{n}.whl", "url": "a", "hashes": {}} for n in range(3))).files
    assert files[-1].filename == "a-2.whl"
    assert [file.filename for file in files[1:]] == ["a-1.whl", "a-2.whl"]
    assert files[0] in files
    assert repr(files) == "Files(3)"


def test_a_local_index_is_read_with_and_without_index_html(tmp_path: Path, client_of: ClientOf) -> None:
    index = tmp_path / "an index"
    (index / "plain").mkdir(parents=True)
    make_wheel(index / "plain", "plain", "1.0", ["other"])
    (index / "listed").mkdir()
    (index / "files").mkdir()
    wheel = make_wheel(index / "files", "listed", "2.0")
    (index / "listed" / "index.html").write_text(f'<a href="../files/{wheel.name}">x</a>')
    client = client_of(str(index), offline=True)
    plain, listed = client.page("plain").result(), client.page("Listed").result()
    assert plain is not None
    assert listed is not None
    assert listed.files[0].url == wheel.as_uri()
    assert plain.files[0].size
    assert client.metadata(plain.files[0]).result().requires_dist == ("other",)
    assert client.hashed(listed.files[0]).result().sha256
    assert client.page("missing").result() is None


def test_a_local_index_that_does_not_exist_is_said(tmp_path: Path, client_of: ClientOf) -> None:
    with pytest.raises(PackageIndexError, match="does not exist"):
        client_of(str(tmp_path / "nowhere")).page("x").result()
