"""Which indexes are asked.

lumienv has no index address of its own: the default is pip's configured `index-url`, else uv's.

Their other places for packages are not taken over: `extra-index-url` and `find-links` of pip, `find-links`
and further indexes of uv. pip merges what they offer with the index's own, so that whoever can put a higher
version of a name on any of them decides what is installed (dependency confusion), and a colleague's lock
would depend on a file that is not in the project. Who wants them writes them into lumienv.toml, where they
have an order: `[[index]]` with `format = "flat"` is what pip and uv call find-links.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from lumienv.errors import ContainerError, PackageIndexError
from lumienv.files import private_directory, user_path
from lumienv.index.credentials import Credentials, split_credentials
from lumienv.index.settings import PipConfiguration, UvConfiguration
from lumienv.sealed import read_sealed, write_sealed


@dataclass(frozen=True, slots=True)
class IndexSource:
    """One package index: its bare URL, and which names it serves.

    An `explicit` index is asked only for `packages`, the normalised names pinned to it; a name that is
    pinned anywhere is asked nowhere else. A `flat` one is a single page of links, or a folder of files.
    `relative` is the path of a folder as it was written, where it starts at the project: what is locked from
    there is locked by its path. Make one with `index_source`, which takes the password out of the URL.
    """

    url: str
    name: str | None = None
    explicit: bool = False
    packages: frozenset[str] = frozenset()
    credentials: Credentials | None = field(default=None, repr=False, compare=False)
    flat: bool = False
    relative: str | None = None
    in_manifest: bool = field(default=False, compare=False)

    @property
    def setting(self) -> str:
        """Where its address comes from, for advice."""
        return (
            "[[index]] in lumienv.toml"
            if self.in_manifest
            else "the index-url in pip's or uv's configuration"
        )

    @property
    def label(self) -> str:
        """What its pages give as their index: the URL, or the path as written."""
        return self.relative if self.relative is not None else self.url


def index_source(
    url: str,
    *,
    name: str | None = None,
    explicit: bool = False,
    packages: frozenset[str] = frozenset(),
    flat: bool = False,
    folder: Path | None = None,
    in_manifest: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> IndexSource:
    """An index from a URL as a user wrote it, userinfo allowed; a bare path means a local directory.

    A path that starts with `./` or `../` is seen from `folder`, the project.

    A named index also takes its credentials from `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`, which is uv's
    way to keep them out of files (uv documentation, "Package indexes", "Authentication").
    Raises PackageIndexError for a URL that is none of http, https and file.
    """
    written = url.strip()
    relative = None
    if folder is not None and (written in (".", "..") or written.startswith(("./", "../"))):
        relative, written = written, path_as_url(written, folder)
    elif written.startswith(("/", "~")):
        written = user_path(written).absolute().as_uri()
    try:
        bare, credentials = split_credentials(written)
    except ValueError:
        bare, credentials = "", None
    if not re.match(r"https?://[^/?#]|file:///", bare):
        label = f"index {name}" if name else "the package index"
        raise PackageIndexError(
            f"{label} has no usable address",
            hint="write it as https://packages.example.org/simple, or ./folder for one in the project",
        )
    if credentials is None and name is not None:
        variable = "UV_INDEX_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
        username, password = environ.get(f"{variable}_USERNAME"), environ.get(f"{variable}_PASSWORD")
        if username is not None or password is not None:
            credentials = Credentials(username or "", password)
    names = frozenset(str(canonicalize_name(package)) for package in packages)
    address = bare.partition("#")[0]
    if not flat or address.startswith("file:"):  # of a page of links the slash belongs to its address
        address = address.rstrip("/")
    return IndexSource(address, name, explicit, names, credentials, flat, relative, in_manifest)


def path_as_url(path: str, folder: Path) -> str:
    """The file: URL of a path, as a manifest or a lock in `folder` gives it; the opposite of `path_in_lock`.

    Links on the way to `folder` are followed, those below it are not: `./wheels` stays in the project,
    whatever it leads to.
    """
    return Path(os.path.normpath(folder.resolve() / path)).as_uri()


def path_in_lock(url: str, index: str | None, folder: Path) -> str | None:
    """The path by which a lock in `folder` names a file (PEP 751, `packages.wheels.path`); None: by its URL.

    `index` is what its page gives as index. Where that is a path as the manifest has it, the file's path is
    written, relative to the project and with `/`; `index` itself is then left out, as PEP 751 wants a URL
    there.
    """
    if index is None or "://" in index or not url.startswith("file:"):
        return None
    path = unquote(urlsplit(url).path)
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def default_index(cache: Path | None = None, environ: Mapping[str, str] = os.environ) -> IndexSource:
    """The index that pip is configured with, else the one that uv is configured with or has built in.

    Only `index-url` counts, not `extra-index-url` or `find-links`: those would let any index answer for any
    name. `cache` is where uv's answer is kept.
    Raises PackageIndexError when neither knows one.
    """
    url = PipConfiguration(environ).get("index-url")
    # uv reads these before its files, so that asking it would change nothing.
    url = url or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or _uv_default(cache, environ)
    named = re.match(r"([\w.-]+)=(?=\w+://)", url)  # uv also takes name=URL
    return index_source(
        url[named.end() :] if named else url, name=named[1] if named else None, environ=environ
    )


def _uv_default(cache: Path | None, environ: Mapping[str, str]) -> str:
    """Ask uv, as it writes its default index into what it compiles; the answer may hold credentials."""
    import uv

    from lumienv.runtime.process import capture

    try:
        program = Path(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise PackageIndexError(
            "cannot find out the default package index: pip names none and uv is missing",
            hint="reinstall lumienv, or set PIP_INDEX_URL=https://packages.example.org/simple",
        ) from error
    question = _uv_fingerprint(program, environ)
    entry = None if cache is None else cache / "default-index"
    if entry is not None:
        known = read_sealed(entry)
        if known is not None:
            asked, _, answer = known.decode("utf-8", "replace").partition("\n")
            if asked == question and answer:
                return answer
    argv = [str(program), "pip", "compile", "--quiet", "--no-header", "--emit-index-url", "--offline"]
    argv += ["--no-cache", "--no-python-downloads", "--python", sys.executable, "-"]
    # From the root directory: a uv.toml or pyproject.toml of the project is not lumienv's configuration.
    try:
        done = capture(argv, env=environ, stdin="", timeout=60, cwd=Path("/"))
    except ContainerError as error:
        raise PackageIndexError(f"cannot find out the default package index: {error.message}") from error
    found = re.search(r"^(?:--index-url|-i)[ =](\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise PackageIndexError(
            "cannot find out the default package index: pip names none and uv gives no answer",
            f"{program.name} pip compile --emit-index-url ended with exit code {done.returncode}",
            hint="check uv's configuration (uv.toml), or set\nPIP_INDEX_URL=https://packages.example.org/simple",
        )
    answer = found[1]
    if entry is not None and split_credentials(answer)[1] is None:
        with suppress(OSError):  # a full disk: uv is asked again next time
            write_sealed(private_directory(entry.parent), entry, f"{question}\n{answer}".encode())
    return answer


def _uv_fingerprint(program: Path, environ: Mapping[str, str]) -> str:
    """A digest of all that uv's answer depends on: its binary, its variables, its configuration files."""
    files = [program, *UvConfiguration(environ).files()]
    states: list[object] = [environ.get("UV_CONFIG_FILE"), environ.get("UV_NO_CONFIG")]
    for path in files:
        try:
            status = path.stat()
            states.append((str(path), status.st_size, status.st_mtime_ns))
        except OSError:
            states.append((str(path), None))
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()
