"""Addresses of images: `docker://org/image:tag` in a registry, and the archives that both runtimes read.

The grammar is that of the distribution project (`reference/reference.go`); what does not fit it is refused
before any program sees it. Every job of a project with `[image] uri` comes here, so nothing is imported.
"""

from __future__ import annotations

from lumienv.values import dataclass

REGISTRY = "docker"
ARCHIVES = ("oci-archive", "docker-archive", "oci")
_HUB = "docker.io"
_DIGEST = "sha256:"
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_NO_SEPARATORS = ("..", "._", "_.", ".-", "-.", "___", "_-", "-_")
_LONGEST_NAME, _LONGEST_TAG = 255, 128


@dataclass(frozen=True)
class ImageAddress:
    """Where an image is to be had."""

    transport: str
    """`docker`, or one of ARCHIVES"""
    name: str
    """as it was written, without tag and digest: `ghcr.io/org/image`; of an archive, its path"""
    tag: str = ""
    digest: str = ""
    """`sha256:…`, where the address says which image exactly"""

    def __str__(self) -> str:
        if self.transport != REGISTRY:
            return f"{self.transport}:{self.name}"
        tag = f":{self.tag}" if self.tag else ""
        return f"docker://{self.name}{tag}{'@' if self.digest else ''}{self.digest}"

    @property
    def host(self) -> str:
        """The registry's name, and its port where one is written."""
        first, slash, _ = self.name.partition("/")
        is_host = slash and ("." in first or ":" in first or first == "localhost")
        return first if is_host else _HUB

    @property
    def repository(self) -> str:
        """What the registry calls the image: Docker Hub has its own below `library/`."""
        name = self.name.removeprefix(f"{self.host}/")
        return name if self.host != _HUB or "/" in name else f"library/{name}"

    @property
    def reference(self) -> str:
        """What is asked for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    @property
    def key(self) -> str:
        """The same for all ways to write this address."""
        if self.transport != REGISTRY:
            return str(self)
        mark = "@" if self.digest else ":"
        return f"docker://{self.host}/{self.repository}{mark}{self.reference}"

    def pinned(self, digest: str) -> ImageAddress:
        """The address of this very image, whatever the tag will be moved to."""
        return ImageAddress(self.transport, self.name, digest=digest)


def parse_address(text: str) -> ImageAddress:
    """The address that `text` is.

    Raises ValueError with a reason that completes "it …" and never repeats the text: it may hold a password.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in (REGISTRY, *ARCHIVES):
        known = ", ".join(f"{name}:" for name in ARCHIVES)
        raise ValueError(f"is no address of an image that lumienv knows: docker://NAME, or {known}")
    if scheme in ARCHIVES:
        return ImageAddress(scheme, _archive_path(rest))
    if not rest.startswith("//"):
        raise ValueError("needs two slashes: docker://NAME")
    return _in_registry(rest.removeprefix("//"))


def _archive_path(path: str) -> str:
    if not path or path.startswith("//"):
        raise ValueError("names a file or folder of this machine behind the colon")
    # The runtimes take what stands behind a colon for a tag, and one of them for a part of the path.
    if ":" in path or not path.isprintable():
        raise ValueError("has a colon or a control character in its path, which the runtimes cannot read")
    return path


def _in_registry(rest: str) -> ImageAddress:
    bare, _, digits = rest.partition(f"@{_DIGEST}")
    if "@" in bare and "/" in bare.rpartition("@")[2]:
        raise ValueError("has a user name or a password in it: lumienv uses those that the runtime knows")
    if (rest != bare and (len(digits) != 64 or not set(digits) <= set("0123456789abcdef"))) or "@" in bare:
        raise ValueError("has no digest behind the @: sha256: and 64 hexadecimal digits")
    name, tag = bare, ""
    if ":" in bare.rpartition("/")[2]:
        name, _, tag = bare.rpartition(":")
        if not _is_tag(tag):
            raise ValueError("has a tag that no image can have")
    address = ImageAddress(REGISTRY, name, tag, _DIGEST + digits if digits else "")
    path = name.removeprefix(f"{address.host}/")
    if not (_is_host(address.host) and _is_path(path)):
        raise ValueError("has a name that no image can have: small letters, digits, and . _ - / between them")
    return address


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _LONGEST_TAG and tag[0] in _WORD and set(tag) <= _WORD | {".", "-"}


def _is_host(host: str) -> bool:
    name, colon, port = host.partition(":")
    labels = name.split(".")
    fit = all(set(label.lower()) <= _LOWER | {"-"} and label.strip("-") == label != "" for label in labels)
    return fit and (not colon or (port.isascii() and port.isdigit()))


def _is_path(path: str) -> bool:
    """Words of small letters and digits, with a `/`, or one of `.`, `_`, `__`, `-`, `--`… between them."""
    return 0 < len(path) <= _LONGEST_NAME and all(map(_is_component, path.split("/")))


def _is_component(part: str) -> bool:
    known = part != "" and set(part) <= _LOWER | {".", "_", "-"}
    ends = known and part[0] in _LOWER and part[-1] in _LOWER
    return ends and not any(pair in part for pair in _NO_SEPARATORS)
