"""The store among jobs, processes and teammates: what is used stays, what is shared can be used."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import Said, Workspace, make_workspace

LAB = Path(__file__).parents[1] / "lab"
MODES = {"venv": [], "squashfs": [], "sif": ["--builder", "append"]}
MONTH = 30 * 86400


@pytest.fixture
def project(small_image: Path, local: Workspace, wheels: Path) -> Workspace:
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "overlay-only", version, modules={"overlay_only.py": f"version = '{version}'\n"})
    ask_for(local, small_image, "1.0")
    return local


def ask_for(project: Workspace, image: Path, version: str) -> None:
    project.write(f'path = "{image}"', [f"overlay-only=={version}"])


def current(project: Workspace) -> Path:
    return Path(os.path.realpath(project.current))


def clean(project: Workspace, **variables: str) -> dict[str, str]:
    """name of a generation → why it stays; those that were removed have none."""
    said = json.loads(project.lumienv("clean", "--json", **variables))
    kept = {Path(one["generation"]).name: one["reason"] for one in said["kept"]}
    return kept | {Path(one["generation"]).name: "" for one in said["removed"]}


def held(project: Workspace, *before: str, line: str = "") -> "subprocess.Popen[str]":
    """A command in the environment that ends when its input does; `before` stands in front of it."""
    words = ["sh", "-c", "echo $SLURM_JOB_ID ready; cat"]
    return subprocess.Popen(
        [*before, *(["sh", "-c", line] if line else project.command("run", "--", *words))],
        cwd=project.directory,
        env=project.environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(process: "subprocess.Popen[str]") -> str:
    """Wait for the command; its job's id."""
    assert process.stdout is not None
    said = process.stdout.readline().split()
    assert said[-1:] == ["ready"], process.stderr.read() if process.stderr else ""
    return said[0]


def forget_leases(project: Workspace) -> None:
    for lease in (project.directory / ".lumienv" / "leases").iterdir():
        lease.unlink()


def make_old(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - MONTH,) * 2)


# -- processes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_what_a_container_of_this_node_runs_in_stays_without_any_lease(
    project: Workspace, small_image: Path, mode: str
) -> None:
    project.lumienv("sync", "--mode", mode, *MODES[mode])
    old = current(project)
    with held(project) as process:
        ready(process)
        forget_leases(project)
        ask_for(project, small_image, "2.0")
        project.lumienv("sync", "--mode", "venv")
        assert re.fullmatch(r"(process \d+|loop\d+ on this node) uses it", clean(project)[old.name])
        process.communicate()
    make_old(old)  # where Slurm is there and does not answer, a job might have it
    assert clean(project) == {old.name: "", current(project).name: "it is the current one"}
    assert not old.exists()
    assert project.python("import overlay_only; print(overlay_only.version)") == "2.0"


# -- jobs ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slurm")
def test_what_a_job_uses_stays_until_long_after_its_end(project: Workspace, small_image: Path) -> None:
    project.lumienv("sync")
    old = current(project)
    with held(project, "salloc", "-Q", "-n1") as process:
        job = ready(process)
        ask_for(project, small_image, "2.0")
        project.lumienv("sync")
        (lease,) = (project.directory / ".lumienv" / "leases").iterdir()
        assert re.fullmatch(rf"\w+\.{job}", lease.name)
        make_old(lease)
        assert clean(project)[old.name] == f"job {job} uses it"
        # One that says nothing; for one that is missing Slurm looks again and again, for a minute.
        (project.directory / "slurm.conf").touch()
        unusable = str(project.directory / "slurm.conf")
        assert "Slurm cannot be asked" in clean(project, SLURM_CONF=unusable)[old.name]
        process.communicate()
    now = time.time()
    os.utime(lease, (now, now))
    assert "kept for 14 days" in clean(project)[old.name]
    make_old(lease, old)
    assert clean(project) == {old.name: "", current(project).name: "it is the current one"}
    assert not lease.exists()


@pytest.mark.usefixtures("slurm")
def test_what_a_printed_line_runs_in_stays_while_its_job_runs(project: Workspace, small_image: Path) -> None:
    project.lumienv("sync")
    old = current(project)
    # The laboratory's nodes are one machine: the container ends, so that it is not seen, and the job goes on.
    line = project.lumienv("run", "--print", "--", "true").strip() + "; echo $SLURM_JOB_ID ready; cat"
    with held(project, "salloc", "-Q", "-n1", line=line) as process:
        job = ready(process)
        ask_for(project, small_image, "2.0")
        project.lumienv("sync")
        assert list((project.directory / ".lumienv" / "leases").iterdir()) == []
        reason = f"job {job} started before it was replaced, and may run in it"
        assert clean(project)[old.name] == reason
        assert old.exists()
        process.communicate()
    assert clean(project)[old.name] == ""


# -- several modes ---------------------------------------------------------------------------------------


def test_several_modes_stand_side_by_side_and_say_what_is_stale(
    project: Workspace, small_image: Path
) -> None:
    show = "import overlay_only; print(overlay_only.version)"
    assert "there is none yet" in project.try_("sync", "--check").err
    assert "would build: venv on top of" in project.lumienv("sync", "--dry-run")
    assert not (project.directory / ".lumienv").exists()
    assert not project.lock_path.exists()
    project.lumienv("sync", "--mode", "squashfs")
    project.lumienv("sync")
    assert current(project).name.startswith("venv-")
    assert project.lumienv("run", "--mode", "squashfs", "--", "python", "-c", show) == "1.0\n"
    assert project.try_("sync", "--check").status == 0
    assert (
        "the mode venv, and squashfs is asked for"
        in project.try_("sync", "--check", "--mode", "squashfs").err
    )
    assert len(clean(project)) == 2
    assert "" not in clean(project).values()

    ask_for(project, small_image, "2.0")
    said = project.try_("run", "--mode", "squashfs", "--", "python", "-c", show)
    assert "no environment of the mode squashfs that is up to date" in said.err
    assert "lumienv sync --mode squashfs" in said.err
    status = project.lumienv("status")
    assert '"overlay-only==1.0" became "overlay-only==2.0" in dependencies' in status
    assert "to mend it: lumienv sync" in status
    project.lumienv("sync", "--mode", "squashfs")
    again = json.loads(project.lumienv("status", "--json"))
    assert (again["problem"], again["remedy"]) == (None, None)
    assert [one["mode"] for one in again["environments"] if one["current"]] == ["squashfs"]

    # A sync on the way keeps what was synced last.
    ask_for(project, small_image, "1.0")
    assert project.python(show) == "1.0"
    assert current(project).name.startswith("squashfs-")


# -- teammates -------------------------------------------------------------------------------------------


class Teammate:
    """The laboratory's unprivileged user, in a project of the group's folder."""

    def __init__(self, project: Workspace, home: Path) -> None:
        self.project = project
        self.environ = {
            "CWD": str(project.directory),
            "LUMIENV_CACHE_DIR": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "PIP_INDEX_URL": project.environ["PIP_INDEX_URL"],
            "NO_COLOR": "1",
            "PATH": os.environ["PATH"],
        }
        self.environ["KEEP"] = " ".join(("LUMIENV_CACHE_DIR", "XDG_STATE_HOME", "PIP_INDEX_URL", "NO_COLOR"))

    def shell(self, *words: str) -> Said:
        done = subprocess.run(
            ["bash", str(LAB / "user.sh"), *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def lumienv(self, *words: str) -> Said:
        return self.shell(*self.project.command(*words))


@pytest.fixture
def group_folder(require) -> Iterator[Path]:
    """A folder of the group's, as on LUMI: of its members, with the group handed on."""
    scratch = Path("/scratch/project_465000000")
    require(
        os.geteuid() == 0 and scratch.is_dir(), "two users are needed: run as root, after tests/lab/user.sh"
    )
    user = pwd.getpwnam("lumi")
    readable = subprocess.run(
        ["bash", str(LAB / "user.sh"), sys.executable, "-c", "import lumienv"], capture_output=True
    )
    require(readable.returncode == 0, f"the user {user.pw_name} cannot run {sys.executable}")
    folder = Path(tempfile.mkdtemp(prefix="store-", dir=scratch))
    folder.chmod(0o2770)
    home = folder / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.once
def test_a_teammate_uses_what_is_shared_and_nothing_else(
    group_folder: Path, small_image: Path, tmp_path: Path, wheels: Path, index
) -> None:
    make_wheel(wheels, "overlay-only", "1.0", modules={"overlay_only.py": "version = '1.0'\n"})
    make_wheel(wheels, "overlay-only", "2.0", modules={"overlay_only.py": "version = '2.0'\n"})
    mine = make_workspace(group_folder / "project", tmp_path / "cache", PIP_INDEX_URL=index.url)
    mine.directory.chmod(0o2770)
    ask_for(mine, small_image, "1.0")
    mine.lumienv("lock")
    program = " ".join(mine.command())
    assert mine.shell(["sh", "-c", f"umask 077; {program} sync --mode squashfs"]).status == 0
    teammate = Teammate(mine, group_folder / "home")
    show = ("python", "-c", "import overlay_only; print(overlay_only.__file__, overlay_only.version)")

    said = teammate.lumienv("run", "--no-sync", "--", *show)
    assert said.status == 1
    assert "Traceback" not in said.err
    said = teammate.lumienv("sync", "--mode", "squashfs")
    assert "was made by root, and nothing that they share there fits" in said.err
    assert "ask root for: lumienv sync --share" in said.err

    shared = mine.shell(["sh", "-c", f"umask 077; {program} sync --mode squashfs --share"])
    assert "it is shared" in shared.out, shared.err
    said = teammate.lumienv("run", "--no-sync", "--", *show)
    assert "root shares the environment in" in said.err
    assert "to use it: lumienv sync" in said.err
    said = teammate.lumienv("run", "--", *show)
    assert said.out == ""
    assert "to use what they share: lumienv sync" in said.err

    said = teammate.lumienv("sync", "--mode", "squashfs")
    assert "using the environment that root shares" in said.out, said.err
    said = teammate.lumienv("run", "--", *show)
    assert re.fullmatch(r"/opt/lumienv/lib/\S+/overlay_only.py 1.0\n", said.out), said.err
    assert teammate.lumienv("sync", "--check", "--mode", "squashfs").status == 0

    # They leave leases, which count, and can change nothing else.
    lumi = pwd.getpwnam("lumi").pw_uid
    assert [path.stat().st_uid for path in (mine.directory / ".lumienv" / "leases").iterdir()] == [lumi]
    store = mine.directory / ".lumienv"
    for path in (store, store / "generations", current(mine), current(mine) / "overlay.squashfs"):
        assert teammate.shell("test", "-r", str(path)).status == 0
        assert teammate.shell("test", "-w", str(path)).status == 1

    # From a project of their own whose store is named to be that one, too.
    own = group_folder / "home" / "own"
    copied = f"mkdir {own} && cp lumienv.toml pylock.lumienv.toml {own} && chmod u+w {own}/*"
    words = f'{copied} && printf \'[sync]\\nmode = "squashfs"\\nstore = "{store}"\\n\' >>{own}/lumienv.toml'
    assert teammate.shell("sh", "-c", words).status == 0
    assert teammate.lumienv("run", "-C", str(own), "--no-sync", "--", *show).out.endswith(" 1.0\n")
    assert "that root shares" in teammate.lumienv("sync", "-C", str(own)).out
    assert not (own / ".lumienv").exists()

    # What others could write to is not run, whoever shares it.
    carrier = current(mine) / "overlay.squashfs"
    carrier.chmod(0o464)
    assert "could have been changed by others" in teammate.lumienv("run", "--no-sync", "--", *show).err
    carrier.chmod(0o444)

    # The next environment has to be shared anew; the old one stays for the teammate's jobs.
    old = current(mine)
    ask_for(mine, small_image, "2.0")
    mine.lumienv("sync", "--mode", "squashfs")
    assert "used it today" in clean(mine)[old.name] or "shared" in clean(mine)[old.name]
    said = teammate.lumienv("run", "--", *show)
    assert "ask root for: lumienv sync --share" in said.err
