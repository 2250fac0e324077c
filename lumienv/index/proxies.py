"""Which proxy a request goes through.

pip's `proxy` (`PIP_PROXY`) beats the environment and, as in pip since 23.1, `NO_PROXY` does not count for it.
Else the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY for hosts that are asked directly, each
in lower case too, as pip and uv read them.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lumienv.errors import PackageIndexError
from lumienv.index.credentials import Credentials, split_credentials
from lumienv.index.settings import PipConfiguration

if TYPE_CHECKING:
    import ssl

    from urllib3 import ProxyManager


def proxy_for(
    url: str, pip: PipConfiguration, environ: Mapping[str, str] = os.environ
) -> tuple[str, str] | None:
    """The proxy's URL, which may hold a password, and the setting that names it; None: none is used."""
    from urllib.request import getproxies_environment, proxy_bypass

    configured = pip.get("proxy")
    if configured:
        named = "PIP_PROXY" if environ.get("PIP_PROXY") else "`proxy` in pip's configuration"
        return configured, named
    scheme = urlsplit(url).scheme
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(urlsplit(url).netloc):
        return None
    return proxy, f"{scheme}_proxy" if proxies.get(scheme) else "all_proxy"


def connections_through(
    proxy: tuple[str, str], connections: int, context: "ssl.SSLContext | None"
) -> "ProxyManager":
    """A pool of connections through a proxy. Raises PackageIndexError for one that lumienv does not know."""
    import urllib3

    url, setting = proxy
    try:
        address, credentials = split_credentials(url if "://" in url else f"http://{url}")
        if not address.startswith(("http://", "https://")):
            raise ValueError("not an HTTP proxy")  # noqa: TRY301 - one way out for all unusable ones
        return urllib3.ProxyManager(
            address,
            num_pools=32,
            maxsize=connections,
            proxy_headers=_authorization(credentials),
            ssl_context=context,
            proxy_ssl_context=context,
            retries=False,
        )
    except ValueError as error:
        raise PackageIndexError(
            f"the proxy that {setting} names is no HTTP proxy",
            hint=f"check {setting}: lumienv knows http:// and https:// proxies",
        ) from error


def _authorization(credentials: Credentials | None) -> dict[str, str] | None:
    return {"Proxy-Authorization": credentials.authorization()} if credentials is not None else None
