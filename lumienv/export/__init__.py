"""A lock as files that other tools read: from the lock alone, without network, image or runtime.

Written is what the lock says and nothing of this machine: no index, no credentials, no folder but those that
the lock names, relative to the project.
"""

MARK = "lumienv export"
"""stands in every file that is written, so that it may be replaced"""
