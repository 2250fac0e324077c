"""A new project: which image the words lead to, what is written, and what is said."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from place import Place
from sif_files import DataObject, sif
from universe import snapshot

from lumienv.errors import ImageError, LumienvError, ManifestError
from lumienv.image.base import sif_base
from lumienv.image.probing import take_snapshot
from lumienv.image.saved import save_snapshot
from lumienv.manifest.reader import read_manifest
from lumienv.project.imported import Imported
from lumienv.project.init import (
    Chosen,
    choose,
    chosen_by_words,
    import_files,
    init,
    new_folder,
    no_image_named,
    offers,
    usual,
)
from lumienv.runtime.host import Host
from lumienv.site import Site, load_site

OLD = "lumi-pytorch-rocm-6.0.3-python-3.12-pytorch-v2.3.1-dockerhash-0123456789ab.sif"
NEW = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-0d479e852886.sif"
AGAIN = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-ba9876543210.sif"
LAIF = "lumi-multitorch-mpich-u24r70f21m50-20260807_115122.sif"
MPI = "lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6-dockerhash-f049c8bd4669.sif"


def put(place: Place, *names: str) -> Site:
    """Images with these names in the site's folder, each of other bytes."""
    folder = Path(place.environ["LUMIENV_IMAGE_PATH"])
    for name in names:
        (folder / name).write_bytes(sif([DataObject(name.encode())]))
    return load_site(place.environ, place.directory)


def written(place: Place, chosen: Chosen, imported: Imported | None = None) -> str:
    init(place.directory, chosen, imported or Imported())
    return (place.directory / "lumienv.toml").read_text()


# -- where --------------------------------------------------------------------------------------------------


def test_a_project_that_is_there_already_is_left_alone(place: Place) -> None:
    (place.directory / "lumienv.toml").write_text("mine")
    with pytest.raises(ManifestError, match=r"there is a lumienv\.toml in .* already") as caught:
        new_folder(str(place.directory), None)
    assert caught.value.hint == "edit it, or name another folder: lumienv init DIR; nothing was changed"


def test_a_link_that_leads_nowhere_is_somebodys_file(place: Place) -> None:
    (place.directory / "lumienv.toml").symlink_to("gone")
    with pytest.raises(ManifestError, match="already"):
        new_folder(str(place.directory), None)


def test_a_file_is_no_folder_for_a_project(place: Place) -> None:
    (place.directory / "notes").write_text("")
    with pytest.raises(ManifestError, match="notes is no folder") as caught:
        new_folder(str(place.directory), "notes")
    assert caught.value.hint == "name another: lumienv init DIR"


def test_a_folder_is_made_with_those_above_it_and_the_next_command_goes_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.directory)
    folder = new_folder(None, "deep/my project")
    outcome = init(folder, Chosen({"host": "python3"}), Imported())
    assert outcome.path == place.directory / "deep/my project/lumienv.toml"
    assert outcome.next == "cd 'deep/my project' && lumienv add PACKAGE"
    outcome = init(new_folder(None, None), Chosen({"host": "python3"}), Imported(("rich",)))
    assert outcome.next == "lumienv sync"


# -- the images that are offered ----------------------------------------------------------------------------


def test_images_are_offered_newest_first_with_what_their_names_tell(place: Place) -> None:
    found = offers(put(place, OLD, NEW, LAIF, MPI))
    assert [one.path.name for one in found] == [LAIF, NEW, MPI, OLD]
    assert [one.torch for one in found] == ["", "2.7.1", "", "2.3.1"]
    assert [one.rocm for one in found] == ["7.0", "6.2.4", "6.2.0", "6.0.3"]
    assert [one.python for one in found] == ["", "3.12", "3.12", "3.12"]
    assert usual(found) == 1, "the newest with torch"
    assert usual(found[2:3]) == 0
    assert usual([]) == 0


def test_of_an_image_that_was_looked_into_more_is_known_than_its_name_says(place: Place) -> None:
    site = put(place, OLD, MPI)
    path = Path(place.environ["LUMIENV_IMAGE_PATH"]) / MPI
    site.cache.mkdir()
    # This machine's Python answers in the image's place; what counts is that it was asked, and not again.
    found = take_snapshot(sif_base(path), "auto", Host(), site.cache)
    first, second = offers(site)
    assert (first.path, first.looked_into, second.looked_into) == (path, True, False)
    assert first.python == found.python.version
    assert first.provided == {name: package.version for name, package in found.by_name().items()}


def test_what_cannot_be_read_is_offered_by_its_name_alone(place: Place) -> None:
    site = put(place)
    (Path(place.environ["LUMIENV_IMAGE_PATH"]) / NEW).write_bytes(b"cut short")
    (only,) = offers(site)
    assert (only.torch, only.looked_into) == ("2.7.1", False)


# -- the words that lead to one -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picked", "table"),
    [
        (NEW, {"name": "pytorch", "rocm": "6.2.4", "python": "3.12", "version": "2.7.1"}),
        (OLD, {"name": "pytorch", "rocm": "6.0.3", "python": "3.12", "version": "2.3.1"}),
        (LAIF, {"name": "multitorch-mpich", "rocm": "7.0"}),
    ],
)
def test_a_picked_image_is_named_so_that_it_stays_the_same_when_newer_ones_come(
    place: Place, picked: str, table: Mapping[str, str]
) -> None:
    site = put(place, OLD, NEW, LAIF)
    offer = next(one for one in offers(site) if one.path.name == picked)
    assert choose(offer, site).table == table


def test_of_two_builds_the_older_is_named_by_its_hash(place: Place) -> None:
    site = put(place, NEW, AGAIN)
    newest, older = offers(site)
    assert "hash" not in choose(newest, site).table
    assert choose(older, site).table["hash"] == older.name.hash


def test_an_image_whose_name_says_nothing_is_named_by_its_path(place: Place) -> None:
    site = put(place, "mine.sif")
    (offer,) = offers(site)
    assert choose(offer, site).table == {"path": str(offer.path)}
    assert choose(offer, site).file == "mine.sif"


def test_a_name_that_was_typed_stands_as_it_was_typed(place: Place) -> None:
    site = put(place, OLD, NEW)
    chosen = chosen_by_words("pytorch", None, {"rocm": "6.0"}, site, place.directory)
    assert (chosen.table, chosen.file) == ({"name": "pytorch", "rocm": "6.0"}, OLD)
    assert chosen.provided == {"torch": "2.3.1"}
    assert 'name = "pytorch"\nrocm = "6.0"\n# now ' + OLD in written(place, chosen)


def test_a_name_that_no_image_has_is_refused_where_there_are_images(place: Place) -> None:
    with pytest.raises(ImageError, match="no image called pytorhc was found") as caught:
        chosen_by_words("pytorhc", None, {}, put(place, NEW), place.directory)
    assert NEW in "".join(caught.value.facts)


def test_where_there_are_no_images_any_name_will_do_and_that_is_said(place: Place) -> None:
    chosen = chosen_by_words("pytorch", None, {}, put(place), place.directory)
    assert chosen.table == {"name": "pytorch"}
    assert chosen.notes == (
        "no image is in the site's folders here: lumienv.toml names pytorch as you wrote it",
    )
    outcome = init(place.directory, chosen, Imported(("numpy==1.0", "rich")))
    assert outcome.notes[-1].startswith(
        "what the image provides is not known yet: a pin of one of its packages"
    )


def test_a_path_is_written_as_the_project_sees_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    site = put(place, "mine.sif")
    monkeypatch.chdir(place.directory.parent)
    chosen = chosen_by_words("images/mine.sif", None, {}, site, place.directory)
    assert chosen.table == {"path": "../images/mine.sif"}
    assert written(place, chosen).count("\n# now ") == 0, "the path says it"
    absolute = str(place.directory.parent / "images/mine.sif")
    assert chosen_by_words(absolute, None, {}, site, place.directory).table == {"path": absolute}
    monkeypatch.chdir(place.directory.parent / "images")
    assert chosen_by_words("mine.sif", None, {}, site, place.directory).table == {
        "path": "../images/mine.sif"
    }


def test_a_path_that_leads_to_no_image_is_refused(place: Place) -> None:
    with pytest.raises(ImageError, match=r"none\.sif"):
        chosen_by_words("./none.sif", None, {}, put(place), place.directory)


def test_a_saved_snapshot_is_a_base_whose_packages_are_known(place: Place) -> None:
    saved = snapshot("torch==2.7.1+rocm6", "numpy==1.26.4", "numpy==2.0")
    path = place.directory / "image.json"
    save_snapshot(saved, path)
    chosen = chosen_by_words(str(path), None, {}, put(place), place.directory)
    assert chosen.table == {"snapshot": str(path)}
    outcome = init(place.directory, chosen, Imported(("numpy==1.26.4", "torch==2.8"), python="==3.11.*"))
    assert outcome.dependencies == ("numpy", "torch")
    assert outcome.notes == (
        "torch==2.8: written without version: the image has 2.7.1+rocm6",
        "written without version, as the image has just this one: numpy",
        "python==3.11.*: left out: the image has Python 3.12.9",
    )


@pytest.mark.parametrize(
    ("typed", "table"),
    [
        ("python3.12", "python3.12"),
        ("./env/bin/python", "../env/bin/python"),
        ("/usr/bin/python3", "/usr/bin/python3"),
    ],
)
def test_a_python_of_this_machine_is_named_by_name_or_path(
    place: Place, monkeypatch: pytest.MonkeyPatch, typed: str, table: str
) -> None:
    monkeypatch.chdir(place.directory.parent)
    assert chosen_by_words(None, typed, {}, put(place), place.directory).table == {"host": table}


def test_nobody_to_ask_is_told_which_names_there_are(place: Place) -> None:
    error = no_image_named(offers(put(place, OLD, NEW, "mine.sif")))
    assert [fact.strip() for fact in error.facts[1:]] == [
        "pytorch",
        str(Path(place.environ["LUMIENV_IMAGE_PATH"]) / "mine.sif"),
    ]
    assert (error.hint or "").startswith("name it: lumienv init --image pytorch\n")
    assert no_image_named([]).facts == ()


# -- what is written ----------------------------------------------------------------------------------------


def test_what_files_ask_for_is_written_and_read_as_it_was_meant(place: Place) -> None:
    (place.directory / "requirements.txt").write_text(
        "--extra-index-url https://group.example.org/simple\n--pre\nrich\n-e ./lib\n-c limits.txt\n"
    )
    (place.directory / "limits.txt").write_text("numpy<2\n")
    (place.directory / "lib").mkdir()
    (place.directory / "lib" / "pyproject.toml").write_text('[project]\nname = "lib"\n')
    (place.directory / "environment.yml").write_text(
        "dependencies: [python>=3.10, rich, scipy]\nvariables: {HF_HOME: /scratch/x, MY_TOKEN: geheim}\n"
    )
    files = [str(place.directory / name) for name in ("requirements.txt", "environment.yml")]
    outcome = init(place.directory, Chosen({"host": "python3"}), import_files(files, place.directory))
    assert outcome.dependencies == ("rich", "lib", "scipy")
    assert outcome.notes[-2:] == (
        "python>=3.10: left out: the image's Python counts",
        "indexes are asked in the order of lumienv.toml: the first that has a package is taken",
    )
    manifest = read_manifest(outcome.path)
    assert manifest.sources["lib"].editable
    assert [entry.text for entry in manifest.resolve.constraints] == ["numpy<2"]
    assert manifest.resolve.prerelease == "allow"
    assert [table.url for table in manifest.indexes] == ["https://group.example.org/simple"]
    assert manifest.run.env["HF_HOME"] == "/scratch/x"
    assert 'MY_TOKEN = { from = "host" }' in outcome.path.read_text()
    assert "geheim" not in outcome.path.read_text()


def test_each_example_in_a_new_file_is_right_when_it_is_uncommented(place: Place) -> None:
    def uncommented(line: str) -> str:
        is_example = line.startswith("# [") or (line.startswith("# ") and " = " in line)
        return line.removeprefix("# ") if is_example else line

    text = written(place, Chosen({"host": "python3"}))
    path = place.directory / "lumienv.toml"
    path.write_text("".join(f"{uncommented(line)}\n" for line in text.splitlines()))
    manifest = read_manifest(path)
    assert (manifest.mode, list(manifest.groups), list(manifest.tasks)) == ("squashfs", ["dev"], ["train"])
    assert manifest.resolve.replace
    assert manifest.run.bind
    assert manifest.slurm["account"] == "project_465000000"


def test_a_folder_that_may_not_be_written_to_is_told(place: Place) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/lumienv")
    else:
        place.directory.chmod(0o500)
        target = place.directory / "below"
    with pytest.raises(LumienvError, match="cannot write the project"):
        init(target, Chosen({"host": "python3"}), Imported())
