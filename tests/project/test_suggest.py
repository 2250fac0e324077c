"""Which image would do: over saved snapshots here, over images in the integration tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from place import Place, Told
from sources import make_sdist, stated_project, tiny_project, write_tree
from universe import snapshot
from wheels import make_wheel

from lumienv.errors import ImageError, PackageIndexError
from lumienv.image.saved import save_snapshot
from lumienv.project.suggest import Suggestion, suggest

MANIFEST = 'dependencies = ["accel"]\n[image]\npath = "none.sif"\n'


@pytest.fixture
def offers(place: Place) -> Place:
    make_wheel(place.server.directory, "accel", "2.0", ["torch>=2.8", "rich"])
    make_wheel(place.server.directory, "rich", "14.0")
    make_wheel(place.server.directory, "torch", "2.9.0", ["nvidia-cublas"])
    make_wheel(place.server.directory, "nvidia_cublas", "12.0")
    return place


def save(place: Place, name: str, *packages: str, **options: Any) -> str:
    made = snapshot(*packages, **options)
    path = place.directory / f"{name}.json"
    save_snapshot(replace(made, image=replace(made.image, name=f"{name}.sif", identity=f"sif:{name}")), path)
    return str(path)


def asked(place: Place, *files: str, manifest: str = MANIFEST, **options: Any) -> list[Suggestion]:
    return suggest(place.project(manifest), Told(), files, **options)


def test_the_image_on_which_least_has_to_be_added_comes_first(offers: Place) -> None:
    files = [
        save(offers, "old", "torch==2.7.1+rocm6"),
        save(offers, "bare", "numpy==2.0"),
        save(offers, "new", "torch==2.8.0+rocm6"),
        save(offers, "full", "torch==2.8.0+rocm6", "rich==13.0"),
    ]
    found = asked(offers, *files)
    assert [(one.image, one.verdict, len(one.provided), len(one.added)) for one in found] == [
        ("full.sif", "fits", 2, 1),
        ("new.sif", "fits", 1, 2),
        ("bare.sif", "for CUDA", 0, 4),
        ("old.sif", "does not fit", 0, 0),
    ]
    assert found[0].provided == ("rich 13.0", "torch 2.8.0+rocm6")
    assert found[0].selection == f"lumienv lock --snapshot {files[3]}"
    assert found[2].reason == "would install nvidia-cublas 12.0, which is for NVIDIA's GPUs"
    assert found[3].reason == "accel 2.0 needs torch>=2.8, and the image has torch 2.7.1+rocm6"


@pytest.mark.parametrize(
    ("dependencies", "reason"),
    [
        ('["torch>=2.8"]', "you ask for torch>=2.8, and the image has torch 2.7.1"),
        ('["modern"]', "modern 1.0 needs Python >=3.13, and the image has 3.12.9"),
        ('["nowhere"]', "no package index has a project called nowhere"),
    ],
)
def test_what_stands_in_the_way_is_said_in_one_line(offers: Place, dependencies: str, reason: str) -> None:
    make_wheel(offers.server.directory, "modern", "1.0", requires_python=">=3.13")
    manifest = MANIFEST.replace('["accel"]', dependencies)
    (found,) = asked(offers, save(offers, "old", "torch==2.7.1"), manifest=manifest)
    assert (found.verdict, found.reason) == ("does not fit", reason)


def test_groups_count_too(offers: Place) -> None:
    manifest = MANIFEST.replace('"accel"', '"rich"') + '[dependency-groups]\ndev = ["accel"]\n'
    (found,) = asked(offers, save(offers, "old", "torch==2.7.1"), manifest=manifest)
    assert found.verdict == "does not fit"


@pytest.mark.parametrize(
    ("needs", "verdict"), [(["rich"], "fits"), (["torch>=2.8"], "does not fit"), (None, "unclear")]
)
def test_a_dependency_with_a_source_of_its_own_counts_by_what_it_states(
    offers: Place, needs: list[str] | None, verdict: str
) -> None:
    files = stated_project("mylib", "1.0", *needs) if needs is not None else tiny_project("mylib", "1.0")
    write_tree(offers.directory / "mylib", files)
    manifest = MANIFEST.replace("accel", "mylib") + '[sources]\nmylib = { path = "./mylib" }\n'
    (found,) = asked(offers, save(offers, "old", "torch==2.7.1"), manifest=manifest)
    assert found.verdict == verdict


def test_an_image_that_provides_what_comes_from_elsewhere_does_not_fit(offers: Place) -> None:
    write_tree(offers.directory / "mylib", stated_project("mylib", "1.0"))
    manifest = MANIFEST.replace("accel", "mylib") + '[sources]\nmylib = { path = "./mylib" }\n'
    (found,) = asked(offers, save(offers, "has", "mylib==0.9"), manifest=manifest)
    assert found.verdict == "does not fit"
    assert "the image provides it" in found.reason


def test_the_projects_own_snapshot_is_compared_too(offers: Place) -> None:
    save(offers, "image", "torch==2.8.0+rocm6")
    manifest = 'dependencies = ["accel"]\n[image]\nsnapshot = "image.json"\n'
    (found,) = asked(offers, manifest=manifest)
    assert (found.current, found.verdict, found.selection) == (
        True,
        "fits",
        '[image] snapshot = "image.json"',
    )


def test_nothing_is_known_where_there_is_nothing(offers: Place) -> None:
    assert asked(offers) == []


def test_a_file_that_is_no_snapshot_is_refused(offers: Place, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(ImageError, match=r"data\.json is not a snapshot"):
        asked(offers, str(tmp_path / "data.json"))


def test_an_index_that_fails_is_no_answer(offers: Place) -> None:
    offers.server.close()
    with pytest.raises(PackageIndexError):
        asked(offers, save(offers, "old", "torch==2.7.1"))


def test_a_source_distribution_counts_by_what_it_states(offers: Place) -> None:
    make_sdist(offers.server.directory, "tiny", "1.0", stated_project("tiny", "1.0", "rich"))
    manifest = MANIFEST.replace("accel", "tiny")
    (found,) = asked(offers, save(offers, "old", "torch==2.7.1"), manifest=manifest)
    assert (found.verdict, found.added) == ("fits", ("rich 14.0", "tiny 1.0"))


def test_nothing_is_built_to_find_out(offers: Place) -> None:
    make_sdist(offers.server.directory, "tiny", "1.0", tiny_project("tiny", "1.0"))
    manifest = MANIFEST.replace("accel", "tiny")
    (found,) = asked(offers, save(offers, "old", "torch==2.7.1"), manifest=manifest)
    assert found.verdict == "does not fit"
    assert "does not say what it needs before it is built" in found.reason
