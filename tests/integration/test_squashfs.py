"""The carrier that is one file: the same bytes for the same lock, a small store, nothing left behind."""

import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import make_workspace

NASTY = {
    "thing/__init__.py": "__version__ = '1.0'\n",
    "thing/old.py": "print 'of Python 2'\n",  # a package may ship it; importing it fails, a sync does not
    "thing/names.py": "NAMES = {'a', 'b', 'c', 'd', None}\n",
    **{f"thing/part{number}.py": f"def f{number}(x):\n    return x + {number}\n" for number in range(60)},
}
SHOW = ("run", "--no-sync", "--", "python", "-c", "import thing; print(thing.__version__)")


def squashfs_of(workspace) -> Path:
    return workspace.current / "overlay.squashfs"


@pytest.fixture
def mine(lab, local, wheels):
    """A project on the smallest family, to be carried by one file."""
    make_wheel(wheels, "thing", "1.0", modules=NASTY, entry_points={"thing-tool": "thing:main"})
    local.write(f'path = "{lab.images["mpi4py"]}"', ["thing<2"], '[sync]\nmode = "squashfs"\n')
    local.lumienv("lock")
    return local


@pytest.mark.parametrize("family", ["mpi4py", "multitorch"])
def test_the_same_lock_gives_the_same_bytes(lab, local, wheels, tmp_path, family):
    """Whatever the folder, the umask, the place for scratch work and the processors."""
    make_wheel(wheels, "thing", "1.0", modules=NASTY, entry_points={"thing-tool": "thing:main"})
    more = '[sync]\nmode = "squashfs"\n'
    local.write(f'path = "{lab.images[family]}"', ["thing"], more)
    local.lumienv("lock")
    made = []
    for number, (umask, processors) in enumerate([("002", ""), ("077", "0")]):
        other = make_workspace(tmp_path / f"other{number}" / ("x" * number), local.cache, **local.environ)
        for file in ("lumienv.toml", "pylock.lumienv.toml"):
            shutil.copy(local.directory / file, other.directory)
        scratch = tmp_path / f"scratch-of-{number}"
        scratch.mkdir()
        words = f'umask {umask}; exec {"taskset -c " + processors if processors else ""} "$@"'
        said = other.shell(["sh", "-c", words, "sh", *other.command("sync", "--frozen")], TMPDIR=str(scratch))
        assert said.status == 0, said.err
        assert list(scratch.iterdir()) == []
        made.append(squashfs_of(other))

    assert made[0].read_bytes() == made[1].read_bytes()

    unpacked = tmp_path / "unpacked"
    words = ["sh", "-c", 'umask 022; exec "$@"', "sh", "unsquashfs", "-q", "-n", "-d", unpacked, made[1]]
    subprocess.run(words, check=True, capture_output=True)
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert not [
        name for name in names if re.search(r"uv_cache|\.lock$|CACHEDIR|gitignore|\.bat$|\.ps1$", name)
    ]
    assert "uv =" not in (unpacked / "pyvenv.cfg").read_text()
    for path in (unpacked, *unpacked.rglob("*")):
        if not path.is_symlink():
            wanted = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    content = b"".join(path.read_bytes() for path in unpacked.rglob("*") if path.is_file())
    assert str(tmp_path).encode() not in content
    assert any(name.endswith("/thing/__pycache__/part59.cpython-3" + name[-6:]) for name in names)
    assert not [name for name in names if "old.cpython" in name]
    record = next(unpacked.glob("lib/*/site-packages/thing-1.0.dist-info/RECORD")).read_text()
    for line in record.splitlines():
        assert (unpacked / "lib").is_dir()
        site = next(unpacked.glob("lib/*/site-packages"))
        assert (site / line.split(",")[0]).exists(), line


@pytest.mark.parametrize(("umask", "file", "folder"), [("007", 0o440, 0o750), ("022", 0o444, 0o755)])
def test_members_of_the_project_can_read_it_as_the_umask_says(mine, umask, file, folder):
    said = mine.shell(["sh", "-c", f'umask {umask}; exec "$@"', "sh", *mine.command("sync")])

    assert said.status == 0, said.err
    assert stat.S_IMODE(squashfs_of(mine).stat().st_mode) == file
    assert stat.S_IMODE((mine.current / "generation.json").stat().st_mode) == file
    for path in (mine.current.resolve(), *mine.current.resolve().parents[:2]):
        assert stat.S_IMODE(path.stat().st_mode) & 0o777 == folder


def test_a_handful_of_files_reaches_the_store(mine):
    mine.lumienv("sync")

    found = (
        path.relative_to(mine.directory / ".lumienv") for path in (mine.directory / ".lumienv").rglob("*")
    )
    assert len([path for path in found if path.parts[0] not in ("bin", "launch.sh")]) <= 12
    assert mine.lumienv(*SHOW) == "1.0\n"


def test_a_mksquashfs_that_is_killed_is_said_and_the_old_environment_works(mine, wheels, tmp_path):
    mine.lumienv("sync")
    make_wheel(wheels, "thing", "2.0", modules=NASTY)
    mine.write(mine_image(mine), ["thing>=2"], '[sync]\nmode = "squashfs"\n')
    mine.lumienv("lock")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mksquashfs").write_text('#!/bin/sh\necho begun >"$2"\nkill -9 $$\n')
    (programs / "mksquashfs").chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    said = mine.try_("sync", "--frozen", PATH=f"{programs}:{mine.environ['PATH']}", TMPDIR=str(scratch))

    assert said.status == 1
    assert "cannot write overlay.squashfs" in said.err
    assert "help: " in said.err
    assert list(scratch.iterdir()) == []
    assert [entry.name for entry in (mine.directory / ".lumienv/generations").iterdir()] == [
        mine.current.readlink().name
    ]
    assert mine.lumienv(*SHOW) == "1.0\n"


def mine_image(workspace) -> str:
    text = (workspace.directory / "lumienv.toml").read_text()
    return next(line for line in text.splitlines() if line.startswith("path"))


@pytest.mark.parametrize(
    ("how", "status"),
    [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
)
@pytest.mark.parametrize("stage", ["container", "mksquashfs"])
def test_what_a_stopped_sync_had_started_ends(mine, tmp_path, stage, how, status):
    """With SIGKILL, when the next sync begins; with others at once."""
    scratch = tmp_path / "scratch-for-this"
    scratch.mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    real = {"container": "singularity", "mksquashfs": "mksquashfs"}[stage]
    if stage == "container":
        # The real runtime on the real image; in the container goes on what never ends.
        found = shutil.which("singularity") or shutil.which("apptainer")
        words = (
            f'#!/bin/bash\ncase "$*" in *--workdir*) ;; *) exec {found} "$@";; esac\n'
            'words=(); for word; do words+=("$word"); [[ $word != *.sif ]] || break; done\n'
            f'exec {found} --quiet exec -B "{fifo}:/fifo" "${{words[@]:2}}" '
            'sh -c "echo here >/fifo; sleep 1000 & sleep 1000"\n'
        )
    else:
        words = f'#!/bin/sh\necho here >"{fifo}"\nsleep 1000\n'
    (programs / real).write_text(words)
    (programs / real).chmod(0o755)
    begun = mine.start("sync", "--frozen", PATH=f"{programs}:{mine.environ['PATH']}", TMPDIR=str(scratch))
    with begun:
        assert fifo.read_text() == "here\n"
        (left,) = scratch.iterdir()
        os.kill(begun.pid, how)
        _, said = begun.communicate(timeout=60)
    assert begun.returncode == status, said
    assert "Traceback" not in said
    if how != signal.SIGKILL:
        assert not left.exists()
        assert of_scratch(left) == []
    else:
        assert left.exists()

    mine.lumienv("sync", TMPDIR=str(scratch))

    assert of_scratch(left) == []
    assert list(scratch.iterdir()) == []
    assert mine.lumienv(*SHOW) == "1.0\n"


def of_scratch(left: Path) -> list[str]:
    """What still runs of those that were told to work there: by the mark, and by what they were told."""
    token = left.name.split("-")[-2]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if token.encode() in environ + words:
            found.append(words.decode(errors="replace"))
    return found


if os.geteuid() == 0:  # only root can mount the small file system that is to be filled

    @pytest.fixture
    def small_disk(tmp_path):
        """File systems of a few megabytes, made when they are asked for."""
        made = []

        def make(options: str) -> Path:
            folder = tmp_path / f"small{len(made)}"
            folder.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
            made.append(folder)
            return folder

        yield make
        for folder in made:
            subprocess.run(["umount", str(folder)], check=True)

    def test_the_store_needs_a_dozen_inodes_and_no_more_room_than_the_file(mine, small_disk):
        """Nothing passes through the store that does not stay there."""
        disk = small_disk("size=1m,nr_inodes=40")
        (mine.directory / ".lumienv").symlink_to(disk)
        before = os.statvfs(disk).f_ffree

        mine.lumienv("sync")

        used = before - os.statvfs(disk).f_ffree
        launchers = [disk / "launch.sh", disk / "bin", *(disk / "bin").iterdir()]  # here each link counts
        assert used - len(launchers) <= 12
        assert mine.lumienv(*SHOW) == "1.0\n"

    def test_too_few_inodes_for_a_directory_are_said_with_the_way_out(mine, small_disk):
        (mine.directory / ".lumienv").symlink_to(small_disk("size=50m,nr_inodes=100"))

        said = mine.try_("sync", "--mode", "venv")

        assert said.status == 1
        assert "there is no room for so many files" in said.err
        assert "lumienv sync --mode squashfs" in said.err

    @pytest.mark.parametrize("full", ["scratch", "store"])
    def test_a_full_disk_is_said_before_anything_is_written(mine, wheels, small_disk, full):
        mine.lumienv("sync")
        old = mine.current.readlink()
        make_wheel(wheels, "thing", "2.0", padding=4_000_000)
        mine.write(mine_image(mine), ["thing>=2"], '[sync]\nmode = "squashfs"\n')
        mine.lumienv("lock")
        disk = small_disk("size=3m")
        places = {}
        if full == "scratch":
            places = {"TMPDIR": str(disk)}
        else:
            shutil.move(mine.directory / ".lumienv", mine.directory / "old-store")
            (mine.directory / ".lumienv").symlink_to(disk)

        said = mine.try_("sync", "--frozen", **places)

        assert said.status == 1
        assert "there is not enough room for the environment" in said.err
        assert ("TMPDIR" if full == "scratch" else "[sync] store") in said.err
        if full == "scratch":
            assert list(disk.iterdir()) == []
            assert mine.current.readlink() == old
            assert mine.lumienv(*SHOW) == "1.0\n"

    def test_a_store_that_fills_up_while_the_file_is_written_is_said(mine, wheels, small_disk, tmp_path):
        disk = small_disk("size=3m")
        (mine.directory / ".lumienv").symlink_to(disk)
        mine.lumienv("sync")
        make_wheel(wheels, "thing", "2.0", padding=1_500_000)
        mine.write(mine_image(mine), ["thing>=2"], '[sync]\nmode = "squashfs"\n')
        mine.lumienv("lock")
        programs = tmp_path / "programs"
        programs.mkdir()
        # Somebody else takes the room between the check and the writing.
        (programs / "mksquashfs").write_text(
            f'#!/bin/sh\nhead -c 2500000 /dev/zero >"{disk}/other"\nexec {shutil.which("mksquashfs")} "$@"\n'
        )
        (programs / "mksquashfs").chmod(0o755)

        said = mine.try_("sync", "--frozen", PATH=f"{programs}:{mine.environ['PATH']}")

        assert said.status == 1
        assert "cannot write overlay.squashfs" in said.err
        assert "Traceback" not in said.err
        assert [entry.name for entry in (disk / "generations").iterdir()] == [mine.current.readlink().name]
        assert mine.lumienv(*SHOW) == "1.0\n"
