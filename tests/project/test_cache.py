"""What the cache holds, removing it, and that nobody loses what they are using."""

import os
import time
from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.index.cache import IndexCache
from lumienv.overlay.writer import this_maker
from lumienv.project.cache import KINDS, cache_size, clean_cache
from lumienv.project.cacheuse import cleaning_cache, using_cache
from lumienv.sealed import write_sealed

DAY = 86400.0


@pytest.fixture
def cache(tmp_path):
    """A cache with a file or two of each kind, written as the rooms write them."""
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    wheel = root / "wheels" / "ab" / ("ab" + "0" * 62) / "thing-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"x" * 1000)
    pages = IndexCache(root / "index")
    pages.keep_page("https://packages.example.org/simple", "thing", b"page")
    pages.keep_metadata("0" * 64, "https://packages.example.org/thing.whl", b"metadata")
    for kind in ("builds", "snapshots"):
        write_sealed(root / kind, root / kind / ("c" * 64), b"content")
    repository = root / "git" / ("d" * 32)
    repository.mkdir(parents=True)
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    (root / "images").mkdir()
    (root / "images" / "org-image-0123456789abcdef.sif").write_bytes(b"x" * 5000)
    (root / "images" / "org-image-0123456789abcdef.sif.lock").touch()
    write_sealed(root / "images" / "notes", root / "images" / "notes" / ("e" * 64), b"note")
    return root


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def counts(kinds) -> dict[str, int]:
    return {one.name: one.files for one in kinds}


def told(line: str) -> None:
    raise AssertionError(line)


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_every_kind_is_counted_with_its_size(cache):
    kinds = cache_size(cache)
    assert counts(kinds) == {"wheels": 1, "index": 2, "builds": 1, "git": 1, "snapshots": 1, "images": 3}
    assert next(one.size for one in kinds if one.name == "wheels") == 1000
    assert sum(one.size for one in kinds) == sum(path.stat().st_size for path in files(cache))


def test_a_cache_that_is_not_there_is_empty_and_not_made(tmp_path):
    root = tmp_path / "none"
    assert sum(one.files for one in cache_size(root)) == 0
    assert sum(one.files for one in clean_cache(root).kinds) == 0
    assert not root.exists()


def test_cleaning_removes_all_that_was_counted(cache):
    counted = counts(cache_size(cache))
    assert counts(clean_cache(cache, KINDS).kinds) == counted
    assert files(cache) == []


def test_images_that_were_pulled_stay_unless_they_are_named(cache):
    assert "images" not in counts(clean_cache(cache).kinds)
    assert {path.relative_to(cache).parts[0] for path in files(cache)} == {"images"}
    assert counts(clean_cache(cache, ["images"]).kinds) == {"images": 3}
    assert files(cache) == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_kind_that_is_named_goes(cache, kind):
    before = counts(cache_size(cache))
    clean_cache(cache, [kind])
    assert counts(cache_size(cache)) == before | {kind: 0}


def test_a_dry_run_removes_nothing_even_while_the_cache_is_in_use(cache):
    before = files(cache)
    with using_cache(cache, told):
        assert sum(one.files for one in clean_cache(cache, KINDS, dry_run=True).kinds) == len(before)
    assert files(cache) == before


def test_what_was_written_since_stays(cache):
    old = next((cache / "wheels").rglob("*.whl"))
    aged(old, 30)
    young = cache / "wheels" / "ef" / ("ef" + "1" * 62) / "other-1.0-py3-none-any.whl"
    young.parent.mkdir(parents=True)
    young.touch()
    assert counts(clean_cache(cache, ["wheels"], 14 * DAY).kinds) == {"wheels": 1}
    assert files(cache / "wheels") == [young]


def test_a_git_repository_is_as_old_as_its_youngest_file(cache):
    repository = cache / "git" / ("d" * 32)
    pack = repository / "pack"
    pack.touch()
    for path in (repository / "HEAD", repository):
        aged(path, 30)
    clean_cache(cache, ["git"], 14 * DAY)
    assert pack.exists()
    for path in (pack, repository):
        aged(path, 30)
    clean_cache(cache, ["git"], 14 * DAY)
    assert not repository.exists()


def test_files_that_lumienv_did_not_make_stay(cache):
    foreign = [
        cache / "notes.txt",
        cache / "wheels" / "mine.whl",
        cache / "wheels" / "ab" / "README",
        cache / "index" / "pages" / "mine",
        cache / "git" / "project" / "HEAD",
        cache / "snapshots" / "image.json",
        cache / "images" / "mine.sif",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    clean_cache(cache, KINDS)
    assert sorted(files(cache)) == sorted(foreign)


def test_a_link_is_not_followed_out_of_the_cache(cache, tmp_path):
    outside = tmp_path / "outside" / ("12" + "0" * 62) / "file.whl"
    outside.parent.mkdir(parents=True)
    outside.touch()
    (cache / "wheels" / "12").symlink_to(tmp_path / "outside")
    clean_cache(cache)
    assert outside.exists()


def test_a_cache_that_is_a_link_is_refused(cache, tmp_path):
    (tmp_path / "link").symlink_to(cache)
    with pytest.raises(StoreError, match="no folder, but a link") as failed:
        clean_cache(tmp_path / "link")
    assert "LUMIENV_CACHE_DIR" in str(failed.value.hint)
    assert files(cache) != []


def test_a_kind_that_is_a_link_is_refused(cache, tmp_path):
    (cache / "git").rename(tmp_path / "elsewhere")
    (cache / "git").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="no folder, but a link"):
        clean_cache(cache)
    assert files(tmp_path / "elsewhere") != []


def test_a_cache_that_is_shared_with_others_is_refused(cache):
    cache.chmod(0o750)
    with pytest.raises(StoreError, match="open to others"):
        clean_cache(cache, KINDS)
    assert files(cache) != []


def test_somebody_elses_cache_is_refused(cache):
    theirs = cache
    if os.geteuid() == 0:
        os.chown(cache, 65534, -1)
    else:
        theirs = Path("/")
    with pytest.raises(StoreError, match="belongs to"):
        clean_cache(theirs)


def test_nothing_is_removed_while_another_uses_the_cache(cache):
    before = files(cache)
    with using_cache(cache, told), pytest.raises(StoreError, match=rf"process {os.getpid()} on "):
        clean_cache(cache, KINDS)
    assert files(cache) == before
    clean_cache(cache, KINDS)
    assert files(cache) == []


def test_a_user_waits_for_the_cleaner_and_says_so_once(cache):
    said = []
    with cleaning_cache(cache):
        (mark,) = cache.glob(".cleaning-*")

        def waiting(line):
            said.append(line)
            mark.unlink()  # the cleaner has done

        with using_cache(cache, waiting):
            pass
    assert len(said) == 1
    assert "is cleaning" in said[0]


def test_two_do_not_clean_at_once(cache):
    with cleaning_cache(cache), pytest.raises(StoreError, match="in use"):
        clean_cache(cache)


def test_marks_of_processes_that_have_ended_count_no_more_and_go(cache):
    here = this_maker()
    ended = f"{here.pid}-{here.started + 1}-{here.boot}-{here.namespace}-{here.host}"
    (cache / f".in-use-000000000000-{ended}").touch()
    (cache / f".cleaning-000000000000-{ended}").touch()
    with using_cache(cache, told):
        pass
    assert [*cache.glob(".*")] == []
    clean_cache(cache, KINDS)
    assert files(cache) == []


def test_a_reader_on_another_node_counts_for_a_day(cache):
    mark = cache / ".in-use-000000000000-1-1-0-0-nid001234"
    mark.touch()
    with pytest.raises(StoreError, match="process 1 on nid001234"):
        clean_cache(cache)
    aged(mark, 1.1)
    clean_cache(cache, KINDS)
    assert files(cache) == []


def test_a_cache_that_cannot_be_written_to_is_used_all_the_same(tmp_path):
    with using_cache(tmp_path / "none", told):
        pass
