"""What a running job may rely on: its environment stays the one it began with, and nobody writes into it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import Workspace

# Imports one module, says so, waits for a word, and only then looks at everything else.
LAZY = """
import first
print(first.__version__, flush=True)
input()
import importlib.metadata, json, subprocess, sys
from importlib.resources import files
import second, second.deep.module
print(json.dumps({
    "modules": [first.__version__, second.version, second.deep.module.version],
    "data": files("second").joinpath("data.txt").read_text(),
    "metadata": [importlib.metadata.version("first"), importlib.metadata.version("second")],
    "child": subprocess.run([sys.executable, "-c", "import second; print(second.version)"],
                            capture_output=True, text=True, check=True).stdout.strip(),
    "script": subprocess.run(["second-script"], capture_output=True, text=True, check=True).stdout.strip(),
}))
"""


def release(wheels: Path, version: str) -> None:
    """`first` and `second`, all of whose files tell their version; the newer ones lie elsewhere, too."""
    make_wheel(wheels, "first", version)
    modules = {
        "second/__init__.py": f"version = {version!r}\n\n\ndef main():\n    print(version)\n",
        "second/deep/__init__.py": "",
        "second/deep/module.py": f"version = {version!r}\n",
    }
    if version != "1.0":
        del modules["second/deep/module.py"]
    data = {"second/data.txt": version.encode()}
    entry = {"second-script": "second:main"}
    make_wheel(wheels, "second", version, modules=modules, extra_files=data, entry_points=entry)


@contextmanager
def job(project: Workspace) -> "Iterator[subprocess.Popen[str]]":
    """A program that runs in the environment and has imported its first module."""
    with subprocess.Popen(
        project.command("run", "--no-sync", "--", "python", "-c", LAZY),
        cwd=project.directory,
        env=project.environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def rest_of(running: "subprocess.Popen[str]") -> object:
    """What the program finds once it goes on."""
    out, _ = running.communicate("go\n", timeout=120)
    assert running.returncode == 0
    return json.loads(out)


def all_of(version: str) -> dict[str, object]:
    return {
        "modules": [version] * 3,
        "data": version,
        "metadata": [version] * 2,
        "child": version,
        "script": version,
    }


@pytest.fixture(params=["host", "venv", "squashfs", "append", "cotainr"])
def mode(request: pytest.FixtureRequest) -> str:
    """`host` is a directory without a container; `append` and `cotainr` made an image."""
    return str(request.param)


@pytest.fixture
def project(request: pytest.FixtureRequest, local: Workspace, wheels: Path, mode: str) -> Workspace:
    release(wheels, "1.0")
    base = f'host = "{sys.executable}"'
    if mode != "host":
        base = f'path = "{request.getfixturevalue("small_image")}"'
    carrier = {"host": "venv", "append": "sif", "cotainr": "sif"}.get(mode, mode)
    builder = mode if carrier == "sif" else "append"
    more = f'[sync]\nmode = "{carrier}"\n[sif]\nbuilder = "{builder}"\n'
    local.write(base, ["first", "second"], more)
    local.lumienv("sync")
    return local


@pytest.mark.unprivileged
def test_a_job_that_imports_lazily_goes_on_while_its_environment_is_replaced(
    project: Workspace, wheels: Path
) -> None:
    with job(project) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "1.0\n"
        old = project.current.resolve()

        release(wheels, "2.0")
        project.lumienv("lock", "--upgrade")
        project.lumienv("sync")

        assert project.current.resolve() != old
        newer = "import first, second; print(first.__version__, second.version)"
        assert project.python(newer) == "2.0 2.0"
        gone = "from importlib.util import find_spec; print(find_spec('second.deep.module'))"
        assert project.python(gone) == "None"
        kept = json.loads(project.lumienv("clean", "--json"))["kept"]
        reasons = {entry["generation"]: entry["reason"] for entry in kept}
        assert reasons[str(old)].endswith("uses it")
        assert rest_of(running) == all_of("1.0")


@pytest.mark.unprivileged
def test_a_job_that_imports_lazily_goes_on_where_its_environment_was_found_damaged(
    project: Workspace,
) -> None:
    """`verify` marks it, `sync` makes another: what the job uses stays where it is."""
    with job(project) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "1.0\n"
        old = project.current.resolve()
        records = old / "records.json"
        records.chmod(0o644)
        records.write_text("{}")
        assert project.try_("verify").status == 1
        project.lumienv("sync")

        assert project.current.resolve() != old
        assert rest_of(running) == all_of("1.0")


WRITING = """
import json, os, sys, sysconfig
site = sysconfig.get_paths()["purelib"]
file = os.path.join(site, "second/data.txt")
attempts = {
    "new file": lambda: open(os.path.join(sys.prefix, "new"), "w"),
    "new module": lambda: open(os.path.join(site, "new.py"), "w"),
    "new folder": lambda: os.mkdir(os.path.join(site, "new")),
    "write": lambda: open(file, "w"),
    "append": lambda: open(file, "a"),
    "remove": lambda: os.unlink(file),
    "rename": lambda: os.rename(file, file + ".old"),
    "link": lambda: os.symlink("/tmp", os.path.join(sys.prefix, "bin/new")),
    "bytecode": lambda: open(os.path.join(site, "second/__pycache__/new.pyc"), "wb"),
    "permissions": lambda: os.chmod(file, 0o777),
    "times": lambda: os.utime(file),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    done.append(name)
print(json.dumps([sys.prefix, done]))
"""


@pytest.mark.parametrize("mode", ["venv", "squashfs", "append", "cotainr"], indirect=True)
def test_nothing_in_a_container_writes_into_the_environment(project: Workspace) -> None:
    """Whoever runs it: the tests are repeated as an unprivileged user; root is held off by the mount."""
    assert json.loads(project.python(WRITING)) == ["/opt/lumienv", []]
    asked_for = {"APPTAINER_WRITABLE_TMPFS": "1", "SINGULARITY_WRITABLE_TMPFS": "1"}
    assert json.loads(project.python(WRITING, **asked_for)) == ["/opt/lumienv", []]
    assert "as locked" in project.lumienv("verify")


@pytest.mark.parametrize("mode", ["host"], indirect=True)
def test_without_a_container_the_files_of_an_environment_carry_no_write_permission(
    project: Workspace,
) -> None:
    """Only that: there is no mount that holds off root, or an owner who gives himself the permission."""
    generation = project.current.resolve()
    for folder, _, names in os.walk(generation):
        for path in (Path(folder) / name for name in names):
            assert path.is_symlink() or path.stat().st_mode & 0o222 == 0, path
        assert Path(folder).stat().st_mode & 0o022 == 0, folder
