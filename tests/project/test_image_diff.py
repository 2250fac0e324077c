"""What changes from one image to another, for itself and for a project; over saved snapshots."""

import json
from dataclasses import replace
from typing import Any

import pytest
from place import Place, Told
from universe import snapshot
from wheels import make_wheel

from lumienv.cli.image_diff import diff_data, show_diff
from lumienv.errors import ImageError, ManifestError
from lumienv.image.saved import save_snapshot
from lumienv.image.snapshot import Snapshot
from lumienv.project.image_diff import Changed, ImageDiff, Move, image_diff, snapshot_called, with_move
from lumienv.project.lock import lock
from lumienv.ui import Output

OLD = ("torch==2.7.1+rocm6.2.4", "numpy==1.26.4", "shared==1.0", "gone==3.0")
NEW = ("torch==2.8.0+rocm6.4.1", "numpy==2.1.0", "shared==1.0.0", "fresh==0.1", "einops==0.9")


def image(name: str, *packages: str, **options: Any) -> Snapshot:
    made = snapshot(*packages, **options)
    return replace(made, image=replace(made.image, name=f"{name}.sif", identity=f"sif:{name}"))


# -- two images ---------------------------------------------------------------------------------------------


def test_packages_that_come_go_and_change_are_told_apart_and_spellings_of_one_version_are_not() -> None:
    found = image_diff(image("old", *OLD), image("new", *NEW))
    assert found.added == (("einops", "0.9"), ("fresh", "0.1"))
    assert found.removed == (("gone", "3.0"),)
    assert found.changed == (
        Changed("numpy", "1.26.4", "2.1.0"),
        Changed("torch", "2.7.1+rocm6.2.4", "2.8.0+rocm6.4.1"),
    )
    assert not found.same


def test_python_rocm_and_c_library_are_facts_that_may_differ() -> None:
    old = image("old", *OLD, platforms=["manylinux_2_31_x86_64", "manylinux_2_17_x86_64"])
    new = image("new", *NEW, python="3.13.1", platforms=["manylinux_2_39_x86_64"])
    assert image_diff(old, new).facts == (
        Changed("Python", "3.12.9", "3.13.1"),
        Changed("ROCm", "6.2.4", "6.4.1"),
        Changed("C library", "glibc 2.31", "glibc 2.39"),
    )


def test_without_torch_the_images_name_tells_its_rocm() -> None:
    old = image("lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6", "numpy==1.0")
    new = image("mine", "numpy==1.0")
    assert Changed("ROCm", "6.2.0", "") in image_diff(old, new).facts


def test_versions_that_pep_440_does_not_know_are_compared_as_text() -> None:
    found = image_diff(image("old", "a==2004d", "b==x-1"), image("new", "a==2004d", "b==x-2"))
    assert found.changed == (Changed("b", "x-1", "x-2"),)


def test_one_image_is_the_same_as_itself_and_hand_made_ones_are_never() -> None:
    one = image("one", *OLD)
    assert image_diff(one, one).same
    bare = replace(one, image=replace(one.image, identity=""))
    assert not image_diff(bare, bare).same


def test_an_image_is_named_by_a_saved_snapshots_file(place: Place) -> None:
    path = place.directory / "old.json"
    save_snapshot(image("old", *OLD), path)
    assert snapshot_called(str(path), place.environ).image.name == "old.sif"
    with pytest.raises(ImageError, match=r"none\.json"):
        snapshot_called(str(place.directory / "none.json"), place.environ)


# -- a project that moves -----------------------------------------------------------------------------------


@pytest.fixture
def project(place: Place) -> Place:
    """Locked on the old image: accel and einops are installed, and the lock rests on torch and gone."""
    save_snapshot(image("old", *OLD), place.directory / "old.json")
    make_wheel(place.server.directory, "accel", "1.0", ["torch>=2.7", "gone"])
    make_wheel(place.server.directory, "einops", "0.8")
    make_wheel(place.server.directory, "gone", "2.9")
    return place


def write(place: Place, *dependencies: str, more: str = "") -> None:
    lines = "".join(f"    {json.dumps(one)},\n" for one in dependencies)
    text = f'dependencies = [\n{lines}]\n[image]\nsnapshot = "old.json"\n{more}'
    lock(place.project(text), Told())


def moved(place: Place, *packages: str, offline: bool = False, folder: str | None = "") -> ImageDiff:
    new = image("new", *(packages or NEW))
    folder = str(place.directory) if folder == "" else folder
    bare = image_diff(image("old", *OLD), new)
    return with_move(bare, new, folder, place.environ, Told(), offline=offline)


def move_of(place: Place, *packages: str, **options: Any) -> Move:
    move = moved(place, *packages, **options).move
    assert move is not None
    return move


def test_what_was_locked_and_would_be_the_images_and_the_reverse_is_told(project: Place) -> None:
    write(project, "accel", "einops<0.9")
    move = move_of(project)
    assert move.becomes_image == (Changed("einops", "0.8", "0.9"),)
    assert move.gone == (Changed("gone", "3.0", ""),)
    assert move.otherwise == (Changed("torch", "2.7.1+rocm6.2.4", "2.8.0+rocm6.4.1"),)
    assert move.clashes == ("einops<0.9 (lumienv.toml:3): new.sif has einops 0.9",)
    assert move.verdict == "does not fit"


def test_where_all_fits_it_is_said_what_would_be_installed(project: Place) -> None:
    write(project, "accel", "einops")
    move = move_of(project)
    assert (move.verdict, move.clashes) == ("fits", ())
    assert move.added == ("accel 1.0", "gone 2.9")
    assert move.provided == ("einops 0.9", "torch 2.8.0+rocm6.4.1")


def test_what_the_project_replaces_is_neither_the_images_nor_a_clash(project: Place) -> None:
    write(project, "einops<0.9", more='[resolve]\nreplace = ["einops"]\n')
    move = move_of(project)
    assert (move.becomes_image, move.clashes, move.verdict) == ((), (), "fits")


def test_lines_that_do_not_hold_there_or_are_overridden_are_no_clashes(project: Place) -> None:
    write(
        project,
        'numpy<2 ; python_version < "3.12"',
        "torch<2.8",
        more='[resolve]\noverrides = ["torch>=2"]\nconstraints = ["numpy<3"]\n',
    )
    assert move_of(project).clashes == ()
    write(project, more='[dependency-groups]\ndev = ["numpy<2"]\n')
    assert move_of(project).clashes == ("numpy<2 (lumienv.toml:6): new.sif has numpy 2.1.0",)


def test_an_assumed_version_counts_as_the_images(project: Place) -> None:
    write(project, "numpy<2", more='[image.assume]\nnumpy = "1.26"\n')
    assert move_of(project).clashes == ()


def test_without_an_index_it_stays_unclear_whether_the_rest_fits(project: Place) -> None:
    write(project, "accel", "einops")
    (project.directory.parent / "cache").rename(project.directory.parent / "moved")
    move = move_of(project, offline=True)
    assert move.verdict == "unclear"
    assert move.gone, "what the lock tells is told all the same"


def test_a_project_that_was_never_locked_moves_too(project: Place) -> None:
    text = 'dependencies = ["einops<0.9"]\n[image]\nsnapshot = "old.json"\n'
    (project.directory / "lumienv.toml").write_text(text)
    move = move_of(project)
    assert (move.becomes_image, move.gone, len(move.clashes)) == ((), (), 1)


def test_where_no_project_is_the_images_alone_are_compared(
    project: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.directory)
    assert moved(project, folder=None).move is None
    with pytest.raises(ManifestError, match=r"no lumienv\.toml"):
        moved(project)


# -- how it reads -------------------------------------------------------------------------------------------


def shown(found: ImageDiff, capsys: pytest.CaptureFixture[str]) -> str:
    show_diff(Output(), found)
    return capsys.readouterr().out


def test_a_move_reads_as_a_list_of_what_changes(project: Place, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, "accel", "einops")
    assert shown(moved(project), capsys).splitlines() == [
        "~ ROCm 6.2.4 → 6.4.1",
        "- gone 3.0",
        "~ numpy 1.26.4 → 2.1.0",
        "~ torch 2.7.1+rocm6.2.4 → 2.8.0+rocm6.4.1",
        "+ einops 0.9",
        "+ fresh 0.1",
        "for this project:",
        "  einops 0.8 is locked, and would be the image's 0.9",
        "  gone 3.0 is the image's now, and would have to be installed",
        "  torch, which the lock rests on, goes from 2.7.1+rocm6.2.4 to 2.8.0+rocm6.4.1",
        "  the dependencies fit: 2 packages on top of 2 of the image's",
    ]


@pytest.mark.parametrize(
    ("move", "line"),
    [
        (Move(verdict="does not fit", reason="it is so"), "  the dependencies do not fit: it is so"),
        (Move(verdict="unclear", reason="who knows"), "  whether all dependencies fit is unclear: who knows"),
        (Move(verdict="for CUDA", reason="it is CUDA's"), "  the dependencies fit, but it is CUDA's"),
        (Move(clashes=("a<1 (x:1): y has a 2",), verdict="fits"), "  a<1 (x:1): y has a 2: a clash"),
    ],
)
def test_each_verdict_has_its_sentence(move: Move, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = image("one", *OLD)
    assert line in shown(replace(image_diff(one, one), move=move), capsys).splitlines()


def test_images_that_do_not_differ_are_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    one = image("one", *OLD)
    assert shown(image_diff(one, one), capsys) == "both are the same image\n"
    other = replace(one, image=replace(one.image, identity="sif:rebuilt"))
    assert shown(image_diff(one, other), capsys) == "both have the same Python and the same packages\n"


def test_json_has_names_for_what_comes_and_goes() -> None:
    data = diff_data(image_diff(image("old", *OLD), image("new", *NEW)))
    assert data["removed"] == [{"name": "gone", "version": "3.0"}]
    assert data["move"] is None
