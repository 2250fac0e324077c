"""A project that is synced again and again while something goes wrong, and what has to hold afterwards."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from index_server import IndexServer
from wheels import make_wheel
from workspace import Said, Workspace, make_workspace

STEPS = Path(__file__).with_name("steps.py")
MODES = {
    "venv": ("--mode", "venv"),
    "squashfs": ("--mode", "squashfs"),
    "append": ("--mode", "sif", "--builder", "append", "--output", "../images/mine.sif"),
    "cotainr": ("--mode", "sif", "--builder", "cotainr", "--output", "../images/mine.sif"),
}
# What a store may hold; anything else was left behind.
_STORE = {".gitignore", "generations", "current", "lock", "bin", "launch.sh", "leases"}
_PROJECT = {"lumienv.toml", "pylock.lumienv.toml", ".lumienv"}


@dataclass
class Scene:
    """A project on the small image whose `thing` gets a new release for every try.

    `scratch` is its TMPDIR, and tells its processes from others'; `version` is the release that
    lumienv.toml asks for, `running` the one that was synced last.
    """

    workspace: Workspace
    wheels: Path
    scratch: Path
    image: Path
    words: Sequence[str]
    version: int = 0
    running: int = 0

    def ask_for_another(self, padding: int = 0) -> None:
        """A release that is not locked, not downloaded and not installed yet, asked for by lumienv.toml."""
        self.version += 1
        make_wheel(self.wheels, "thing", str(self.version), ["other"], padding=padding)
        self.workspace.write(f'path = "{self.image}"', [f"thing=={self.version}"])

    def sync(self, **variables: str) -> None:
        """Sync what is asked for; it has to succeed, and to run."""
        self.workspace.lumienv("sync", *self.words, **variables)
        self.running = self.version
        self.old_runs()

    def failing_sync(self, *more: str, **variables: str) -> str:
        """What a sync says that has to fail."""
        said = self.workspace.try_("sync", *self.words, *more, **variables)
        assert said.status == 1, said
        assert "Traceback" not in said.err, said.err
        assert "error in lumienv itself" not in said.err, said.err
        return said.err

    def old_runs(self) -> None:
        """The environment that was synced last runs, and is the one that it was."""
        assert self.version_seen() == self.running

    def version_seen(self) -> int:
        code = "import thing, other, shipped; print(thing.__version__)"
        return int(self.workspace.lumienv("run", "--no-sync", "--", "python", "-c", code))

    def steps(self) -> list[str]:
        """The steps of a sync, in their order; it is done, and succeeds."""
        listed = self.scratch.parent / "steps"
        self.stepping("list", str(listed), status=0)
        self.running = self.version
        return listed.read_text().splitlines()

    def end_at(self, step: str, ending: signal.Signals) -> str:
        """Sync, and end it by a signal at this step; what it said."""
        status = -ending if ending == signal.SIGKILL else 128 + ending
        return self.stepping(ending.name, step, status=status).err

    def stepping(self, what: str, name: str, *, status: int) -> Said:
        command = [sys.executable, str(STEPS), what, name, "--", "sync", *self.words]
        said = self.workspace.shell(command, PYTHONDONTWRITEBYTECODE="1")
        assert said.status == status, (name, said)
        return said

    def generations(self) -> set[str]:
        folder = self.workspace.directory / ".lumienv" / "generations"
        return names_in(folder) if folder.is_dir() else set()

    def recovers(self) -> None:
        """The next sync succeeds, what it made runs, and nothing is left of those before it."""
        before = {name for name in self.generations() if not name.startswith(".")}
        current = self.workspace.current.readlink() if self.workspace.current.is_symlink() else None
        self.sync()
        made = self.generations() - before
        assert len(made) <= 1, made
        assert current is None or current.name in self.generations()
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """No staging, no scratch directory, no half-written file, in the caches neither, and no process."""
        project = self.workspace.directory
        store = project / ".lumienv"
        assert names_in(self.scratch) == set()
        assert names_in(project) <= _PROJECT
        assert names_in(store) <= _STORE, names_in(store)
        assert names_in(self.scratch.parent / "images") <= {"mine.sif"}
        for generation in self.generations():
            assert not generation.startswith("."), generation
            inside = names_in(store / "generations" / generation)
            assert "generation.json" in inside
            assert not [name for name in inside if name.startswith(".")], inside
        state = Path(self.workspace.environ["XDG_STATE_HOME"]) / "lumienv"
        assert names_in(state) == {"generations", "toml"}, names_in(state)
        assert [path.name for path in (state / "toml").glob(".*")] == []
        cache = self.workspace.cache
        assert names_in(cache / "wheels" / "parts") == set()
        assert [path.name for path in cache.rglob(".*")] == []
        assert processes_of(self.scratch) == []


def make_scene(place: Path, index: IndexServer, image: Path, mode: str) -> Scene:
    """A project below `place` that asks for `thing` 1, not synced yet; `index` serves its wheels."""
    scratch = place / "scratch"
    scratch.mkdir(parents=True)
    (place / "images").mkdir()
    workspace = make_workspace(
        place / "project",
        place / "cache",
        PIP_INDEX_URL=index.url,
        UV_DEFAULT_INDEX=index.url,
        TMPDIR=str(scratch),
        XDG_STATE_HOME=str(place / "state"),
    )
    make_wheel(index.directory, "other", "1")
    scene = Scene(workspace, index.directory, scratch, image, MODES[mode])
    scene.ask_for_another()
    return scene


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def processes_of(scratch: Path) -> list[str]:
    """The processes whose TMPDIR this is; none of this test's own has it."""
    mark = f"TMPDIR={scratch}".encode()
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def place_of(step: str) -> str:
    """The event and the line of code of a step, which may come there several times."""
    return step.rpartition(" ")[0]


def spread(steps: Sequence[str], number: int) -> list[str]:
    """So many of them: the first at each line of code, evenly from begin to end, then later ones."""
    places: dict[str, str] = {}
    for step in steps:
        places.setdefault(place_of(step), step)
    firsts = list(places.values())
    if number <= len(firsts):
        chosen = {firsts[round(i * (len(firsts) - 1) / (number - 1))] for i in range(number)}
    else:
        others = [step for step in steps if step not in firsts]
        more = min(number - len(firsts), len(others))
        chosen = {*firsts, *(others[i * len(others) // more] for i in range(more))}
    return [step for step in steps if step in chosen]


def published(steps: Sequence[str], step: str) -> bool:
    """Whether the new environment is in use when this step begins."""
    swap = next(i for i, name in enumerate(steps) if name.startswith("os.rename") and " select " in name)
    return steps.index(step) > swap


def wrapper(place: Path, real: str, name: str, lines: str) -> Path:
    """A program `name` that stands before the real one on PATH, as a shell script of these lines.

    In them `"$real" "$@"` is the program. Returns its folder.
    """
    folder = place / f"{name}-wrapper"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nreal={real}\n{lines}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return folder


# Lines for `wrapper`: who started the program, or had it started by another, is killed; the program goes on.
KILL_CALLER = 'kill -9 $PPID; exec "$real" "$@"'
KILL_CALLERS_CALLER = """
case "$*" in *build*) kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat);; esac
exec "$real" "$@"
"""


def killing(pattern: str) -> str:
    """The same, as soon as a file like this is there."""
    return f"""
caller=$PPID
( while kill -0 $$ 2>/dev/null; do
    for file in {pattern}; do
      if [ -e "$file" ]; then kill -9 $caller; exit; fi
    done
  done ) </dev/null >/dev/null 2>&1 &
exec "$real" "$@"
"""


def at_once(
    scene: Scene, commands: Sequence[Sequence[str]], *, first: Sequence[str] | None = None
) -> list[Said]:
    """What each of these did, started together; `first` writes to the store by then."""
    store = scene.workspace.directory / ".lumienv"
    started = []
    if first is not None:
        started.append(_start(scene, first))
        while not any(store.glob(".writer-*")):
            assert started[0].poll() is None, started[0].communicate()
    started += [_start(scene, command) for command in commands]
    done = []
    for process in started:
        out, err = process.communicate(timeout=200)
        done.append(Said(process.returncode, out, err))
    return done


def _start(scene: Scene, command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=scene.workspace.directory,
        env=scene.workspace.environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def small_disk(place: Path, megabytes: int, kind: str = "ext4") -> Iterator[Path]:
    """An empty file system of this size, mounted at `place`: in a file, or a tmpfs (root only)."""
    place.mkdir(exist_ok=True)
    disk = place.with_name(f"{place.name}.disk")
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "lumienv-test", str(place)]
    else:
        with disk.open("wb") as file:
            file.truncate(megabytes << 20)
        # Nothing is kept for root, who fills it.
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "4096", str(disk)], check=True)
        command = ["mount", "-o", "loop", str(disk), str(place)]
    subprocess.run(command, check=True)
    try:
        if kind != "tmpfs":
            disk.unlink()  # the mount keeps it
            (place / "lost+found").rmdir()
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file: Path, leave: int = 0) -> None:
    """Write until the disk is full, or has so many bytes left."""
    disk = os.statvfs(file.parent)
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        os.posix_fallocate(filler.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - leave))
        while not leave:
            filler.write(bytes(4096))


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder in which nobody can write: by its permissions, and for root, who ignores these, a mount."""
    if os.geteuid() != 0:
        mode = stat.S_IMODE(folder.stat().st_mode)
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(mode)
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
