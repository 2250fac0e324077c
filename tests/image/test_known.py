"""The images that are known without starting one, and the words that lead to them."""

import re
from pathlib import Path

import pytest
from sif_files import DataObject, sif

from lumienv.errors import StoreError
from lumienv.image.base import sif_base
from lumienv.image.catalog import find_image, list_images
from lumienv.image.known import known_images, selection
from lumienv.image.probing import take_snapshot
from lumienv.runtime.host import Host
from lumienv.site import Site

OLD = "lumi-pytorch-rocm-6.1.3-python-3.12-pytorch-v2.6.0.sif"
NEW = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
LAIF = "lumi-multitorch-full-u24r70f21m50t210-20260807_115122.sif"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "images").mkdir()
    return Site("test", (tmp_path / "images",), cache=tmp_path / "cache")


def make_image(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(sif([DataObject(name.encode())]))
    return path


def probe(path: Path, site: Site, activate: str = "none") -> None:
    """Leave a snapshot of the image in the cache: that of this machine, as the content is of no interest."""
    site.cache.mkdir(exist_ok=True)
    take_snapshot(sif_base(path), activate, Host(), site.cache)


def test_images_of_the_site_come_newest_first_and_those_never_probed_have_no_snapshot(site: Site) -> None:
    for name in (OLD, NEW, LAIF):
        make_image(site.image_folders[0], name)
    probe(site.image_folders[0] / OLD, site, "auto")
    found = list(known_images(site))
    assert [Path(image.base.path).name for image in found] == [LAIF, NEW, OLD]
    assert [image.snapshot is not None for image in found] == [False, False, True]


def test_an_image_that_was_probed_elsewhere_is_known_while_it_is_there(site: Site, tmp_path: Path) -> None:
    mine = make_image(tmp_path, "mine.sif")
    probe(mine, site, "auto")
    (found,) = known_images(site)
    assert found.snapshot is not None
    assert found.selection == f'[image] path = "{mine}"'
    mine.unlink()
    assert list(known_images(site)) == []


def test_an_image_that_was_replaced_is_not_taken_for_the_one_that_was_probed(site: Site) -> None:
    path = make_image(site.image_folders[0], NEW)
    probe(path, site, "auto")
    path.write_bytes(sif([DataObject(b"another build")]))
    (found,) = known_images(site)
    assert found.snapshot is None


def test_a_snapshot_of_another_activation_does_not_count(site: Site) -> None:
    probe(make_image(site.image_folders[0], NEW), site, "none")
    (found,) = known_images(site)
    assert found.snapshot is None


def test_files_that_are_no_images_and_images_of_other_machines_are_passed_over(site: Site) -> None:
    (site.image_folders[0] / OLD).write_bytes(b"no image")
    (site.image_folders[0] / LAIF).write_bytes(sif([DataObject(b"arm")], machine="aarch64"))
    make_image(site.image_folders[0], NEW)
    assert [Path(image.base.path).name for image in known_images(site)] == [NEW]


def test_an_image_under_two_names_is_known_once(site: Site, tmp_path: Path) -> None:
    make_image(site.image_folders[0], NEW)
    copy = tmp_path / NEW
    copy.write_bytes((site.image_folders[0] / NEW).read_bytes())
    probe(copy, site, "auto")
    (found,) = known_images(site)
    assert found.base.path == str(site.image_folders[0] / NEW)
    assert found.snapshot is not None


def test_a_cache_that_is_a_link_is_not_used(site: Site, tmp_path: Path) -> None:
    make_image(site.image_folders[0], NEW)
    (tmp_path / "planted").mkdir()
    site.cache.mkdir()
    (site.cache / "snapshots").symlink_to(tmp_path / "planted")
    with pytest.raises(StoreError, match="is not a directory"):
        list(known_images(site))


def test_an_entry_under_a_name_that_is_not_its_own_is_not_believed(site: Site, tmp_path: Path) -> None:
    mine = make_image(tmp_path, "mine.sif")
    probe(mine, site, "auto")
    (entry,) = (site.cache / "snapshots").iterdir()
    entry.rename(entry.with_name("0" * 64))
    assert list(known_images(site)) == []


@pytest.mark.parametrize(
    ("names", "path", "words"),
    [
        ([NEW], NEW, '[image] name = "pytorch"'),
        ([NEW, OLD], NEW, '[image] name = "pytorch"'),
        ([NEW, OLD], OLD, '[image] name = "pytorch" and rocm = "6.1.3"'),
        ([LAIF], LAIF, '[image] name = "multitorch-full"'),
        (["mine.sif"], "mine.sif", '[image] name = "mine"'),
    ],
)
def test_the_shortest_words_that_lead_to_an_image_are_named(
    site: Site, names: list[str], path: str, words: str
) -> None:
    for name in names:
        make_image(site.image_folders[0], name)
    folders = site.image_folders
    assert selection(folders[0] / path, list_images(folders)) == words
    selectors = dict(re.findall(r'(\w+) = "(.*?)"', words))
    found = find_image(selectors.pop("name"), selectors, folders)
    assert found.path == folders[0] / path, "the words are understood as they are meant"


def test_an_image_outside_the_folders_is_named_by_its_path(site: Site, tmp_path: Path) -> None:
    path = make_image(tmp_path, NEW)
    make_image(site.image_folders[0], OLD)
    assert selection(path, list_images(site.image_folders)) == f'[image] path = "{path}"'
    assert selection(path, ()) == f'[image] path = "{path}"'
