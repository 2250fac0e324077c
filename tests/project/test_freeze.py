"""What an index adds to a list of names and versions."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from place import Place, Told
from wheels import make_wheel

from lumienv.errors import ImageError, ManifestError
from lumienv.image.handmade import snapshot_of_list
from lumienv.image.snapshot import ImagePackage
from lumienv.project.freeze import client_anywhere, read_list, snapshot_of_image, with_requirements


def filled(
    place: Place, text: str, *, offline: bool = False
) -> tuple[dict[str, ImagePackage], Sequence[str]]:
    """The packages of a list by name, and what was said."""
    made = snapshot_of_list(text, python="3.12.11", glibc="2.31", name="lumi.sif")
    told = Told()
    with client_anywhere(None, {**place.environ, "PWD": "/"}, offline=offline) as client:
        snapshot = with_requirements(made, client, told)
    return {package.name: package for package in snapshot.packages}, told.notes


def test_requirements_and_extras_are_those_of_the_release_on_the_index(place: Place) -> None:
    make_wheel(place.server.directory, "thing", "1.0", ["numpy>=1", 'rich; extra == "nice"'], extras=["nice"])
    make_wheel(place.server.directory, "thing", "2.0", ["other"])
    packages, notes = filled(place, "thing==1.0\n")
    assert packages["thing"] == ImagePackage("thing", "1.0", ("numpy>=1", 'rich; extra == "nice"'), ("nice",))
    assert notes == ["the index knows what 1 of the 1 packages require"]


def test_of_an_images_own_build_only_the_extras_are_those_of_the_public_release(place: Place) -> None:
    """What the public build needs always is CUDA's: the image's own build is without."""
    make_wheel(
        place.server.directory,
        "torch",
        "2.7.1",
        ["nvidia-cublas", 'opt-einsum; extra == "opt"', 'triton; platform_system == "Linux"'],
        extras=["opt"],
    )
    packages, _ = filled(place, "torch==2.7.1+rocm6.2.4\n")
    assert packages["torch"].version == "2.7.1+rocm6.2.4"
    assert packages["torch"].requires == ('opt-einsum; extra == "opt"',)
    assert packages["torch"].extras == ("opt",)


def test_an_own_build_that_the_index_has_counts_as_it_is(place: Place) -> None:
    make_wheel(place.server.directory, "torch", "2.7.1", ["nvidia-cublas"])
    make_wheel(place.server.directory, "torch", "2.7.1+rocm6.2.4", ["sympy"])
    packages, _ = filled(place, "torch==2.7.1+rocm6.2.4\n")
    assert packages["torch"].requires == ("sympy",)


def test_a_wheel_for_another_platform_tells_as_well(place: Place) -> None:
    make_wheel(place.server.directory, "thing", "1.0", ["numpy"], tag="cp312-cp312-win_amd64")
    assert filled(place, "thing==1.0\n")[0]["thing"].requires == ("numpy",)


def test_packages_that_the_index_does_not_have_stay_as_they_are(place: Place) -> None:
    make_wheel(place.server.directory, "thing", "1.0", ["numpy"])
    (place.server.directory / "sources-1.0.tar.gz").write_bytes(b"never opened")
    packages, notes = filled(place, "thing==2.0\nours==1.0\nodd==2.8.0-custom\nsources==1.0\n")
    assert [package.requires for package in packages.values()] == [(), (), (), ()]
    assert notes == ["the index knows what 0 of the 4 packages require"]


def test_files_with_odd_names_are_not_looked_at(place: Place) -> None:
    wheel = make_wheel(place.server.directory, "thing", "1.0", ["numpy"], tag="cp39-cp39-win_amd64")
    entry = place.server.entry(wheel)
    files = [entry | {"filename": "thing.whl"}, entry]
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": "thing", "files": files}).encode()
    place.server.pages["/simple/thing/"] = ("application/vnd.pypi.simple.v1+json", page)
    assert filled(place, "thing==1.0\n")[0]["thing"].requires == ("numpy",)


def test_offline_it_says_that_nobody_was_asked(place: Place) -> None:
    packages, notes = filled(place, "thing==1.0\n", offline=True)
    assert packages["thing"].requires == ()
    assert notes[-1] == "it was not asked about all of them: lumienv is offline"


def test_an_index_that_fails_costs_only_the_requirements(place: Place) -> None:
    place.server.close()
    packages, notes = filled(place, "thing==1.0\n")
    assert packages["thing"].version == "1.0"
    assert "it was not asked about all of them" in notes[-1]


def test_in_a_project_its_indexes_are_asked(place: Place, tmp_path: Path) -> None:
    place.project(
        '[image]\nname = "x"\n[[index]]\nname = "group"\nurl = "https://packages.example.org/simple"\n'
    )
    with client_anywhere(str(place.directory), place.environ, offline=True) as client:
        assert [source.name for source in client.sources[:-1]] == ["group"]
    with pytest.raises(ManifestError, match=r"no lumienv\.toml"):
        client_anywhere(str(tmp_path / "images"), place.environ, offline=True)


def test_a_list_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"the list of packages .*/none\.txt cannot be read") as caught:
        read_list(str(tmp_path / "none.txt"))
    assert "pip list --format=freeze" in (caught.value.hint or "")


@pytest.mark.parametrize("image", ["./none.sif", "/no/such/image.sif", "no-such-name"])
def test_an_image_that_is_not_there_is_named(place: Place, image: str) -> None:
    with pytest.raises(ImageError, match=r"none\.sif|no/such/image\.sif|no-such-name"):
        snapshot_of_image(image, place.environ)
