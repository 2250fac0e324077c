"""Ask a registry for an image's documents (OCI distribution specification), with failures as sentences.

A registry that wants to know who asks says where a token is to be had: that place is asked with the user's
name and password, the registry with the token. Neither is sent on to where a redirect leads.
"""

import difflib
import json
import os
import re
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from lumienv.errors import ImageError
from lumienv.image.oci import LARGEST
from lumienv.index.credentials import Credentials, origin
from lumienv.index.transport import Answer
from lumienv.manifest.imageaddress import ImageAddress
from lumienv.registry.credentials import credentials_for
from lumienv.runtime.singularity import LOGIN, LOGIN_VARIABLES

if TYPE_CHECKING:
    from urllib3 import PoolManager, Timeout

_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# Docker Hub's name is not that of the machine which answers.
_HUB = {"docker.io": "registry-1.docker.io"}
_MOVED = (301, 302, 303, 307, 308)
_REDIRECTS = 6
# RFC 6750 allows still less; a header takes no more.
_TOKEN = re.compile(r"[!-~]+")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """Where the image of an address lies; `https` is False for a registry that speaks http alone.

    `variables` is False where the name and password in the user's variables are not meant for it.
    """

    def __init__(
        self, address: ImageAddress, environ: Mapping[str, str], *, https: bool = True, variables: bool = True
    ) -> None:
        self._address = address
        self._environ = environ
        self._variables = variables
        self._scheme = "https" if https else "http"
        self._host = _HUB.get(address.host, address.host)
        self._authorization: str | None = None
        self._pool: PoolManager | None = None
        self._timeout: Timeout | None = None

    def manifest(self) -> bytes:
        """The document that the address leads to now. Raises ImageError."""
        try:
            return self._get(f"manifests/{self._address.reference}")
        except _MissingError as error:
            tags = self._tags()
            near = difflib.get_close_matches(self._address.reference, tags, n=4) or tags[-4:]
            facts = [f"its tags: {', '.join(tags)}" if len(tags) < 5 else f"tags there: {', '.join(near)}, …"]
            raise ImageError(error.message, *error.facts, *(facts if tags else ()), hint=error.hint) from None

    def document(self, digest: str) -> bytes:
        """A manifest or a configuration by its digest; whoever asks compares it. Raises ImageError."""
        try:
            return self._get(f"blobs/{digest}")
        except _MissingError:
            return self._get(f"manifests/{digest}")

    def _tags(self) -> list[str]:
        """Those that there are; none where the registry does not say."""
        try:
            found = json.loads(self._get("tags/list")).get("tags") or []
        except (ImageError, ValueError, AttributeError, RecursionError):
            return []
        if not isinstance(found, list):
            return []
        return [tag for tag in found if isinstance(tag, str)]

    def _get(self, path: str) -> bytes:
        url = f"{self._scheme}://{self._host}/v2/{self._address.repository}/{path}"
        answer = self._request(url, self._authorization)
        if answer.status == 401 and self._authorization is None:
            self._authorization = self._authorized(answer)
            if self._authorization is not None:
                answer = self._request(url, self._authorization)
        if answer.status != 200:
            raise self._refusal(answer.status)
        if len(answer.body) > LARGEST:
            raise ImageError(
                f"the registry {self._host} answers with more than a document", hint=_NO_REGISTRY
            )
        return answer.body

    def _request(self, url: str, authorization: str | None) -> Answer:
        """The answer at the end of all redirects; who asks is told to no other host."""
        try:
            for _ in range(_REDIRECTS):
                answer = self._once(url, authorization)
                location = answer.headers.get("Location") if answer.status in _MOVED else None
                if not location:
                    return answer
                target = urljoin(url, location)
                authorization = authorization if origin(target) == origin(url) else None
                url = target
        except ValueError:  # of urllib.parse
            raise self._elsewhere("to something that is no address") from None
        raise self._elsewhere("in circles")

    def _once(self, url: str, authorization: str | None) -> Answer:
        from urllib3 import Retry
        from urllib3.exceptions import HTTPError

        sent = {"Accept": _TYPES, "User-Agent": "lumienv"}
        sent |= {"Authorization": authorization} if authorization is not None else {}
        # `Retry-After` may ask for hours: who waits that long should know it, and decide it.
        retries = Retry(
            3,
            redirect=False,
            backoff_factor=0.3,
            status_forcelist=(502, 503, 504),
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        try:
            response = self._connections().request(
                "GET",
                url,
                headers=sent,
                timeout=self._timeout,
                retries=retries,
                redirect=False,
                preload_content=False,
            )
            body = response.read(LARGEST + 1, decode_content=True)
            response.close()
        except (HTTPError, ssl.SSLError) as error:
            raise self._unreachable(error) from None
        return Answer(response.status, response.headers, body, url)

    def _connections(self) -> "PoolManager":
        if self._pool is None:
            import urllib3

            from lumienv.index.certificates import ssl_context
            from lumienv.index.proxies import connections_through, proxy_for
            from lumienv.index.settings import PipConfiguration, http_timeout

            # pip's settings are for its index; the runtime, which fetches the image, has never heard of them.
            environ = {k: v for k, v in self._environ.items() if not k.startswith("PIP_")}
            environ["PIP_CONFIG_FILE"] = os.devnull
            self._timeout = urllib3.Timeout(connect=http_timeout(10.0), read=http_timeout(30.0))
            context = ssl_context(environ)
            proxy = proxy_for(f"{self._scheme}://{self._host}", PipConfiguration(environ), environ)
            self._pool = (
                connections_through(proxy, 2, context)
                if proxy is not None
                else urllib3.PoolManager(ssl_context=context)
            )
        return self._pool

    @cached_property
    def _credentials(self) -> Credentials | None:
        """Who the user is here; looked for once, and only where that is asked: a keyring may be locked."""
        return credentials_for(self._address.host, self._environ, variables=self._variables)

    def _authorized(self, refused: Answer) -> str | None:
        """What to send to a registry that has answered 401; None where nothing would help."""
        known = self._credentials
        kind, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        if kind.lower() == "basic":
            return known.authorization() if known is not None else None
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        # A password goes to no place that is less closed than the registry itself.
        if kind.lower() != "bearer" or _scheme(realm) not in ("https", self._scheme):
            return None
        query = {"service": asked.get("service", ""), "scope": f"repository:{self._address.repository}:pull"}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        answer = self._request(url, known.authorization() if known is not None else None)
        return _bearer(answer.body) if answer.status == 200 else None

    def _refusal(self, status: int) -> ImageError:
        address, host = self._address, self._address.host
        fact = f"the registry {host} answers with HTTP {status}"
        if status in (401, 403):
            if self._credentials is not None:
                return ImageError(
                    f"the registry does not let you have {address}: wrong password, or no right to it",
                    fact,
                    hint=f"see that the password is right: {LOGIN}",
                )
            message = f"the registry wants a password for {address}, or has no such image"
            if not self._variables and any(self._environ.get(name) for name in LOGIN_VARIABLES):
                unused = (
                    "the name and password in your variables are not told to a host that lumienv.toml names"
                )
                return ImageError(
                    message, fact, unused, hint=f"if they are for it: lumienv image pull {address}"
                )
            return ImageError(message, fact, hint=LOGIN)
        if status == 404:
            return _MissingError(f"there is no image {address}", fact, hint="see whether the name is right")
        if status == 429:
            return ImageError(
                f"the registry {host} has been asked too often from here",
                fact,
                hint="try again later; who logs in may mostly ask more often:\n" + LOGIN,
            )
        if status >= 500:
            return ImageError(
                f"the registry {host} does not work at the moment", fact, hint="try again later"
            )
        return ImageError(f"{host} is no registry of images", fact, hint=_NO_REGISTRY)

    def _elsewhere(self, whereto: str) -> ImageError:
        return ImageError(f"the registry {self._address.host} sends on {whereto}", hint=_NO_REGISTRY)

    def _unreachable(self, error: Exception) -> ImageError:
        from lumienv.index.failures import is_certificate, is_plain_http, reason_of

        hint = "see whether its name is right, and whether there is a network here;\n"
        hint += "what was saved elsewhere can be used: lumienv image pull oci-archive:FILE"
        if is_certificate(error):
            # Without https anybody could forge the answers, and read the password: never the way out of this.
            hint = "a private CA is made known with SSL_CERT_FILE: a file with its certificate, in PEM"
        elif is_plain_http(error) and self._scheme == "https":
            hint = "a registry that speaks http alone, as one on this machine: lumienv image pull --no-https"
        return ImageError(f"cannot reach the registry {self._address.host}", reason_of(error), hint=hint)


def _scheme(url: str) -> str:
    """Of an address that the registry names; empty where it is none."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _bearer(body: bytes) -> str | None:
    """The header with the token in an answer; None where there is none that can be sent."""
    try:
        said = json.loads(body)
        token = said.get("token") or said.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        return None
    return f"Bearer {token}" if isinstance(token, str) and _TOKEN.fullmatch(token) else None


class _MissingError(ImageError):
    """There is no such document."""


_NO_REGISTRY = "see whether the name is right: docker://HOST/NAME:TAG"
