"""Distributions that bring the same module: the image's stands for the others."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from entry_point import clean_environment, lumienv
from universe import manifest, snapshot
from world import World

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import ImagePackage
from lumienv.resolve import Resolution
from lumienv.resolve.check import check_resolution

TRITON = "pytorch-triton-rocm==3.3.1"


def test_what_would_hide_a_module_of_the_image_is_not_installed(world: World) -> None:
    world.image(TRITON, "torch==2.7.1+rocm6.2.4")
    world.offer("triton", "3.4.0")
    world.offer("kernels", "1.0", ["triton>=3", "torch"])
    result = world.resolve("kernels")
    assert result.versions == {"kernels": "1.0"}
    assert result.stand_ins == (("triton", "pytorch-triton-rocm", "3.3.1"),)
    assert result.provided == (("pytorch-triton-rocm", "3.3.1"), ("torch", "2.7.1+rocm6.2.4"))
    assert result.warnings == ()
    assert "/simple/triton/" not in world.server.paths()


def test_the_image_stands_for_what_the_user_asks_for_too(world: World) -> None:
    world.image("opencv-python-headless==4.11.0.86")
    world.offer("opencv-python", "4.12.0.88")
    result = world.resolve("opencv-python")
    assert result.pins == ()
    assert result.stand_ins == (("opencv-python", "opencv-python-headless", "4.11.0.86"),)


def test_a_release_that_the_stand_in_is_new_enough_for_is_preferred(world: World) -> None:
    world.image(TRITON)
    world.offer("kernels", "2.0", ["triton>=3.4"])
    world.offer("kernels", "1.0", ["triton>=3.0"])
    result = world.resolve("kernels")
    assert result.versions == {"kernels": "1.0"}
    assert result.warnings == ()


def test_where_no_release_does_the_version_is_a_warning_and_no_obstacle(world: World) -> None:
    world.image("tensorflow-rocm==2.11.1.550")
    world.offer("tensorflow", "2.11.1")
    world.offer("text", "2.11.0", ["tensorflow==2.11.1", "hub"])
    world.offer("hub", "1.0")
    result = world.resolve("text")
    assert result.versions == {"text": "2.11.0", "hub": "1.0"}
    assert result.warnings == (
        "text 2.11.0 needs tensorflow==2.11.1, and the image's tensorflow-rocm 2.11.1.550 stands for it",
    )


def test_the_users_own_line_is_not_loosened_for_what_stands_in(world: World) -> None:
    world.image("tensorflow-rocm==2.11.1.550")
    world.offer("tensorflow", "2.15.0")
    with pytest.raises(ResolutionError) as caught:
        world.resolve("tensorflow>=2.15")
    assert "tensorflow-rocm 2.11.1.550" in str(caught.value)
    assert world.resolve("tensorflow>=2.11").stand_ins == (("tensorflow", "tensorflow-rocm", "2.11.1.550"),)


def test_versions_that_cannot_be_compared_are_not_judged(world: World) -> None:
    world.image("fake-triton==0.1")
    world.offer("kernels", "1.0", ["triton>=3.4"])
    result = world.resolve("kernels")
    assert result.stand_ins == (("triton", "fake-triton", "0.1"),)
    assert result.warnings == ()


def test_a_real_member_stands_rather_than_a_fake_one(world: World) -> None:
    world.image("fake-triton==0.1", "triton-rocm==3.6.0")
    world.offer("kernels", "1.0", ["triton>=3.4"])
    assert world.resolve("kernels").stand_ins == (("triton", "triton-rocm", "3.6.0"),)


def test_a_member_that_the_image_has_itself_needs_no_stand_in(world: World) -> None:
    world.image("triton==3.6.0+fake.lumi.aif", "triton-rocm==3.6.0")
    world.offer("kernels", "1.0", ["triton>=3.4"])
    result = world.resolve("kernels")
    assert result.stand_ins == ()
    assert result.provided == (("triton", "3.6.0+fake.lumi.aif"),)


@pytest.mark.parametrize("replaced", ["triton", "pytorch-triton-rocm"])
def test_what_the_user_lists_in_replace_is_installed(world: World, replaced: str) -> None:
    world.image(TRITON)
    world.offer("triton", "3.4.0")
    world.offer("kernels", "1.0", ["triton>=3"])
    result = world.resolve("kernels", replace=[replaced])
    assert result.versions == {"kernels": "1.0", "triton": "3.4.0"}
    assert result.stand_ins == ()


def test_what_the_user_omits_has_no_stand_in(world: World) -> None:
    world.image(TRITON)
    world.offer("kernels", "1.0", ["triton>=3.4"])
    result = world.resolve("kernels", omit=["triton"])
    assert result.stand_ins == ()
    assert result.provided == ()


def test_an_override_counts_for_the_stand_in(world: World) -> None:
    world.image(TRITON)
    world.offer("kernels", "1.0", ["triton>=3.4"])
    result = world.resolve("kernels", overrides=["triton>=3"])
    assert result.stand_ins == (("triton", "pytorch-triton-rocm", "3.3.1"),)
    assert result.warnings == ()


def test_a_stand_in_with_less_in_it_is_warned_of(world: World) -> None:
    world.image("opencv-python==4.11.0.86")
    assert world.resolve("opencv-contrib-python").warnings == (
        "opencv-contrib-python has more in it than the image's opencv-python 4.11.0.86, which stands for it",
    )


def test_a_stand_in_of_a_failure_is_not_blamed_for_its_version(world: World) -> None:
    world.image(TRITON, "torch==2.7.1+rocm6.2.4")
    world.offer("kernels", "1.0", ["triton>=3.4", "torch>=2.8"])
    message = world.failure("kernels")
    assert "triton" not in message
    assert "kernels 1.0 needs torch>=2.8" in message


def test_two_packages_of_the_overlay_with_one_module_are_warned_of(world: World) -> None:
    world.offer("opencv-python", "4.12.0.88")
    world.offer("opencv-python-headless", "4.12.0.88")
    world.offer("augment", "2.0", ["opencv-python-headless>=4.9"])
    assert world.resolve("opencv-python", "augment").warnings == (
        "opencv-python (for lumienv.toml:2) and opencv-python-headless (for augment 2.0) bring the same "
        "module cv2, so that one hides the other: leave one out, for example "
        '[resolve] omit = ["opencv-python-headless"]',
    )


# -- the check, which reads the groups anew --------------------------------------------------------------


def test_the_check_refuses_what_would_hide_a_module_of_the_image(world: World) -> None:
    world.offer("triton", "3.4.0")
    alone = world.resolve("triton")
    with pytest.raises(ResolutionError) as caught:
        check_resolution(alone, manifest(["triton"]), snapshot(TRITON))
    assert "triton would hide the module of the image's pytorch-triton-rocm" in caught.value.facts


def test_the_check_wants_the_stand_in_named_as_what_the_result_rests_on() -> None:
    asked, base = manifest(["triton"]), snapshot(TRITON)
    right = Resolution((), (("pytorch-triton-rocm", "3.3.1"),))
    assert check_resolution(right, asked, base) == []
    with pytest.raises(ResolutionError):
        check_resolution(replace(right, provided=()), asked, base)


# -- what images are like --------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["torch>=2.7", "torch<=2.9", "torch!=2.7", "torch"])
def test_a_prerelease_in_the_image_satisfies_ranges_around_it(world: World, line: str) -> None:
    world.image("torch==2.8.0rc2+rocm6.4")
    assert world.resolve(line, prerelease="disallow").provided == (("torch", "2.8.0rc2+rocm6.4"),)


def test_image_packages_that_contradict_one_another_do_not_matter_to_a_stand_in(world: World) -> None:
    world.image(
        ImagePackage("pytorch-triton-rocm", "3.3.1", requires=("torch<2",)),
        ImagePackage("torch", "2.7.1+rocm6.2.4", requires=("pytorch-triton-rocm==9", "triton==9")),
    )
    world.offer("kernels", "1.0", ["triton", "torch>=2"])
    assert world.taken("kernels") == {"kernels": "1.0"}


def test_lock_says_what_stands_for_what(world: World, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    info = site / "pytorch_triton_rocm-3.3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytorch-triton-rocm\nVersion: 3.3.1\n")
    (info / "RECORD").write_text("")
    world.offer("kernels", "1.0", ["triton>=3"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "lumienv.toml").write_text(
        f'dependencies = ["kernels"]\n[image]\nhost = "{tmp_path}/env/bin/python"\n'
    )
    env = {**clean_environment(tmp_path / "home"), "UV_DEFAULT_INDEX": world.server.url}
    Path(env["HOME"]).mkdir()
    said = lumienv("lock", cwd=project, env=env)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[:3] == [
        "= pytorch-triton-rocm 3.3.1 from the image",
        "= triton: the image's pytorch-triton-rocm 3.3.1 stands for it",
        "+ kernels 1.0",
    ]
    lock = (project / "pylock.lumienv.toml").read_text()
    assert 'name = "triton"' not in lock
    assert 'name = "pytorch-triton-rocm"' in lock
