"""A lock as files that other tools read: from the lock alone, without network, image or runtime.

Written is what the lock says and nothing of this machine: no index, no credentials, no folder but those that
the lock names, relative to the project.
"""

MARK = "lumienv export"
"""who has written a file: each says so, so that it may be replaced"""
FIRST_WORDS = f"# Written by {MARK} from "
"""what every file begins with that can have comments"""

FORMATS = ("requirements.txt", "pylock.toml", "environment.yml", "def", "cyclonedx")
