"""The facts that LUMI's image file names carry (LUMI-EasyBuild-containers, laifs-container-recipes)."""

import pytest

from lumienv.image.names import ImageName, newest_first, parse

LAIF = "lumi-multitorch-full-u24r70f21m50t210-20260807_115122.sif"
PYTORCH = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-0d479e852886.sif"


@pytest.mark.parametrize(
    ("file", "facts"),
    [
        (
            PYTORCH,
            {
                "what": "pytorch",
                "rocm": "6.2.4",
                "python": "3.12",
                "version": "2.7.1",
                "hash": "0d479e852886",
            },
        ),
        (
            "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif",
            {"what": "pytorch", "rocm": "6.2.4", "python": "3.12", "version": "2.7.1"},
        ),
        (
            "lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6.sif",
            {"what": "mpi4py", "rocm": "6.2.0", "python": "3.12", "version": "3.1.6"},
        ),
        ("lumi-rocm-rocm-6.2.4.sif", {"what": "rocm", "rocm": "6.2.4"}),
        (
            "lumi-rocm-rocm-6.2.4-dockerhash-0d479e852886.sif",
            {"what": "rocm", "rocm": "6.2.4", "hash": "0d479e852886"},
        ),
        (
            "lumi-tensorflow-rocm-6.2.0-python-3.10-tensorflow-2.16.1-horovod-0.28.1.sif",
            {
                "what": "tensorflow",
                "rocm": "6.2.0",
                "python": "3.10",
                "version": "2.16.1-horovod-0.28.1",
            },
        ),
        (
            LAIF,
            {
                "what": "multitorch",
                "variant": "full",
                "rocm": "7.0",
                "version": "2.10",
                "hash": "20260807_115122",
            },
        ),
        (
            "lumi-multitorch-rocm-u24r64-20260124_092648.sif",
            {"what": "multitorch", "variant": "rocm", "rocm": "6.4", "hash": "20260124_092648"},
        ),
        ("lumi-multitorch-latest.sif", {"what": "multitorch"}),
        ("lumi-multitorch-u24r64f21m43t29.sif", {"what": "multitorch", "rocm": "6.4", "version": "2.9"}),
        ("my-own.sif", {}),
        ("lumi-notes.sif", {}),
    ],
)
def test_a_file_name_says_what_it_says_and_no_more(file: str, facts: dict[str, str]) -> None:
    assert parse(file) == ImageName(file, **facts)


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("lumi-jax-rocm-6.2.4-python-3.12-jax-0.5.0-dockerhash-a5ec205941a2.sif", "0.5.0"),
        ("lumi-jax-rocm-6.2.4-python-3.12-jax-community-0.5.0.sif", "0.5.0"),
        ("lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-debugsymbols.sif", "2.7.1"),
        ("lumi-tensorflow-rocm-6.2.0-python-3.10-tensorflow-2.16.1-horovod-0.28.1.sif", "2.16"),
        ("lumi-pytorch-rocm-6.2.0-python-3.12-pytorch-20240918-vllm-4075b35.sif", "20240918"),
        (LAIF, "2.10"),
        (PYTORCH, "v2.7"),
    ],
)
def test_the_version_of_what_an_image_is_named_after_finds_it(file: str, version: str) -> None:
    name = parse(file)
    assert name.matches(name.what, version=version)


@pytest.mark.parametrize(
    "wanted",
    ["multitorch", "multitorch-full", "lumi-multitorch", "lumi-multitorch-full", LAIF, LAIF[:-4]],
)
def test_an_image_is_called_by_its_family_its_variant_or_its_file(wanted: str) -> None:
    assert parse(LAIF).matches(wanted)


@pytest.mark.parametrize("wanted", ["", "lumi-", "multi", "torch", "pytorch", "multitorch-torch", "full"])
def test_a_part_of_a_name_is_no_name(wanted: str) -> None:
    assert not parse(LAIF).matches(wanted)
    assert not parse("my-own.sif").matches(wanted)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"rocm": "6.2.4"}, True),
        ({"rocm": "6.2"}, True),
        ({"rocm": "6"}, True),
        ({"rocm": "6.20"}, False),
        ({"rocm": "6.2.40"}, False),
        ({"rocm": "2.4"}, False),
        ({"python": "3.12"}, True),
        ({"python": "3.1"}, False),
        ({"version": "2.7.1"}, True),
        ({"version": "v2.7.1"}, True),
        ({"version": "2.70"}, False),
        ({"hash": "0d479e852886"}, True),
        ({"hash": "ffffffffffff"}, False),
        ({"rocm": "6.2", "python": "3.11"}, False),
    ],
)
def test_a_wanted_fact_matches_by_its_leading_numbers(wanted: dict[str, str], fits: bool) -> None:
    assert parse(PYTORCH).matches("pytorch", **wanted) is fits


def test_images_are_sorted_by_numbers_not_by_letters() -> None:
    files = [
        "lumi-pytorch-rocm-6.2.10-python-3.12-pytorch-v2.7.1.sif",
        "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.10.0.sif",
        "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.9.0.sif",
        "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.9.0-debugsymbols.sif",
    ]
    names = [parse(file) for file in files]
    assert sorted({*names}, key=newest_first, reverse=True)[:2] == names[:2]


def test_of_one_build_the_full_image_comes_first() -> None:
    files = [LAIF.replace("full", variant) for variant in ("torch", "full", "mpich", "plus")]
    newest = max((parse(file) for file in files), key=newest_first)
    assert newest.variant == "full"
