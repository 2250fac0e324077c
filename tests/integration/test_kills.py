"""`lumienv sync` killed at any step: the old environment runs, the next sync succeeds, nothing is left."""

import os
import shutil
import signal

import pytest
from faults import KILL_CALLER, KILL_CALLERS_CALLER, MODES, killing, make_scene, published, spread, wrapper

# More of them, up to every step: LUMIENV_TEST_POINTS=1000 pytest tests/integration/test_kills.py
POINTS = int(os.environ.get("LUMIENV_TEST_POINTS", "32"))


@pytest.fixture(params=MODES)
def scene(request, tmp_path, index, small_image):
    """A project on the small image in one mode, not synced yet."""
    return make_scene(tmp_path, index, small_image, request.param)


@pytest.mark.once
def test_killed_at_any_step_it_leaves_the_old_environment_running(scene, record_property):
    scene.sync()
    scene.ask_for_another()
    steps = scene.steps()
    chosen = spread(steps, POINTS)

    for number, step in enumerate(chosen, 1):
        scene.ask_for_another()
        scene.end_at(step, signal.SIGKILL)
        if published(steps, step):
            scene.running = scene.version
        scene.old_runs()
        # In between, the next sync is one that is killed, too: it finds what those before have left.
        if number % 8 == 0 or step == chosen[-1]:
            scene.recovers()

    record_property("kill points", len(chosen))
    assert len(chosen) >= 30


@pytest.mark.once
def test_killed_at_any_step_the_very_first_sync_can_be_repeated(tmp_path, index, small_image):
    steps = make_scene(tmp_path / "listed", index, small_image, "venv").steps()
    begun = steps[: next(i for i, step in enumerate(steps) if " staging " in step)]
    making_the_store = [step for step in begun if " _make " in step]
    chosen = dict.fromkeys([*spread(begun, 12), *making_the_store])

    for number, step in enumerate(chosen):
        scene = make_scene(tmp_path / str(number), index, small_image, "venv")
        scene.end_at(step, signal.SIGKILL)
        scene.recovers()

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


def test_killed_in_the_midst_of_a_long_step_it_leaves_the_old_environment_running(scene, tmp_path, request):
    scene.sync()
    store = scene.workspace.directory / ".lumienv" / "generations"

    for program, lines in LONG[request.node.callspec.params["scene"]]:
        scene.ask_for_another()
        script = lines.replace("{store}", str(store)).replace("{scratch}", str(scene.scratch))
        folder = wrapper(tmp_path, shutil.which(program), program, script)
        said = scene.workspace.try_("sync", *scene.words, PATH=f"{folder}:{os.environ['PATH']}")
        assert said.status == -signal.SIGKILL, (program, lines, said)
        scene.old_runs()
        scene.recovers()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end_it_cleans_up_at_once(scene, ending):
    scene.sync()
    scene.ask_for_another()
    steps = scene.steps()
    unpublished = [step for step in steps if not published(steps, step) and "remove_tree" not in step]
    work = [step for step in unpublished if "lumienv/index" not in step and "lumienv/sealed" not in step]

    for step in spread(work, 5):
        scene.ask_for_another()
        said = scene.end_at(step, ending)
        assert "interrupted" in said
        scene.nothing_is_left()
        scene.old_runs()

    scene.recovers()
