"""`pylock.lumienv.toml`: PEP 751, the same bytes for the same inputs, guarded."""

import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.pylock import Pylock, is_valid_pylock_path
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from universe import manifest

from lumienv.errors import LockError
from lumienv.image.snapshot import Base, ImagePackage, Python, Snapshot
from lumienv.index.pages import File
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.lockfile import Lock, LockedSource, LockedWheel, lock_text, read_lock, with_identity
from lumienv.manifest import RESOLVER_SCHEMA, Manifest, Source, inputs_of
from lumienv.resolve import Pin, Resolution
from lumienv.resolve.origin import Origin
from lumienv.staleness import staleness

INDEX = "https://packages.example.org/simple"
FILES = "https://packages.example.org/files"
MANIFEST = manifest(["h5py>=3"], {"dev": ["pytest"], "test": ["pytest"]})
INPUTS = MANIFEST.inputs_digest()
MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.12.9",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "5.14.21-150500.55.49_13.0.57-cray_shasta_c",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.12.9",
    "python_version": "3.12",
    "sys_platform": "linux",
}
SNAPSHOT = Snapshot(
    image=Base("sif", "/images/lumi.sif", "lumi.sif", "sif:00", 1000, "x86_64"),
    python=Python("3.12.9"),
    markers=MARKERS,
    tags=("cp312-cp312-manylinux_2_35_x86_64", "py3-none-any"),
    packages=(ImagePackage("numpy", "1.26.4"), ImagePackage("torch", "2.7.1+rocm6.2.4")),
)


def pin(name: str, version: str = "1.0", tag: str = "py3-none-any", **more: Any) -> Pin:
    filename = f"{name}-{version}-{tag}.whl"
    file = File(
        filename,
        f"{FILES}/{filename}",
        sha256=f"{len(name):064x}",
        size=1234,
        upload_time="2026-01-02T03:04:05.678901Z",
    )
    given = {"requires_python": ">=3.9", "requires": (), "dependencies": ()} | more
    return Pin(name, Version(version), file, INDEX, **given)


RESOLUTION = Resolution(
    pins=(
        pin("h5py", "3.14.0", "cp312-cp312-manylinux_2_35_x86_64", dependencies=("numpy",)),
        pin("pytest", "8.4", groups=frozenset({"test", "dev"})),
        pin("rich", "14.0", requires_python=None),
    ),
    provided=(("numpy", "1.26.4"), ("torch", "2.7.1+rocm6.2.4")),
)


def text_of(resolution: Resolution = RESOLUTION, snapshot: Snapshot = SNAPSHOT) -> str:
    return lock_text(resolution, snapshot, MANIFEST)


def lock_of(folder: Path, text: str | None = None) -> Lock:
    (folder / LOCK_NAME).write_text(text_of() if text is None else text, encoding="utf-8")
    lock = read_lock(folder / LOCK_NAME)
    assert lock is not None
    return lock


# -- writing ---------------------------------------------------------------------------------------------


def test_the_lock_is_a_standard_one() -> None:
    pylock = Pylock.from_dict(tomllib.loads(text_of()))
    pylock.validate()
    assert str(pylock.lock_version) == "1.0"
    assert pylock.created_by == "lumienv"
    assert pylock.requires_python == SpecifierSet("==3.12.*")
    assert list(pylock.dependency_groups or ()) == ["dev", "test"]
    assert is_valid_pylock_path(Path(LOCK_NAME))


def test_what_needs_what_can_be_read_from_the_lock_alone(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, text_of(replace(RESOLUTION, of_extras={"torch": ("rich",)})))
    assert lock.needs() == {"h5py": ("numpy",), "pytest": (), "rich": (), "torch": ("rich",)}
    assert lock.python() == "3.12.9"
    assert dict(lock.provided) == dict(RESOLUTION.provided)


def test_every_package_has_its_file_with_url_size_and_hash() -> None:
    for package in Pylock.from_dict(tomllib.loads(text_of())).packages:
        (wheel,) = package.wheels or ()
        assert wheel.url == f"{FILES}/{wheel.name}"
        assert wheel.size == 1234
        assert set(wheel.hashes) == {"sha256"}
        assert str(package.index) == INDEX


def test_the_images_packages_are_in_the_guard_and_not_locked() -> None:
    data = tomllib.loads(text_of())
    assert [package["name"] for package in data["packages"]] == ["h5py", "pytest", "rich"]
    guard = data["tool"]["lumienv"]
    assert guard == {
        "schema": 1,
        "inputs": INPUTS,
        "declared": MANIFEST.declared(),
        "image": {"name": "lumi.sif", "identity": "sif:00", "frozen": SNAPSHOT.frozen_digest()},
        "provided": [
            {"name": "numpy", "version": "1.26.4"},
            {"name": "torch", "version": "2.7.1+rocm6.2.4"},
        ],
    }


def test_a_package_that_only_groups_need_carries_their_marker() -> None:
    packages = {package.name: package for package in Pylock.from_dict(tomllib.loads(text_of())).packages}
    assert packages["h5py"].marker is None
    expected = Marker("'dev' in dependency_groups or 'test' in dependency_groups")
    assert packages["pytest"].marker == expected


def test_the_environment_is_the_images_and_names_no_kernel() -> None:
    (marker,) = Pylock.from_dict(tomllib.loads(text_of())).environments or ()
    assert marker.evaluate(MARKERS)
    for key in ("implementation_name", "python_full_version", "sys_platform", "platform_machine"):
        assert not marker.evaluate(MARKERS | {key: "0.0"}), key
    for key in ("platform_release", "platform_version", "os_name", "platform_system"):
        assert key not in str(marker)


def test_the_same_inputs_give_the_same_bytes_and_say_what_wrote_them() -> None:
    assert text_of() == text_of()
    assert text_of().startswith("# Written by lumienv")


def test_nothing_of_this_machine_gets_into_the_lock() -> None:
    elsewhere = replace(
        SNAPSHOT,
        image=replace(SNAPSHOT.image, path="/other/place/lumi.sif"),
        markers=MARKERS | {"platform_release": "6.1.0", "platform_version": "#2"},
    )
    assert text_of(snapshot=elsewhere) == text_of()


def test_groups_are_written_in_one_order_whatever_the_sets() -> None:
    one, other = pin("a", groups=frozenset(["x", "y", "z"])), pin("a", groups=frozenset(["z", "y", "x"]))
    assert text_of(Resolution((one,), ())) == text_of(Resolution((other,), ()))


def test_one_changed_package_changes_its_lines_alone() -> None:
    changed = replace(RESOLUTION, pins=(*RESOLUTION.pins[:2], pin("rich", "14.1", requires_python=None)))
    lines = zip(text_of().splitlines(), text_of(changed).splitlines(), strict=True)
    different = [old for old, new in lines if old != new]
    assert 0 < len(different) <= 3
    assert all("14.0" in line for line in different)


def test_a_lock_of_nothing_is_a_lock(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, text_of(Resolution((), ())))
    assert (lock.versions(), lock.provided, lock.selected(SNAPSHOT, ())) == ({}, {}, ())


# -- reading ---------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    assert (lock.inputs, lock.image, lock.identity) == (INPUTS, "lumi.sif", "sif:00")
    assert lock.frozen == SNAPSHOT.frozen_digest()
    assert lock.provided == dict(RESOLUTION.provided)
    assert lock.versions() == {found.name: found.version for found in RESOLUTION.pins}
    assert lock.digest == bytes_digest(text_of().encode())
    assert lock.digest.startswith("sha256:")


def test_groups_decide_what_is_selected(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    assert [wheel.name for wheel in lock.selected(SNAPSHOT, ())] == ["h5py", "rich"]
    assert [wheel.name for wheel in lock.selected(SNAPSHOT, ("dev",))] == ["h5py", "pytest", "rich"]
    assert lock.selected(SNAPSHOT, ())[0] == LockedWheel(
        name="h5py",
        version="3.14.0",
        filename="h5py-3.14.0-cp312-cp312-manylinux_2_35_x86_64.whl",
        url=f"{FILES}/h5py-3.14.0-cp312-cp312-manylinux_2_35_x86_64.whl",
        sha256=f"{4:064x}",
        size=1234,
    )


def test_no_lock_is_none(tmp_path: Path) -> None:
    assert read_lock(tmp_path / LOCK_NAME) is None


@pytest.mark.parametrize(
    "change", [{"python_full_version": "3.11.2", "python_version": "3.11"}, {"platform_machine": "aarch64"}]
)
def test_a_lock_for_another_python_or_machine_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    other = replace(SNAPSHOT, markers=MARKERS | change)
    with pytest.raises(LockError, match=r"the lock does not fit lumi\.sif") as caught:
        lock_of(tmp_path).selected(other, ())
    assert "lumienv lock" in (caught.value.hint or "")


def test_a_lock_whose_wheels_do_not_fit_the_images_tags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="does not fit"):
        lock_of(tmp_path).selected(replace(SNAPSHOT, tags=("py3-none-any",)), ())


WHOLE = text_of()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="cut short"),
        pytest.param(f"<<<<<<< HEAD\n{WHOLE}\n=======\n{WHOLE}\n>>>>>>> branch\n", id="merge conflict"),
        pytest.param(WHOLE.replace('lock-version = "1.0"', ""), id="no version"),
        pytest.param(WHOLE.replace('lock-version = "1.0"', 'lock-version = "9.0"'), id="a later PEP"),
        pytest.param(WHOLE.replace('name = "rich"', "name = 5"), id="a name that is none"),
        pytest.param(WHOLE.split("[tool")[0], id="no guard"),
        pytest.param(WHOLE.replace("[tool.lumienv.image]", "[tool.lumienv.picture]"), id="no image"),
        pytest.param(WHOLE.replace('inputs = "sha256', 'input = "sha256'), id="no inputs"),
        pytest.param(WHOLE.replace("frozen = ", "boiled = "), id="no frozen list"),
        pytest.param(WHOLE.replace(f'inputs = "{INPUTS}"', "inputs = 5"), id="inputs that are none"),
        pytest.param(f"deep = {'[' * 3000}\n{WHOLE}", id="brackets, nested without end"),
        pytest.param(WHOLE.replace('name = "numpy", version', 'name = "numpy", edition'), id="provided"),
    ],
)
def test_a_damaged_lock_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    assert text != WHOLE
    with pytest.raises(LockError, match=str(tmp_path / LOCK_NAME)) as caught:
        lock_of(tmp_path, text)
    assert "lumienv lock" in (caught.value.hint or "")


def test_a_lock_of_bytes_that_are_no_text_is_damaged(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_bytes(b"\xff\xfe\0")
    with pytest.raises(LockError, match="is damaged"):
        read_lock(tmp_path / LOCK_NAME)


def test_a_lock_of_another_format_says_which(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"lock format 7, this lumienv reads 1"):
        lock_of(tmp_path, WHOLE.replace("schema = 1", "schema = 7"))


def test_a_folder_in_place_of_the_lock_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(LockError):
        read_lock(tmp_path / LOCK_NAME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_lock_that_is_closed_to_this_user_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text(WHOLE)
    (tmp_path / LOCK_NAME).chmod(0)
    with pytest.raises(LockError):
        read_lock(tmp_path / LOCK_NAME)


def test_a_locked_wheel_without_a_sha256_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="has no sha256"):
        lock_of(tmp_path, WHOLE.replace("sha256 = ", "sha512 = "))


SDIST = File(
    "legacy-2.0.tar.gz",
    f"{FILES}/legacy-2.0.tar.gz",
    sha256="a" * 64,
    size=99,
    upload_time="2024-04-14T10:34:55+00:00",
)
ORIGINS = {
    "archived": Origin("archive", f"{FILES}/archived-1.0.tar.gz", "archived-1.0.tar.gz", "b" * 64, 7),
    "cloned": Origin(
        "git", "https://example.org/cloned.git", revision="v1", commit="c" * 40, subdirectory="python"
    ),
    "local": Origin("directory", "./local", editable=True),
}


def source_pins() -> tuple[Pin, ...]:
    """One pin of each kind that is no wheel of an index."""
    direct = [replace(pin(name), file=None, index="", origin=origin) for name, origin in ORIGINS.items()]
    return (*direct, replace(pin("legacy", "2.0"), file=SDIST))


def test_sources_are_written_under_the_keys_of_pep_751() -> None:
    packages = {
        package.name: package
        for package in Pylock.from_dict(tomllib.loads(text_of(Resolution(source_pins(), ())))).packages
    }
    assert packages["legacy"].sdist is not None
    assert packages["archived"].archive is not None
    assert packages["cloned"].vcs is not None
    assert packages["cloned"].vcs.commit_id == "c" * 40
    assert packages["local"].directory is not None
    assert packages["local"].directory.editable is True
    assert [name for name, package in packages.items() if package.version is None] == ["cloned", "local"]


def test_sources_are_read_as_they_were_written(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, text_of(Resolution(source_pins(), ())))
    assert lock.origins() == ORIGINS
    selected = {source.name: source for source in lock.selected(SNAPSHOT, ())}
    assert selected["legacy"] == LockedSource("legacy", "2.0", SDIST)
    assert {name: selected[name].what for name in ORIGINS} == ORIGINS  # type: ignore[union-attr]


def test_what_tells_two_states_of_a_source_apart_is_its_commit_or_its_place(tmp_path: Path) -> None:
    assert lock_of(tmp_path, text_of(Resolution(source_pins(), ()))).labels() == {
        "archived": "1.0",
        "cloned": "(https://example.org/cloned.git at cccccccccccc)",
        "legacy": "2.0 (to be built)",
        "local": "(editable, ./local)",
    }


# -- staleness -------------------------------------------------------------------------------------------


def test_a_lock_that_belongs_to_its_manifest_and_image_is_not_stale(tmp_path: Path) -> None:
    assert staleness(lock_of(tmp_path), MANIFEST, SNAPSHOT) is None


def image(**changes: Any) -> Snapshot:
    return replace(SNAPSHOT, image=replace(SNAPSHOT.image, **changes))


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (image(identity="sif:11"), "the image lumi.sif has changed since it was locked"),
        (
            image(identity="sif:11", name="new.sif"),
            "it was made for the image lumi.sif, and new.sif is selected now",
        ),
        (
            replace(SNAPSHOT, packages=SNAPSHOT.packages[:1]),
            "the packages in lumi.sif have changed since it was locked",
        ),
    ],
)
def test_a_lock_of_another_image_says_which(tmp_path: Path, snapshot: Snapshot, reason: str) -> None:
    assert staleness(lock_of(tmp_path), MANIFEST, snapshot) == reason


def test_of_a_pulled_image_the_registrys_digest_is_locked_not_this_machines_file(tmp_path: Path) -> None:
    mine, theirs = image(pulled="oci:sha256:1"), image(pulled="oci:sha256:1", identity="sif:11")
    path = tmp_path / "pylock.lumienv.toml"
    path.write_text(lock_text(RESOLUTION, mine, MANIFEST))
    locked = read_lock(path)
    assert locked is not None
    assert locked.identity == "oci:sha256:1"
    assert lock_text(RESOLUTION, mine, MANIFEST) == lock_text(RESOLUTION, theirs, MANIFEST)
    assert staleness(locked, MANIFEST, theirs) is None
    moved = image(pulled="oci:sha256:2", name="moved.sif")
    assert staleness(locked, MANIFEST, moved) == (
        "it was made for the image lumi.sif, and moved.sif is selected now"
    )


GROUPS = {"dev": ["pytest"], "test": ["pytest"]}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            manifest(["h5py>=3", "wandb"], GROUPS),
            '"wandb" was added to dependencies since it was locked',
        ),
        (manifest([], GROUPS), '"h5py>=3" was taken out of dependencies since it was locked'),
        (
            manifest(["h5py>=3.11"], GROUPS),
            '"h5py>=3" became "h5py>=3.11" in dependencies since it was locked',
        ),
        (
            manifest(["h5py>=3"], GROUPS | {"dev": ["pytest", "ipdb"]}),
            '"ipdb" was added to [dependency-groups] dev since it was locked',
        ),
        (
            manifest(["h5py>=3"], GROUPS, replace=("numpy",)),
            '"numpy" was added to [resolve] replace since it was locked',
        ),
        (
            manifest(["h5py>=3"], GROUPS, exclude_newer="2026-11-01"),
            '[resolve] exclude-newer was set to "2026-11-01" since it was locked',
        ),
        (
            manifest(["h5py>=3"], GROUPS, assume={"torch": "2.8.0"}),
            '[image.assume] torch was set to "2.8.0" since it was locked',
        ),
        (
            replace(MANIFEST, sources={"h5py": Source("git", "https://example.org/h5py.git", "v1")}),
            '[sources] h5py was set to "git https://example.org/h5py.git v1" since it was locked',
        ),
        (
            manifest(["h5py>=3", "wandb", "rich"], GROUPS),
            '"wandb" was added to dependencies since it was locked, and 1 more change',
        ),
        (
            manifest(["wandb", "rich", "einops"], GROUPS),
            '"wandb" was added to dependencies since it was locked, and 3 more changes',
        ),
    ],
)
def test_a_lock_of_another_manifest_says_what_has_changed(
    tmp_path: Path, changed: Manifest, reason: str
) -> None:
    assert staleness(lock_of(tmp_path), changed, SNAPSHOT) == reason


def test_a_lock_that_was_made_by_other_rules_says_so(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    older = replace(lock, inputs=inputs_of(lock.declared, RESOLVER_SCHEMA - 1))
    assert staleness(older, MANIFEST, SNAPSHOT) == (
        "this lumienv resolves by newer rules than the one that wrote it"
    )


def test_a_lock_whose_digest_alone_is_another_is_not_said_to_be_older(tmp_path: Path) -> None:
    merged = replace(lock_of(tmp_path), inputs="sha256:merged")
    assert staleness(merged, MANIFEST, SNAPSHOT) == (
        "its line `inputs` does not belong to the rest of it, as after a merge or by another lumienv"
    )


def test_the_same_image_under_another_name_is_the_same_image(tmp_path: Path) -> None:
    assert staleness(lock_of(tmp_path), MANIFEST, image(name="copy.sif", path="/copy.sif")) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"markers": MARKERS | {"python_full_version": "3.12.11"}}, "it does not fit lumi.sif: "),
        ({"tags": ("py3-none-any",)}, "it does not fit lumi.sif: "),
        ({"packages": ()}, "the packages in lumi.sif have changed"),
    ],
)
def test_a_lock_without_identity_is_held_against_all_that_it_was_made_for(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    lock = lock_of(tmp_path, text_of(snapshot=image(identity="")))
    assert (staleness(lock, MANIFEST, replace(SNAPSHOT, **changes)) or "").startswith(reason)


def test_a_list_of_other_packages_is_named(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, text_of(snapshot=image(identity="", name="packages")))
    reason = staleness(lock, MANIFEST, replace(SNAPSHOT, packages=()))
    assert reason == "it was made for the packages of packages, and lumi.sif has others"


def test_a_lock_of_an_image_fits_a_list_of_the_same_packages(tmp_path: Path) -> None:
    assert staleness(lock_of(tmp_path), MANIFEST, image(identity="", name="packages")) is None


def test_with_an_identity_the_lock_is_the_one_made_on_the_image() -> None:
    by_hand = text_of(snapshot=image(identity="", name="packages"))
    assert "identity" not in by_hand
    assert with_identity(by_hand, SNAPSHOT.image) == text_of()
    assert with_identity(text_of(), SNAPSHOT.image) == text_of()


def test_a_lock_from_a_saved_snapshot_is_held_against_the_frozen_list(tmp_path: Path) -> None:
    """It has no identity (design: Formats, Snapshot)."""
    lock = lock_of(tmp_path, text_of(snapshot=image(identity="")))
    assert lock.identity == ""
    assert staleness(lock, MANIFEST, SNAPSHOT) is None
    assert staleness(lock, MANIFEST, replace(SNAPSHOT, packages=())) is not None
