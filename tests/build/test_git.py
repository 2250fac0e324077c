"""Git repositories: real ones, over file://."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from index_server import IndexServer
from sources import commit, git, make_repository, write_tree

from lumienv.build.git import Repository, take_configuration_away, write_description
from lumienv.errors import ManifestError, PackageIndexError

RepositoryOf = Callable[..., Repository]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    make_repository(tmp_path / "upstream", {"file": "one"})
    return tmp_path / "upstream"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def repository(upstream: Path, cache: Path) -> Repository:
    return opened(upstream, cache)


def opened(upstream: Path, cache: Path, *, offline: bool = False) -> Repository:
    return Repository(upstream.as_uri(), cache, offline=offline, say=lambda _: None)


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


# -- what a revision means -----------------------------------------------------------------------------------


def test_without_a_revision_the_default_branch_is_taken(upstream: Path, repository: Repository) -> None:
    assert repository.commit("") == head(upstream)


def test_a_branch_is_followed(upstream: Path, repository: Repository) -> None:
    git(upstream, "checkout", "--quiet", "-b", "feature/x")
    first = commit(upstream, {"file": "two"})
    git(upstream, "checkout", "--quiet", "main")
    assert repository.commit("feature/x") == first
    git(upstream, "checkout", "--quiet", "feature/x")
    second = commit(upstream, {"file": "three"})
    assert repository.commit("feature/x") == second
    assert repository.content(second, "file") == b"three"


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_means_its_commit(upstream: Path, repository: Repository, annotated: bool) -> None:
    tagged = head(upstream)
    git(upstream, "tag", *(["-a", "-m", "release"] if annotated else []), "v1.0")
    commit(upstream, {"file": "two"})
    assert repository.commit("v1.0") == tagged
    assert repository.content(tagged, "file") == b"one"


@pytest.mark.parametrize("length", [40, 7])
def test_a_commit_is_found_by_its_name_and_by_the_beginning_of_it(
    upstream: Path, repository: Repository, length: int
) -> None:
    old = head(upstream)
    commit(upstream, {"file": "two"})
    commit(upstream, {"file": "three"})
    assert repository.commit(old[:length]) == old
    assert repository.content(old, "file") == b"one"


def test_a_branch_wins_over_a_tag_of_the_same_name(upstream: Path, repository: Repository) -> None:
    git(upstream, "tag", "same")
    git(upstream, "checkout", "--quiet", "-b", "same")
    newer = commit(upstream, {"file": "two"})
    assert repository.commit("same") == newer


def test_a_locked_commit_stays_although_its_branch_moved_on(upstream: Path, repository: Repository) -> None:
    locked = repository.commit("main")
    commit(upstream, {"file": "two"})
    assert repository.commit("main", locked) == locked


def test_a_locked_commit_is_found_after_its_branch_was_rewritten(
    upstream: Path, repository: Repository, tmp_path: Path
) -> None:
    locked = head(upstream)
    git(upstream, "commit", "--quiet", "--amend", "-m", "rewritten")
    assert repository.commit("main", locked) == locked


@pytest.mark.parametrize("revision", ["nowhere", "v9*", "abcdef1", "0" * 40, "refs/heads/nowhere", "*"])
def test_a_revision_that_does_not_exist_is_said_to(repository: Repository, revision: str) -> None:
    with pytest.raises(ManifestError, match="has no branch, tag or commit") as caught:
        repository.commit(revision)
    assert "git ls-remote" in (caught.value.hint or "")


def test_a_locked_commit_that_is_none_reaches_no_command_line(repository: Repository) -> None:
    with pytest.raises(ManifestError, match="has no branch, tag or commit"):
        repository.commit("main", "--upload-pack=touch /tmp/lumienv-x")


# -- repositories that cannot be used ------------------------------------------------------------------------


def test_a_repository_that_does_not_exist_is_said_to(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ManifestError, match="there is no git repository at file:///") as caught:
        opened(tmp_path / "nowhere", cache).commit("")
    assert "fatal" not in str(caught.value)


def test_an_empty_repository_is_said_to_be_empty(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    with pytest.raises(ManifestError, match="is empty"):
        opened(tmp_path / "empty", cache).commit("")


def test_without_git_a_sentence_says_so(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PackageIndexError, match="there is no git on this machine"):
        repository.commit("")


def test_a_repository_that_wants_a_password_says_how_to_try_it(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "files").mkdir()
    with IndexServer(tmp_path / "files", password=("me", "s3cret")) as server:
        location = f"{server.root}/x.git"
        with pytest.raises(PackageIndexError, match="refuses access, or does not exist") as caught:
            Repository(location, cache, offline=False, say=lambda _: None).commit("")
    assert caught.value.hint is not None
    assert f"git ls-remote {location}" in caught.value.hint


def test_a_server_that_does_not_answer_is_said_not_to(cache: Path) -> None:
    with pytest.raises(PackageIndexError, match=r"cannot fetch the git repository http://127\.0\.0\.1:9/x"):
        Repository("http://127.0.0.1:9/x", cache, offline=False, say=lambda _: None).commit("")


@pytest.fixture
def plain_server(tmp_path: Path) -> Iterator[str]:
    """A web server that knows nothing of git: all it can do is give out files."""
    handler = partial(QuietFiles, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("revision", ["", "v1.0", "commit"])
def test_a_server_that_gives_no_single_commits_is_cloned_whole(
    upstream: Path, plain_server: str, cache: Path, tmp_path: Path, revision: str
) -> None:
    git(upstream, "tag", "-a", "-m", "release", "v1.0")
    wanted = head(upstream)
    if revision:
        commit(upstream, {"file": "two"})
    git(upstream, "update-server-info")
    repository = Repository(f"{plain_server}/upstream/.git", cache, offline=False, say=lambda _: None)
    assert repository.commit(wanted if revision == "commit" else revision) == wanted
    repository.check_out(wanted, tmp_path / "tree", history=True)
    assert (tmp_path / "tree" / "file").read_text() == "one"
    assert git(tmp_path / "tree", "describe", wanted) == "v1.0"


def test_a_repository_that_a_server_does_not_have_is_said_not_to_exist(
    plain_server: str, cache: Path
) -> None:
    with pytest.raises(ManifestError, match="there is no git repository at http"):
        Repository(f"{plain_server}/nowhere.git", cache, offline=False, say=lambda _: None).commit("")


@pytest.mark.parametrize("location", ["ext::sh -c 'touch %s'", "--upload-pack=touch %s", "%s"])
def test_an_address_starts_no_program(tmp_path: Path, cache: Path, location: str) -> None:
    mark = tmp_path / "mark"
    repository = Repository(location % mark, cache, offline=False, say=lambda _: None)
    with pytest.raises((PackageIndexError, ManifestError)):
        repository.commit("")
    assert not mark.exists()


def test_a_password_in_the_users_configuration_is_not_told(tmp_path: Path, cache: Path) -> None:
    (tmp_path / ".gitconfig").write_text(
        '[url "http://me:s3cret@127.0.0.1:9/"]\n\tinsteadOf = http://example.org/\n'
    )
    repository = Repository("http://example.org/x.git", cache, offline=False, say=lambda _: None)
    with pytest.raises(PackageIndexError) as caught:
        repository.commit("")
    assert "s3cret" not in str(caught.value)


# -- offline -------------------------------------------------------------------------------------------------


def offline(upstream: Path, cache: Path) -> Repository:
    """The same repository as one on another machine, which cannot be reached."""
    away = Repository(upstream.as_uri(), cache, offline=True, say=lambda _: None)
    away._offline = True  # a local one always can
    return away


def test_offline_the_answer_of_the_last_time_holds(
    upstream: Path, repository: Repository, cache: Path
) -> None:
    known = repository.commit("main")
    commit(upstream, {"file": "two"})
    assert offline(upstream, cache).commit("main") == known
    assert offline(upstream, cache).commit("", known) == known


@pytest.mark.parametrize(("revision", "locked"), [("", ""), ("v2", ""), ("main", "1" * 40)])
def test_offline_what_is_not_in_the_cache_is_said_to_be_missing(
    upstream: Path, repository: Repository, cache: Path, revision: str, locked: str
) -> None:
    repository.commit("main")
    with pytest.raises(PackageIndexError, match="is not in the cache, and lumienv is offline"):
        offline(upstream, cache).commit(revision, locked)


# -- trees ---------------------------------------------------------------------------------------------------


def test_a_file_that_a_commit_does_not_have_is_none(repository: Repository) -> None:
    assert repository.content(repository.commit(""), "no/such/file") is None


def test_a_tree_is_checked_out_with_its_git_folder(repository: Repository, tmp_path: Path) -> None:
    revision = repository.commit("")
    repository.check_out(revision, tmp_path / "tree", history=False)
    assert (tmp_path / "tree" / "file").read_text() == "one"
    assert head(tmp_path / "tree") == revision
    assert git(tmp_path / "tree", "status", "--porcelain") == ""


def test_history_brings_the_tags_that_a_version_is_made_of(
    upstream: Path, repository: Repository, tmp_path: Path
) -> None:
    git(upstream, "tag", "-a", "-m", "release", "v1.0")
    commit(upstream, {"file": "two"})
    commit(upstream, {"file": "three"})
    revision = repository.commit("")
    repository.check_out(revision, tmp_path / "tree", history=True)
    assert git(tmp_path / "tree", "describe").startswith("v1.0-2-g")


def test_only_the_commit_is_fetched_where_that_is_enough(
    upstream: Path, repository: Repository, tmp_path: Path
) -> None:
    commit(upstream, {"file": "two"})
    repository.check_out(repository.commit(""), tmp_path / "tree", history=False)
    assert git(tmp_path / "tree", "rev-list", "--count", "HEAD") == "1"


def test_submodules_are_fetched(tmp_path: Path, upstream: Path, repository: Repository) -> None:
    make_repository(tmp_path / "part", {"inner": "inner"})
    git(upstream, "submodule", "--quiet", "add", "../part", "part")
    revision = commit(upstream, {})
    assert repository.commit("") == revision
    repository.check_out(revision, tmp_path / "tree", history=False)
    assert (tmp_path / "tree" / "part" / "inner").read_text() == "inner"


def test_hooks_of_the_users_templates_do_not_run(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = write_tree(tmp_path / "template" / "hooks", {"post-checkout": "#!/bin/sh\ntouch /tmp/mark\n"})
    mark = tmp_path / "mark"
    (hook / "post-checkout").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (hook / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    repository.check_out(repository.commit(""), tmp_path / "tree", history=False)
    assert not mark.exists()


def test_variables_of_a_hook_that_started_lumienv_do_not_lead_elsewhere(
    upstream: Path, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path / "other", {"other": "other"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    before = git(tmp_path / "other", "rev-list", "--all")
    repository.check_out(repository.commit(""), tmp_path / "tree", history=False)
    assert (tmp_path / "tree" / "file").exists()
    assert git(tmp_path / "other", "rev-list", "--all") == before


# -- a cache that others use too -----------------------------------------------------------------------------


def test_a_clone_that_a_killed_git_left_locked_is_made_anew(
    upstream: Path, repository: Repository, cache: Path
) -> None:
    repository.commit("")
    newer = commit(upstream, {"file": "two"})
    (bare,) = [path for path in (cache / "git").iterdir() if path.is_dir()]
    for lock in ("shallow.lock", "packed-refs.lock", "config.lock"):
        (bare / lock).write_text("")
    assert repository.commit("") == newer
    assert repository.content(newer, "file") == b"two"


def test_a_clone_that_has_lost_its_objects_is_made_anew(
    upstream: Path, repository: Repository, cache: Path, tmp_path: Path
) -> None:
    known = repository.commit("")
    (bare,) = [path for path in (cache / "git").iterdir() if path.is_dir()]
    for path in (bare / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")
    assert repository.commit("") == known
    assert repository.content(known, "file") == b"one"


def test_several_processes_may_fetch_the_same_repository_at_once(upstream: Path, cache: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom lumienv.build.git import Repository\n"
        "r = Repository(sys.argv[1], Path(sys.argv[2]), offline=False, say=lambda _: None)\n"
        "print(r.content(r.commit(''), 'file').decode())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, upstream.as_uri(), str(cache)],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["one"] * 3


def test_the_configuration_of_a_copied_repository_starts_no_program(upstream: Path, tmp_path: Path) -> None:
    program, ran = tmp_path / "program", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    signed = git(upstream, "cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    (tmp_path / "signed").write_text(signed + "\n")
    git(
        upstream,
        "reset",
        "--hard",
        git(upstream, "hash-object", "-t", "commit", "-w", str(tmp_path / "signed")),
    )
    git(upstream, "tag", "v1.0")
    git(upstream, "config", "log.showSignature", "true")
    git(upstream, "config", "gpg.program", str(program))
    git(upstream, "log", "-1")
    assert ran.exists()  # so git would start it
    ran.unlink()
    copy = tmp_path / "copy"
    shutil.copytree(upstream, copy)
    assert take_configuration_away(copy)
    write_description(copy, "a folder")
    assert "describe-name: v1.0-0-g" in (copy / ".git_archival.txt").read_text()
    assert not ran.exists()


@pytest.mark.parametrize("how", ["link", "common"])
def test_a_repository_that_lies_partly_elsewhere_is_not_looked_into(
    upstream: Path, tmp_path: Path, how: str
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    if how == "link":
        (copy / ".git").symlink_to(upstream / ".git")
    else:
        shutil.copytree(upstream / ".git", copy / ".git")
        (copy / ".git" / "commondir").write_text(f"{upstream}/.git\n")
    before = (upstream / ".git" / "config").read_text()
    assert not take_configuration_away(copy)
    assert (upstream / ".git" / "config").read_text() == before
