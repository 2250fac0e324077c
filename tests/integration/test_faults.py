"""`lumienv sync` where a disk is full, something is forbidden or gone, or others sync at the same time.

Each time: a sentence, the old environment runs, the next sync succeeds, and nothing is left behind.
"""

import os
import shutil
import signal
import sys
from collections import deque

import pytest
from faults import MODES, STEPS, at_once, fill, make_scene, small_disk, unwritable, wrapper

ROOT = os.geteuid() == 0  # who alone may mount a small file system


def modes(*as_anybody, of=tuple(MODES)):
    """Try in these modes; as an unprivileged user only in the ones named."""
    marks = {mode: () if mode in as_anybody else pytest.mark.once for mode in of}
    return pytest.mark.parametrize("mode", [pytest.param(mode, marks=marks[mode]) for mode in of])


@pytest.fixture
def new_scene(mode, tmp_path, index, small_image):
    """A project on the small image in one mode, not synced yet."""
    return make_scene(tmp_path, index, small_image, mode)


@pytest.fixture
def scene(new_scene):
    """The same, synced, with another release asked for."""
    new_scene.sync()
    new_scene.ask_for_another()
    return new_scene


@pytest.fixture
def directory_scene(tmp_path, index, small_image):
    """The same in the mode venv, for what is the same in all modes."""
    made = make_scene(tmp_path, index, small_image, "venv")
    made.sync()
    made.ask_for_another()
    return made


def filling(disk, condition):
    """Lines for `wrapper`: fill the disk when the program's words are such."""
    return f"""
case "$*" in {condition}) dd if=/dev/zero of={disk}/filler bs=4k 2>/dev/null;; esac
exec "$real" "$@"
"""


# Who starts when the store begins to be written to, and the scratch space: there the disk is filled.
WRITES_STORE = {
    "venv": ("singularity", "*/bin/sh*"),
    "squashfs": ("mksquashfs", "*"),
    "append": ("mksquashfs", "*"),
    "cotainr": ("singularity", "*build*"),
}

if ROOT:

    @modes()
    def test_a_disk_of_the_store_that_fills_up_meanwhile_ends_the_sync(new_scene, mode, tmp_path):
        scene = new_scene
        store = scene.workspace.directory / ".lumienv"
        with small_disk(store, 64):
            scene.sync()
            scene.ask_for_another(padding=200_000)
            program, condition = WRITES_STORE[mode]
            folder = wrapper(tmp_path, shutil.which(program), program, filling(store, condition))

            said = scene.failing_sync(PATH=f"{folder}:{os.environ['PATH']}")

            assert "o space left" in said or "disk is full" in said or "df -h" in said, said
            scene.old_runs()
            (store / "filler").unlink()
            scene.recovers()

    @modes()
    def test_a_scratch_disk_that_fills_up_meanwhile_ends_the_sync(scene, mode, tmp_path):
        with small_disk(scene.scratch, 150, "tmpfs"):
            script = filling(scene.scratch, "*/bin/sh*")
            folder = wrapper(tmp_path, shutil.which("singularity"), "singularity", script)
            scene.ask_for_another(padding=200_000)

            path = f"{folder}:{os.environ['PATH']}"

            if mode == "venv":  # built in the store; what goes to scratch space is there by then
                scene.sync(PATH=path)
            else:
                said = scene.failing_sync(PATH=path)
                assert "the disk is full" in said, said
                scene.old_runs()
            assert (scene.scratch / "filler").stat().st_size > 0
            (scene.scratch / "filler").unlink()
            scene.recovers()

    @modes()
    def test_a_disk_that_is_too_small_is_told_before_anything_is_written(new_scene, mode):
        scene = new_scene
        place = scene.workspace.directory / ".lumienv" if mode == "venv" else scene.scratch
        with small_disk(place, 160):
            scene.sync()
            scene.ask_for_another(padding=20_000_000)
            fill(place / "filler", leave=16_000_000)
            before = scene.generations()

            said = scene.failing_sync()

            assert "there is not enough room" in said, said
            assert scene.generations() == before
            scene.old_runs()
            (place / "filler").unlink()
            scene.recovers()

    @pytest.mark.once
    def test_a_cache_whose_disk_is_full_ends_the_sync(directory_scene):
        scene = directory_scene
        shutil.rmtree(scene.workspace.cache)
        with small_disk(scene.workspace.cache, 4):
            scene.workspace.cache.chmod(0o700)
            scene.sync()
            scene.ask_for_another(padding=500_000)
            fill(scene.workspace.cache / "filler")

            said = scene.failing_sync()

            assert f"thing-{scene.version}-py3-none-any.whl: the disk is full" in said, said
            scene.old_runs()
            (scene.workspace.cache / "filler").unlink()
            scene.recovers()

    @pytest.mark.once
    def test_notes_that_cannot_grow_end_the_sync_before_it_is_published(directory_scene):
        scene = directory_scene
        state = scene.scratch.parent / "state" / "lumienv"
        notes = (state / "generations").read_bytes()
        with small_disk(state, 1, "tmpfs"):
            (state / "generations").write_bytes(notes + b"\n" * (4096 - len(notes)))
            fill(state / "filler")

            said = scene.failing_sync()

            assert "cannot note down that this environment was made by you: No space left" in said
            scene.old_runs()
            (state / "filler").unlink()
            scene.recovers()


FOLDERS = {
    "the store": "project/.lumienv/generations",
    "the scratch folder": "scratch",
    "the wheelhouse": "cache/wheels",
    "the output's folder": "images",
}


@modes("venv", "append", of=("venv", "squashfs", "append"))
def test_a_folder_without_permission_is_named(scene, tmp_path, mode):
    for what, folder in FOLDERS.items():
        if what == "the output's folder" and mode not in ("append", "cotainr"):
            continue
        scene.ask_for_another()
        with unwritable(tmp_path / folder):
            said = scene.failing_sync()
            assert "permission denied" in said or "read-only" in said, (what, said)
            assert folder.rpartition("/")[2] in said, (what, said)
            assert "help: " in said
            scene.old_runs()
    scene.recovers()


def test_notes_without_permission_are_named_before_any_work(directory_scene):
    scene = directory_scene
    notes = scene.scratch.parent / "state" / "lumienv"
    (notes / "generations").chmod(0o400)
    with unwritable(notes):
        said = scene.failing_sync()
    assert "cannot note down that this environment was made by you" in said
    (notes / "generations").chmod(0o600)
    scene.old_runs()
    scene.recovers()


@pytest.mark.once
def test_an_index_that_is_gone_changes_nothing(directory_scene):
    scene = directory_scene
    dead = "http://127.0.0.1:9/simple"
    said = scene.failing_sync(PIP_INDEX_URL=dead, UV_DEFAULT_INDEX=dead)
    assert "127.0.0.1:9" in said
    scene.old_runs()
    scene.nothing_is_left()
    scene.recovers()


@pytest.mark.once
@pytest.mark.parametrize("fault", ["cut", "offline"])
def test_a_download_that_fails_changes_nothing(directory_scene, index, fault):
    scene = directory_scene
    scene.ask_for_another(padding=500_000)
    scene.workspace.lumienv("lock")
    wheel = f"thing-{scene.version}-py3-none-any.whl"
    if fault == "cut":
        index.cut[f"/files/{wheel}"] = deque([250_000] + [0] * 50)

    said = scene.failing_sync(*(["--offline"] if fault == "offline" else []))

    assert wheel in said
    scene.old_runs()
    scene.nothing_is_left()
    index.cut.clear()
    scene.recovers()


@pytest.mark.once
@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        ("venv", "echo broken >&2; exit 255"),
        ("append", "echo broken >&2; exit 1"),
        ("append", "kill -9 $$"),
    ],
    ids=["refuses", "fails", "is killed"],
)
def test_a_runtime_that_fails_changes_nothing(scene, tmp_path, lines):
    script = f'case "$*" in *exec*|*build*|*sif*) {lines};; esac\nexec "$real" "$@"'
    folder = wrapper(tmp_path, shutil.which("singularity"), "singularity", script)

    said = scene.failing_sync(PATH=f"{folder}:{os.environ['PATH']}")

    assert "the environment could not be built in small.sif" in said
    assert "kill" in lines or "broken" in said
    scene.old_runs()
    scene.nothing_is_left()
    scene.recovers()


@pytest.mark.once
def test_a_runtime_that_is_gone_is_named(directory_scene, tmp_path):
    scene = directory_scene
    (tmp_path / "empty").mkdir()
    said = scene.failing_sync(PATH=str(tmp_path / "empty"))
    assert "neither singularity nor apptainer is on PATH" in said
    scene.old_runs()
    scene.nothing_is_left()
    scene.recovers()


@modes("venv", of=("venv", "squashfs", "append"))
def test_eight_syncs_at_once_make_one_environment(scene):
    before = scene.generations()

    done = at_once(scene, [scene.workspace.command("sync", *scene.words)] * 8)

    assert [said.status for said in done] == [0] * 8, done
    assert len(scene.generations() - before) == 1
    scene.running = scene.version
    scene.old_runs()
    scene.nothing_is_left()


@pytest.mark.once
def test_eight_syncs_at_once_in_several_modes_all_succeed(directory_scene):
    scene = directory_scene
    before = scene.generations()

    done = at_once(scene, [scene.workspace.command("sync", *words) for words in (*MODES.values(),) * 2])

    assert [said.status for said in done] == [0] * 8, done
    assert len(scene.generations() - before) == len(MODES)
    scene.running = scene.version
    scene.old_runs()
    scene.nothing_is_left()


@modes(of=("venv", "append"))
def test_of_eight_syncs_at_once_the_one_at_work_is_killed_and_the_others_succeed(scene):
    before = scene.generations()
    steps = scene.steps()
    publishing = next(step for step in steps if step.startswith("os.rename") and " publish " in step)
    scene.ask_for_another()
    killed = [sys.executable, str(STEPS), "SIGKILL", publishing, "--", "sync", *scene.words]

    done = at_once(scene, [scene.workspace.command("sync", *scene.words)] * 7, first=killed)

    assert [said.status for said in done] == [-signal.SIGKILL, *[0] * 7], done
    scene.running = scene.version
    scene.old_runs()
    assert len(scene.generations() - before) == 2
    scene.nothing_is_left()


def test_a_sync_on_the_way_of_a_run_cleans_up_however_often_it_is_told_to_end(directory_scene, tmp_path):
    scene = directory_scene
    telling = """
case "$*" in */bin/sh*) for i in 1 2 3; do kill -TERM $PPID; kill -HUP $PPID; kill -INT $PPID; done;; esac
exec "$real" "$@"
"""
    folder = wrapper(tmp_path, shutil.which("singularity"), "singularity", telling)
    said = scene.workspace.try_("run", "--", "true", PATH=f"{folder}:{os.environ['PATH']}")
    assert said.status in (129, 130, 143), said
    assert said.err.endswith("error: interrupted: what was there before still works\n")
    scene.nothing_is_left()
    scene.old_runs()
    scene.recovers()
