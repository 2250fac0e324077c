"""`lumienv sync` killed at any step: the old environment runs, the next sync succeeds, nothing is left."""

import os
import shutil
import signal

import pytest
from faults import MODES, killing, make_scene, published, spread, wrapper

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
        if number % 4 == 0 or step == chosen[-1]:
            scene.recovers()

    record_property("kill points", len(chosen))
    assert len(chosen) >= 30
