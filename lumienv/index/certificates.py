"""Whom to trust on https, and which certificate to show: the settings of pip, uv and OpenSSL.

Without a setting the system's own certificates count, as for pip since 24.2 and for uv with `system-certs`.
A setting that switches the check off (pip's `trusted-host`, uv's `allow-insecure-host`) is not taken over:
hashes come from the same index as the files, so that nothing would be left that protects from a forged one.
"""

import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lumienv.errors import PackageIndexError
from lumienv.files import user_path
from lumienv.index.settings import PipConfiguration

# Where systems keep their certificates in one file. An OpenSSL that was built elsewhere (that of a Python
# which uv or conda brought) may look in a place that this system does not have; pip does the same
# (truststore).
_SYSTEM_BUNDLES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
)


def certificate_bundle(
    pip: PipConfiguration, environ: Mapping[str, str] = os.environ
) -> tuple[str, str] | None:
    """The CA bundle to trust and the setting that names it, or None for the system's.

    In the order PIP_CERT, pip's `cert`, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE: pip's own word,
    then OpenSSL's and uv's, then what requests takes.
    """
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    chosen = [
        ("PIP_CERT", environ.get("PIP_CERT")),
        ("`cert` in pip's configuration", pip.get("cert")),
        *((name, environ.get(name)) for name in variables),
    ]
    return next(((path, setting) for setting, path in chosen if path), None)


def client_certificate(
    pip: PipConfiguration, environ: Mapping[str, str] = os.environ
) -> tuple[str, str] | None:
    """The file with the user's own certificate and its key, and the setting that names it; or None.

    PIP_CLIENT_CERT, pip's `client-cert`, then uv's SSL_CLIENT_CERT.
    """
    chosen = [
        ("PIP_CLIENT_CERT", environ.get("PIP_CLIENT_CERT")),
        ("`client-cert` in pip's configuration", pip.get("client-cert")),
        ("SSL_CLIENT_CERT", environ.get("SSL_CLIENT_CERT")),
    ]
    return next(((path, setting) for setting, path in chosen if path), None)


def ssl_context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """What https connections are made with.

    Raises PackageIndexError for a certificate that cannot be read.
    """
    pip = PipConfiguration(environ)
    context = _trusting(certificate_bundle(pip, environ), environ)
    own = client_certificate(pip, environ)
    if own is not None:
        path, setting = own
        try:
            # For a key with a password OpenSSL would ask on the terminal, in the middle of a download.
            context.load_cert_chain(user_path(path), password=lambda: b"")
        except (OSError, ssl.SSLError) as error:
            raise PackageIndexError(
                f"cannot read the client certificate {path}",
                f"named by {setting}; it has to hold the certificate and its key, without a password, as PEM",
                hint=f"correct or unset {setting}",
            ) from error
    return context


def _trusting(bundle: tuple[str, str] | None, environ: Mapping[str, str]) -> ssl.SSLContext:
    folders = [Path(part) for part in environ.get("SSL_CERT_DIR", "").split(":") if part]
    folders = [folder for folder in folders if folder.is_dir()]  # OpenSSL and uv pass over missing ones too
    if bundle is None:
        return _in_folders(ssl.create_default_context(), folders) if folders else _system()
    path, setting = bundle
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise PackageIndexError(
            f"cannot read the CA certificates {path}",
            f"named by {setting}",
            hint=f"correct or unset {setting}",
        ) from error
    return _in_folders(context, folders) if setting == "SSL_CERT_FILE" else context


def _system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    known = ssl.get_default_verify_paths()
    if not known.cafile and not (known.capath and any(Path(known.capath).glob("*.0"))):
        found = next((bundle for bundle in _SYSTEM_BUNDLES if Path(bundle).is_file()), None)
        if found is not None:
            context.load_verify_locations(found)
    return context


def _in_folders(context: ssl.SSLContext, folders: list[Path]) -> ssl.SSLContext:
    """The context, with the certificates in folders added: OpenSSL's own way where they are named by their
    hash, else each file, as uv reads them."""
    for folder in folders:
        if any(folder.glob("*.0")):
            context.load_verify_locations(capath=folder)
            continue
        for path in sorted(folder.iterdir()):
            with suppress(OSError):  # a note, a key, a revocation list; ssl.SSLError is one of these
                context.load_verify_locations(path)
    return context
