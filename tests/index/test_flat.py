"""Flat indexes: a page of links or a folder, an index among the others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from index_server import IndexServer
from wheels import make_wheel

from lumienv.errors import PackageIndexError
from lumienv.index.client import IndexClient
from lumienv.index.config import IndexSource, index_source, path_as_url, path_in_lock
from lumienv.index.flat import projects_of
from lumienv.index.pages import Page

MakeClient = Callable[..., IndexClient]


def names(page: Page | None) -> list[str]:
    return [] if page is None else list(page.files.names)


def links(server: IndexServer, *files: Path, hashes: bool = True) -> str:
    """Puts a page of links on the server; its URL."""
    anchors = [
        f'<a href="files/{file.name}{f"#sha256={server.digest(file)}" if hashes else ""}">{file.name}</a>'
        for file in files
    ]
    server.pages["/links.html"] = ("text/html", "\n".join(anchors).encode())
    return f"{server.root}/links.html"


@pytest.fixture
def client_with(cache: Path) -> MakeClient:
    def make(*sources: IndexSource, **options: object) -> IndexClient:
        return IndexClient(sources, **{"cache": cache, "backoff": 0.001, "workers": 4, **options})  # type: ignore[arg-type]

    return make


def test_one_page_serves_all_projects_and_is_fetched_once(
    server: IndexServer, wheels: Path, client_with: MakeClient
) -> None:
    files = [make_wheel(wheels, name, "1.0", ["x"]) for name in ("Some.Thing", "other")]
    source = index_source(links(server, *files), flat=True)
    with client_with(source) as client:
        pages = [client.page(name) for name in ("some-thing", "other", "missing", "third")]
        thing, other, missing, third = (page.result() for page in pages)
        assert (names(thing), names(other)) == ([files[0].name], [files[1].name])
        assert (missing, third) == (None, None)
        assert thing is not None
        assert (thing.name, thing.index) == ("some-thing", source.url)
        assert thing.files[0].sha256 == server.digest(files[0])
        assert client.metadata(thing.files[0]).result().requires_dist == ("x",)
    assert server.paths().count("/links.html") == 1


def test_a_directory_listing_of_a_web_server_is_one(
    server: IndexServer, wheels: Path, client_with: MakeClient
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    listing = f"<h1>Directory listing for /files/</h1><a href='{wheel.name}'>{wheel.name}</a>"
    server.pages["/files/"] = ("text/html", listing.encode())
    with client_with(index_source(f"{server.root}/files/", flat=True)) as client:
        page = client.page("thing").result()
        assert page is not None
        assert page.files[0].url == f"{server.root}/files/{wheel.name}"


def test_it_has_its_place_in_the_order_of_indexes(
    server: IndexServer, wheels: Path, tmp_path: Path, client_with: MakeClient
) -> None:
    private = make_wheel(wheels, "thing", "1.0")
    public = tmp_path / "public"
    public.mkdir()
    make_wheel(public, "thing", "9.0")
    make_wheel(public, "late", "1.0")
    flat = index_source(links(server, private), flat=True)
    with IndexServer(public) as second, client_with(flat, index_source(second.url)) as client:
        assert names(client.page("thing").result()) == [private.name]
        assert names(client.page("late").result()) == ["late-1.0-py3-none-any.whl"]
        assert second.paths() == ["/simple/late/"]


def test_an_explicit_one_is_for_what_names_it(
    server: IndexServer, wheels: Path, tmp_path: Path, client_with: MakeClient
) -> None:
    files = [make_wheel(wheels, name, "1.0") for name in ("ours", "numpy")]
    sources = [
        index_source(
            links(server, *files), name="g", flat=True, explicit=True, packages=frozenset({"Ours", "gone"})
        ),
        index_source(tmp_path.as_posix()),
    ]
    with client_with(*sources) as client:
        assert names(client.page("ours").result()) == [files[0].name]
        assert client.page("gone").result() is None
        assert client.page("numpy").result() is None


def test_a_folder_is_listed_with_sizes_and_without_its_subfolders(
    wheels: Path, client_with: MakeClient
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0", ["x"])
    (wheels / "thing-0.9.tar.gz").write_bytes(b"sources")
    (wheels / "thing-0.8.zip").write_bytes(b"sources")
    (wheels / "README").write_text("not a package")
    (wheels / "old").mkdir()
    make_wheel(wheels / "old", "thing", "0.1")
    with client_with(index_source(str(wheels), flat=True), offline=True) as client:
        page = client.page("thing").result()
        assert page is not None
        assert [(file.filename, file.size) for file in page.files] == [
            ("thing-0.8.zip", 7),
            ("thing-0.9.tar.gz", 7),
            (wheel.name, wheel.stat().st_size),
        ]
        assert client.metadata(page.files[2]).result().requires_dist == ("x",)
        assert client.hashed(page.files[1]).result().sha256


def test_a_html_file_on_this_machine_is_read(
    server: IndexServer, wheels: Path, tmp_path: Path, client_with: MakeClient
) -> None:
    near, far = make_wheel(wheels, "near", "1.0"), make_wheel(wheels, "far", "1.0")
    (tmp_path / "links.html").write_text(
        f"<a href='wheels/{near.name}'>near</a><a href='{server.root}/files/{far.name}'>far</a>"
    )
    with client_with(index_source(str(tmp_path / "links.html"), flat=True)) as client:
        for name, url in (("near", near.as_uri()), ("far", f"{server.root}/files/{far.name}")):
            page = client.page(name).result()
            assert page is not None
            assert page.files[0].url == url


def test_offline_it_is_read_from_the_cache(
    server: IndexServer, wheels: Path, client_with: MakeClient
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0", ["x"])
    source = index_source(links(server, wheel, hashes=False), flat=True)
    with client_with(source, offline=True) as client, pytest.raises(PackageIndexError) as caught:
        client.page("thing").result()
    assert caught.value.message == (
        f"the list of files {source.url} is not in the cache, and lumienv is offline"
    )
    with client_with(source) as client:
        page = client.page("thing").result()
        assert page is not None
        metadata = client.metadata(page.files[0]).result()
        hashed = client.hashed(page.files[0]).result()
    server.close()
    with client_with(source, offline=True) as client:
        assert client.page("thing").result() == page
        assert client.metadata(page.files[0]).result() == metadata
        assert client.hashed(page.files[0]).result() == hashed
        assert client.page("missing").result() is None


def test_without_hashes_on_the_page_a_file_is_read_anew_each_time(
    server: IndexServer, wheels: Path, client_with: MakeClient
) -> None:
    source = index_source(links(server, make_wheel(wheels, "thing", "1.0", ["x"]), hashes=False), flat=True)
    for requires in ("x", "y"):
        make_wheel(wheels, "thing", "1.0", [requires])
        with client_with(source) as client:
            page = client.page("thing").result()
            assert page is not None
            assert client.metadata(page.files[0]).result().requires_dist == (requires,)
            assert client.hashed(page.files[0]).result().sha256 == server.digest(
                wheels / page.files[0].filename
            )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "is not a package index"),
        ("not a list", "is not a package index"),
        ("folder", "cannot read the package index"),
    ],
)
def test_an_address_without_a_list_is_an_error_and_no_reason_to_ask_the_next(
    server: IndexServer, wheels: Path, client_with: MakeClient, kind: str, said: str
) -> None:
    make_wheel(wheels, "thing", "1.0")
    server.pages["/page"] = ("text/html", b"<a href='/'>Home</a>")
    url = {"missing": f"{server.root}/gone", "not a list": f"{server.root}/page", "folder": "/no/such"}[kind]
    with client_with(index_source(url, flat=True), index_source(server.url)) as client:
        for name in ("thing", "other"):
            with pytest.raises(PackageIndexError, match=said) as caught:
                client.page(name).result()
            assert "flat index" in (caught.value.hint or "")
    assert "/simple/thing/" not in server.paths()


def test_a_folder_of_files_that_is_not_called_flat_says_how(wheels: Path, client_with: MakeClient) -> None:
    make_wheel(wheels, "thing", "1.0")
    with (
        client_with(index_source(str(wheels))) as client,
        pytest.raises(PackageIndexError, match='format = "flat"'),
    ):
        client.page("thing").result()


def test_a_web_page_cannot_lead_into_this_machines_files(
    server: IndexServer, wheels: Path, client_with: MakeClient
) -> None:
    wheel = make_wheel(wheels, "thing", "1.0")
    server.pages["/links.html"] = ("text/html", f"<a href='{wheel.as_uri()}'>thing</a>".encode())
    with client_with(index_source(f"{server.root}/links.html", flat=True)) as client:
        assert client.page("thing").result() is None


@pytest.mark.parametrize(
    ("filename", "projects"),
    [
        ("Foo_Bar-1.0-py3-none-any.whl", ["foo-bar"]),
        ("foo-1.0-1-py3-none-any.whl", ["foo"]),
        ("foo.whl", []),
        ("foo_bar-1.0.tar.gz", ["foo-bar"]),
        ("foo-bar-1.0.zip", ["foo-bar"]),
        ("foo-2-1.tar.gz", ["foo", "foo-2"]),
        ("foo-1.0-beta.tar.gz", ["foo"]),
        ("foo.tar.gz", []),
        ("-1.0.tar.gz", []),
    ],
)
def test_whose_a_file_is(filename: str, projects: list[str]) -> None:
    assert projects_of(filename) == projects


def test_a_relative_folder_starts_at_the_project_and_is_locked_by_its_path(
    tmp_path: Path, client_with: MakeClient
) -> None:
    project = tmp_path / "real" / "project"
    (project / "wheels").mkdir(parents=True)
    (tmp_path / "link").symlink_to(project)
    wheel = make_wheel(project / "wheels", "thing", "1.0")
    for folder in (project, tmp_path / "link"):
        source = index_source("./wheels", flat=True, folder=folder)
        assert (source.url, source.label) == ((project / "wheels").as_uri(), "./wheels")
        with client_with(source) as client:
            page = client.page("thing").result()
        assert page is not None
        assert page.index == "./wheels"
        assert path_in_lock(page.files[0].url, page.index, folder) == f"wheels/{wheel.name}"
        assert path_as_url(f"wheels/{wheel.name}", folder) == page.files[0].url


def test_a_folder_beside_the_project_and_one_with_odd_letters(
    tmp_path: Path, client_with: MakeClient
) -> None:
    project = tmp_path / "project"
    beside = tmp_path / "our wheels #1"
    project.mkdir()
    beside.mkdir()
    make_wheel(beside, "thing", "1.0+local")
    source = index_source("../our wheels #1", flat=True, folder=project)
    with client_with(source) as client:
        page = client.page("thing").result()
    assert page is not None
    path = path_in_lock(page.files[0].url, page.index, project)
    assert path == "../our wheels #1/thing-1.0+local-py3-none-any.whl"
    assert path_as_url(path, project) == page.files[0].url
    assert (project / path).is_file()


def test_what_is_named_by_a_url_or_an_absolute_path_is_locked_by_its_url(tmp_path: Path) -> None:
    url = (tmp_path / "x-1.whl").as_uri()
    assert path_in_lock(url, index_source(str(tmp_path), flat=True).label, tmp_path) is None
    assert path_in_lock("https://packages.example.org/x-1.whl", "./links.html", tmp_path) is None
    assert path_in_lock(url, None, tmp_path) is None


def test_a_folder_that_is_a_link_stays_where_it_was_written(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "wheels").symlink_to(elsewhere)
    source = index_source("./wheels", flat=True, folder=project)
    assert source.url == Path(os.path.realpath(project), "wheels").as_uri()
