"""Packages that are no wheels of an index: source distributions, git, folders."""

import pytest
from universe import MemoryReader
from world import World

from lumienv.errors import ManifestError, ResolutionError
from lumienv.index.metadata import CoreMetadata
from lumienv.resolve.origin import Origin

ROCM_TORCH = "torch==2.7.1+rocm6.2.4"
GIT = "https://example.org/mylib"


def sdist(name: str, version: str, *requires: str, python: str | None = None) -> dict[str, CoreMetadata]:
    return {f"{name}-{version}.tar.gz": CoreMetadata(name, version, requires, python)}


def place(location: str, name: str, *requires: str, extras: tuple[str, ...] = ()) -> dict[str, CoreMetadata]:
    return {location: CoreMetadata(name, "1.2", requires, None, extras)}


# -- source distributions --------------------------------------------------------------------------------


def test_sources_are_taken_where_there_is_no_wheel(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("lib", "1.0")
    world.reader = MemoryReader(sdist("tool", "2.0", "lib"))
    assert world.taken("tool") == {"tool": "2.0", "lib": "1.0"}


def test_a_wheel_is_preferred_to_the_sources_of_the_same_release(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "2.0")
    world.reader = reader = MemoryReader()
    (pin,) = world.resolve("tool").pins
    assert pin.file is not None
    assert pin.file.is_wheel
    assert reader.asked == []


def test_sources_are_taken_where_no_wheel_runs_on_the_image(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "2.0", tag="cp312-cp312-win_amd64")
    world.reader = MemoryReader(sdist("tool", "2.0"))
    (pin,) = world.resolve("tool").pins
    assert pin.file is not None
    assert pin.file.filename == "tool-2.0.tar.gz"


def test_without_building_an_older_release_with_a_wheel_is_taken(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "1.0")
    world.reader = MemoryReader(sdist("tool", "2.0"))
    assert world.taken("tool", build="never") == {"tool": "1.0"}


@pytest.mark.parametrize(("written", "version"), [("1.0-1", "1.0.post1"), ("1.0-r2", "1.0.post2")])
def test_sources_may_have_a_hyphen_in_their_version(world: World, written: str, version: str) -> None:
    """PEP 440 allows it ("Post release separators"); it is not the one between name and version."""
    world.offer_sources("old-tool", written)
    sources = world.server.directory / f"old-tool-{written}.tar.gz"
    world.serve_page("old-tool", [world.server.entry(sources)])
    world.reader = MemoryReader(sdist("old_tool", version))
    (pin,) = world.resolve("old-tool").pins
    assert pin.file is not None
    assert (str(pin.version), pin.file.filename) == (version, f"old_tool-{version}.tar.gz")
    assert pin.file.url.endswith(f"/{sources.name}")


def test_sources_without_a_hyphen_before_the_version_are_not_looked_at(world: World) -> None:
    world.offer("tool", "1.0")
    world.offer_sources("tool", "2.0")
    world.serve_renamed("tool", "tool-2.0", "tool_2.0")
    world.reader = reader = MemoryReader()
    assert world.taken("tool") == {"tool": "1.0"}
    assert reader.asked == []


def test_sources_whose_metadata_cannot_be_had_are_passed_over_with_a_warning(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "1.0")
    world.reader = MemoryReader({"tool-2.0.tar.gz": "tool 2.0 cannot be built: no compiler"})
    result = world.resolve("tool")
    assert result.versions == {"tool": "1.0"}
    assert result.warnings == ("tool 2.0 was passed over: tool 2.0 cannot be built: no compiler",)


def test_releases_that_fail_alike_are_passed_over_in_one_line(world: World) -> None:
    for version in ("2.9", "2.10"):
        world.offer_sources("tool", version)
    world.offer("tool", "1.0")
    world.reader = MemoryReader(
        {f"tool-{v}.tar.gz": f"tool {v} cannot be built: no compiler" for v in ("2.9", "2.10")}
    )
    assert world.resolve("tool").warnings == (
        "tool 2.10, 2.9 were passed over: tool 2.10 cannot be built: no compiler",
    )


def test_sources_under_the_name_of_a_module_are_remarked_upon(world: World) -> None:
    world.offer_sources("sklearn", "1.0")
    world.reader = MemoryReader(sdist("sklearn", "1.0"))
    assert world.resolve("sklearn").warnings == (
        '"sklearn" (lumienv.toml:2) may not be what you mean: '
        'write "scikit-learn", as sklearn is the name of its module',
    )


def test_a_shell_that_cannot_be_built_leads_to_the_package_that_was_meant(world: World) -> None:
    world.offer_sources("sklearn", "1.0")
    world.offer("scikit-learn", "1.6")
    world.reader = MemoryReader({"sklearn-1.0.tar.gz": "sklearn 1.0 cannot be built: it says so"})
    assert 'help: write "scikit-learn" instead of "sklearn"' in world.failure("sklearn")


def test_python_is_no_package_to_ask_for(world: World) -> None:
    world.image("ipython==9.0")
    message = world.failure("python>=3.11")
    assert 'help: leave out "python>=3.11" (lumienv.toml:2): the image brings Python 3.12' in message


def test_sources_for_another_python_are_passed_over(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "1.0")
    world.reader = MemoryReader(sdist("tool", "2.0", python=">=3.13"))
    assert world.taken("tool") == {"tool": "1.0"}


# -- direct sources --------------------------------------------------------------------------------------


def test_an_address_is_the_only_release_of_its_name(world: World) -> None:
    world.offer("mylib", "9.0")
    world.offer("lib", "1.0")
    world.reader = MemoryReader(places=place(GIT, "mylib", "lib"))
    result = world.resolve(f"mylib @ git+{GIT}@v1.2")
    assert result.versions == {"mylib": "1.2", "lib": "1.0"}
    assert result.pins[1].origin == Origin("git", GIT, revision="v1.2", commit="a" * 40)
    assert result.pins[1].file is None


def test_sources_say_where_a_plain_name_comes_from_also_for_others_that_need_it(world: World) -> None:
    world.offer("mylib", "9.0")
    world.offer("app", "1.0", ["mylib>=1"])
    world.reader = MemoryReader(places=place("./mylib", "mylib"))
    sources = {"mylib": 'path = "./mylib", editable = true'}
    assert world.taken("app", sources=sources) == {"app": "1.0", "mylib": "1.2"}


def test_a_source_that_nothing_needs_is_not_read(world: World) -> None:
    world.offer("app", "1.0")
    world.reader = reader = MemoryReader()
    assert world.taken("app", sources={"mylib": f'git = "{GIT}"'}) == {"app": "1.0"}
    assert reader.asked == []


def test_extras_of_a_source_are_followed(world: World) -> None:
    world.offer("plot", "1.0")
    world.reader = MemoryReader(places=place("./mylib", "mylib", 'plot; extra == "plots"', extras=("plots",)))
    sources = {"mylib": 'path = "./mylib"'}
    assert world.taken("mylib[plots]", sources=sources) == {"mylib": "1.2", "plot": "1.0"}


def test_addresses_that_a_source_needs_are_followed(world: World) -> None:
    other = "https://example.org/other"
    world.reader = MemoryReader(
        places=place(GIT, "mylib", f"other @ git+{other}@main") | place(other, "other")
    )
    assert world.taken(f"mylib @ git+{GIT}") == {"mylib": "1.2", "other": "1.2"}


def test_an_address_that_a_package_of_an_index_needs_is_not_followed(world: World) -> None:
    world.offer("app", "2.0", [f"mylib @ git+{GIT}"])
    world.offer("app", "1.0")
    world.reader = reader = MemoryReader()
    assert world.taken("app") == {"app": "1.0"}
    assert reader.asked == []


def test_an_address_that_the_user_names_as_well_is_followed(world: World) -> None:
    world.offer("app", "2.0", [f"mylib @ git+{GIT}"])
    world.reader = MemoryReader(places=place(GIT, "mylib"))
    assert world.taken("app", "mylib", sources={"mylib": f'git = "{GIT}"'}) == {
        "app": "2.0",
        "mylib": "1.2",
    }


def test_a_source_that_does_not_fit_the_image_is_explained(world: World) -> None:
    world.image(ROCM_TORCH)
    world.reader = MemoryReader(places=place("./mylib", "mylib", "torch>=2.8"))
    message = world.failure("mylib", sources={"mylib": 'path = "./mylib"'})
    assert "mylib 1.2 needs torch>=2.8" in message
    assert "the image provides torch 2.7.1+rocm6.2.4" in message
    assert "lumienv.toml:2" in message


def test_a_source_for_a_package_of_the_image_has_to_be_named_in_replace(world: World) -> None:
    world.image("mylib==1.0")
    world.reader = MemoryReader(places=place(GIT, "mylib"))
    with pytest.raises(
        ManifestError, match=r"lumienv\.toml:2: mylib is to come from .*, and the image"
    ) as got:
        world.resolve(f"mylib @ git+{GIT}")
    assert '[resolve] replace = ["mylib"]' in (got.value.hint or "")
    assert world.taken(f"mylib @ git+{GIT}", replace=["mylib"]) == {"mylib": "1.2"}


def test_two_places_for_one_name_are_a_mistake(world: World) -> None:
    world.reader = MemoryReader(places=place(GIT, "mylib") | place("https://example.org/fork", "mylib"))
    with pytest.raises(ManifestError, match=r"lumienv\.toml:3: mylib is to come from two places"):
        world.resolve(f"mylib @ git+{GIT}", "mylib @ git+https://example.org/fork")


def test_a_locked_commit_is_handed_to_whoever_reads_the_repository(world: World) -> None:
    world.reader = MemoryReader(places=place(GIT, "mylib"))
    world.locked = {"mylib": Origin("git", GIT, revision="main", commit="b" * 40)}
    (pin,) = world.resolve(f"mylib @ git+{GIT}@main").pins
    assert pin.origin is not None
    assert pin.origin.commit == "b" * 40


def test_constraints_hold_for_sources_too(world: World) -> None:
    world.reader = MemoryReader(places=place(GIT, "mylib"))
    with pytest.raises(ResolutionError):
        world.resolve(f"mylib @ git+{GIT}", constraints=["mylib<1"])


def test_constraints_take_no_addresses(world: World) -> None:
    with pytest.raises(ManifestError, match=r"\[resolve\] constraints takes versions, not addresses"):
        world.resolve("app", constraints=[f"mylib @ git+{GIT}"])
