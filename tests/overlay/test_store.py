"""The store: generations are built aside, published whole, and swapped by rename."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from generations import described

from lumienv.errors import StoreError
from lumienv.overlay.generation import Generation, current_generation
from lumienv.overlay.store import Store, protect

WRITER = """
import os, signal, sys
from pathlib import Path
from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store

def generation(store, digest):
    return Generation(
        path=store.generations, digest=f"sha256:{digest * 64}", mode="venv", base_kind="sif",
        base_path="/i.sif", base_name="i.sif", identity="sif:0", selection={}, inputs="1", lock="2",
        runtime="host", python="3.12.9")

def build(staged):
    (staged / "tree" / "bin").mkdir(parents=True)
    (staged / "tree" / "bin" / "tool").write_text(sys.argv[2])

store = Store(Path(sys.argv[1]))
"""


def generation(store: Store, digest: str = "a") -> Generation:
    return described(store, f"sha256:{digest * 64}", "venv")


def publish(store: Store, digest: str = "a") -> Generation:
    with store.writing(lambda line: pytest.fail(line)), store.staging() as staged:
        (staged / "tree" / "bin").mkdir(parents=True)
        (staged / "tree" / "bin" / "tool").write_text(digest)
        return store.publish(staged, generation(store, digest))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "project" / ".lumienv")


def content(store: Store) -> str:
    return (current_generation(store.root).carrier / "bin" / "tool").read_text()


def leftovers(store: Store) -> list[str]:
    return [path.name for path in store.generations.iterdir() if not path.name.startswith("venv-")]


# -- publishing ------------------------------------------------------------------------------------------


def test_an_empty_store_says_how_to_make_an_environment(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        current_generation(store.root)
    assert "lumienv sync" in (caught.value.hint or "")
    assert store.find("venv", "sha256:" + "a" * 64) is None


def test_a_published_generation_is_current_and_found_again(store: Store) -> None:
    published = publish(store)
    assert published.path.parent == store.generations
    assert published.path.name.startswith("venv-" + "a" * 16 + "-")
    assert current_generation(store.root) == published
    assert store.find("venv", published.digest) == published
    assert store.find("squashfs", published.digest) is None
    assert leftovers(store) == []


@pytest.mark.parametrize("umask", [0o022, 0o007, 0o000])
def test_what_is_published_can_be_written_to_by_nobody_else(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        published = publish(store)
    finally:
        os.umask(before)
    paths = [published.path, *published.path.rglob("*")]
    assert len(paths) == 5
    assert [path for path in paths if path.is_file() and path.stat().st_mode & 0o222] == []
    assert [path for path in paths if path.stat().st_mode & 0o022] == []


def test_the_link_is_relative_so_that_a_project_can_move(store: Store, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "project").rename(tmp_path / "moved")
    assert content(Store(tmp_path / "moved" / ".lumienv")) == "a"


def test_a_later_generation_leaves_the_earlier_one_for_jobs_that_use_it(store: Store) -> None:
    first, second = publish(store, "a"), publish(store, "b")
    assert (first.carrier / "bin" / "tool").read_text() == "a"
    assert current_generation(store.root) == second
    store.select(first)
    assert current_generation(store.root) == first


def test_selecting_what_is_selected_changes_nothing(store: Store) -> None:
    published = publish(store)
    before = store.current.lstat()
    store.select(published)
    assert store.current.lstat().st_ino == before.st_ino
    assert sorted(path.name for path in store.root.iterdir()) == [
        ".gitignore",
        "current",
        "generations",
        "leases",
        "lock",
    ]


def test_a_generation_that_cannot_be_trusted_is_made_anew(store: Store) -> None:
    published = publish(store)
    published.path.chmod(0o777)
    (published.path / "planted").write_text("")
    assert store.find("venv", published.digest) is None
    again = publish(store)
    assert not (again.path / "planted").exists()
    assert (published.carrier / "bin" / "tool").exists(), "a job may be running in it"


def test_a_build_that_fails_leaves_the_old_environment_and_nothing_else(store: Store) -> None:
    publish(store)

    def fail() -> None:
        with store.writing(lambda _: None), store.staging() as staged:
            (staged / "half").write_text("made")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert content(store) == "a"
    assert leftovers(store) == []


def test_the_store_is_kept_out_of_git(store: Store) -> None:
    publish(store)
    assert (store.root / ".gitignore").read_text() == "*\n"


# -- kills and second writers ----------------------------------------------------------------------------

KILLED = {
    "while building": "with store.writing(print), store.staging() as staged:\n    build(staged)\n    die()\n",
    "before the rename": (
        "import lumienv.overlay.store as module\n"
        "drop = module.protect\n"
        "module.protect = lambda root: (drop(root), die())\n"
        "with store.writing(print), store.staging() as staged:\n"
        "    build(staged)\n    store.publish(staged, generation(store, 'b'))\n"
    ),
    "before the switch": (
        "Store.select = lambda *_: die()\n"
        "with store.writing(print), store.staging() as staged:\n"
        "    build(staged)\n    store.publish(staged, generation(store, 'b'))\n"
    ),
}


@pytest.mark.parametrize("moment", KILLED)
def test_a_killed_writer_leaves_the_old_environment_and_the_next_one_tidies_up(
    store: Store, moment: str
) -> None:
    publish(store)
    program = f"{WRITER}\ndef die():\n    os.kill(os.getpid(), signal.SIGKILL)\n{KILLED[moment]}"
    killed = subprocess.run([sys.executable, "-c", program, str(store.root), "b"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert content(store) == "a"
    published = publish(store, "b")
    assert content(store) == "b"
    assert current_generation(store.root) == published
    assert leftovers(store) == []


def test_a_writer_killed_at_the_switch_leaves_no_link_behind(store: Store) -> None:
    publish(store)
    (store.root / ".current-0123456789ab").symlink_to("generations/venv-gone")
    publish(store, "b")
    assert sorted(path.name for path in store.root.iterdir()) == [
        ".gitignore",
        "current",
        "generations",
        "leases",
        "lock",
    ]


def test_of_two_writers_at_once_one_waits_and_both_generations_are_whole(store: Store) -> None:
    program = (
        f"{WRITER}\nwith store.writing(print), store.staging() as staged:\n"
        "    print('building', flush=True)\n    sys.stdin.readline()\n    build(staged)\n"
        "    store.publish(staged, generation(store, 'b'))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(store.root), "b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "building\n"
        told: list[str] = []

        def waiting(line: str) -> None:
            # The other's staging directory is not taken for a leftover.
            assert len(leftovers(store)) == 1
            told.append(line)
            assert other.stdin is not None
            other.stdin.write("go on\n")
            other.stdin.flush()

        with store.writing(waiting):
            assert content(store) == "b"
            assert leftovers(store) == []
        assert other.wait() == 0
    assert len(told) == 1
    publish(store, "a")
    assert len(list(store.generations.iterdir())) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_is_closed_to_this_user_is_a_sentence(store: Store) -> None:
    publish(store)
    (store.root / "lock").chmod(0o444)
    with pytest.raises(StoreError, match="permission denied"), store.writing(lambda _: None):
        pass


# -- protect -------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_lose_their_write_bits_and_folders_those_of_others(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    modes = {"run": 0o775, "deep/data": 0o664, "deep/secret": 0o600}
    for name, mode in modes.items():
        (root / name).write_text("")
        (root / name).chmod(mode)
    (root / "deep").chmod(0o770)
    root.chmod(0o2777)
    protect(root)
    assert {name: mode_of(root / name) for name in modes} == {
        "run": 0o555,
        "deep/data": 0o444,
        "deep/secret": 0o400,
    }
    assert (mode_of(root / "deep"), mode_of(root)) == (0o750, 0o2755)


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_what_links_lead_to_is_left_alone(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    if kind == "file":
        outside.write_text("")
    elif kind == "folder":
        outside.mkdir()
        (outside / "inner").write_text("")
        (outside / "inner").chmod(0o666)
    if kind != "nothing":
        outside.chmod(0o777)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    protect(root)
    assert (root / "link").is_symlink()
    if kind != "nothing":
        assert mode_of(outside) == 0o777
    if kind == "folder":
        assert mode_of(outside / "inner") == 0o666


# -- whose store it is -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_store_of_another_member_is_left_alone_with_a_way_for_both(store: Store) -> None:
    publish(store)
    os.chown(store.root, 65534, 65534)
    with pytest.raises(StoreError, match="was made by nobody") as caught, store.writing(pytest.fail):
        pytest.fail("it was written to")
    assert 'store = ".lumienv-$USER"' in (caught.value.hint or "")


@pytest.mark.parametrize("umask", [0o007, 0o000])
def test_nobody_else_can_swap_what_the_store_links_to(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        publish(store)
    finally:
        os.umask(before)
    folders = (store.root, store.generations, store.root / "leases")
    assert [path for path in folders if path.stat().st_mode & 0o022] == []


def test_a_folder_with_other_things_in_it_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="is no store of lumienv's"), Store(tmp_path).writing(pytest.fail):
        pytest.fail("it was written to")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_store_whose_environments_were_removed_by_hand_is_still_one(store: Store) -> None:
    publish(store)
    shutil.rmtree(store.generations)
    publish(store, "b")
    assert content(store) == "b"
