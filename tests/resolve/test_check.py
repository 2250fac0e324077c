"""The independent check refuses every kind of wrong result, whoever made it."""

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version
from universe import manifest, snapshot

from lumienv.errors import ResolutionError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.index.pages import File
from lumienv.manifest import Manifest
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.check import check_resolution, missing_from_image

BASE = snapshot(
    "torch==2.7.1+rocm6.2.4",
    ImagePackage("xarray", "2024.1", requires=('zarr; extra == "cloud"', "absent"), extras=("cloud",)),
)
ASKED = manifest(["app[x]", "torch"], groups={"dev": ["pytest"]})


def pin(name: str, version: str, requires: tuple[str, ...] = (), **fields: Any) -> Pin:
    tag = fields.pop("tag", "py3-none-any")
    file = File(f"{name}-{version}-{tag}.whl", "https://example.org/", "0" * 64)
    values: dict[str, Any] = {"index": "", "requires_python": None, "requires": requires, "dependencies": ()}
    return Pin(name, Version(version), file, **{**values, **fields})


RIGHT = Resolution(
    pins=(
        pin("app", "1.0", ("torch>=2.6", 'plugin>=1; extra == "x"', 'old; python_version < "3"')),
        pin("plugin", "1.0"),
        pin("pytest", "8.0", groups=frozenset({"dev"})),
    ),
    provided=(("torch", "2.7.1+rocm6.2.4"),),
)


def refusal(result: Resolution, asked: Manifest = ASKED, base: Snapshot = BASE) -> tuple[str, ...]:
    with pytest.raises(ResolutionError, match="this is an error in lumienv") as caught:
        check_resolution(result, asked, base)
    return caught.value.facts


def with_pin(new: Pin) -> Resolution:
    return replace(RIGHT, pins=tuple(sorted((new, *RIGHT.pins), key=lambda one: one.name)))


def changed(name: str, **fields: Any) -> Resolution:
    return replace(
        RIGHT, pins=tuple(replace(one, **fields) if one.name == name else one for one in RIGHT.pins)
    )


def test_a_right_result_is_accepted() -> None:
    assert check_resolution(RIGHT, ASKED, BASE) == []


def test_an_image_package_that_would_be_shadowed_is_refused() -> None:
    assert "torch is of the image, and would be shadowed" in refusal(with_pin(pin("torch", "2.8.0")))


def test_a_package_that_is_to_be_omitted_is_refused() -> None:
    asked = manifest(["app[x]", "torch"], groups={"dev": ["pytest"]}, omit=("Plugin",))
    assert "plugin is to be omitted, and would be installed" in refusal(RIGHT, asked)


def test_a_requirement_that_nothing_provides_is_refused() -> None:
    result = replace(RIGHT, pins=tuple(one for one in RIGHT.pins if one.name != "plugin"))
    assert refusal(result) == ('app 1.0 needs plugin>=1; extra == "x", and nothing provides plugin',)


def test_a_requirement_that_the_image_does_not_meet_is_refused() -> None:
    result = changed("app", requires=("torch>=2.8",))
    assert "app 1.0 needs torch>=2.8, and torch is 2.7.1+rocm6.2.4" in refusal(result)


def test_a_requirement_that_a_pin_does_not_meet_is_refused() -> None:
    result = changed("app", requires=("torch", 'plugin>=2; extra == "x"'))
    assert refusal(result) == ('app 1.0 needs plugin>=2; extra == "x", and plugin is 1.0',)


def test_a_users_line_that_is_not_met_is_refused() -> None:
    asked = manifest(["app[x]>=2", "torch"], groups={"dev": ["pytest"]})
    assert refusal(RIGHT, asked) == ("lumienv.toml:2 needs app[x]>=2, and app is 1.0",)


def test_a_line_of_a_group_that_is_not_met_is_refused() -> None:
    asked = manifest(["app[x]", "torch"], groups={"dev": ["pytest<8"]})
    assert refusal(RIGHT, asked) == ("lumienv.toml:2 needs pytest<8, and pytest is 8.0",)


def test_what_extras_of_the_image_add_has_to_be_there() -> None:
    asked = manifest(["xarray[cloud]"])
    result = Resolution((), (("xarray", "2024.1"),))
    assert refusal(result, asked) == (
        'xarray 2024.1 needs zarr; extra == "cloud", and nothing provides zarr',
    )
    assert check_resolution(replace(result, pins=(pin("zarr", "2.0"),)), asked, BASE) == []


def test_a_pin_that_nothing_needs_is_refused() -> None:
    assert refusal(with_pin(pin("stray", "1.0"))) == ("stray is pinned, and nothing needs it",)


def test_a_package_that_is_pinned_twice_is_refused() -> None:
    assert "a package is pinned twice" in refusal(with_pin(pin("app", "1.0", ("torch",))))


@pytest.mark.parametrize(("name", "groups"), [("plugin", {"dev"}), ("pytest", set()), ("pytest", {"docs"})])
def test_wrong_marks_for_groups_are_refused(name: str, groups: set[str]) -> None:
    result = changed(name, groups=frozenset(groups))
    assert refusal(result) == (f"{name} is not marked for the groups that need it",)


def test_a_wheel_for_another_platform_is_refused() -> None:
    wrong = pin("plugin", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64")
    assert refusal(changed("plugin", file=wrong.file)) == (
        f"{wrong.file.filename} does not run on this image",
    )


def test_a_wheel_of_another_release_is_refused() -> None:
    wrong = pin("plugin", "2.0")
    assert refusal(changed("plugin", file=wrong.file)) == (f"{wrong.file.filename} is not plugin 1.0",)


def test_a_file_that_is_no_distribution_is_refused() -> None:
    result = changed("plugin", file=File("plugin-1.0.tar.bz2", "https://example.org/"))
    assert refusal(result) == ("plugin-1.0.tar.bz2 is neither a wheel nor a source distribution",)


def test_sources_are_refused_where_nothing_may_be_built() -> None:
    result = changed("plugin", file=File("plugin-1.0.tar.gz", "https://example.org/"))
    never = manifest(["app[x]", "torch"], groups={"dev": ["pytest"]}, build="never")
    assert refusal(result, never) == ("plugin-1.0.tar.gz would have to be built",)


def test_a_file_of_another_release_is_refused() -> None:
    result = changed("plugin", file=File("plugin-2.0.tar.gz", "https://example.org/"))
    assert refusal(result) == ("plugin-2.0.tar.gz is not plugin 1.0",)


def test_a_release_that_comes_from_nowhere_is_refused() -> None:
    assert refusal(changed("plugin", file=None)) == ("plugin 1.0 comes from nowhere",)


def test_an_index_does_not_stand_in_for_an_address() -> None:
    asked = manifest(
        ["app[x]", "torch", "plugin @ https://example.org/plugin-1.0.zip"], groups={"dev": ["pytest"]}
    )
    assert refusal(RIGHT, asked) == ("lumienv.toml:4 needs plugin from an address, and an index has it",)


def test_a_release_for_another_python_is_refused() -> None:
    assert refusal(changed("plugin", requires_python=">=3.13")) == ("plugin 1.0 needs Python >=3.13",)


def test_a_constraint_that_is_not_kept_is_refused() -> None:
    asked = manifest(["app[x]", "torch"], groups={"dev": ["pytest"]}, constraints=["plugin<1", "torch>=2.8"])
    assert refusal(RIGHT, asked) == (
        "[resolve] constraints has plugin<1, and plugin is 1.0",
        "[resolve] constraints has torch>=2.8, and torch is 2.7.1+rocm6.2.4",
    )


def test_image_packages_that_are_not_named_as_relied_upon_are_refused() -> None:
    assert refusal(replace(RIGHT, provided=())) == (
        "the image packages that the result rests on are not those that it names",
    )


def test_overrides_and_assumed_versions_count() -> None:
    base = snapshot("torch==2.8.0a0")
    result = Resolution(
        (pin("app", "1.0", ("torch>=2.8", "lib<1")), pin("lib", "2.0")), (("torch", "2.8.0a0"),)
    )
    asked = manifest(["app"], assume={"torch": "2.8.0"}, overrides=["lib>=2"])
    assert check_resolution(result, asked, base) == []
    assert len(refusal(result, manifest(["app"], overrides=["lib>=2"]), base)) == 1
    assert len(refusal(result, manifest(["app"], assume={"torch": "2.8.0"}), base)) == 1


def test_replaced_image_packages_may_be_pinned() -> None:
    base = snapshot("numpy==1.26.4", ImagePackage("numba", "0.60", requires=("numpy<2.1",), location="/sp"))
    result = Resolution((pin("numpy", "2.1"),), ())
    assert check_resolution(result, manifest(["numpy"], replace=("numpy",)), base) == [
        "the image's numba 0.60 (/sp) needs numpy<2.1, and will find numpy 2.1"
    ]


def test_what_a_lock_rests_on_is_looked_for_in_the_image() -> None:
    provided = {"torch": "2.7.1+rocm6.2.4", "numpy": "1.26.4", "xarray": "2023.1"}
    assert missing_from_image(provided, BASE) == [
        "numpy 1.26.4 (the image has none)",
        "xarray 2023.1 (the image has 2024.1)",
    ]
