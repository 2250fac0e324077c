"""Which indexes are asked, and what pip and uv are configured with.

lumienv has no index address of its own: the default is pip's configured `index-url`, else uv's. pip's files
and variables are read in pip's order (pip documentation, "Configuration", "Precedence").
"""

import configparser
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from packaging.utils import canonicalize_name

from lumienv.errors import ContainerError, PackageIndexError
from lumienv.files import private_directory
from lumienv.index.credentials import Credentials, split_credentials
from lumienv.sealed import read_sealed, write_sealed

SYSTEM_FILE = Path("/etc/pip.conf")


@dataclass(frozen=True, slots=True)
class IndexSource:
    """One package index: its bare URL, and which names it serves.

    An `explicit` index is asked only for `packages`, the normalised names pinned to it; a name that is
    pinned anywhere is asked nowhere else. Make one with `index_source`, which takes the password out of the
    URL.
    """

    url: str
    name: str | None = None
    explicit: bool = False
    packages: frozenset[str] = frozenset()
    credentials: Credentials | None = field(default=None, repr=False, compare=False)


def index_source(
    url: str,
    *,
    name: str | None = None,
    explicit: bool = False,
    packages: frozenset[str] = frozenset(),
    environ: Mapping[str, str] = os.environ,
) -> IndexSource:
    """An index from a URL as a user wrote it, userinfo allowed; a bare path means a local directory.

    A named index also takes its credentials from `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`, which is uv's
    way to keep them out of files (uv documentation, "Package indexes", "Authentication").
    Raises PackageIndexError for a URL that is none of http, https and file.
    """
    written = url.strip()
    if written.startswith(("/", "~")):
        written = Path(written).expanduser().as_uri()
    try:
        bare, credentials = split_credentials(written)
    except ValueError:
        bare, credentials = "", None
    if not re.match(r"https?://[^/?#]|file:///", bare):
        label = f"index {name}" if name else "the package index"
        raise PackageIndexError(
            f"{label} has no usable address", hint="write it as https://packages.example.org/simple"
        )
    if credentials is None and name is not None:
        variable = "UV_INDEX_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
        username, password = environ.get(f"{variable}_USERNAME"), environ.get(f"{variable}_PASSWORD")
        if username is not None or password is not None:
            credentials = Credentials(username or "", password or "")
    names = frozenset(str(canonicalize_name(package)) for package in packages)
    return IndexSource(bare.partition("#")[0].rstrip("/"), name, explicit, names, credentials)


class PipConfiguration:
    """What `pip install` would take from its configuration files and `PIP_…` variables."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def get(self, option: str) -> str | None:
        """The value of a long option (`index-url`), or None; empty values count as unset, as in pip.

        Raises PackageIndexError for a configuration file that cannot be parsed.
        """
        variable = self._environ.get("PIP_" + option.upper().replace("-", "_"))
        return variable or self._values.get(option)

    def files(self) -> list[Path]:
        """pip's configuration files on Linux, the later ones winning; they need not exist."""
        environ = self._environ
        named = environ.get("PIP_CONFIG_FILE")
        if named == os.devnull:
            return []
        home = Path(environ.get("HOME") or Path.home())
        shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        prefix = Path(environ.get("VIRTUAL_ENV") or sys.prefix)
        found = [Path(directory, "pip", "pip.conf") for directory in shared.split(":") if directory]
        found += [SYSTEM_FILE, home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
        found += [prefix / "pip.conf"]
        if named:
            found.append(Path(named).expanduser())
        return found

    @cached_property
    def _values(self) -> dict[str, str]:
        # [install] beats [global] whichever file it stands in; within a section the later file wins.
        sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
        for path in self.files():
            parser = configparser.RawConfigParser()
            try:
                parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            except (configparser.Error, UnicodeDecodeError) as error:
                # The parser's own message may quote a line with a password, so it is not passed on.
                raise PackageIndexError(
                    f"cannot read pip's configuration {path}",
                    hint="`pip config debug` shows what is wrong; PIP_CONFIG_FILE=/dev/null leaves it out",
                ) from error.with_traceback(None)
            for section, values in sections.items():
                if parser.has_section(section):
                    for key, value in parser.items(section):
                        if value:
                            values[key.lower().replace("_", "-").removeprefix("--")] = value
        return {**sections["global"], **sections["install"]}


def default_index(cache: Path | None = None, environ: Mapping[str, str] = os.environ) -> IndexSource:
    """The index that pip is configured with, else the one that uv is configured with or has built in.

    Only `index-url` counts, not `extra-index-url` or `find-links`: those would let any index answer for any
    name. `cache` is where uv's answer is kept.
    Raises PackageIndexError when neither knows one.
    """
    url = PipConfiguration(environ).get("index-url")
    # uv reads these before its files, so that asking it would change nothing.
    url = url or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    url = re.sub(r"^[\w.-]+=", "", url) if url else _uv_default(cache, environ)  # uv also takes name=URL
    return index_source(url, environ=environ)


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
    home = Path(environ.get("HOME") or Path.home())
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files = [program, *(Path(directory, "uv", "uv.toml") for directory in shared), Path("/etc/uv/uv.toml")]
    files += [Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "uv", "uv.toml")]
    if environ.get("UV_CONFIG_FILE"):
        files.append(Path(environ["UV_CONFIG_FILE"]))
    states: list[object] = [environ.get("UV_CONFIG_FILE"), environ.get("UV_NO_CONFIG")]
    for path in files:
        try:
            status = path.stat()
            states.append((str(path), status.st_size, status.st_mtime_ns))
        except OSError:
            states.append((str(path), None))
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def certificate_bundle(
    pip: PipConfiguration, environ: Mapping[str, str] = os.environ
) -> tuple[str, str] | None:
    """The CA bundle to trust and the setting that names it, or None for the system's.

    In the order PIP_CERT, pip's `cert`, SSL_CERT_FILE, REQUESTS_CA_BUNDLE: pip's own word, then OpenSSL's
    and uv's, then that of requests.
    """
    chosen = [
        ("PIP_CERT", environ.get("PIP_CERT")),
        ("`cert` in pip's configuration", pip.get("cert")),
        ("SSL_CERT_FILE", environ.get("SSL_CERT_FILE")),
        ("REQUESTS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE")),
    ]
    return next(((path, setting) for setting, path in chosen if path), None)
