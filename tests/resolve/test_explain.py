"""Each kind of failure, with its complete message: what people read when nothing fits (design: Commands)."""

from functools import partial
from textwrap import dedent

import pytest
from universe import IMAGE
from world import World

from lumienv.image.snapshot import ImagePackage
from lumienv.resolve import resolver
from lumienv.resolve.search import search


def says(message: str, expected: str) -> None:
    assert message == dedent(expected).strip().replace("IMAGE", IMAGE)


def test_a_requirement_and_the_image(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    for version in ("1.8", "1.9", "2.0"):
        world.offer("accel", version, ["torch>=2.8"])
    world.offer("accel", "1.7", ["torch>=2.6"])
    world.offer("h5py", "3.11")
    says(
        world.failure("h5py", "accel>=1.8"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for accel>=1.8  (lumienv.toml:3)
          accel 2.0, 1.9, 1.8 need torch>=2.8
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
        help: write "accel<=1.7" instead of "accel>=1.8" (lumienv.toml:3), for accel 1.7
              or choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_no_release_fits_the_image(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    for minor in range(12):
        world.offer("accel", f"1.{minor}", ["torch>=2.8"])
    says(
        world.failure("accel"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for accel  (lumienv.toml:2)
          accel 1.11, 1.10, 1.9 … 1.0 (12 versions) need torch>=2.8
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
        help: choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_a_users_line_names_what_the_image_has_in_another_version(world: World) -> None:
    world.image("numpy==1.26.4", ImagePackage("numba", "0.60", requires=("numpy<2.1",)))
    world.offer("numpy", "2.0")
    says(
        world.failure("numpy>=2"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for numpy>=2  (lumienv.toml:2)
          the image provides numpy 1.26.4, which lumienv never replaces by itself
        help: write "numpy" instead of "numpy>=2" (lumienv.toml:2), for the image's numpy 1.26.4
              or let the overlay shadow the image's numpy: [resolve] replace = ["numpy"], for numpy 2.0
              or choose an image with numpy>=2: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_a_replacement_that_would_break_the_image_is_not_proposed(world: World) -> None:
    world.image("numpy==1.26.4", ImagePackage("numba", "0.60", requires=("numpy<2.1",)))
    world.offer("numpy", "2.2")
    world.offer("app", "1.0", ["numpy>=2"])
    says(
        world.failure("app"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for app  (lumienv.toml:2)
          app 1.0 needs numpy>=2
          the image provides numpy 1.26.4, which lumienv never replaces by itself
          numpy 2.2 cannot shadow it: the image's numba 0.60 needs numpy<2.1
        help: choose an image with numpy>=2: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_two_requirements(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.offer("pydantic", version)
    world.offer("old", "1.0", ["pydantic<2"])
    world.offer("new", "1.0", ["pydantic>=2"])
    world.offer("new", "0.9", ["pydantic"])
    world.offer("unrelated", "1.0", ["pydantic"])
    says(
        world.failure("unrelated", "old", "new>=1"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for old  (lumienv.toml:3)
          you ask for new>=1  (lumienv.toml:4)
          old 1.0 needs pydantic<2
          new 1.0 needs pydantic>=2
        help: write "new<=0.9" instead of "new>=1" (lumienv.toml:4), for new 0.9
        """,
    )


def test_two_requirements_that_nothing_reconciles(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.offer("pydantic", version)
    world.offer("old", "1.0", ["pydantic<2"])
    world.offer("new", "1.0", ["pydantic>=2"])
    says(
        world.failure("old", groups={"dev": ["new"]}),
        """
        error: no set of packages fits on top of IMAGE
          you ask for old  (lumienv.toml:2)
          you ask for new  (lumienv.toml:7)
          old 1.0 needs pydantic<2
          new 1.0 needs pydantic>=2
        help: leave out "old" (lumienv.toml:2) or "new" (lumienv.toml:7)
        """,
    )


def test_two_lines_of_the_users_on_one_package(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.offer("lib", version)
    says(
        world.failure("lib>=2", groups={"dev": ["lib<2"]}),
        """
        error: no set of packages fits on top of IMAGE
          you ask for lib>=2  (lumienv.toml:2)
          you ask for lib<2  (lumienv.toml:7)
        help: leave out "lib>=2" (lumienv.toml:2) or "lib<2" (lumienv.toml:7)
        """,
    )


def test_a_conflict_far_below_is_followed_up_to_the_users_line(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4", "numpy==1.26.4")
    world.offer("studio", "2.0", ["engine>=2", "numpy"])
    world.offer("studio", "1.0", ["engine<2", "numpy"])
    world.offer("engine", "2.1", ["kernels"])
    world.offer("engine", "2.0", ["kernels"])
    world.offer("engine", "1.0", ["numpy>=2"])
    world.offer("kernels", "0.5", ["torch>=2.8", "numpy"])
    says(
        world.failure("studio"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for studio  (lumienv.toml:2)
          studio 2.0 needs engine>=2
          studio 1.0 needs engine<2
          engine 2.1, 2.0 need kernels
          engine 1.0 needs numpy>=2
          kernels 0.5 needs torch>=2.8
          the image provides numpy 1.26.4, which lumienv never replaces by itself
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
        help: choose an image with numpy>=2: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_versions_that_each_need_another_range_are_told_together(world: World) -> None:
    world.image("core==0.5")
    for minor in range(8):
        world.offer("client", f"1.{minor}", [f"core>=1.{minor},<1.{minor + 1}"])
    says(
        world.failure("client"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for client  (lumienv.toml:2)
          client 1.7 needs core>=1.7,<1.8
          client 1.6, 1.5, 1.4 … 1.0 (7 versions) each need other releases of core, which do not fit either
          the image provides core 0.5, which lumienv never replaces by itself
        help: choose an image with core>=1.7,<1.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_an_unknown_package_with_a_near_miss(world: World) -> None:
    world.image("scikit-learn==1.5.0")
    says(
        world.failure("scikit_lern>=1"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for scikit_lern>=1  (lumienv.toml:2)
          no package index has a project called scikit-lern
        help: write "scikit-learn>=1" instead of "scikit_lern>=1" (lumienv.toml:2): the image provides it
        """,
    )


def test_an_unknown_package(world: World) -> None:
    says(
        world.failure("wandbb"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for wandbb  (lumienv.toml:2)
          no package index has a project called wandbb
        help: check the spelling of "wandbb" (lumienv.toml:2)
              or name the index that has it: [[index]] url = "https://…"
        """,
    )


def test_an_unknown_package_that_another_needs(world: World) -> None:
    world.offer("tool", "1.0", ["tool-internal>=3"])
    says(
        world.failure("tool"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          tool 1.0 needs tool-internal>=3
          no package index has a project called tool-internal
        help: leave it out, if it is provided otherwise or not needed: [resolve] omit = ["tool-internal"]
              or name the index that has it: [[index]] url = "https://…"
        """,
    )


def test_no_wheel_for_the_platform(world: World) -> None:
    world.offer("numba", "2.0", tag="cp312-cp312-manylinux_2_39_x86_64")
    world.offer("numba", "2.0", tag="cp313-cp313-win_amd64")
    world.offer("numba", "1.9", tag="cp312-cp312-macosx_11_0_arm64")
    world.offer("numba", "1.0")
    says(
        world.failure("numba>=1.9"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for numba>=1.9  (lumienv.toml:2)
          numba 2.0, 1.9 have no wheel for this image, which takes cp312-cp312-manylinux_2_31_x86_64 or older
          numba 2.0 has wheels for cp312 on manylinux_2_39_x86_64: for glibc 2.39 or newer, and the image has 2.31
          numba 1.9 has wheels for cp312 on macosx_11_0_arm64: none for Linux
        help: write "numba<=1.0" instead of "numba>=1.9" (lumienv.toml:2), for numba 1.0
              or choose an image with glibc 2.39 or newer: `lumienv image list` shows what there is
        """,  # noqa: E501 - one line of the message
    )


def test_another_python(world: World) -> None:
    world.offer("ipython", "9.1", requires_python=">=3.13")
    world.offer("ipython", "9.0", requires_python=">=3.13")
    world.offer("ipython", "8.0", requires_python=">=3.10")
    says(
        world.failure("ipython>=9"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for ipython>=9  (lumienv.toml:2)
          ipython 9.1, 9.0 need Python >=3.13, and the image has 3.12.9
        help: write "ipython<=8.0" instead of "ipython>=9" (lumienv.toml:2), for ipython 8.0
              or choose an image with Python >=3.13: `lumienv image list` shows what there is
        """,
    )


def test_another_python_for_all_releases(world: World) -> None:
    world.offer("ipython", "9.0", requires_python=">=3.13")
    says(
        world.failure("ipython"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for ipython  (lumienv.toml:2)
          ipython 9.0 needs Python >=3.13, and the image has 3.12.9
        help: choose an image with Python >=3.13: `lumienv image list` shows what there is
        """,
    )


def test_yanked_only(world: World) -> None:
    world.offer("tool", "1.0", yanked="eats data")
    says(
        world.failure("tool"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          tool 1.0 was withdrawn by the authors: eats data
        help: write "tool==1.0" instead of "tool" (lumienv.toml:2), to take the withdrawn release all the same
        """,
    )


def test_exclude_newer(world: World) -> None:
    world.offer("tool", "3.0", uploaded="2025-08-03T10:00:00Z")
    world.offer("tool", "2.0", uploaded="2025-07-01T10:00:00Z")
    world.offer("tool", "1.0", uploaded="2025-01-01T10:00:00Z")
    says(
        world.failure("tool>=2", exclude_newer="2025-06-01"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool>=2  (lumienv.toml:2)
          tool 3.0, 2.0 were uploaded on 2025-07-01 or later, and exclude-newer is 2025-06-01
        help: write "tool<=1.0" instead of "tool>=2" (lumienv.toml:2), for tool 1.0
              or allow later uploads: [resolve] exclude-newer = "2025-07-02", for tool 2.0
        """,
    )


def test_files_that_are_not_named_as_wheels_are(world: World) -> None:
    world.offer("foo-bar", "1.0")
    world.serve_renamed("foo-bar", "foo_bar", "foo__bar")
    says(
        world.failure("foo-bar"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for foo-bar  (lumienv.toml:2)
          foo-bar 1.0 has only files that are not named as packages are: foo__bar-1.0-py3-none-any.whl
        help: leave out "foo-bar" (lumienv.toml:2)
        """,
    )


def test_prereleases_that_are_disallowed(world: World) -> None:
    world.offer("tool", "1.0a1")
    says(
        world.failure("tool", prerelease="disallow"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          tool 1.0a1 is a prerelease, and [resolve] prerelease is "disallow"
        help: allow prereleases: [resolve] prerelease = "allow", for tool 1.0a1
        """,
    )


def test_sources_only(world: World) -> None:
    world.offer_sources("tool", "2.0")
    world.offer("tool", "1.0")
    says(
        world.failure("tool>1", build="never"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool>1  (lumienv.toml:2)
          tool 2.0 has only source distributions, and [resolve] build is "never"
        help: write "tool<=1.0" instead of "tool>1" (lumienv.toml:2), for tool 1.0
        """,
    )


def test_a_range_that_holds_no_release(world: World) -> None:
    for minor in range(9):
        world.offer("t", f"1.{minor}")
    says(
        world.failure('t[x]>=2; os_name=="posix"'),
        """
        error: no set of packages fits on top of IMAGE
          you ask for t[x]>=2; os_name=="posix"  (lumienv.toml:2)
          the index offers t 1.8, 1.7, 1.6 … 1.0 (9 versions)
        help: write 't[x]>=1.8; os_name == "posix"' instead of 't[x]>=2; os_name=="posix"' (lumienv.toml:2), for t 1.8
        """,  # noqa: E501 - one line of the message
    )


def test_a_constraint(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.offer("lib", version)
    world.offer("app", "1.0", ["lib>=2"])
    says(
        world.failure("app", constraints=["lib<2"]),
        """
        error: no set of packages fits on top of IMAGE
          you ask for app  (lumienv.toml:2)
          app 1.0 needs lib>=2
          [resolve] constraints has lib<2  (lumienv.toml:7)
        help: take "lib<2" (lumienv.toml:7) out of [resolve] constraints, for lib 2.0
        """,
    )


def test_a_constraint_and_the_image(world: World) -> None:
    world.image("numpy==1.26.4")
    world.offer("app", "1.0", ["numpy"])
    says(
        world.failure("app", constraints=["numpy>=2"]),
        """
        error: no set of packages fits on top of IMAGE
          you ask for app  (lumienv.toml:2)
          app 1.0 needs numpy
          [resolve] constraints has numpy>=2  (lumienv.toml:7)
          the image provides numpy 1.26.4, which lumienv never replaces by itself
        help: take "numpy>=2" (lumienv.toml:7) out of [resolve] constraints
        """,
    )


def test_an_override(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    world.offer("app", "1.0", ["torch>=2.6"])
    says(
        world.failure("app", overrides=["torch>=2.8"]),
        """
        error: no set of packages fits on top of IMAGE
          you ask for app  (lumienv.toml:2)
          app 1.0 needs torch>=2.8  ([resolve] overrides, lumienv.toml:7)
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
        help: take "torch>=2.8" (lumienv.toml:7) out of [resolve] overrides
              or choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_a_development_build_in_the_image(world: World) -> None:
    world.image("torch==2.8.0a0+git1234")
    world.offer("accel", "1.0", ["torch>=2.8"])
    says(
        world.failure("accel"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for accel  (lumienv.toml:2)
          accel 1.0 needs torch>=2.8
          the image provides torch 2.8.0a0+git1234, which is neither >=2.8.0 nor <2.8.0 (PEP 440)
        help: read the image's torch 2.8.0a0+git1234 as 2.8.0: [image.assume] torch = "2.8.0"
              or choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_an_image_version_that_cannot_be_compared(world: World) -> None:
    world.image("mpi4py==4.0-cray")
    world.offer("parallel", "1.0", ["mpi4py>=3"])
    says(
        world.failure("parallel"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for parallel  (lumienv.toml:2)
          parallel 1.0 needs mpi4py>=3
          the image provides mpi4py 4.0-cray, a version that cannot be compared (PEP 440)
        help: read the image's mpi4py 4.0-cray as 4.0: [image.assume] mpi4py = "4.0"
              or choose an image with mpi4py>=3: `lumienv image suggest --probe` tells whether there is one
        """,
    )


def test_broken_metadata(world: World) -> None:
    world.offer("tool", "2.0", metadata="Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    world.offer("tool", "1.0", ["not a requirement!!"])
    world.offer("tool", "0.9", ["lib @ https://example.org/lib.zip"])
    says(
        world.failure("tool"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          tool 2.0 cannot be used: the metadata of tool-2.0-py3-none-any.whl is that of another project
          the file name says tool, its METADATA says other
          tool 1.0 has broken metadata: "not a requirement!!" is no requirement
          tool 0.9 needs lib from an address, not from an index
        help: leave out "tool" (lumienv.toml:2)
        """,
    )


def test_lines_that_fail_for_reasons_of_their_own_are_named(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    world.offer("one", "1.0", ["torch>=2.8"])
    world.offer("two", "1.0", ["torch>=2.9"])
    says(
        world.failure("one", "two"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for one  (lumienv.toml:2)
          one 1.0 needs torch>=2.8
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
          "two" (lumienv.toml:3) does not fit either:
          two 1.0 needs torch>=2.9
        help: choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
              and for "two" (lumienv.toml:3): choose an image with torch>=2.9: `lumienv image suggest --probe` tells whether there is one
        """,  # noqa: E501 - one line of the message
    )


def test_a_search_that_takes_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.image("core==0.5")
    for minor in range(9):
        world.offer("client", f"1.{minor}", ["helper", f"core>=1.{minor}"])
        world.offer("app", f"1.{minor}", ["client"])
    world.offer("helper", "1.0")
    monkeypatch.setattr(resolver, "search", partial(search, max_rounds=2))
    says(
        world.failure("app"),
        """
        error: the search for packages on top of IMAGE was given up after 2 rounds
          you ask for app  (lumienv.toml:2)
          releases of client were rejected 10 times
        help: say which releases of these packages to look at, as narrowly as you can, for example:
              [resolve] constraints = ["client>=1.8"]
        """,
    )


def test_two_lines_that_both_have_to_give_way(world: World) -> None:
    for version in ("1.0", "2.0", "5.0"):
        world.offer("lib", version)
    for name, newest in (("one", "1.0"), ("two", "2.0")):
        world.offer(name, "2.0", [f"lib=={newest}"])
        world.offer(name, "1.0", ["lib==5.0"])
    says(
        world.failure("one>1", "two>1"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for one>1  (lumienv.toml:2)
          you ask for two>1  (lumienv.toml:3)
          one 2.0 needs lib==1.0
          two 2.0 needs lib==2.0
        help: write "one<=1.0" instead of "one>1" (lumienv.toml:2), for one 1.0,
                and "two<=1.0" instead of "two>1" (lumienv.toml:3), for two 1.0
        """,
    )


def test_an_index_page_without_releases(world: World) -> None:
    world.serve_page("tool", [])
    says(
        world.failure("tool"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          the index lists no releases of tool
        help: leave out "tool" (lumienv.toml:2)
        """,
    )


def test_prereleases_that_would_help(world: World) -> None:
    world.image("torch==2.7.1+rocm6.2.4")
    world.offer("tool", "1.0", ["torch>=2.8"])
    world.offer("tool", "2.0a1", ["torch>=2.7"])
    says(
        world.failure("tool"),
        """
        error: no set of packages fits on top of IMAGE
          you ask for tool  (lumienv.toml:2)
          tool 1.0 needs torch>=2.8
          the image provides torch 2.7.1+rocm6.2.4, which lumienv never replaces by itself
        help: write "tool>=2.0a1" instead of "tool" (lumienv.toml:2), for the prerelease tool 2.0a1
              or choose an image with torch>=2.8: `lumienv image suggest --probe` tells whether there is one
        """,
    )
