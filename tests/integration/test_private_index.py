"""Private indexes through the real program: passwords, faults half-way, several indexes, flat lists, offline.

The base is a Python of this machine, so that no container is needed.
"""

import base64
import os
import re
import shutil
import sys
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from index_server import IndexServer
from keyring_program import KeyringProgram
from sources import make_sdist, tiny_project
from wheels import make_wheel
from workspace import Workspace, locked, make_workspace

from lumienv.files import remove_tree

pytestmark = pytest.mark.once

HOST = f'host = "{sys.base_prefix}/bin/python3"'
USER, WORD = "someone", "s3cret%p@ss:w/rd"
THING = "thing-1.0-py3-none-any.whl"
SHOW = ("run", "--no-sync", "--", "python", "-c", "import thing; print(thing.__version__)")


@pytest.fixture
def public(tmp_path):
    """What everybody can put packages on: the index that pip is configured with."""
    folder = tmp_path / "public"
    folder.mkdir()
    with IndexServer(folder) as server:
        yield server


@pytest.fixture
def project(tmp_path, public):
    """A project with its own home and scratch folder, whose default index is `public`."""
    for folder in ("home", "scratch"):
        (tmp_path / folder).mkdir()
    made = make_workspace(
        tmp_path / "project",
        tmp_path / "cache",
        HOME=str(tmp_path / "home"),
        TMPDIR=str(tmp_path / "scratch"),
        PIP_INDEX_URL=public.url,
        PIP_CONFIG_FILE=os.devnull,
        LUMIENV_HTTP_TIMEOUT="20",
    )
    kept = {
        name: value
        for name, value in made.environ.items()
        if not name.startswith("UV_") and not name.lower().endswith("_proxy")
    }
    return replace(made, environ=kept)


def table(server, more=""):
    """The `[[index]]` table of a server, named a."""
    return f'[[index]]\nname = "a"\nurl = "{server.url}"\n{more}'


def refused(project, *words, status=1, **variables):
    """What the program says when it refuses: one message with a way out, no traceback."""
    said = project.try_(*words, **variables)
    assert said.status == status, said
    assert len(re.findall("^[Ee]rror: ", said.err, re.MULTILINE)) == 1, said.err
    assert "help: " in said.err
    assert "Traceback" not in said.err
    return said.err


def only(paths):
    (path,) = paths
    return path


# -- passwords -------------------------------------------------------------------------------------------


def forms(*words):
    """A password in all the ways in which it might turn up."""
    pair = f"{USER}:{WORD}".encode()
    found = {word.encode() for word in words} | {quote(word, "").encode() for word in words}
    return found | {base64.b64encode(pair), pair}


def traces(root: Path, secrets: set[bytes], but_not_in: Path) -> list[Path]:
    """The files below `root` that hold a secret in their name or content."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and but_not_in not in (path, *path.parents)
        and any(secret in path.read_bytes() or os.fsdecode(secret) in path.name for secret in secrets)
    ]


def command_lines() -> bytes:
    """What `ps` would show of all processes."""
    found = b""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            found += (process / "cmdline").read_bytes() + b"\n"
        except OSError:
            continue  # it has ended
    return found


def watched(project: Workspace, *words: str, **variables: str) -> tuple[str, bytes]:
    """What the program prints, and the command lines of all processes while it ran; it has to succeed."""
    seen = set()
    with project.start(*words, **variables) as running:
        texts: list[str] = []
        reading = threading.Thread(target=lambda: texts.extend(running.communicate()))
        reading.start()
        while reading.is_alive():
            seen.update(command_lines().splitlines())
    assert running.returncode == 0, texts
    return "".join(texts), b"\n".join(seen)


@pytest.mark.parametrize("way", ["netrc", "environment", "pip", "uv", "keyring"])
def test_a_password_opens_the_index_and_is_written_and_shown_nowhere(
    project, index, public, wheels, tmp_path, way
):
    make_wheel(wheels, "thing", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    index.password = (USER, WORD)
    secret_place = tmp_path / "secret"
    secret_place.mkdir()
    tables, variables = table(index), {}
    if way == "netrc":
        netrc = secret_place / "netrc"
        netrc.write_text(f'machine 127.0.0.1 login {USER} password "{WORD}"\n')
        netrc.chmod(0o600)
        variables["NETRC"] = str(netrc)
    elif way == "environment":
        variables |= {"UV_INDEX_A_USERNAME": USER, "UV_INDEX_A_PASSWORD": WORD}
    elif way == "pip":
        tables = ""
        (secret_place / "pip.conf").write_text(f"[global]\nindex-url = {index.url_with(USER, WORD)}\n")
        variables |= {"PIP_INDEX_URL": "", "PIP_CONFIG_FILE": str(secret_place / "pip.conf")}
    elif way == "uv":
        tables = ""
        url = index.url_with(USER, WORD)
        (secret_place / "uv.toml").write_text(f'[[index]]\nurl = "{url}"\ndefault = true\n')
        variables |= {"PIP_INDEX_URL": "", "UV_CONFIG_FILE": str(secret_place / "uv.toml")}
    else:
        program = KeyringProgram(secret_place / "bin", {(f"{index.url}/", USER): WORD})
        variables["PATH"] = f"{program.directory}:{os.environ['PATH']}"
        variables |= {"UV_KEYRING_PROVIDER": "subprocess", "UV_INDEX_A_USERNAME": USER}
    project.write(HOST, ["thing"], tables)

    said, commands = watched(project, "sync", "-v", **variables)
    shown = project.lumienv(*SHOW, **variables)

    assert shown == "1.0\n"
    assert all("authorization" in request.headers for request in index.requests)
    assert not any("authorization" in request.headers for request in public.requests)
    secrets = forms(WORD)
    assert traces(tmp_path, secrets, but_not_in=secret_place) == []
    assert not any(secret in said.encode() for secret in secrets), said
    assert b"lumienv\0sync" in commands
    assert not any(secret in commands for secret in secrets)
    if way == "keyring":
        assert program.asked() == [[f"{index.url}/", USER]]


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [(USER, "wrong-w0rd", "does not accept the password"), (None, None, "wants a password")],
)
def test_a_wrong_or_missing_password_is_said_without_it(
    project, index, wheels, tmp_path, name, word, expected
):
    make_wheel(wheels, "thing", "1.0")
    index.password = (USER, WORD)
    project.write(HOST, ["thing"], table(index))
    given = {"UV_INDEX_A_USERNAME": name, "UV_INDEX_A_PASSWORD": word} if name else {}

    for words in (["lock"], ["lock", "-v"], ["sync"]):
        said = refused(project, *words, **given)
        assert f"the package index 127.0.0.1:{index.port} {expected}" in said
        assert "~/.netrc: machine 127.0.0.1 login NAME password PASSWORD" in said
        assert "wrong-w0rd" not in said

    assert not project.lock_path.exists()
    assert traces(tmp_path, {b"wrong-w0rd"}, but_not_in=Path()) == []


@pytest.mark.parametrize("what", ["page", "file"])
def test_a_redirect_to_another_host_never_carries_the_password(project, index, public, wheels, what):
    make_wheel(wheels, "thing", "1.0")
    index.password = (USER, WORD)
    with IndexServer(wheels) as elsewhere:
        away = elsewhere.root.replace("127.0.0.1", "localhost")
        path = "/simple/thing/" if what == "page" else f"/files/{THING}"
        index.redirects[path] = f"{away}{path}"
        project.write(HOST, ["thing"], table(index))

        project.lumienv("sync", UV_INDEX_A_USERNAME=USER, UV_INDEX_A_PASSWORD=WORD)

        assert project.lumienv(*SHOW) == "1.0\n"
        assert elsewhere.requests
        assert not any("authorization" in request.headers for request in elsewhere.requests)
        assert all(request.headers.get("authorization") for request in index.requests if request.path == path)


# -- several indexes -------------------------------------------------------------------------------------


def test_a_public_package_of_the_same_name_is_never_taken(project, index, public, wheels):
    make_wheel(wheels, "thing", "1.0")
    make_wheel(public.directory, "thing", "99.0")
    make_wheel(public.directory, "free", "1.0", ["thing"])
    project.write(HOST, ["free"], table(index))

    project.lumienv("sync")

    assert locked(project) == {"free": "1.0", "thing": "1.0"}
    assert project.lumienv(*SHOW) == "1.0\n"
    assert not [path for path in public.paths() if "thing" in path]


def test_not_even_where_it_would_solve_a_conflict(project, index, public, wheels):
    make_wheel(wheels, "thing", "1.0")
    make_wheel(public.directory, "thing", "99.0")
    project.write(HOST, ["thing>=2"], table(index))

    refused(project, "lock")

    assert public.paths() == []


@pytest.mark.parametrize("fault", ["403", "500", "410", "refused", "silent", "not an index"])
def test_a_first_index_that_fails_is_an_error_and_the_second_is_not_asked(
    project, index, public, wheels, fault
):
    make_wheel(wheels, "thing", "1.0")
    make_wheel(public.directory, "thing", "99.0")
    project.write(HOST, ["thing"], table(index))
    page, variables = "/simple/thing/", {}
    if fault.isdigit():
        index.statuses[page] = deque([int(fault)] * 20)
    elif fault == "refused":
        index.close()
    elif fault == "silent":
        index.stall[page] = 0
        variables["LUMIENV_HTTP_TIMEOUT"] = "0.3"
    else:
        index.pages[page] = ("text/html", b"<h1>Welcome, please log in</h1>")

    said = refused(project, "lock", **variables)

    assert "127.0.0.1" in said or fault == "410"
    assert public.paths() == []
    assert not project.lock_path.exists()


def test_only_404_means_that_an_index_does_not_have_it(project, index, public, wheels):
    make_wheel(wheels, "other", "1.0")
    make_wheel(public.directory, "thing", "1.0")
    project.write(HOST, ["thing", "other"], table(index))

    project.lumienv("lock")

    assert locked(project) == {"thing": "1.0", "other": "1.0"}
    assert sorted(index.paths())[-2:] == ["/simple/other/", "/simple/thing/"]


def test_an_explicit_index_is_asked_for_what_names_it_and_nobody_else_is(project, index, public, wheels):
    make_wheel(wheels, "ours", "1.0")
    make_wheel(wheels, "free", "7.0")
    make_wheel(public.directory, "ours", "99.0")
    make_wheel(public.directory, "free", "1.0")
    sources = '[sources]\nours = { index = "a" }\n'
    project.write(HOST, ["ours", "free"], table(index, "explicit = true\n") + sources)
    project.lumienv("lock")
    assert locked(project) == {"free": "1.0", "ours": "1.0"}

    only(wheels.glob("ours-*")).unlink()
    refused(project, "lock", "--upgrade")

    assert not [path for path in index.paths() if "free" in path]
    assert not [path for path in public.paths() if "ours" in path]


# -- an index that fails half-way ------------------------------------------------------------------------


def in_use(project):
    """What a generation would be made of: complete entries of the wheelhouse, and generations."""
    wheelhouse = [p.name for p in (project.cache / "wheels").glob("??/*/*") if p.is_file()]
    return wheelhouse, [p.name for p in (project.directory / ".lumienv").glob("generations/*")]


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("what", ["page", "sidecar", "tail"])
@pytest.mark.parametrize("after", [0, 1, 40])
def test_a_connection_that_is_cut_while_locking(project, index, public, wheels, what, after, lasting):
    make_wheel(wheels, "thing", "1.0")
    index.sidecars = what == "sidecar"
    path = {"page": "/simple/thing/", "sidecar": f"/files/{THING}.metadata", "tail": f"/files/{THING}"}[what]
    index.cut[path] = deque([after] * (50 if lasting else 2))
    project.write(HOST, ["thing"], table(index))

    if lasting:
        said = refused(project, "lock")
        assert f"cannot reach the package index at 127.0.0.1:{index.port}" in said
        assert "the connection broke off, several times" in said
        assert not project.lock_path.exists()
        index.cut.clear()
    project.lumienv("lock")

    assert locked(project) == {"thing": "1.0"}


@pytest.mark.parametrize(
    ("after", "lasting"), [(0, False), (1, False), (65_536, False), (299_999, False), (65_536, True)]
)
def test_a_connection_that_is_cut_while_a_wheel_arrives(project, index, wheels, after, lasting):
    size = make_wheel(wheels, "thing", "1.0", padding=300_000).stat().st_size
    project.write(HOST, ["thing"], table(index))
    project.lumienv("lock")
    index.ranges = "none" if lasting else "all"  # no way to go on where it broke off
    index.cut[f"/files/{THING}"] = deque([after] * (50 if lasting else 3))
    index.requests.clear()

    if lasting:
        said = refused(project, "sync")
        assert "the connection broke off, several times" in said
        assert in_use(project) == ([], [])
        index.cut.clear()
    project.lumienv("sync")

    assert project.lumienv(*SHOW) == "1.0\n"
    assert in_use(project)[0] == [THING]
    assert not list((project.cache / "wheels/parts").iterdir())
    if not lasting and after > 0:  # each attempt goes on where the one before ended
        starts = [0, after, 2 * after, 3 * after]
        asked = [request.headers.get("range", "bytes=0-") for request in index.requests]
        assert asked == [f"bytes={start}-" for start in starts if start < size]


# -- an index that lies ----------------------------------------------------------------------------------


def test_a_wheel_with_another_hash_than_the_page_says_is_not_used(project, index, wheels):
    make_wheel(wheels, "thing", "1.0", padding=300_000)
    index.wrong_hash = {THING}
    project.write(HOST, ["thing"], table(index))

    said = refused(project, "sync")

    assert f"{THING} is not what the index promised: its hash is wrong" in said
    assert f"expected sha256 {'0' * 64}" in said
    assert in_use(project) == ([], [])
    index.wrong_hash.clear()
    project.lock_path.unlink()
    project.lumienv("sync", LUMIENV_CACHE_DIR=str(project.cache) + "-new")
    assert project.lumienv(*SHOW) == "1.0\n"


def test_a_wheel_that_was_exchanged_after_locking_is_not_used(project, index, wheels):
    make_wheel(wheels, "thing", "1.0")
    project.write(HOST, ["thing"], table(index))
    project.lumienv("lock")
    make_wheel(wheels, "thing", "1.0", modules={"thing.py": "__version__ = 'evil'\n"})

    for _ in range(2):
        assert "its hash is wrong" in refused(project, "sync")
        assert in_use(project) == ([], [])


def test_metadata_with_another_hash_than_the_page_says_is_not_used(project, index, wheels):
    make_wheel(wheels, "thing", "1.0")
    index.sidecars, index.wrong_sidecar = True, {THING}
    project.write(HOST, ["thing"], table(index))

    said = refused(project, "lock")

    assert f"the metadata of {THING} is not what the index promised: its hash is wrong" in said
    assert not project.lock_path.exists()
    index.wrong_sidecar.clear()
    project.lumienv("lock", "--upgrade")
    assert locked(project) == {"thing": "1.0"}


# -- an index that is slow -------------------------------------------------------------------------------


def test_an_index_that_answers_slowly_is_waited_for(project, index, wheels):
    make_wheel(wheels, "thing", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    index.latency = 300.0
    project.write(HOST, ["thing"], table(index))

    project.lumienv("sync")

    assert project.lumienv(*SHOW) == "1.0\n"


@pytest.mark.parametrize("what", ["page", "metadata", "wheel"])
def test_an_index_that_falls_silent_is_given_up_after_the_time_limit(project, index, wheels, what):
    make_wheel(wheels, "thing", "1.0", padding=300_000)
    project.write(HOST, ["thing"], table(index))
    if what == "wheel":
        project.lumienv("lock")
    index.stall["/simple/thing/" if what == "page" else f"/files/{THING}"] = 10

    said = refused(project, "sync", LUMIENV_HTTP_TIMEOUT="0.3")

    assert "no answer within the time limit (LUMIENV_HTTP_TIMEOUT, in seconds)" in said
    assert in_use(project) == ([], [])
    index.stall.clear()
    project.lumienv("sync")
    assert project.lumienv(*SHOW) == "1.0\n"


# -- flat lists and no network ---------------------------------------------------------------------------


def flat(server, wheels, *, hashes=True):
    """A page of links to all wheels on the server, as an index."""
    links = [
        f'<a href="files/{path.name}{f"#sha256={server.digest(path)}" if hashes else ""}">x</a>'
        for path in sorted(wheels.iterdir())
    ]
    server.pages["/links.html"] = ("text/html", "".join(links).encode())
    return f'[[index]]\nname = "a"\nurl = "{server.root}/links.html"\nformat = "flat"\n'


def test_a_page_of_links_is_an_index_like_the_others(project, index, public, wheels):
    make_wheel(wheels, "thing", "1.0", ["free"])
    make_wheel(public.directory, "thing", "99.0")
    make_wheel(public.directory, "free", "1.0")
    index.password = (USER, WORD)
    project.write(HOST, ["thing"], flat(index, wheels))

    project.lumienv("sync", UV_INDEX_A_USERNAME=USER, UV_INDEX_A_PASSWORD=WORD)

    assert locked(project) == {"free": "1.0", "thing": "1.0"}
    assert project.lumienv(*SHOW) == "1.0\n"
    assert not [path for path in public.paths() if "thing" in path]


@pytest.mark.parametrize("kind", ["simple", "sidecars", "without hashes", "flat", "flat without hashes"])
def test_offline_everything_is_done_from_the_cache(project, index, public, wheels, kind):
    make_wheel(wheels, "thing", "1.0", ["other"])
    make_wheel(wheels, "other", "1.0")
    make_wheel(public.directory, "free", "1.0")
    index.hashes = "without" not in kind
    index.sidecars = kind == "sidecars"
    index.headers["Cache-Control"] = "max-age=0"
    tables = flat(index, wheels, hashes=index.hashes) if "flat" in kind else table(index)
    project.write(HOST, ["thing", "free"], tables)
    nothing = refused(project, "sync", "--offline")
    project.lumienv("sync")
    text = project.lock_path.read_bytes()
    index.close()
    public.close()
    project.lock_path.unlink()
    remove_tree(project.directory / ".lumienv")

    project.lumienv("sync", "--offline")

    assert "is not in the cache, and lumienv is offline" in nothing
    assert "--offline" in nothing
    assert project.lock_path.read_bytes() == text
    assert project.lumienv(*SHOW) == "1.0\n"
    shutil.rmtree(project.cache / "wheels")
    remove_tree(project.directory / ".lumienv")
    assert "is not in the wheelhouse, and lumienv is offline" in refused(project, "sync", "--offline")


def test_a_wheel_at_an_address_is_locked_offline_too(project, index, public, wheels):
    make_wheel(wheels, "thing", "1.0")
    project.write(HOST, ["thing"], f'[sources]\nthing = {{ url = "{index.root}/files/{THING}" }}\n')
    project.lumienv("sync")
    text = project.lock_path.read_bytes()
    index.close()
    project.lock_path.unlink()
    remove_tree(project.directory / ".lumienv")

    project.lumienv("sync", "--offline")

    assert project.lock_path.read_bytes() == text
    assert project.lumienv(*SHOW) == "1.0\n"


@pytest.mark.parametrize("kind", ["simple", "without hashes", "flat"])
def test_sources_are_locked_and_built_offline_too(project, index, public, wheels, kind):
    make_sdist(wheels, "thing", "1.0", tiny_project("thing", requires=["other"]))
    make_sdist(wheels, "other", "1.0", tiny_project("other"))
    index.password = (USER, WORD)
    given = {"UV_INDEX_A_USERNAME": USER, "UV_INDEX_A_PASSWORD": WORD}
    index.hashes = kind != "without hashes"
    project.write(HOST, ["thing"], flat(index, wheels) if kind == "flat" else table(index))
    project.lumienv("sync", **given)
    text = project.lock_path.read_bytes()
    index.close()
    public.close()
    project.lock_path.unlink()
    remove_tree(project.directory / ".lumienv")

    project.lumienv("sync", "--offline")

    assert project.lock_path.read_bytes() == text
    assert "'SECRET': None" in project.lumienv(
        "run", "--no-sync", "--", "python", "-c", "import thing; print(thing.facts)"
    )


def test_a_folder_in_the_project_is_an_index_and_moves_with_it(project, public, tmp_path):
    wheels = project.directory / "our wheels"
    wheels.mkdir()
    make_wheel(wheels, "thing", "1.0", ["free"])
    make_wheel(public.directory, "thing", "99.0")
    make_wheel(public.directory, "free", "1.0")
    project.write(HOST, ["thing"], '[[index]]\nurl = "./our wheels"\nformat = "flat"\n')
    project.lumienv("sync")
    text = project.lock_path.read_text()
    moved = replace(project, directory=tmp_path / "moved", cache=tmp_path / "new-cache")
    project.directory.rename(moved.directory)
    remove_tree(moved.directory / ".lumienv")

    said = moved.lumienv("sync", LUMIENV_CACHE_DIR=str(moved.cache))

    assert locked(moved) == {"free": "1.0", "thing": "1.0"}
    assert f'path = "our wheels/{THING}"' in text
    assert str(tmp_path) not in text
    assert "is up to date" in moved.lumienv("lock")
    assert moved.lock_path.read_text() == text
    assert moved.lumienv(*SHOW) == "1.0\n", said
    moved.lock_path.unlink()
    moved.lumienv("lock")
    assert moved.lock_path.read_text() == text
    with (moved.directory / "our wheels" / THING).open("ab") as wheel:
        wheel.write(b"changed")
    remove_tree(moved.directory / ".lumienv")
    assert "its hash is wrong" in refused(moved, "sync", LUMIENV_CACHE_DIR=str(tmp_path / "third"))
