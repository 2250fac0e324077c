"""Git repositories: a bare clone of each in the cache, revisions found in it, trees checked out of it.

`git` itself does it, on the host, with the user's own configuration (credentials, proxies, `insteadOf`), but
never asks anything, runs no hooks and follows no transport that could start a program.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lumienv.errors import ContainerError, LumienvError, ManifestError, PackageIndexError
from lumienv.files import (
    abandoned,
    disk_errors,
    new_directory,
    one_writer,
    own_prefix,
    private_directory,
    remove_tree,
)
from lumienv.manifest.sources import without_secret
from lumienv.runtime.process import Completed, capture

_NEW = ".new-"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ABBREVIATED = re.compile(r"[0-9a-fA-F]{4,64}")

# Nothing in a repository or in a template may run here; a pack is not rearranged behind our back; a server
# that has sent next to nothing for a minute is not waited for.
OPTIONS = [
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.askPass=true"),
    *("-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=60"),
    *("-c", "fetch.unpackLimit=1"),  # a pack is two files, its objects may be a hundred
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"),
]
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")

# git's own variables say which repository to work on; inherited from a hook they would name another one.
OTHERS = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_EXTERNAL_DIFF"),
}

_GONE = ("not found", "does not exist", "does not appear to be a git repository", "no such file")
_REFUSED = (
    *("authentication failed", "could not read username", "could not read password", "error: 403"),
    *("permission denied", "access denied", "terminal prompts disabled", "host key verification"),
)


class Repository:
    """The repository at `location` (a URL), kept below `cache`; `offline`: only what is there is used."""

    def __init__(self, location: str, cache: Path, *, offline: bool, say: Callable[[str], None]) -> None:
        self.location = location
        self._root = cache / "git"
        self._bare = self._root / hashlib.sha256(location.encode()).hexdigest()[:32]
        self._offline = offline and not location.startswith("file:")
        self._say = say

    def commit(self, revision: str, locked: str = "") -> str:
        """The commit, in full, that a branch, tag or commit means now; the default branch when empty.

        `locked` is the commit that is wanted whatever has become of the revision. It is in the cache then,
        as much of it as its files need. Raises ManifestError for a repository or revision that does not
        exist, PackageIndexError for one that cannot be fetched, StoreError.
        """
        with self._locked():
            if locked:
                if not _COMMIT.fullmatch(locked):
                    raise self._no_revision(locked)
                if self._has(locked):
                    return locked
                self._fetch_commit(locked, revision)
                return locked
            if _COMMIT.fullmatch(revision) and self._has(revision):
                return revision
            if self._offline:
                return self._remembered(revision)
            commit = self._asked(revision)
            if commit is None:
                commit = self._searched(revision)
            elif not self._has(commit):
                self._fetch_commit(commit, revision)
            self._git("update-ref", self._memory(revision), commit)
            return commit

    def content(self, commit: str, path: str) -> bytes | None:
        """The text of a file in a commit that is in the cache; None where there is none."""
        done = self._try("cat-file", "blob", f"{commit}:{path}")
        return done.stdout.encode() if done.returncode == 0 else None

    def check_out(self, commit: str, target: Path, *, history: bool) -> None:
        """Put the files of a commit that is in the cache into the empty folder `target`, with its `.git`.

        `history`: with all commits and tags before it. Submodules are fetched. Raises as `commit` does.
        """
        with self._locked():
            if history and (self._bare / "shallow").exists():
                self._fetch_everything()
            with disk_errors("check out a git repository", target):
                shutil.copytree(self._bare, target / ".git", symlinks=True)
        git = _Git(self.location, target)
        git.run("config", "core.bare", "false")
        git.run("config", "remote.origin.url", self.location)
        git.run("checkout", "--quiet", "--force", "--detach", commit)
        if history:
            write_description(target, self.location)
        if not (target / ".gitmodules").exists():
            return
        if self._offline:
            raise PackageIndexError(
                f"{self.location} has submodules, which are not in the cache, and lumienv is offline",
                hint="run the command once without `--offline`, where there is a network",
            )
        git.run("submodule", "--quiet", "update", "--init", "--recursive")

    # -- what a revision means ---------------------------------------------------------------------------

    def _asked(self, revision: str) -> str | None:
        """The commit of a branch, a tag or the default branch, as the repository says it; a branch wins."""
        if _COMMIT.fullmatch(revision):
            names = [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        elif revision.startswith("refs/"):
            names = [revision]
        else:
            names = [f"refs/heads/{revision}", f"refs/tags/{revision}"] if revision else ["HEAD"]
        patterns = [*names, *(f"{name}^{{}}" for name in names)]
        self._say(f"asking {self.location} for {revision or 'its default branch'}")
        said = self._git("ls-remote", "--quiet", "--", self.location, *patterns)
        found = {name: sha for sha, _, name in (line.partition("\t") for line in said.splitlines())}
        for name in names:
            commit = found.get(f"{name}^{{}}") or found.get(name)
            if commit:
                return commit
        if not revision:
            raise ManifestError(
                f"the git repository {self.location} is empty",
                hint="commit something there, or name a branch: rev = …",
            )
        return revision if _COMMIT.fullmatch(revision) else None

    def _searched(self, revision: str) -> str:
        """A commit by the beginning of its name, which only a whole clone can tell."""
        if _ABBREVIATED.fullmatch(revision):
            self._fetch_everything()
            done = self._try("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
            if done.returncode == 0:
                return done.stdout.strip()
        raise self._no_revision(revision)

    def _remembered(self, revision: str) -> str:
        names = [self._memory(revision)]
        if _ABBREVIATED.fullmatch(revision):
            names.append(revision)
        for name in names if self._bare.is_dir() else ():
            done = self._try("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
            if done.returncode == 0:
                return done.stdout.strip()
        raise PackageIndexError(
            f"{self.location} at {revision or 'its default branch'} is not in the cache, and lumienv is "
            "offline",
            hint="run the command once without `--offline`, where there is a network",
        )

    @staticmethod
    def _memory(revision: str) -> str:
        """The reference under which the answer for a revision is kept."""
        return f"refs/lumienv/asked/{hashlib.sha256(revision.encode()).hexdigest()[:32]}"

    def _no_revision(self, revision: str) -> ManifestError:
        return ManifestError(
            f"the git repository {self.location} has no branch, tag or commit {revision}",
            hint=f"see what it has: git ls-remote {self.location}",
        )

    # -- fetching ----------------------------------------------------------------------------------------

    def _has(self, commit: str) -> bool:
        """Whether all files of a commit are here: git only counts what has arrived whole."""
        return self._bare.is_dir() and self._try("cat-file", "-e", f"{commit}^{{tree}}").returncode == 0

    def _fetch_commit(self, commit: str, revision: str) -> None:
        """The commit alone where the server gives it so, else everything."""
        if self._offline:
            raise PackageIndexError(
                f"commit {commit[:12]} of {self.location} is not in the cache, and lumienv is offline",
                hint="run the command once without `--offline`, where there is a network",
            )
        self._say(f"fetching {self.location}")
        keep = f"+{commit}:refs/lumienv/commits/{commit}"
        done = self._fetch("--depth=1", "--no-tags", "--", self.location, keep)
        if done.returncode != 0 or not self._has(commit):
            self._fetch_everything()
        if not self._has(commit):
            raise self._no_revision(revision or commit)

    def _fetch_everything(self) -> None:
        if self._offline:
            raise PackageIndexError(
                f"the history of {self.location} is not in the cache, and lumienv is offline",
                hint="run the command once without `--offline`, where there is a network",
            )
        depth = ["--unshallow"] if (self._bare / "shallow").exists() else []
        words = ("--prune", "--no-tags", "--", self.location, *_EVERYTHING)
        if self._fetch(*depth, *words).returncode != 0:
            # A git that was killed may leave its lock files, or a reference without its commit.
            self._make("fetch", "--quiet", "--force", *words)

    def _fetch(self, *words: str) -> Completed:
        if not self._bare.is_dir():
            self._make()
        return self._try("fetch", "--quiet", "--force", *words)

    def _make(self, *words: str) -> None:
        """A new bare repository, in which a command has been run; it appears whole, or not at all."""
        for left in abandoned(self._root, _NEW):
            remove_tree(left)
        path = self._root / f"{own_prefix(_NEW)}{secrets.token_hex(8)}"
        with new_directory(path, f"fetch {self.location}") as new:
            git = _Git(self.location, new)
            git.run("init", "--quiet", "--bare", "--template=", str(new))
            if words:
                git.run(*words)
            remove_tree(self._bare)
            new.replace(self._bare)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        doing = f"fetch {self.location}"
        with disk_errors(doing, self._root):
            private_directory(self._root)
        with one_writer(self._bare.with_suffix(".lock"), doing, self._say):
            yield

    def _git(self, *words: str) -> str:
        if not self._bare.is_dir():
            self._make()
        return _Git(self.location, self._bare).run(*words)

    def _try(self, *words: str) -> Completed:
        return _Git(self.location, self._bare).try_(*words)


def write_description(tree: Path, location: str) -> None:
    """Write down in a work tree what git says of its commit, for builds in an image that has no git.

    In the form of `.git_archival.txt`, which setuptools-scm (and with it hatch-vcs) reads where git itself
    cannot be asked (setuptools-scm documentation, "Git archives"). Where it can, this file changes nothing.
    """
    git = _Git(location, tree)
    said = git.try_("log", "-1", "--format=%H %cI")
    if said.returncode != 0:
        return
    commit, _, date = said.stdout.strip().partition(" ")
    described = git.try_("describe", "--tags", "--long", "--match", "*[0-9]*").stdout.strip()
    text = f"node: {commit}\nnode-date: {date}\n"
    text += f"describe-name: {described}\n" if described else ""
    path = tree / ".git_archival.txt"
    if path.is_symlink():
        return
    if path.exists():
        git.try_("update-index", "--assume-unchanged", "--", path.name)  # else the tree would look changed
    with disk_errors("check out a git repository", tree):
        path.write_text(text)


def take_configuration_away(tree: Path) -> bool:
    """Leave of the copy of a repository's configuration only what is needed to read it; False: not possible.

    A copy is this user's own, so that git no longer asks whose it was; and a configuration may name programs
    (`gpg.program`, `core.sshCommand`), which would run outside the image.
    """
    folder = tree / ".git"
    config = folder / "config"
    if folder.is_symlink() or not folder.is_dir() or config.is_symlink() or (folder / "commondir").exists():
        return False
    git = _Git(str(tree), Path("/"))
    kept = []
    for name in ("core.repositoryformatversion", "extensions.objectformat", "extensions.refstorage"):
        said = git.try_("config", "--file", str(config), "--no-includes", "--get", name)
        if re.fullmatch(r"[0-9a-z]+\n", said.stdout):
            section, _, key = name.partition(".")
            kept.append(f"[{section}]\n{key} = {said.stdout}")
    with disk_errors("copy a git repository", tree):
        config.unlink(missing_ok=True)
        config.write_text("".join(kept))
    return True


class _Git:
    """`git` in a folder."""

    def __init__(self, location: str, folder: Path) -> None:
        self._location = location
        self._folder = folder

    def run(self, *words: str) -> str:
        """What it prints. Raises ManifestError, PackageIndexError."""
        done = self.try_(*words)
        if done.returncode != 0:
            raise _failure(self._location, done)
        return done.stdout

    def try_(self, *words: str) -> Completed:
        try:
            return capture(
                ["git", *OPTIONS, *words], env=_environment(self._location, os.environ), cwd=self._folder
            )
        except ContainerError as error:
            raise PackageIndexError(
                f"cannot fetch {self._location}: there is no git on this machine",
                hint="install git, or have it on PATH (on a cluster: module load git)",
            ) from error


def _environment(location: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's, but such that git asks nothing, answers in English, and starts no other transport."""
    kept = {name: value for name, value in environ.items() if name not in OTHERS}
    # A submodule may name any address: one on this machine only where the repository is on it too.
    local = ":file" if location.startswith("file:") else ""
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": f"https:http:ssh:git{local}",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C",
    }


def _failure(location: str, done: Completed) -> LumienvError:
    """git's own words as one of the few things that can be wrong, without what a URL may hold."""
    lines = [
        without_secret(line.strip()).removeprefix("fatal: ").removeprefix("ERROR: ")
        for line in done.stderr.splitlines()
        if line.strip() and not line.startswith(("Please make sure", "and the repository exists", "warning:"))
    ]
    said = " ".join(lines).lower()
    facts = lines[:3]
    if any(word in said for word in _REFUSED):
        return PackageIndexError(
            f"the git repository {location} refuses access, or does not exist",
            *facts,
            hint=f"see whether git gets in, with your keys or credentials:\ngit ls-remote {location}",
        )
    if "could not resolve host" not in said and any(word in said for word in _GONE):
        return ManifestError(
            f"there is no git repository at {location}",
            *facts,
            hint="correct its address in lumienv.toml",
        )
    return PackageIndexError(
        f"cannot fetch the git repository {location}",
        *facts,
        hint=f"check the network, and whether git gets there by itself:\ngit ls-remote {location}",
    )
