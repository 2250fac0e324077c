"""A certificate authority for one test, made with the program `openssl`: a server's certificate, a user's."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """Files in PEM, in a folder of their own."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """What a client has to trust."""
        return self.directory / "ca.pem"

    @property
    def user(self) -> Path:
        """The certificate of a user, and its key, in one file."""
        return self.directory / "user.pem"

    @property
    def locked_user(self) -> Path:
        """The same with a password on the key."""
        return self.directory / "locked-user.pem"

    def server(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        """What a server for 127.0.0.1 and localhost speaks https with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem")
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.certificate)
        return context


def make_authority(directory: Path) -> Authority:
    """A new authority with one server and one user."""
    _run(
        directory,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tests "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign "
        "-keyout ca.key -out ca.pem",
    )
    (directory / "server.ext").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n"
    )
    (directory / "user.ext").write_text("extendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n")
    for name in ("server", "user"):
        _run(
            directory,
            f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} "
            f"-keyout {name}.key -out {name}.csr",
        )
        _run(
            directory,
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
            f"-extfile {name}.ext -out {name}.crt",
        )
        texts = [(directory / f"{name}.{part}").read_text() for part in ("crt", "key")]
        (directory / f"{name}.pem").write_text("".join(texts))
    _run(directory, "ec -in user.key -aes256 -passout pass:word -out locked.key")
    texts = [(directory / part).read_text() for part in ("user.crt", "locked.key")]
    (directory / "locked-user.pem").write_text("".join(texts))
    return Authority(directory)


def _run(directory: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=directory, check=True, capture_output=True)
