"""A small real image, made in seconds by any user: busybox, this machine's CPython, two distributions.

For tests that need an image again and again and look at nothing in it. It is laid out like LAIF's: a venv at
/opt/venv that is first on PATH. What it is made of names its folder, so that a run of the tests finds that of
another.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from uv import find_uv_bin
from wheels import make_wheel

NAME = "small.sif"
# Parts of the standard library that no test's environment needs: they would be most of the image, and
# packing it is what the tests of cotainr spend their time on. OpenSSL is larger than all that is left.
_LEFT_OUT = (
    *("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "config-*"),
    *("site-packages", "dist-packages", "*.a", "libpython*"),
    *("asyncio", "unittest", "multiprocessing", "xml", "xmlrpc", "wsgiref", "curses", "dbm", "sqlite3"),
    *("_ssl*", "_hashlib*", "_sqlite3*", "_curses*", "_dbm*", "_gdbm*", "nis*", "readline*", "_asyncio*"),
    *("_test*", "_xx*", "_codecs_*", "_pydecimal*", "turtle*", "doctest*", "pydoc*", "mailbox*"),
    *("mac_*", "big5*", "euc_*", "koi8_*", "iso2022*", "gb*", "shift_*", "hp_*", "iso8859_[2-9]*"),
    *("iso8859_1[0-9]*", "cp[015-9]*", "cp42*", "cp424*"),
)
_DEFINITION = """\
Bootstrap: localimage
From: {tree}

%environment
    export PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
    export VIRTUAL_ENV=/opt/venv

%runscript
    exec "$@"
"""


def make_small_image(busybox: Path, runtime: str) -> Path:
    """The image's path: made once, from the laboratory's image `busybox`, with `runtime`."""
    python = _python()
    digest = _digest(busybox, python)
    folders = [cache / "small" / digest for cache in _caches()]
    for folder in folders:
        if (folder / NAME).is_file():
            return folder / NAME
    for folder in folders:
        with suppress(PermissionError):
            folder.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.parent, os.W_OK):
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as work:
            made = _make(Path(work), busybox, python, runtime)
            with suppress(OSError):  # another run was faster
                made.rename(folder)
        return folder / NAME
    raise AssertionError(f"none of these can be written to: {folders}")


def _python() -> Path:
    """A CPython that every user may read: root's own may lie in root's home."""
    for found in ("/usr/bin/python3", sys.executable):
        asked = "import sys; print(sys.version_info >= (3, 11)); print(sys._base_executable)"
        done = subprocess.run([found, "-Ic", asked], capture_output=True, text=True)
        fits, _, path = done.stdout.strip().partition("\n")
        if fits == "True":
            return Path(path).resolve()
    raise AssertionError("no CPython from 3.11 on this machine")


def _caches() -> list[Path]:
    """The laboratory's folder, and one of this user's where only root may write to that."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [Path(os.environ.get("LUMIENV_LAB", "/var/tmp/lumienv-lab")), own / "lumienv-tests"]


def _digest(busybox: Path, python: Path) -> str:
    parts = [Path(__file__).read_bytes(), python.read_bytes(), Path(find_uv_bin()).name.encode()]
    parts.append(str(busybox.stat().st_size).encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def _make(work: Path, busybox: Path, python: Path, runtime: str) -> Path:
    """The finished folder, in `work`."""
    tree, out = work / "tree", work / "out"
    out.mkdir(mode=0o755)
    _run(runtime, "--quiet", "build", "--sandbox", str(tree), str(busybox))
    asked = "import sysconfig; print(sysconfig.get_path('stdlib'), sysconfig.get_python_version())"
    library, number = _run(str(python), "-Ic", asked).split()
    version = f"python{number}"
    shutil.copy(python, tree / "usr/bin" / version)
    shutil.copytree(
        library, tree / "usr/lib" / version, symlinks=False, ignore=shutil.ignore_patterns(*_LEFT_OUT)
    )
    programs = [python, Path(find_uv_bin()), *(tree / "usr/lib" / version / "lib-dynload").glob("*.so")]
    for needed in sorted(set(_libraries(programs))):
        place = tree / needed.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(needed, place)
    _make_venv(tree / "opt/venv", version, work)
    (work / "image.def").write_text(_DEFINITION.format(tree=tree))
    _run("chmod", "-R", "u+rwX,go+rX", str(tree))
    _run(runtime, "--quiet", "build", str(out / NAME), str(work / "image.def"))
    (out / NAME).chmod(0o755)
    return out


def _make_venv(venv: Path, version: str, work: Path) -> None:
    site = venv / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    for name in ("python", "python3", version):
        (venv / "bin" / name).symlink_to(f"/usr/bin/{version}")
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    code = (
        "import importlib, sys\n\n\ndef main():\n    print(importlib.import_module(sys.argv[1]).__file__)\n"
    )
    made = [
        make_wheel(work, "imgtool", "1.0", modules={"imgtool.py": code}),
        make_wheel(work, "shipped", "2.1", ["imgtool"]),
    ]
    for wheel in made:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (venv / "bin/imgtool").write_text("#!/opt/venv/bin/python\nimport imgtool\n\nimgtool.main()\n")
    (venv / "bin/imgtool").chmod(0o755)


def _libraries(programs: Iterable[Path]) -> Iterator[str]:
    """The shared libraries of these programs, by the paths at which the loader finds them."""
    for program in programs:
        said = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
        yield from re.findall(r"(?:=> |^\t)(/\S+) \(0x", said, re.MULTILINE)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, umask=0o022)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout
