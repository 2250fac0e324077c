"""Images are found by name and selectors in the site's folders; names alone are read."""

import os
from pathlib import Path

import pytest

from lumienv.errors import ImageError
from lumienv.image.catalog import find_image, list_images

OLD = "lumi-pytorch-rocm-6.1.3-python-3.12-pytorch-v2.6.0.sif"
NEW = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
MPI = "lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6.sif"
HASHED = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-0d479e852886.sif"
LAIF = "lumi-multitorch-full-u24r70f21m50t210-20260807_115122.sif"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in (OLD, NEW, MPI):
        (folder / name).write_bytes(b"")
    return folder


def names(*folders: Path) -> list[str]:
    return [image.path.name for image in list_images(folders)]


def test_images_are_listed_newest_first(images: Path) -> None:
    assert names(images) == [NEW, MPI, OLD]


def test_laifs_folder_for_each_release_is_looked_into_and_no_deeper(tmp_path: Path) -> None:
    release = tmp_path / "laif" / "lumi-multitorch-u24r70f21m50t210-20260807_115122"
    (release / "deep").mkdir(parents=True)
    (release / LAIF).write_bytes(b"")
    (release / "deep" / OLD).write_bytes(b"")
    (release / "notes.json").write_text("{}")
    assert names(tmp_path / "laif") == [LAIF]


def test_folders_that_are_missing_or_no_folders_are_passed_over(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert names(tmp_path / "missing", tmp_path / "file", images) == [NEW, MPI, OLD]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_is_closed_to_this_user_is_passed_over(images: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert names(tmp_path / "closed", images) == [NEW, MPI, OLD]


@pytest.mark.parametrize("floating_first", [True, False])
def test_an_image_with_several_names_is_listed_once_by_its_hash(tmp_path: Path, floating_first: bool) -> None:
    hashed, floating = tmp_path / "easybuild", tmp_path / "sif-images"
    hashed.mkdir()
    floating.mkdir()
    (hashed / HASHED).write_bytes(b"")
    (floating / NEW).symlink_to(hashed / HASHED)
    folders = (floating, hashed) if floating_first else (hashed, floating)
    assert names(*folders) == [HASHED]


def test_the_newest_image_of_a_name_is_found(images: Path) -> None:
    assert find_image("pytorch", {}, [images]).path == images / NEW
    assert find_image("mpi4py", {}, [images]).path == images / MPI
    assert find_image(OLD, {}, [images]).path == images / OLD


def test_selectors_narrow_the_search(images: Path) -> None:
    assert find_image("pytorch", {"rocm": "6.1"}, [images]).path == images / OLD
    assert find_image("pytorch", {"version": "2.7"}, [images]).path == images / NEW


def test_the_image_that_was_locked_stays_the_chosen_one(images: Path) -> None:
    assert find_image("pytorch", {}, [images], preferred=OLD).path == images / OLD


@pytest.mark.parametrize("preferred", [MPI, "gone.sif"])
def test_a_locked_image_that_does_not_fit_or_is_gone_is_no_longer_chosen(
    images: Path, preferred: str
) -> None:
    assert find_image("pytorch", {}, [images], preferred=preferred).path == images / NEW


def test_a_link_to_an_image_that_is_gone_does_not_hide_one_that_is_there(images: Path) -> None:
    newest = "lumi-pytorch-rocm-7.0.0-python-3.12-pytorch-v2.9.0.sif"
    (images / newest).symlink_to(images / "removed.sif")
    assert find_image("pytorch", {}, [images]).path == images / NEW


def failure(name: str, selectors: dict[str, str], folders: list[Path]) -> ImageError:
    with pytest.raises(ImageError) as caught:
        find_image(name, selectors, folders)
    return caught.value


def test_a_misspelt_name_is_answered_with_the_near_misses(images: Path) -> None:
    error = failure("pytroch", {}, [images])
    assert error.message == "no image called pytroch was found"
    text = "\n".join(error.facts)
    assert NEW in text
    assert OLD in text
    assert MPI not in text


def test_a_selector_that_fits_none_is_answered_with_what_there_is(images: Path) -> None:
    error = failure("pytorch", {"rocm": "5.7"}, [images])
    assert error.message == "no image called pytorch rocm=5.7 was found"
    text = "\n".join(error.facts)
    assert NEW in text
    assert MPI not in text
    assert "lumienv image list" in (error.hint or "")


def test_a_name_like_no_other_is_answered_with_all_there_are(images: Path) -> None:
    text = "\n".join(failure("zzz", {}, [images]).facts)
    assert all(name in text for name in (OLD, NEW, MPI))


def test_without_any_image_the_folders_and_the_ways_out_are_named(tmp_path: Path) -> None:
    error = failure("pytorch", {}, [tmp_path])
    assert f"looked in {tmp_path}" in error.facts
    assert "LUMIENV_IMAGE_PATH" in (error.hint or "")
