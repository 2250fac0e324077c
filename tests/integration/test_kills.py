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


@pytest.mark.once
def test_killed_at_any_step_the_very_first_sync_can_be_repeated(tmp_path, index, small_image):
    listing = make_scene(tmp_path / "first", index, small_image, "venv")
    first = {step.rpartition(" ")[0]: step for step in reversed(listing.steps())}
    listing.ask_for_another()
    for step in listing.steps():
        first.pop(step.rpartition(" ")[0], None)

    for number, step in enumerate(first.values()):
        scene = make_scene(tmp_path / str(number), index, small_image, "venv")
        scene.end_at(step, signal.SIGKILL)
        scene.recovers()

    assert len(first) >= 5, "the first sync has steps of its own: the probe, the store"


# What appears while something long is going on: uv at work in the container, mksquashfs, cotainr.
LONG = {
    "venv": {
        "singularity": ("{store}/.staging-*/tree/bin/python", "{store}/.staging-*/tree/lib/*/*/thing.py"),
    },
    "squashfs": {
        "singularity": ("{scratch}/*/root/pyvenv.cfg", "{scratch}/*/root/lib/*/*/thing.py"),
        "mksquashfs": ("{store}/.staging-*/overlay.squashfs",),
    },
    "append": {
        "singularity": ("{scratch}/*/root/opt/lumienv/lib/*/*/thing.py", "{store}/.staging-*/image.sif"),
        "mksquashfs": ("{scratch}/*/overlay.squashfs",),
    },
    "cotainr": {
        "singularity": ("{scratch}/*/root/opt/lumienv/lib/*/*/thing.py", "{store}/.staging-*/image.sif"),
    },
}


def test_killed_in_the_midst_of_a_long_step_it_leaves_the_old_environment_running(scene, tmp_path, request):
    scene.sync()
    mode = request.node.callspec.params["scene"]
    store = scene.workspace.directory / ".lumienv" / "generations"

    for program, patterns in LONG[mode].items():
        real = shutil.which(program)
        for pattern in patterns:
            scene.ask_for_another()
            folder = wrapper(
                tmp_path, real, program, killing(pattern.format(store=store, scratch=scene.scratch))
            )
            path = f"{folder}:{os.environ['PATH']}"
            said = scene.workspace.try_("sync", *scene.words, PATH=path)
            assert said.status == -signal.SIGKILL, (pattern, said)
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
