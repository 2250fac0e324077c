"""What a user shares with their group, and what another accepts of it."""

import os
import stat
from pathlib import Path

import pytest
from generations import described

from lumienv.errors import StoreError
from lumienv.overlay.generation import CARRIERS, Generation, current_generation, read_generation
from lumienv.overlay.store import Store
from lumienv.overlay.trust import notes_path, revoke, seal_of

DIGEST = "sha256:" + "a" * 64
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def publish(store: Store, mode: str = "squashfs") -> Generation:
    generation = described(store, DIGEST, mode)
    with store.writing(pytest.fail), store.staging() as staged:
        carrier = generation.at(staged).carrier
        if mode == "venv":
            (carrier / "bin").mkdir(parents=True)
            (carrier / "bin" / "tool").write_text("tool")
            (carrier / "bin" / "tool").chmod(0o700)
        else:
            carrier.write_text("the tree")
        return store.publish(staged, generation)


def share(store: Store) -> Generation:
    with store.writing(pytest.fail):
        return store.share(current_generation(store.root))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "project" / "store")


def give_away(store: Store, to: int = NOBODY) -> None:
    """Make the store look like a teammate's."""
    for path in (store.root, *store.root.rglob("*")):
        os.chown(path, to, to, follow_symlinks=False)


def forget() -> None:
    """Be somebody who has neither made nor accepted anything."""
    Path(notes_path(os.environ)).write_text("")


def accepted(store: Store) -> Generation:
    """What a teammate shares, and this user has accepted."""
    publish(store)
    made = share(store)
    give_away(store)
    forget()
    assert store.adopt("squashfs", DIGEST) is not None
    return made


# -- sharing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CARRIERS)
@pytest.mark.parametrize("umask", [0o022, 0o007, 0o077])
def test_the_group_can_read_what_is_shared_and_write_nowhere_but_leases(
    store: Store, mode: str, umask: int
) -> None:
    before = os.umask(umask)
    try:
        publish(store, mode)
        made = share(store)
    finally:
        os.umask(before)
    assert made.shared
    assert current_generation(store.root) == made
    for path in (store.root, store.generations, made.path, *made.path.rglob("*")):
        bits = stat.S_IMODE(path.stat().st_mode)
        needed = 0o050 if path.is_dir() or path.name == "tool" else 0o040
        assert bits & needed == needed, f"{path} {bits:o}"
        assert bits & 0o022 == 0, f"{path} {bits:o}"
    leases = stat.S_IMODE((store.root / "leases").stat().st_mode)
    assert leases & 0o3770 == 0o3770
    assert leases & 0o002 == 0


@needs_root
def test_it_belongs_to_the_group_of_the_folder_that_the_store_lies_in(store: Store) -> None:
    store.root.parent.mkdir()
    os.chown(store.root.parent, -1, 12345)
    made = publish(store)
    share(store)
    assert {path.stat().st_gid for path in (store.root, store.root / "leases", made.carrier)} == {12345}


def test_sharing_twice_changes_nothing(store: Store) -> None:
    publish(store)
    first = share(store)
    before = (first.path / "generation.json").stat()
    assert share(store) == first
    assert (first.path / "generation.json").stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_not_shared_stays_closed_under_a_strict_umask(store: Store) -> None:
    before = os.umask(0o077)
    try:
        made = publish(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.carrier.stat().st_mode) & 0o077 == 0


# -- accepting -------------------------------------------------------------------------------------------


@needs_root
def test_what_a_teammate_shares_is_refused_until_it_is_accepted(store: Store) -> None:
    publish(store)
    share(store)
    give_away(store)
    forget()
    with pytest.raises(StoreError, match="nobody shares the environment in") as caught:
        current_generation(store.root)
    assert "lumienv sync" in (caught.value.hint or "")

    adopted = store.adopt("squashfs", DIGEST)

    assert adopted == current_generation(store.root)
    assert adopted is not None
    assert adopted.shared
    assert store.adopt("squashfs", "sha256:" + "b" * 64) is None
    assert store.adopt("venv", DIGEST) is None


@needs_root
def test_what_a_teammate_does_not_share_is_not_accepted(store: Store) -> None:
    publish(store)
    give_away(store)
    forget()
    assert store.adopt("squashfs", DIGEST) is None
    with pytest.raises(StoreError, match="was made by nobody") as caught:
        current_generation(store.root)
    assert "ask nobody to share: lumienv sync --share" in (caught.value.hint or "")


def loosen(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)


@needs_root
@pytest.mark.parametrize("what", ["store", "generations", "generation", "description", "carrier"])
@pytest.mark.parametrize("how", ["written to", "somebody else's"])
def test_what_a_third_could_have_changed_is_neither_accepted_nor_run(
    store: Store, what: str, how: str
) -> None:
    publish(store)
    made = share(store)
    give_away(store)
    forget()
    path = {
        "store": store.root,
        "generations": store.generations,
        "generation": made.path,
        "description": made.path / "generation.json",
        "carrier": made.carrier,
    }[what]
    before = path.stat()

    def spoil() -> None:
        if how == "written to":
            loosen(path)
        else:
            os.chown(path, 4321, -1)

    spoil()
    assert store.adopt("squashfs", DIGEST) is None

    os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode)
    assert store.adopt("squashfs", DIGEST) is not None
    spoil()
    with pytest.raises(StoreError, match=r"could have been changed by others|was made by|shares"):
        read_generation(made.path)


@needs_root
def test_what_was_accepted_from_one_is_not_run_when_it_becomes_anothers(store: Store) -> None:
    publish(store)
    made = share(store)
    give_away(store)
    forget()
    assert store.adopt("squashfs", DIGEST) is not None
    give_away(store, 4321)
    with pytest.raises(StoreError, match="was made by uid 4321"):
        read_generation(made.path)


@needs_root
def test_a_description_that_its_owner_changed_has_to_be_accepted_anew(store: Store) -> None:
    made = accepted(store)
    file = made.path / "generation.json"
    file.write_text(file.read_text().replace("/i.sif", "/tmp/other.sif"))
    with pytest.raises(StoreError, match="you have not accepted it"):
        read_generation(made.path)


@needs_root
def test_what_was_found_damaged_is_not_accepted_again(store: Store) -> None:
    made = accepted(store)
    description = (made.path / "generation.json").read_bytes()
    revoke(seal_of(description, made.path.stat().st_ino), os.environ)
    assert store.adopt("squashfs", DIGEST) is None


@needs_root
def test_a_copy_of_what_was_accepted_is_not_run(store: Store, tmp_path: Path) -> None:
    import shutil

    publish(store)
    share(store)
    give_away(store)
    forget()
    store.adopt("squashfs", DIGEST)
    clone = tmp_path / "clone"
    shutil.copytree(store.root, clone, symlinks=True)
    with pytest.raises(StoreError, match="was not made here by you: it is a copy"):
        current_generation(clone)


# -- the carrier of one's own ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CARRIERS)
def test_a_carrier_that_others_could_have_written_to_is_not_run(store: Store, mode: str) -> None:
    made = publish(store, mode)
    loosen(made.carrier)
    with pytest.raises(StoreError, match="could have been changed by others"):
        read_generation(made.path)


@needs_root
@pytest.mark.parametrize("mode", CARRIERS)
def test_a_carrier_that_was_exchanged_by_another_user_is_not_run(store: Store, mode: str) -> None:
    made = publish(store, mode)
    os.chown(made.carrier, NOBODY, NOBODY)
    with pytest.raises(StoreError, match="was made by nobody"):
        read_generation(made.path)


def test_an_output_that_is_the_same_file_is_watched_too(store: Store, tmp_path: Path) -> None:
    made = publish(store, "sif")
    output = tmp_path / "train.sif"
    output.hardlink_to(made.carrier)
    assert read_generation(made.path) == made
    loosen(output)
    with pytest.raises(StoreError, match="could have been changed by others"):
        read_generation(made.path)


@needs_root
def test_an_output_on_another_file_system_is_looked_at_behind_its_link(store: Store, tmp_path: Path) -> None:
    made = publish(store, "sif")
    output = tmp_path / "train.sif"
    made.carrier.rename(output)
    made.carrier.symlink_to(output)
    assert read_generation(made.path) == made
    output.unlink()
    output.write_text("a teammate's")
    os.chown(output, NOBODY, NOBODY)
    with pytest.raises(StoreError, match="was made by nobody"):
        read_generation(made.path)


@pytest.mark.parametrize("mode", ["venv", "squashfs"])
def test_one_without_its_carrier_is_damaged(store: Store, mode: str) -> None:
    made = publish(store, mode)
    made.carrier.rename(store.root / "away")
    with pytest.raises(StoreError, match="is damaged"):
        read_generation(made.path)


def test_an_output_on_another_file_system_is_shared_behind_its_link(store: Store, tmp_path: Path) -> None:
    made = publish(store, "sif")
    output = tmp_path / "train.sif"
    made.carrier.rename(output)
    made.carrier.symlink_to(output)
    output.chmod(0o500)
    assert share(store).shared
    assert output.stat().st_mode & 0o070 == 0o050
