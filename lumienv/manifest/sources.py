"""The address in a requirement (`mylib @ git+https://example.org/mylib@v1.2`), taken apart.

PEP 508 allows any URL there; PEP 440 and pip say how a version control system, a revision and a subdirectory
are spelled in it ("Direct references"; pip documentation, "VCS Support").
"""

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from lumienv.manifest import DISTRIBUTIONS, Source

_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s?#]*@", re.IGNORECASE)
_GIT_SCHEMES = ("https", "http", "ssh", "git", "file")


def source_of_url(url: str) -> Source:
    """The source that a URL means. Raises ValueError, whose text completes "it …"."""
    parts = _parts(url)
    fragment = parse_qs(parts.fragment)
    subdirectory = fragment.get("subdirectory", [""])[0]
    bare = parts._replace(fragment="")
    if parts.scheme.startswith("git+"):
        path, _, revision = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
        location = urlunsplit(bare._replace(scheme=parts.scheme.removeprefix("git+"), path=path))
        return git_source(location, unquote(revision), subdirectory)
    if "+" in parts.scheme:
        raise ValueError(f"is kept in {parts.scheme.partition('+')[0]}, and lumienv knows git only")
    if parts.scheme == "file":
        path = unquote(parts.path)
        if path.endswith(DISTRIBUTIONS):
            return Source(
                "url", urlunsplit(bare), subdirectory=subdirectory, sha256=_promised(parts.fragment)
            )
        return Source("path", path, subdirectory=subdirectory)
    return url_source(url, subdirectory)


def git_source(location: str, revision: str = "", subdirectory: str = "") -> Source:
    """A git repository at a revision. Raises ValueError as `source_of_url` does."""
    if "://" not in location and ":" in location and not location.startswith(("/", ".")):
        host, _, path = location.partition(":")  # the way of scp, as hosts show it: git@example.org:group/x
        location = f"ssh://{host}/{path}"
    parts = _parts(location)
    if parts.scheme not in _GIT_SCHEMES or not parts.path.strip("/"):
        raise ValueError("is no address of a git repository (https://…, ssh://…, file:///…)")
    if revision.startswith("-"):
        raise ValueError(f"names a revision that git cannot have: {revision}")
    _refuse_password(location)
    return Source("git", location, revision, subdirectory)


def url_source(location: str, subdirectory: str = "") -> Source:
    """A wheel or source distribution at a URL. Raises ValueError as `source_of_url` does."""
    parts = _parts(location)
    if parts.scheme not in ("https", "http", "file") or not (parts.netloc or parts.scheme == "file"):
        raise ValueError("is no address that lumienv can fetch from (https://…, git+https://…, file:///…)")
    if not unquote(parts.path).endswith(DISTRIBUTIONS):
        raise ValueError(f"names no wheel and no source distribution ({', '.join(DISTRIBUTIONS)})")
    _refuse_password(location)
    bare = urlunsplit(parts._replace(fragment=""))
    return Source("url", bare, subdirectory=subdirectory, sha256=_promised(parts.fragment))


def without_secret(text: str) -> str:
    """A text without the user name and password that an address in it may have, as messages may show it."""
    return _USER.sub(r"\1", text)


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # a half bracket, say: what Python says of it fits no sentence
        raise ValueError("is no address (https://…, git+https://…, file:///…)") from None


def _promised(fragment: str) -> str:
    """The hash behind a URL, which pip checks too (its documentation, "Secure installs"); empty: none."""
    for name, values in parse_qs(fragment).items():
        if name == "sha256" and re.fullmatch(r"[0-9a-fA-F]{64}", values[0]):
            return values[0].lower()
        if name in ("sha256", "md5", "sha1", "sha224", "sha384", "sha512"):
            raise ValueError(f"ends in a hash that lumienv does not check ({name}): write #sha256=…, or none")
    return ""


def _refuse_password(location: str) -> None:
    parts = _parts(location)
    if parts.password is not None or (parts.username is not None and parts.scheme in ("http", "https")):
        raise ValueError(
            "contains a user name or password, which would be shared with this file: put them into ~/.netrc"
        )
