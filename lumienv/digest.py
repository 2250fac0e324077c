"""sha256, without what `hashlib` costs each process: it loads OpenSSL, whose speed only large files need.

The standard library's `random` takes its hash from there in the same way.
"""

try:
    from _sha2 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    try:  # Python 3.11
        from _sha256 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from hashlib import sha256 as sha256
