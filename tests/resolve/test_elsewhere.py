"""Another image that would do is named after it was tried."""

from dataclasses import replace
from typing import Any

import pytest
from universe import snapshot
from world import World

from lumienv.image.known import KnownImage

CHOOSE = "choose an image with torch>=2.8"


def known(name: str, *packages: str, **options: Any) -> KnownImage:
    """Another image of this machine."""
    found = snapshot(*packages, **options)
    found = replace(found, image=replace(found.image, name=f"{name}.sif", identity=f"sif:{name}"))
    return KnownImage(found.image, found, f'[image] name = "{name}"')


@pytest.fixture
def stuck(world: World) -> World:
    """An image whose torch is too old for what is asked."""
    world.image("torch==2.7.1+rocm6.2.4", "numpy==1.26.4")
    world.offer("accel", "2.0", ["torch>=2.8", "numpy"])
    return world


def test_a_known_image_on_which_everything_fits_is_named_with_the_words_that_select_it(stuck: World) -> None:
    stuck.others = [known("newer", "torch==2.9.0+rocm7", "numpy==2.2")]
    assert 'use the image newer.sif, on which everything fits: [image] name = "newer"' in stuck.failure(
        "accel"
    )


def test_the_first_that_fits_is_named_and_those_that_do_not_are_not(stuck: World) -> None:
    stuck.others = [
        known("old", "torch==2.6.0+rocm6", "numpy==1.26"),
        known("good", "torch==2.8.0+rocm6", "numpy==1.26"),
        known("better", "torch==2.9.0+rocm7", "numpy==1.26"),
    ]
    message = stuck.failure("accel")
    assert "use the image good.sif" in message
    assert "old.sif" not in message
    assert "better.sif" not in message


def test_where_none_fits_it_says_what_an_image_should_have(stuck: World) -> None:
    stuck.others = [known("old", "torch==2.6.0+rocm6", "numpy==1.26.4")]
    message = stuck.failure("accel")
    assert CHOOSE in message
    assert "old.sif" not in message


def test_all_lines_have_to_fit_there_not_only_those_that_failed_here(stuck: World) -> None:
    stuck.offer("plot", "1.0", ["numpy<2"])
    stuck.others = [known("newer", "torch==2.9.0+rocm7", "numpy==2.2")]
    message = stuck.failure("accel", "plot")
    assert CHOOSE in message
    assert "newer.sif" not in message


def test_an_image_without_the_package_in_question_is_not_proposed(stuck: World) -> None:
    """There torch would come from the index: made for other GPUs."""
    stuck.offer("torch", "2.9.0")
    stuck.others = [known("bare", "numpy==1.26.4")]
    assert "bare.sif" not in stuck.failure("accel")


def test_an_image_on_which_a_build_for_nvidia_would_be_installed_is_not_proposed(stuck: World) -> None:
    stuck.offer("accel", "2.1", ["torch>=2.8", "nvidia-cublas"])
    stuck.offer("nvidia_cublas", "1.0")
    stuck.others = [known("newer", "torch==2.9.0+rocm7", "numpy==2.2")]
    assert "newer.sif" not in stuck.failure("accel>2")


def test_the_image_in_use_is_not_proposed_and_one_never_probed_is_passed_over(stuck: World) -> None:
    here = KnownImage(stuck.snapshot.image, snapshot("torch==2.9", "numpy==2"), "here")
    unknown = replace(known("unknown"), snapshot=None)
    stuck.others = [here, unknown, known("newer", "torch==2.9.0+rocm7", "numpy==2.2")]
    assert "use the image newer.sif" in stuck.failure("accel")


def test_only_a_few_images_are_tried(stuck: World) -> None:
    old = [known(f"old{number}", "torch==2.6.0+rocm6", "numpy==1.26.4") for number in range(4)]
    stuck.others = [*old, known("newer", "torch==2.9.0+rocm7", "numpy==2.2")]
    assert "newer.sif" not in stuck.failure("accel")
    stuck.others = stuck.others[1:]
    assert "newer.sif" in stuck.failure("accel")


def test_an_image_with_another_python_is_proposed_where_only_that_helps(world: World) -> None:
    world.image("numpy==1.26.4")
    world.offer("modern", "1.0", requires_python=">=3.13")
    world.others = [known("next", "numpy==2.2", python="3.13.1")]
    assert "use the image next.sif" in world.failure("modern")


def test_markers_are_those_of_the_other_image(world: World) -> None:
    world.image("numpy==1.26.4")
    world.offer("accel", "1.0", ["numpy>=2", 'backport; python_version < "3.13"'])
    world.others = [known("next", "numpy==2.2", python="3.13.1")]
    assert "use the image next.sif" in world.failure("accel")


def test_other_images_are_not_looked_for_where_everything_fits(world: World) -> None:
    world.offer("accel", "1.0")

    class NotAsked(list[KnownImage]):
        def __iter__(self) -> Any:
            raise AssertionError("nobody should ask")

    world.others = NotAsked()
    assert world.taken("accel") == {"accel": "1.0"}
