"""`lumienv sync` killed at any step: the old environment runs, the next sync succeeds, nothing is left."""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults import (
    KILL_CALLER,
    KILL_CALLERS_CALLER,
    MODES,
    killing,
    make_scene,
    place_of,
    published,
    spread,
    wrapper,
)
from index_server import IndexServer

# More of them, up to every step: LUMIENV_TEST_POINTS=1000 pytest tests/integration/test_kills.py
POINTS = int(os.environ.get("LUMIENV_TEST_POINTS", "32"))
AT_ONCE = 2  # projects, each with its own store, cache, scratch space and index


@pytest.fixture
def told(capsys):
    """Prints a line of figures that is seen whatever comes of the test."""

    def tell(line):
        with capsys.disabled():
            print(f"\n{line}", flush=True)

    return tell


def killed_at(scene, steps, chosen):
    """Kill a sync at each of these steps, and say at which of them something did not hold, and what."""
    failures = []
    for number, step in enumerate(chosen, 1):
        try:
            scene.ask_for_another()
            scene.end_at(step, signal.SIGKILL)
            if published(steps, step):
                scene.running = scene.version
            scene.old_runs()
            # In between, the next sync is one that is killed, too: it finds what those before have left.
            if number % 8 == 0 or step == chosen[-1]:
                scene.recovers()
        except AssertionError as error:
            failures.append(f"{step}: {error}")
    return failures


@pytest.mark.once
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_step_it_leaves_the_old_environment_running(mode, tmp_path, small_image, told):
    began = time.monotonic()

    def prepared(number):
        folder = tmp_path / f"wheels-{number}"
        folder.mkdir()
        with IndexServer(folder) as index:
            scene = make_scene(tmp_path / str(number), index, small_image, mode)
            scene.sync()
            scene.ask_for_another()
            steps = scene.steps()
            chosen = spread(steps, POINTS)
            return chosen, killed_at(scene, steps, chosen[number::AT_ONCE])

    with ThreadPoolExecutor(AT_ONCE) as workers:
        done = list(workers.map(prepared, range(AT_ONCE)))

    failures = [failure for _, found in done for failure in found]
    points = {step for number, (chosen, _) in enumerate(done) for step in chosen[number::AT_ONCE]}
    places = {place_of(step) for step in points}
    told(
        f"kill points in {mode}: {len(points)} steps at {len(places)} places, {len(failures)} failures, "
        f"{time.monotonic() - began:.0f} s"
    )
    assert not failures, "\n\n".join(failures)
    assert len(points) >= 30


@pytest.mark.once
def test_killed_at_any_step_the_very_first_sync_can_be_repeated(tmp_path, index, small_image, told):
    began = time.monotonic()
    steps = make_scene(tmp_path / "listed", index, small_image, "venv").steps()
    begun = steps[: next(i for i, step in enumerate(steps) if " new_directory " in step)]  # staging
    making_the_store = [step for step in begun if " _make " in step]
    chosen = dict.fromkeys([*spread(begun, 5), *making_the_store])

    for number, step in enumerate(chosen):
        scene = make_scene(tmp_path / str(number), index, small_image, "venv")
        scene.end_at(step, signal.SIGKILL)
        scene.recovers()

    told(f"kill points of a first sync: {len(chosen)} steps, {time.monotonic() - began:.0f} s")
    assert len(making_the_store) >= 5


# By mode: the program that takes long, and what kills the sync while it is at work.
VENV = "{store}/.staging-*/tree"
ROOT = "{scratch}/*/root"
LONG = {
    "venv": [
        ("singularity", killing(f"{VENV}/pyvenv.cfg")),
        ("singularity", killing(f"{VENV}/lib/*/*/thing.py")),
    ],
    "squashfs": [
        ("singularity", killing(f"{ROOT}/pyvenv.cfg")),
        ("singularity", killing(f"{ROOT}/lib/*/*/thing.py")),
        ("mksquashfs", KILL_CALLER),
    ],
    "append": [
        ("singularity", killing(f"{ROOT}/opt/lumienv/lib/*/*/thing.py")),
        ("singularity", killing("{store}/.staging-*/image.sif")),
        ("mksquashfs", KILL_CALLER),
    ],
    "cotainr": [
        ("singularity", killing(f"{ROOT}/opt/lumienv/lib/*/*/thing.py")),
        ("singularity", KILL_CALLERS_CALLER),
    ],
}


@pytest.mark.parametrize(
    "mode", ["venv", *(pytest.param(mode, marks=pytest.mark.once) for mode in MODES if mode != "venv")]
)
def test_killed_in_the_midst_of_a_long_step_it_leaves_the_old_environment_running(
    mode, tmp_path, index, small_image
):
    scene = make_scene(tmp_path, index, small_image, mode)
    scene.sync()
    store = scene.workspace.directory / ".lumienv" / "generations"

    for program, lines in LONG[mode]:
        scene.ask_for_another()
        script = lines.replace("{store}", str(store)).replace("{scratch}", str(scene.scratch))
        folder = wrapper(tmp_path, shutil.which(program), program, script)
        said = scene.workspace.try_("sync", *scene.words, PATH=f"{folder}:{os.environ['PATH']}")
        assert said.status == -signal.SIGKILL, (program, lines, said)
        scene.old_runs()
    scene.recovers()


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        ("venv", signal.SIGTERM),
        pytest.param("venv", signal.SIGINT, marks=pytest.mark.once),
        pytest.param("venv", signal.SIGHUP, marks=pytest.mark.once),
        pytest.param("append", signal.SIGTERM, marks=pytest.mark.once),
    ],
)
def test_told_to_end_it_cleans_up_at_once(mode, ending, tmp_path, index, small_image):
    scene = make_scene(tmp_path, index, small_image, mode)
    scene.sync()
    scene.ask_for_another()
    steps = scene.steps()
    unpublished = [step for step in steps if not published(steps, step) and "remove_tree" not in step]
    work = [step for step in unpublished if "lumienv/index" not in step and "lumienv/sealed" not in step]

    for step in spread(work, 5 if ending == signal.SIGTERM else 3):
        scene.ask_for_another()
        said = scene.end_at(step, ending)
        assert "interrupted" in said
        scene.nothing_is_left()
        scene.old_runs()

    scene.recovers()
