"""Which lines of lumienv the tests reach, in every process that they start.

    python measure.py on FOLDER      from now on each process of this Python's environment is measured
    python measure.py off            no longer
    python measure.py report FOLDER  prints the table; fails below what pyproject.toml asks for

Tests start lumienv with environments of their own, which are compared to the byte; it becomes other programs
(`exec`) and is killed. So no variable says that a process is to be measured: a `.pth` file in the site
directory does, which Python reads at its start. Where nothing can be written, a process is not measured, and
nothing is said. A process that is asked for its imports (`-X importtime`) is left alone.

What lumienv feeds to a Python on standard input (the probe, say) counts where that Python is of this
environment, as in tests on a host base; what runs in a container does not.
"""

import atexit
import contextlib
import os
import sys

_NAME = "lumienv_measured"
_PROGRAMS = ("pytest", "lumienv", "steps.py", "repack.py", "bytecode.py")
# How pytest-xdist starts what runs tests for pytest (execnet.gateway_io.popen_bootstrapline).
_WORKER = "import sys;exec(eval(sys.stdin.readline()))"
_FED = ("image/probe.py", "overlay/inspection.py", "overlay/audit.py", "build/hooks.py")


def _concerned(words: list[str]) -> bool:
    """Whether this process is a test run or lumienv, and not what an environment of lumienv's runs."""
    if "importtime" in sys._xoptions:
        return False
    rest = iter(words[1:])
    for word in rest:
        if word in ("-X", "-W"):
            next(rest, "")
        elif word == "-m":
            return next(rest, "") in _PROGRAMS
        elif word == "-c":
            return next(rest, "") == _WORKER
        elif not word.startswith("-"):
            return os.path.basename(word) in _PROGRAMS  # noqa: PTH119
    return False


def start(package: str, folder: str) -> None:
    """Measure this process, if it is one that counts; called while Python starts."""
    # A site directory may be come to twice.
    if getattr(sys, _NAME, False) or not os.path.isdir(folder):  # noqa: PTH112
        return
    setattr(sys, _NAME, True)
    if _concerned(sys.orig_argv) or (sys.orig_argv[-1] == "-" and _named(package)):
        with contextlib.suppress(Exception):
            _start(package, folder)


def _named(package: str) -> bool:
    """Whether a program of lumienv's is on standard input; if so, Python finds it there by its file's name.

    It has not been read yet. What takes its place does the same, at the same time, in the same namespace.
    """
    with open(0, "rb", closefd=False) as stream:
        text = stream.read()
    found = False
    for path in (f"{package}/{name}" for name in _FED):
        with open(path, "rb") as file:  # noqa: PTH123
            program = file.read()
        if text.endswith(program):
            read = f"exec(compile(open({path!r}, encoding='utf-8').read(), {path!r}, 'exec'))\n"
            text, found = text.removesuffix(program) + read.encode(), True
            break
    place = os.memfd_create("program")
    os.write(place, text)
    os.lseek(place, 0, os.SEEK_SET)
    os.dup2(place, 0)
    os.close(place)
    return found


def _start(package: str, folder: str) -> None:
    import coverage

    # The test run alone looks for modules that nobody imports: that takes longer than to start lumienv.
    whole = any(os.path.basename(word) == "pytest" for word in sys.orig_argv)  # noqa: PTH119
    measured = coverage.Coverage(
        data_file=f"{folder}/coverage",
        data_suffix=True,
        branch=True,
        source=[package] if whole else None,
        include=None if whole else [f"{package}/*"],
        auto_data=False,
        config_file=False,
        messages=False,
    )
    measured._warn_no_data = measured._warn_unimported_source = False
    measured.start()

    def save(*, ended: bool = False) -> None:
        with contextlib.suppress(Exception):
            if ended:
                measured.stop()
            measured.save()

    def saving(ends: object) -> object:
        def wrapper(*arguments: object) -> None:
            save()
            ends(*arguments)  # type: ignore[operator]

        return wrapper

    atexit.register(save, ended=True)
    # coverage's own patches do the same, and put a variable into what `execve` hands on.
    for name in ("execv", "execve", "_exit"):
        setattr(os, name, saving(getattr(os, name)))


def _switch(folder: str | None) -> None:
    """Write what Python reads at its start, or remove it (None)."""
    from importlib.util import find_spec
    from pathlib import Path
    from sysconfig import get_path

    site = Path(get_path("purelib"))
    pth, module = site / f"{_NAME}.pth", site / f"{_NAME}.py"
    pth.unlink(missing_ok=True)
    module.unlink(missing_ok=True)
    if folder is None:
        return
    spec = find_spec("lumienv")
    assert spec is not None
    assert spec.origin is not None
    data = Path(folder).absolute()
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o1777)  # tests start lumienv as other users, too
    module.write_text(Path(__file__).read_text())
    module.chmod(0o644)
    call = f"{_NAME}.start({str(Path(spec.origin).parent)!r}, {str(data)!r})"
    pth.write_text(f"import {_NAME}; {call}\n")
    pth.chmod(0o644)


def _report(folder: str) -> int:
    from subprocess import run

    data = f"--data-file={folder}/coverage"
    command = [sys.executable, "-m", "coverage"]
    combined = run([*command, "combine", "--quiet", "--append", data, folder], check=False)
    return combined.returncode or run([*command, "report", data], check=False).returncode


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["on", folder]:
            _switch(folder)
        case ["off"]:
            _switch(None)
        case ["report", folder]:
            sys.exit(_report(folder))
        case _:
            sys.exit(__doc__)
