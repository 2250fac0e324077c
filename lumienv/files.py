"""Writing to disk so that a kill, a full disk or a second writer never leaves anything half-made in use."""

import errno
import fcntl
import glob
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lumienv.errors import StoreError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}
ABANDONED = 24 * 3600.0
"""seconds after which nobody is still writing to a file that nobody has written to meanwhile"""


@contextmanager
def disk_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn what a disk can refuse into a sentence: `doing` completes "cannot …".

    Raises StoreError for a full disk or quota, a read-only file system or missing permission.
    """
    try:
        yield
    except OSError as error:
        reason = _FULL.get(error.errno or 0) or (error.strerror or str(error)).lower()
        where = error.filename or path
        hint = "nothing was changed; "
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint += "free some space (on LUMI, `lumi-quota` shows what is left) or choose another place:\n"
            hint += "[sync] store for environments, LUMIENV_CACHE_DIR for caches, TMPDIR for scratch work"
        else:
            hint += "choose a place where you may write"
        raise StoreError(f"cannot {doing}: {reason}", f"at {os.fspath(where)}", hint=hint) from error


def write_atomically(path: Path, content: bytes, *, mode: int | None = None, new: bool = False) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, whole.

    The file's mode is that of the file it replaces, else `mode`, else what the umask says. What killed
    writers have left beside it is removed. Raises OSError; with `new`, FileExistsError where something is
    there already, whoever has written it meanwhile.
    """
    if mode is None:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
    if mode is None:
        mode = 0o666 & ~current_umask()
    try:
        descriptor, name = tempfile.mkstemp(prefix=beside(path).name, dir=path.parent)
    except OSError as error:
        error.filename = os.fspath(path)  # the name in between tells nobody anything
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if new:
            path.hardlink_to(name)
            Path(name).unlink()
        else:
            Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def user_path(written: str | Path) -> Path:
    """A path as a user has written it: `~` is their home, `~name` that of a user whom this machine knows.

    Any other `~name` is what a file is called: pathlib's own `expanduser` gives up there, and takes `./~name`
    for a home.
    """
    return Path(os.path.expanduser(written))  # noqa: PTH111


def beside(path: Path) -> Path:
    """A name of this process's own beside `path`, for what is to replace it.

    What killed processes have left under such names is removed.
    """
    begin = f".{path.name}."
    for left in abandoned(path.parent, begin):
        with suppress(OSError):
            left.unlink()
    return path.with_name(f"{own_prefix(begin)}{secrets.token_hex(4)}")


def own_prefix(begin: str) -> str:
    """Begins the names under which this process writes what is to be renamed; `abandoned` knows them."""
    return f"{begin}{os.getpid()}-{os.uname().nodename}-"


def abandoned(folder: Path, begin: str, age: float = ABANDONED) -> Iterator[Path]:
    """What processes that were killed have left in `folder` under such names.

    `/proc` knows the processes of this node alone: what those of others have left, or what bears another
    name, counts as abandoned when it was not written to for `age` seconds.
    """
    node, now = os.uname().nodename, time.time()
    for path in folder.glob(f"{glob.escape(begin)}*"):
        process, _, rest = path.name.removeprefix(begin).partition("-")
        ended = process.isdigit() and rest.rpartition("-")[0] == node and not Path("/proc", process).exists()
        with suppress(OSError):
            if ended or now - path.lstat().st_mtime > age:
                yield path


def current_umask() -> int:
    """The process's umask (it can only be read by setting it)."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def private_directory(path: Path) -> Path:
    """Make `path` (0700) or check that it is a real directory of this user's; returns it.

    Raises StoreError for a symlink or a directory that belongs to somebody else.
    """
    with suppress(FileExistsError):  # something else is there: said below
        path.mkdir(mode=0o700, parents=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(
            f"{path} is not a directory", hint="remove it, or set LUMIENV_CACHE_DIR to another place"
        )
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to {owner_name(status.st_uid)}, so lumienv does not use it",
            hint="set LUMIENV_CACHE_DIR to a place of your own",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def owner_name(uid: int) -> str:
    """A user's name, or `uid 1234` where there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


@contextmanager
def one_writer(
    path: Path,
    doing: str,
    waiting: Callable[[str], None] | None = None,
    *,
    patience: float = 600,
) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; waits for another holder, and says so once.

    Raises StoreError when the lock is still held after `patience` seconds.
    """
    with disk_errors(doing, path):
        opened = path.open("a+")
    with opened as file:
        deadline = time.monotonic() + patience
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told and waiting is not None:
                    waiting(f"another lumienv is at work on {path.parent}, waiting for it")
                told = True
            except OSError as error:
                # Lustre mounted without -o flock answers ENOSYS or EOPNOTSUPP: the atomic renames
                # still hold, only the courtesy of waiting is lost.
                if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                    raise
                break
            if time.monotonic() > deadline:
                raise StoreError(
                    f"cannot {doing}: another lumienv has been at work on {path.parent} for "
                    f"{patience / 60:.0f} minutes",
                    hint="wait for it, or end it, and try again",
                )
            time.sleep(0.05)
        yield


@contextmanager
def new_directory(path: Path, doing: str, mode: int = 0o700) -> Iterator[Path]:
    """A directory that is made here, and is gone at the end unless it has been moved away.

    So is one whose making a signal interrupts: `mkdtemp` would keep its name to itself until it returns.
    Raises StoreError where the disk does not take it; `doing` is for its sentence.
    """
    try:
        with disk_errors(doing, path.parent):
            path.mkdir(mode)
        yield path
    finally:
        remove_tree(path)


def remove_tree(path: Path) -> None:
    """Remove a directory tree, write-protected directories included; nothing there is no error."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for directory, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(directory, 0o700)  # noqa: PTH101 - walking: the string is at hand
    shutil.rmtree(path, ignore_errors=True)
