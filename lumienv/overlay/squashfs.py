"""Pack a directory into one squashfs file, the same bytes for the same files."""

import os
import shutil
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.runtime.process import capture

# Distributions put it where only root's PATH leads.
_MORE_PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin", "/bin")

# Not 1970: a program that puts a module into a zip file (ray, pyspark) is refused for what is older than
# 1980, in local time. 2 January 1980, in seconds.
_TIME = "315619200"

# Nothing of this machine gets in: no owner, no times, no extended attributes.
_OPTIONS = ("-noappend", "-no-xattrs", "-all-root", "-all-time", _TIME, "-mkfs-time", "0")

# Every kernel and every squashfuse that runs containers reads gzip, as the images themselves are packed with
# it; zstd depends on how both were built. Measured with h5py, datasets, rich, einops and what they need
# (245 MB; CPU seconds, MB): gzip level 9, the default: 22.8, 73.4; level 6: 6.3, 74.0; level 4: 3.2, 76.9;
# level 1: 2.3, 83.9. On 276 MB of the same: level 9 in blocks of 1 MB: 28.8, 86.9 (and slower imports);
# zstd 15: 32.2, 79.2; zstd 3: 1.2, 91.3; xz: 47.9, 73.2.
_COMPRESSION = ("-comp", "gzip", "-Xcompression-level", "4")


def find_program(name: str) -> str:
    """The path of one of squashfs-tools' programs. Raises StoreError when it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_MORE_PLACES])
    found = shutil.which(name, path=path)
    if found is None:
        raise StoreError(
            f"there is no {name} on this machine, which makes squashfs files",
            hint="install squashfs-tools (on LUMI it is on every node), or: lumienv sync --mode venv",
        )
    return found


def pack(root: Path, output: Path, processors: int) -> None:
    """Write all below `root` to the squashfs file `output`, readable for all. Raises StoreError.

    `processors`: login nodes are shared (LUMI's training asks for 16 at most).
    """
    words = [find_program("mksquashfs"), str(root), str(output), *_OPTIONS, *_COMPRESSION]
    words += ["-processors", str(processors), "-quiet", "-no-progress", "-action", "chmod(a+rX)@true"]
    done = capture(words, env={k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"})
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise StoreError(
            f"cannot write {output.name}",
            *lines[-3:],
            hint="see what room is left: df -h; the old environment still works",
        )
