"""The lock's file name and the digest by which a generation remembers it: all that `run` needs of a lock."""

from lumienv.digest import sha256

LOCK_NAME = "pylock.lumienv.toml"


def bytes_digest(raw: bytes) -> str:
    """`sha256:…` over a lock file's bytes."""
    return f"sha256:{sha256(raw).hexdigest()}"
