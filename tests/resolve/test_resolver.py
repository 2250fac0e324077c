"""Resolution on top of an image, with the real index client against a real index on loopback."""

import itertools
import re
from collections.abc import Sequence

import pytest
from universe import MemoryClient, manifest, snapshot
from world import World

from lumienv.errors import ManifestError, PackageIndexError, ResolutionError
from lumienv.image.snapshot import ImagePackage
from lumienv.resolve.resolver import Request, resolve

ROCM_TORCH = "torch==2.7.1+rocm6.2.4"


# -- the image ------------------------------------------------------------------------------------------


def test_newest_release_that_fits_the_image_is_chosen(world: World) -> None:
    world.image(ROCM_TORCH)
    world.offer("torch", "2.8.0")
    world.offer("accel", "2.0", ["torch>=2.8"])
    world.offer("accel", "1.0", ["torch>=2.6"])
    assert world.taken("accel") == {"accel": "1.0"}


def test_the_image_is_named_as_what_the_result_rests_on(world: World) -> None:
    world.image(ROCM_TORCH, "numpy==1.26.4", "unrelated==1.0")
    world.offer("accel", "1.0", ["torch>=2.6", "numpy"])
    assert world.resolve("accel").provided == (("numpy", "1.26.4"), ("torch", "2.7.1+rocm6.2.4"))


def test_the_index_is_not_asked_for_what_the_image_has(world: World) -> None:
    world.image(ROCM_TORCH)
    world.offer("accel", "1.0", ["torch"])
    world.taken("accel", "torch")
    assert "/simple/torch/" not in world.server.paths()


@pytest.mark.parametrize("line", ["torch==2.7.1", "torch>=2.7.1", "torch<=2.7.1", "torch==2.7.1+rocm6.2.4"])
def test_a_local_version_of_the_image_satisfies_its_public_one(world: World, line: str) -> None:
    world.image(ROCM_TORCH)
    assert world.taken(line) == {}


@pytest.mark.parametrize("line", ["torch>2.7.1", "torch!=2.7.1", "torch===2.7.1", "torch==2.7.1+cu128"])
def test_a_local_version_of_the_image_is_not_what_it_is_not(world: World, line: str) -> None:
    world.image(ROCM_TORCH)
    assert "the image provides torch 2.7.1+rocm6.2.4" in world.failure(line)


def test_image_names_are_compared_normalised(world: World) -> None:
    world.image("Causal_Conv1d==1.5.2")
    world.offer("app", "1.0", ["causal-conv1d>=1.5"])
    assert world.resolve("app").provided == (("causal-conv1d", "1.5.2"),)


def test_what_image_packages_need_themselves_is_not_followed(world: World) -> None:
    world.image(ImagePackage("torch", "2.7.1", requires=("numpy<1", "absent>=3")), "numpy==1.26.4")
    world.offer("app", "1.0", ["torch", "numpy>=1.20"])
    assert world.taken("app") == {"app": "1.0"}


def test_image_packages_that_contradict_one_another_are_no_obstacle(world: World) -> None:
    world.image(
        ImagePackage("a", "1.0", requires=("b>=2",)),
        ImagePackage("b", "1.0", requires=("a>=2", "not valid!!")),
    )
    assert world.resolve("a", "b").provided == (("a", "1.0"), ("b", "1.0"))


def test_of_an_image_package_that_is_installed_twice_the_first_counts(world: World) -> None:
    world.image("numpy==1.26.4", "numpy==2.0.0")
    assert world.resolve("numpy<2").provided == (("numpy", "1.26.4"),)


def test_a_development_build_in_the_image_fits_no_range_unless_it_is_read_as_a_release(world: World) -> None:
    world.image("torch==2.8.0a0+git1234")
    world.offer("newer", "1.0", ["torch>=2.8"])
    world.offer("older", "1.0", ["torch<2.8"])
    world.failure("newer")
    world.failure("older")
    assert world.taken("newer", assume={"torch": "2.8.0"}) == {"newer": "1.0"}
    world.failure("older", assume={"torch": "2.8.0"})


def test_a_development_build_satisfies_what_names_no_version(world: World) -> None:
    world.image("torch==2.8.0a0+git1234")
    world.offer("app", "1.0", ["torch"])
    assert world.resolve("app").provided == (("torch", "2.8.0a0+git1234"),)


def test_an_image_version_that_is_not_pep_440_satisfies_only_what_names_no_version(world: World) -> None:
    world.image("mpi4py==4.0-cray")
    world.offer("any", "1.0", ["mpi4py"])
    world.offer("some", "1.0", ["mpi4py>=3"])
    assert world.taken("any") == {"any": "1.0"}
    world.failure("some")
    assert world.taken("some", assume={"mpi4py": "4.0"}) == {"some": "1.0"}


def test_a_version_to_assume_that_is_none_is_an_error(world: World) -> None:
    world.image("torch==2.8.0a0")
    with pytest.raises(ManifestError, match="reads torch as newest, which is no version"):
        world.resolve("torch", assume={"torch": "newest"})


# -- extras ---------------------------------------------------------------------------------------------


def test_extras_of_a_wheel_bring_what_they_need(world: World) -> None:
    world.offer("datasets", "3.0", ["dill", 'librosa; extra == "audio"'], extras=["audio"])
    world.offer("dill", "0.3")
    world.offer("librosa", "0.10")
    assert world.taken("datasets") == {"datasets": "3.0", "dill": "0.3"}
    assert world.taken("datasets[audio]") == {"datasets": "3.0", "dill": "0.3", "librosa": "0.10"}


def test_extras_of_an_image_package_bring_what_they_add(world: World) -> None:
    needs = ("numpy", 'zarr>=2; extra == "Cloud_Store"')
    world.image(ImagePackage("xarray", "2024.1", requires=needs, extras=("Cloud_Store",)))
    world.offer("zarr", "2.1")
    result = world.resolve("xarray[cloud-store]")
    assert result.versions == {"zarr": "2.1"}
    assert result.provided == (("xarray", "2024.1"),)
    assert result.of_extras == {"xarray": ("zarr",)}
    assert result.warnings == ()


def test_a_package_with_extras_is_the_same_release_as_without(world: World) -> None:
    world.offer("tool", "2.0", extras=["x"])
    world.offer("tool", "1.0", ['plugin; extra == "x"'], extras=["x"])
    world.offer("plugin", "1.0")
    world.offer("app", "1.0", ["tool<2"])
    assert world.taken("tool[x]", "app") == {"tool": "1.0", "plugin": "1.0", "app": "1.0"}


def test_several_extras_and_an_extra_that_names_extras_of_its_own_package(world: World) -> None:
    needs = ['a; extra == "a"', 'b; extra == "b"', 'tool[a,b]; extra == "all"']
    world.offer("tool", "1.0", needs, extras=["a", "b", "all"])
    world.offer("a", "1.0")
    world.offer("b", "1.0")
    assert world.taken("tool[all]") == {"tool": "1.0", "a": "1.0", "b": "1.0"}
    assert world.taken("tool[b]", "tool[a]") == {"tool": "1.0", "a": "1.0", "b": "1.0"}


def test_an_extra_that_does_not_exist_is_warned_of(world: World) -> None:
    world.offer("datasets", "3.0", extras=["audio", "vision"])
    result = world.resolve("datasets[audoi]")
    assert result.warnings == ("datasets 3.0 has no extra called audoi (it has: audio, vision)",)


def test_a_yanked_or_early_release_that_is_pinned_may_have_extras(world: World) -> None:
    world.offer("tool", "2.0", extras=["x"])
    world.offer("tool", "1.0", ['plugin; extra == "x"'], extras=["x"], yanked="broken")
    world.offer("tool", "3.0a1", ['plugin; extra == "x"'], extras=["x"])
    world.offer("plugin", "1.0")
    world.offer("app", "1.0", ["tool[x]"])
    assert world.taken("app", "tool==1.0")["tool"] == "1.0"
    assert world.taken("app", "tool==3.0a1")["tool"] == "3.0a1"
    assert world.taken("app", "tool")["tool"] == "2.0"


def test_only_the_release_that_is_chosen_is_asked_for_its_extras() -> None:
    releases = {f"{n}.0": ['plugin; extra == "x"'] for n in range(50)}
    client = MemoryClient({"tool": releases, "plugin": {"1.0": []}, "app": {"1.0": ["tool<10"]}})
    result = resolve(Request(manifest(["app", "tool[x]"]), snapshot(), {}), client)  # type: ignore[arg-type]
    assert result.versions["tool"] == "9.0"
    assert sum(name.startswith("tool") for name in client.asked) <= 3


# -- markers, tags, Python ------------------------------------------------------------------------------


def test_markers_are_judged_with_the_images_environment(world: World) -> None:
    world.image(python="3.10.4")
    world.offer("old", "1.0")
    world.offer("new", "1.0")
    world.offer("app", "1.0", ['old; python_version < "3.11"', 'new; python_version >= "3.11"'])
    assert world.taken("app") == {"app": "1.0", "old": "1.0"}
    assert world.taken('new; python_full_version == "3.10.4"', 'old; sys_platform == "win32"') == {
        "new": "1.0"
    }


def test_the_wheel_is_the_one_for_the_images_platform(world: World) -> None:
    for tag in ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_28_x86_64"):
        world.offer("numba", "1.0", tag=tag)
    world.offer("numba", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    world.offer("numba", "1.0", tag="cp312-cp312-manylinux_2_39_x86_64")
    world.offer("numba", "1.0", tag="cp312-cp312-macosx_11_0_arm64")
    (pin,) = world.resolve("numba").pins
    assert pin.file.filename == "numba-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_of_two_builds_of_one_wheel_the_higher_number_is_taken(world: World) -> None:
    for build in ("9", "10"):
        world.offer("tool", "1.0", tag=f"{build}-py3-none-any")
    (pin,) = world.resolve("tool").pins
    assert pin.file.filename == "tool-1.0-10-py3-none-any.whl"


def test_a_release_without_a_wheel_for_the_image_is_passed_over(world: World) -> None:
    world.offer("numba", "2.0", tag="cp313-cp313-manylinux_2_28_x86_64")
    world.offer("numba", "1.0", tag="cp312-abi3-manylinux_2_17_x86_64")
    world.offer_sources("numba", "3.0")
    assert world.taken("numba") == {"numba": "1.0"}


def test_a_release_for_another_python_is_passed_over(world: World) -> None:
    world.offer("ipython", "9.0", requires_python=">=3.13")
    world.offer("ipython", "8.0", requires_python=">=3.10")
    assert world.taken("ipython") == {"ipython": "8.0"}


def test_requires_python_counts_also_where_only_the_metadata_has_it(world: World) -> None:
    world.offer("ipython", "9.0", requires_python=">=3.13")
    world.offer("ipython", "8.0", requires_python=">=3.6.*")
    entries = [world.server.entry(path) | {"requires-python": None} for path in world.server.files("ipython")]
    world.serve_page("ipython", entries)
    (pin,) = world.resolve("ipython").pins
    assert (str(pin.version), pin.requires_python) == ("8.0", None)


def test_files_of_other_projects_and_with_odd_names_are_not_looked_at(world: World) -> None:
    world.offer("tool", "1.0")
    world.offer("other", "9.0")
    world.offer("tool", "8.0", tag="build-py3-none-any")
    entries = [world.server.entry(path) for name in ("tool", "other") for path in world.server.files(name)]
    world.serve_page("tool", entries)
    assert world.taken("tool") == {"tool": "1.0"}


def test_a_wheel_that_is_not_named_as_wheels_are_is_passed_over(world: World) -> None:
    """No wheel has two underlines in a row in its name (binary distribution format), nor has a lock."""
    world.offer("foo-bar", "1.0")
    world.offer("foo-bar", "2.0")
    world.serve_renamed("foo-bar", "foo_bar-2", "foo__bar-2")
    assert world.taken("foo-bar") == {"foo-bar": "1.0"}


# -- policies -------------------------------------------------------------------------------------------


def test_a_yanked_release_is_taken_only_when_it_is_pinned(world: World) -> None:
    world.offer("tool", "2.0", yanked="data loss")
    world.offer("tool", "1.0")
    assert world.taken("tool") == {"tool": "1.0"}
    assert world.taken("tool==2.0") == {"tool": "2.0"}
    assert world.taken("tool", constraints=["tool==2.0"]) == {"tool": "2.0"}
    world.failure("tool==2.*")


def test_prereleases_are_taken_only_where_nothing_else_fits(world: World) -> None:
    world.offer("tool", "2.0rc1")
    world.offer("tool", "1.0")
    world.offer("early", "0.1a1")
    assert world.taken("tool", "early") == {"tool": "1.0", "early": "0.1a1"}
    assert world.taken("tool>1") == {"tool": "2.0rc1"}
    assert world.taken("tool>=2.0rc1") == {"tool": "2.0rc1"}


def test_a_prerelease_that_only_packages_name_is_no_better_than_a_final_release(world: World) -> None:
    for version in ("0.7", "0.8rc0", "0.8", "0.9rc1"):
        world.offer("tensors", version)
    world.offer("app", "1.0", ["tensors>=0.8rc0"])
    assert world.taken("app")["tensors"] == "0.8"
    assert world.taken("app", "tensors>=0.8rc0")["tensors"] == "0.9rc1"
    assert world.taken("app", constraints=["tensors>=0.8rc0"])["tensors"] == "0.9rc1"
    assert world.taken("app", prerelease="allow")["tensors"] == "0.9rc1"


def test_a_prerelease_that_only_packages_name_is_taken_where_nothing_else_does(world: World) -> None:
    for version in ("0.8rc0", "0.8", "0.9rc1"):
        world.offer("tensors", version)
    world.offer("app", "1.0", ["tensors>=0.8rc0"])
    world.offer("other", "1.0", ["tensors>=0.9rc0"])
    assert world.taken("app", "other")["tensors"] == "0.9rc1"


def test_prereleases_can_be_allowed_and_disallowed(world: World) -> None:
    world.offer("tool", "2.0rc1")
    world.offer("tool", "1.0")
    assert world.taken("tool", prerelease="allow") == {"tool": "2.0rc1"}
    assert world.taken("tool", prerelease="disallow") == {"tool": "1.0"}
    world.failure("tool>1", prerelease="disallow")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("2025-03-01", "1.0"),
        ("2025-03-02", "2.0"),
        ("2025-03-01T10:00:00Z", "1.0"),
        ("2025-03-01T12:00:00+01:00", "1.0"),
        ("2025-03-01T12:01:00+01:00", "2.0"),
    ],
)
def test_files_uploaded_at_or_after_exclude_newer_do_not_exist(
    world: World, limit: str, expected: str
) -> None:
    world.offer("tool", "2.0", uploaded="2025-03-01T11:00:00.5Z")
    world.offer("tool", "1.0", uploaded="2024-01-01T00:00:00Z")
    assert world.taken("tool", exclude_newer=limit) == {"tool": expected}


def test_no_image_is_proposed_for_a_release_that_is_too_new(world: World) -> None:
    world.image("numpy==1.26.4")
    world.offer("tool", "2.0", uploaded="2025-03-01T00:00:00Z", requires_python=">=3.14")
    with pytest.raises(ResolutionError) as caught:
        world.resolve("tool", exclude_newer="2025-01-01")
    assert "image with Python" not in str(caught.value)
    assert "exclude-newer" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["yesterday", "2025-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-02:00"]
)
def test_an_exclude_newer_that_is_no_date_is_an_error(world: World, text: str) -> None:
    world.offer("tool", "1.0")
    with pytest.raises(ManifestError, match=re.escape(f'exclude-newer is "{text}", which is no date')):
        world.resolve("tool", exclude_newer=text)


def test_a_replaced_image_package_comes_from_the_index(world: World) -> None:
    world.image("numpy==1.26.4", ROCM_TORCH)
    world.offer("numpy", "2.1")
    world.offer("app", "1.0", ["numpy>=2", "torch"])
    result = world.resolve("app", replace=["NumPy"])
    assert result.versions == {"app": "1.0", "numpy": "2.1"}
    assert result.provided == (("torch", "2.7.1+rocm6.2.4"),)


def test_image_packages_that_a_replacement_breaks_are_warned_of(world: World) -> None:
    world.image(
        "numpy==1.26.4",
        ImagePackage("numba", "0.60", requires=("numpy<2.1,>=1.22", "llvmlite")),
        ImagePackage(
            "scipy", "1.14", requires=("numpy>=1.23", 'numpy<1; extra == "old"'), location="/opt/sp"
        ),
    )
    world.offer("numpy", "2.1")
    assert world.resolve("numpy>=2", replace=["numpy"]).warnings == (
        "the image's numba 0.60 needs numpy<2.1,>=1.22, and will find numpy 2.1",
    )


def test_what_is_omitted_is_never_installed(world: World) -> None:
    world.image(ROCM_TORCH)
    world.offer("app", "1.0", ["triton>=3", "torch"])
    world.offer("triton", "3.0")
    assert world.taken("app", "triton", omit=["Triton"]) == {"app": "1.0"}


def test_constraints_narrow_what_is_needed_and_add_nothing(world: World) -> None:
    for version in ("1.0", "1.5", "2.0"):
        world.offer("lib", version)
    world.offer("app", "1.0", ["lib"])
    world.offer("unneeded", "1.0")
    constraints = ["lib<2", "lib!=1.5", 'lib<1; sys_platform == "win32"', "unneeded==1.0"]
    assert world.taken("app", constraints=constraints) == {"app": "1.0", "lib": "1.0"}


def test_a_constraint_holds_for_the_image_too_where_the_package_is_needed(world: World) -> None:
    world.image("numpy==1.26.4")
    world.offer("app", "1.0", ["numpy"])
    world.offer("other", "1.0")
    assert world.taken("other", constraints=["numpy>=2"]) == {"other": "1.0"}
    world.failure("app", constraints=["numpy>=2"])


def test_overrides_say_another_range_than_the_packages_do(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.offer("lib", version, ['plugin; extra == "x"'], extras=["x"])
    world.offer("plugin", "1.0")
    world.offer("app", "1.0", ["lib[x]<2"])
    assert world.taken("app", overrides=["lib>=2"]) == {"app": "1.0", "lib": "2.0", "plugin": "1.0"}
    assert world.taken("app", overrides=['lib>=2; sys_platform == "win32"'])["lib"] == "1.0"


def test_an_override_can_make_the_image_fit(world: World) -> None:
    world.image(ROCM_TORCH)
    world.offer("accel", "1.0", ["torch>=2.8"])
    assert world.taken("accel", overrides=["torch"]) == {"accel": "1.0"}


def test_an_override_takes_the_place_of_an_address(world: World) -> None:
    world.offer("lib", "1.0")
    world.offer("app", "1.0", ["lib @ https://example.org/lib-2.0.zip"])
    assert world.taken("app", overrides=["lib"]) == {"app": "1.0", "lib": "1.0"}


@pytest.fixture
def two_levels(world: World) -> World:
    for version in ("1.0", "1.5", "2.0"):
        world.offer("lib", version)
        world.offer("app", version, ["lib>=1.5"])
    return world


def test_lowest_takes_the_lowest_of_everything(two_levels: World) -> None:
    assert two_levels.taken("app>1", resolution="lowest") == {"app": "1.5", "lib": "1.5"}


def test_lowest_direct_takes_the_lowest_of_what_the_user_names(two_levels: World) -> None:
    assert two_levels.taken("app>1", resolution="lowest-direct") == {"app": "1.5", "lib": "2.0"}
    names = two_levels.taken(groups={"dev": ["app>1"]}, resolution="lowest-direct")
    assert names == {"app": "1.5", "lib": "2.0"}


def test_a_relock_keeps_what_still_fits(two_levels: World) -> None:
    locked = {"app": "1.5", "lib": "1.5"}
    assert two_levels.taken("app", preferred=locked) == locked
    assert two_levels.taken("app>1.5", preferred=locked) == {"app": "2.0", "lib": "1.5"}
    assert two_levels.taken("app", preferred={"app": "1.2"}) == {"app": "2.0", "lib": "2.0"}


# -- groups ---------------------------------------------------------------------------------------------


def test_packages_that_only_groups_need_are_marked(world: World) -> None:
    world.offer("app", "1.0", ["shared"])
    world.offer("pytest", "8.0", ["shared", "pluggy"])
    world.offer("sphinx", "7.0", ["pluggy"])
    for name in ("shared", "pluggy"):
        world.offer(name, "1.0")
    result = world.resolve("app", groups={"dev": ["pytest"], "docs": ["sphinx"], "empty": []})
    assert {pin.name: set(pin.groups) for pin in result.pins} == {
        "app": set(),
        "shared": set(),
        "pytest": {"dev"},
        "sphinx": {"docs"},
        "pluggy": {"dev", "docs"},
    }


def test_groups_are_resolved_together_with_the_dependencies(world: World) -> None:
    world.offer("lib", "1.0")
    world.offer("lib", "2.0")
    assert world.taken("lib", groups={"dev": ["lib<2"]}) == {"lib": "1.0"}
    (pin,) = world.resolve("lib", groups={"dev": ["lib<2"]}).pins
    assert pin.groups == frozenset()


# -- what an index may do -------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["python_version ~= '3'", "'dev' in dependency_groups"])
def test_a_release_whose_marker_cannot_be_evaluated_is_passed_over_and_named(
    world: World, marker: str
) -> None:
    world.offer("tool", "2.0", [f"lib; {marker}"])
    world.offer("tool", "1.0")
    assert world.taken("tool") == {"tool": "1.0"}
    assert f'tool 2.0 has broken metadata: "{marker}" is no requirement' in world.failure("tool>=2")


LEGACY = "foo (>=1.0.*)"
"""packaging reads it no more, and pip once installed what says so"""


@pytest.mark.parametrize("broken", [LEGACY, "lib; python_version ~= '3'"])
def test_what_cannot_be_read_of_an_image_package_does_not_concern_the_rest(world: World, broken: str) -> None:
    old = ImagePackage("old", "1.0", requires=(broken, 'plugin; extra == "x"'), extras=("x",))
    world.image("numpy==1.26", ImagePackage("user", "1.0", requires=("numpy<2",)), old)
    world.offer("numpy", "2.0")
    world.offer("numpy", "1.27")
    world.offer("plugin", "1.0")
    assert world.taken("old[x]") == {"plugin": "1.0"}
    assert "numpy 2.0 cannot shadow it: the image's user 1.0 needs numpy<2" in world.failure("numpy>=2")
    assert world.taken("numpy>=1.27", replace=["numpy"], constraints=["numpy<2"]) == {"numpy": "1.27"}


def test_a_release_with_broken_metadata_is_passed_over_and_named(world: World) -> None:
    world.offer("tool", "2.0", metadata="Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    world.offer("tool", "1.5", ["not a requirement!!"])
    world.offer("tool", "1.2", ["lib @ https://example.org/lib.zip"])
    world.offer("tool", "1.0", ['broken line!!; sys_platform == "win32"'])
    result = world.resolve("tool")
    assert result.versions == {"tool": "1.0"}
    assert result.warnings == (
        "tool 2.0 was passed over: the metadata of tool-2.0-py3-none-any.whl is that of another project",
    )


def test_an_index_that_always_fails_is_an_error_and_no_reason_to_take_older_releases(world: World) -> None:
    world.server.sidecars = False
    for minor in range(10):
        world.offer("tool", f"1.{minor}")
        world.server.redirects[f"/files/tool-1.{minor}-py3-none-any.whl"] = "ftp://example.org/gone"
    with pytest.raises(PackageIndexError, match="redirects to an address that is not secure"):
        world.resolve("tool")


# -- the search -----------------------------------------------------------------------------------------


def _found(
    universe: dict[str, dict[str, list[str]]], lines: Sequence[str], image: Sequence[str] = ()
) -> dict[str, str]:
    request = Request(manifest(lines), snapshot(*image), {})
    return dict(resolve(request, MemoryClient(universe)).versions)  # type: ignore[arg-type]


def test_the_result_does_not_depend_on_the_order_of_the_dependencies() -> None:
    universe = {
        "a": {"3.0": ["c<2"], "2.0": ["c<3"], "1.0": []},
        "b": {"3.0": ["c>=2", "d"], "2.0": ["c>=1"]},
        "c": {"3.0": ["d>=2"], "2.0": ["d"], "1.0": []},
        "d": {"2.0": ["a<3"], "1.0": []},
    }
    results = [_found(universe, order) for order in itertools.permutations(["a", "b", "c", "d"])]
    assert all(result == results[0] for result in results)


def test_a_long_chain_of_needs_is_followed_to_its_end() -> None:
    length = 400
    universe = {f"p{n}": {"1.0": [f"p{n + 1}"] if n + 1 < length else []} for n in range(length)}
    assert len(_found(universe, ["p0"])) == length


def test_packages_that_need_each_other_in_a_circle_are_found() -> None:
    assert _found({"a": {"1.0": ["b"]}, "b": {"1.0": ["a>=1", "c"]}, "c": {"1.0": ["a"]}}, ["a"]).keys() == {
        "a",
        "b",
        "c",
    }


def test_a_solution_that_resolvelib_jumps_over_is_found() -> None:
    # d 2.0 leads, by way of b and c, to a 1.0, which excludes it: resolvelib 1.2.1 gives up then.
    universe = {
        "a": {"1.0": ["d==3.0", "a"], "2.0": ["f>=4.0"]},
        "b": {"1.0": ["f<2.0", "c<2.0"], "2.0": ["b>=3.0"], "3.0": []},
        "c": {"1.0": ["f", "a<2.0"], "2.0": [], "3.0": ["c"]},
        "d": {"1.0": [], "2.0": ["b[y]==1.0"]},
        "f": {"1.0": ['d<4.0; extra == "x"', "f<3.0"], "2.0": ["b>=3.0"], "3.0": ["d[y]==2.0"]},
    }
    assert _found(universe, ["f[x]!=2.0"]) == {"d": "1.0", "f": "1.0"}


def test_a_heavy_search_ends() -> None:
    # As boto3, botocore and s3fs are: every release wants its own narrow range of the next, and the image
    # has one that only the oldest accept.
    universe: dict[str, dict[str, list[str]]] = {
        "client": {f"1.{n}": [f"core>=1.{n},<1.{n + 1}", "transfer"] for n in range(120)},
        "core": {f"1.{n}": ["urllib>=2" if n > 6 else "urllib", "dates"] for n in range(120)},
        "transfer": {f"0.{n}": [f"core>=1.{n}", "dates"] for n in range(60)},
        "files": {f"2.{n}": [f"client>=1.{n}", "aio"] for n in range(60)},
        "aio": {f"3.{n}": [f"core>=1.{n},<1.{n + 20}", "dates>=2"] for n in range(80)},
        "dates": {f"2.{n}": ["urllib"] for n in range(30)},
    }
    found = _found(universe, ["files", "client", "aio"], image=["urllib==1.26"])
    assert found["core"] == "1.6"


def test_a_heavy_search_for_nothing_ends() -> None:
    names = "abcdef"
    universe: dict[str, dict[str, list[str]]] = {
        name: {f"{n}.0": [f"{other}=={(n + 1) % 8}.0" for other in names if other != name] for n in range(8)}
        for name in names
    }
    with pytest.raises(ResolutionError, match="no set of packages fits"):
        _found(universe, list(names))


# -- lines that cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("h5py >= three", 'lumienv.toml:2: "h5py >= three" is not a requirement'),
        ("h5py; python_version ~= '3'", """lumienv.toml:2: "h5py; python_version ~= '3'" has a marker"""),
        ("h5py; 'dev' in dependency_groups", """lumienv.toml:2: "h5py; 'dev' in dependency_groups" has"""),
        ("lib @ svn+https://example.org/lib", "lumienv.toml:2: the address of lib is kept in svn"),
        ("lib @ https://example.org/lib.deb", "lumienv.toml:2: the address of lib names no wheel"),
        (
            "lib @ https://me:secret@example.org/lib.zip",
            "lumienv.toml:2: the address of lib contains a user name or password",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named(world: World, line: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        world.resolve(line)
    assert caught.value.message.startswith(message)
    assert "secret" not in str(caught.value)


def test_markers_that_name_several_extras_are_judged_for_each(world: World) -> None:
    needs = [
        'a; extra == "x" or extra == "y"',
        'b; extra == "y" and python_version >= "3"',
        'c; extra == "x" and extra == "y"',
        'd; extra != "x"',
    ]
    world.offer("tool", "1.0", needs, extras=["x", "y"])
    for name in "abcd":
        world.offer(name, "1.0")
    assert world.taken("tool[x]").keys() == {"tool", "a", "d"}  # d: the bare tool wants it
    assert world.taken("tool[y]").keys() == {"tool", "a", "b", "d"}


def test_an_images_own_build_is_not_replaced_by_one_for_cuda_even_when_it_is_named(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    world.offer("torch", "2.8.0", ["nvidia-cublas-cu12==12.8.4.1; platform_system == 'Linux'"])
    world.offer("nvidia-cublas-cu12", "12.8.4.1")
    message = world.failure("torch>=2.8", replace=["torch"])
    assert message.startswith(
        "error: torch 2.8.0 is a build for CUDA, and would replace the image's torch 2.7"
    )
    assert 'take "torch" out of [resolve] replace' in message


def test_a_build_for_cuda_is_not_proposed_either(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4", "triton==3.3.1")
    world.offer("torch", "2.8.0", ["triton==3.4.0"])
    world.offer("torch", "2.7.1", ["triton==3.3.1", "nvidia-cublas-cu12==12.8.4.1"])
    world.offer("nvidia-cublas-cu12", "12.8.4.1")
    message = world.failure("torch==2.8.0", replace=["torch"])
    assert "torch 2.8.0 needs triton==3.4.0" in message
    assert "for torch 2.7.1" not in message


def test_what_is_for_nvidias_gpus_is_remarked_upon_on_an_image(world: World) -> None:
    world.offer("torch", "2.8.0", ["nvidia-cublas-cu12"])
    world.offer("nvidia-cublas-cu12", "12.8.4.1")
    (warning,) = world.resolve("torch").warnings
    assert warning.startswith("nvidia-cublas-cu12 12.8.4.1 is for NVIDIA's GPUs")
