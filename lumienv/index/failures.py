"""Why a host could not be reached, as a sentence.

The texts of urllib3's own exceptions are never shown: they hold addresses of objects, and whatever the URL
held.
"""

import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from urllib3 import exceptions

from lumienv.errors import PackageIndexError
from lumienv.index.credentials import place, shown
from lumienv.index.proxies import proxy_for
from lumienv.index.settings import PipConfiguration


def is_final(error: Exception, attempt: int) -> bool:
    """Whether trying again makes no sense.

    A certificate stays wrong; and where a connection was not answered for the whole timeout, twice, nobody
    waits a minute for the next attempts.
    """
    if isinstance(error, (exceptions.SSLError, ssl.SSLError, exceptions.LocationValueError)):
        return True
    if isinstance(error, exceptions.ProxyError):
        return is_final(error.original_error, attempt)
    return _timed_out(error) and attempt >= 2


def _timed_out(error: BaseException) -> bool:
    # A refused connection is a ConnectTimeoutError too in urllib3's class tree.
    return isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(
        error, exceptions.NewConnectionError
    )


def unreachable(url: str, error: Exception, setting: str) -> PackageIndexError:
    """The failure as an error; `url` is what was asked for, `setting` where its host is named."""
    if isinstance(error, exceptions.ProxyError):
        if _tunnel_status(error) == 407:
            return proxy_refuses(url)
        named = proxy_for(url, PipConfiguration())
        setting = named[1] if named is not None else f"{urlsplit(url).scheme}_proxy"
        status = _tunnel_status(error)
        return PackageIndexError(
            f"cannot reach {place(url)} through the proxy",
            f"the proxy refuses (HTTP {status})" if status is not None else _reason(error.original_error),
            f"while fetching {shown(url)}",
            hint=f"check {setting} and no_proxy",
        )
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return PackageIndexError(
            f"cannot talk to {place(url)} securely",
            _certificate_reason(error),
            f"while fetching {shown(url)}",
            *_not_taken_over(),
            hint="a private CA is made known with SSL_CERT_FILE, PIP_CERT, or `cert` in pip's configuration",
        )
    return PackageIndexError(
        f"cannot reach the package index at {place(url)}: no network?",
        _reason(error),
        f"while fetching {shown(url)}",
        hint=f"check the network, and {setting};\n`--offline` works with what the cache holds",
    )


def reason_of(error: Exception) -> str:
    """Why a host could not be reached, in a few words."""
    inner = error.reason if isinstance(error, exceptions.MaxRetryError) else error
    if isinstance(inner, exceptions.ProxyError):
        return f"through the proxy: {_reason(inner.original_error)}"
    if isinstance(inner, (exceptions.SSLError, ssl.SSLError)):
        return _certificate_reason(inner)
    return _reason(inner or error)


def is_certificate(error: Exception) -> bool:
    """Whether a host was not believed to be who it says it is."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def is_plain_http(error: Exception) -> bool:
    """Whether a host that was asked for https answered with something that is none at all."""
    found = (cause.reason for cause in _causes(error) if isinstance(cause, ssl.SSLError))
    return any(reason in _NO_TLS for reason in found)


# What OpenSSL calls bytes that are no TLS: until 3.1, and since.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def proxy_refuses(url: str) -> PackageIndexError:
    """The proxy answered 407."""
    named = proxy_for(url, PipConfiguration())
    given = named is not None and "@" in named[0]
    setting = named[1] if named is not None else "the variable"
    return PackageIndexError(
        "the proxy does not accept the password" if given else "the proxy wants a password",
        f"while fetching {shown(url)}",
        hint=f"put it into {setting}, which names the proxy: http://NAME:PASSWORD@proxy.example.org:3128",
    )


def _tunnel_status(error: exceptions.ProxyError) -> int | None:
    """What a proxy answered when it was asked for a tunnel; http.client says it in the text only."""
    found = re.search(r"Tunnel connection failed: (\d{3})", str(error.original_error))
    return int(found[1]) if found is not None else None


def _not_taken_over() -> list[str]:
    if PipConfiguration().get("trusted-host"):
        return ["pip's `trusted-host` is not taken over: without the check, anybody could forge the answers"]
    return []


def _reason(error: BaseException) -> str:
    if isinstance(error, exceptions.NameResolutionError):
        return "the name cannot be resolved"
    if _timed_out(error):
        return "no connection within the time limit (LUMIENV_HTTP_TIMEOUT, in seconds)"
    if isinstance(error, exceptions.ReadTimeoutError):
        return "no answer within the time limit (LUMIENV_HTTP_TIMEOUT, in seconds)"
    if isinstance(error, (exceptions.ProtocolError, exceptions.DecodeError)):
        return "the connection broke off, several times"
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return "the connection failed"


def _certificate_reason(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
    return "the secure connection could not be made (no https there?)"


def _causes(error: Exception) -> Iterator[BaseException]:
    """The error, and those inside of it; urllib3 hands some on as an argument, or as `reason`."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        if isinstance(cause, exceptions.MaxRetryError):
            inner = cause.reason
        elif isinstance(cause, exceptions.ProxyError):
            inner = cause.original_error
        cause = inner or cause.__cause__
