"""The lock's file name and the digest by which a generation remembers it: all that `run` needs of a lock."""

import hashlib

LOCK_NAME = "pylock.lumienv.toml"


def bytes_digest(raw: bytes) -> str:
    """`sha256:…` over a lock file's bytes."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()
