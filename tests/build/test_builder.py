"""Metadata and wheels of what is no wheel: built with this machine's own Python, by real backends."""

import ast
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from sources import (
    commit,
    git,
    make_repository,
    make_sdist,
    make_zip,
    stated_project,
    tiny_project,
    write_tree,
)
from wheels import make_wheel

from lumienv.build.backend import Workplace
from lumienv.build.builder import BuiltWheel
from lumienv.build.requirements import direct_names
from lumienv.errors import BrokenReleaseError, ManifestError, PackageIndexError
from lumienv.image.snapshot import ImagePackage, Snapshot
from lumienv.manifest import Dependency, ImageTable, Manifest, Source
from lumienv.manifest.sources import source_of_url, url_source
from lumienv.resolve.origin import Origin


def offer(bench: Bench, name: str, version: str, files: dict[str, str]) -> Any:
    return bench.file(make_sdist(bench.offered, name, version, files))


def names_in(wheel: BuiltWheel) -> list[str]:
    with zipfile.ZipFile(wheel.path) as archive:
        return archive.namelist()


def facts_of(wheel: BuiltWheel) -> dict[str, Any]:
    """What the backend saw while it built."""
    with zipfile.ZipFile(wheel.path) as archive:
        text = archive.read(f"{wheel.name.replace('-', '_')}.py").decode()
    found: dict[str, Any] = ast.literal_eval(text.removeprefix("facts = "))
    return found


def with_package(snapshot: Snapshot, *packages: ImagePackage) -> Snapshot:
    return replace(snapshot, packages=(*snapshot.packages, *packages))


# -- source distributions of an index ------------------------------------------------------------------------


def test_stated_metadata_is_read_without_running_anything(bench: Bench) -> None:
    file = offer(bench, "thing", "1.0", stated_project("thing", "1.0", "six>=1"))
    metadata = bench.builder(runtime=None).sdist_metadata(file)
    assert (metadata.name, metadata.version, metadata.requires_dist) == ("thing", "1.0", ("six>=1",))
    assert bench.said == []


@pytest.mark.parametrize("prepares", [True, False])
def test_metadata_that_is_not_stated_is_asked_of_the_backend(bench: Bench, prepares: bool) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project("tiny", "1.0", ["six"], prepares=prepares))
    metadata = bench.builder().sdist_metadata(file)
    assert (metadata.name, metadata.version, metadata.requires_dist) == ("tiny", "1.0", ("six",))
    assert bench.said == ["preparing the metadata of tiny 1.0 from its sources"]


def test_metadata_is_prepared_once_for_a_source_distribution_and_an_image(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project(prepares=True))
    bench.builder().sdist_metadata(file)
    bench.builder().sdist_metadata(file)
    assert len(bench.said) == 1
    other = replace(bench.snapshot, image=replace(bench.snapshot.image, identity="host:other"))
    bench.builder(snapshot=other).sdist_metadata(file)
    assert len(bench.said) == 2


def test_a_wheel_that_had_to_be_built_for_its_metadata_is_kept(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    bench.builder().sdist_metadata(file)
    wheel = bench.builder(runtime=None).wheel("tiny", file)
    assert wheel.filename == "tiny-1.0-py3-none-any.whl"


def test_a_wheel_is_built_once_and_then_found(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    first = bench.builder().wheel("Tiny", file)
    second = bench.builder().wheel("tiny", file)
    assert first == second
    assert first.name == "tiny"
    assert first.version == "1.0"
    assert first.path.is_relative_to(bench.cache / "wheels")
    assert first.size == first.path.stat().st_size
    assert bench.said == ["building tiny 1.0 from its sources"]


def test_a_kept_wheel_that_was_damaged_is_built_again(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    wheel = bench.builder().wheel("tiny", file)
    wheel.path.write_bytes(wheel.path.read_bytes()[:-1])
    again = bench.builder().wheel("tiny", file)
    assert len(bench.said) == 2
    assert again.path.stat().st_size == again.size


def test_offline_a_source_distribution_that_is_here_is_built_and_another_is_not(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    missing = offer(bench, "other", "1.0", tiny_project("other"))
    bench.builder().sdist_metadata(file)
    bench.builder(offline=True).wheel("tiny", file)
    with pytest.raises(PackageIndexError, match="is not in the wheelhouse, and lumienv is offline"):
        bench.builder(offline=True).sdist_metadata(missing)


def test_a_source_distribution_with_another_hash_is_not_opened(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    with pytest.raises(PackageIndexError, match="its hash is wrong"):
        bench.builder().sdist_metadata(replace(file, sha256="0" * 64))


@pytest.mark.parametrize("changed", [{"name": "other"}, {"version": "2.0"}])
def test_a_source_distribution_that_is_another_release_is_refused(
    bench: Bench, changed: dict[str, str]
) -> None:
    project = tiny_project(**{"name": "tiny", "version": "1.0", "prepares": True, **changed})  # type: ignore[arg-type]
    file = offer(bench, "tiny", "1.0", project)
    for ask in (bench.builder().sdist_metadata, lambda file: bench.builder().wheel("tiny", file)):
        with pytest.raises(BrokenReleaseError, match="its metadata is that of"):
            ask(file)


def test_a_zip_file_is_a_source_distribution_too(bench: Bench) -> None:
    files = {f"tiny-1.0/{path}": text for path, text in tiny_project().items()}
    wheel = bench.builder().wheel("tiny", bench.file(make_zip(bench.offered / "tiny-1.0.zip", files)))
    assert wheel.version == "1.0"


def test_without_the_image_what_is_not_stated_cannot_be_had(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    with pytest.raises(BrokenReleaseError, match="is not here to build it in"):
        bench.builder(runtime=None).sdist_metadata(file)


def test_a_build_that_failed_is_not_tried_again_in_the_same_run(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project(fails="never"))
    builder = bench.builder()
    for _ in range(2):
        with pytest.raises(BrokenReleaseError, match="its metadata cannot be prepared"):
            builder.sdist_metadata(file)
    assert len(bench.said) == 1


def test_after_some_releases_that_failed_the_others_are_not_tried(bench: Bench) -> None:
    builder = bench.builder()
    for number in range(6):
        version = f"1.{number}"
        file = offer(bench, "tiny", version, tiny_project(version=version, fails="never"))
        with pytest.raises(BrokenReleaseError) as caught:
            builder.sdist_metadata(file)
    assert len(bench.said) == 3
    assert (
        caught.value.message == "tiny 1.5 was not tried, as 3 other releases of tiny could not be built here"
    )


def test_of_many_releases_of_one_name_only_some_are_looked_into(bench: Bench) -> None:
    builder = bench.builder()
    for number in range(12):
        version = f"1.{number}"
        files = stated_project("tiny", version) | {"PKG-INFO": ""}
        builder.sdist_metadata(offer(bench, "tiny", version, files))
    last = offer(bench, "tiny", "1.12", stated_project("tiny", "1.12"))
    with pytest.raises(BrokenReleaseError, match=r"tiny-1\.12\.tar\.gz was not looked into"):
        builder.sdist_metadata(last)
    assert builder.sdist_metadata(offer(bench, "other", "1.0", stated_project("other"))).name == "other"


def test_a_source_distribution_that_is_no_project_is_refused(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", {"README.md": ""})
    with pytest.raises(BrokenReleaseError, match=r"they have no pyproject\.toml and no setup\.py"):
        bench.builder().sdist_metadata(file)


def test_where_builds_are_not_allowed_no_backend_runs(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project())
    for ask in (
        bench.builder(allowed=False).sdist_metadata,
        lambda f: bench.builder(allowed=False).wheel("tiny", f),
    ):
        with pytest.raises(BrokenReleaseError, match='build is "never"'):
            ask(file)
    assert bench.said == []


def test_a_build_that_fails_tells_what_the_backend_said_and_what_to_do(bench: Bench) -> None:
    file = offer(bench, "tiny", "1.0", tiny_project(fails="the moon is in the wrong phase"))
    with pytest.raises(BrokenReleaseError) as caught:
        bench.builder().wheel("tiny", file)
    error = caught.value
    assert error.message.startswith("tiny 1.0 offers only its sources, and it cannot be built in ")
    assert error.facts[-1] == "error: the moon is in the wrong phase"
    assert "Traceback" not in str(error)
    assert 'constraints = ["tiny<1.0"]' in (error.hint or "")


def test_a_backend_that_cannot_be_imported_is_named(bench: Bench) -> None:
    project = stated_project("thing", "1.0")
    file = offer(bench, "thing", "1.0", project)
    with pytest.raises(BrokenReleaseError) as caught:
        bench.builder().wheel("thing", file)
    assert "the build backend nowhere cannot be imported" in caught.value.facts


def test_nothing_of_the_users_reaches_a_build(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    file = offer(bench, "tiny", "1.0", tiny_project())
    assert facts_of(bench.builder().wheel("tiny", file))["SECRET"] is None


def test_the_compilers_of_the_base_are_named_to_the_build(bench: Bench) -> None:
    snapshot = replace(bench.snapshot, compilers={"cc": "gcc-99", "cxx": "g++-99"})
    file = offer(bench, "tiny", "1.0", tiny_project())
    facts = facts_of(bench.builder(snapshot=snapshot).wheel("tiny", file))
    assert (facts["CC"], facts["CXX"]) == ("gcc-99", "g++-99")


def test_compilers_that_the_activation_sets_are_kept(bench: Bench) -> None:
    activation = replace(bench.snapshot.activation, set={"CC": "conda-gcc"})
    snapshot = replace(bench.snapshot, compilers={"cc": "gcc-99"}, activation=activation)
    file = offer(bench, "tiny", "1.0", tiny_project())
    assert facts_of(bench.builder(snapshot=snapshot).wheel("tiny", file))["CC"] == "conda-gcc"


# -- build requirements --------------------------------------------------------------------------------------


def test_build_requirements_are_fetched_and_can_be_imported(bench: Bench) -> None:
    make_wheel(bench.offered, "tool", "2.0", ["part"])
    make_wheel(bench.offered, "part", "3.0")
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=["tool>=1"], imports=["tool", "part"]))
    assert facts_of(bench.builder().wheel("tiny", file))["versions"] == {"tool": "2.0", "part": "3.0"}


def test_requirements_that_the_backend_adds_are_fetched_too(bench: Bench) -> None:
    make_wheel(bench.offered, "late", "1.0")
    project = tiny_project(wanted=["late"], late_imports=["late"])
    assert bench.builder().wheel("tiny", offer(bench, "tiny", "1.0", project)).version == "1.0"


def test_the_images_packages_are_seen_behind_the_build_requirements(bench: Bench) -> None:
    # pytest is one that the base of these tests provides; nothing asks for it.
    file = offer(bench, "tiny", "1.0", tiny_project(imports=["pytest"]))
    assert facts_of(bench.builder().wheel("tiny", file))["versions"] == {"pytest": pytest.__version__}


def test_a_package_of_the_image_may_be_replaced_for_a_build(bench: Bench) -> None:
    make_wheel(bench.offered, "pluggy", "99.0")
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=["pluggy>=99"], imports=["pluggy"]))
    assert facts_of(bench.builder().wheel("tiny", file))["versions"] == {"pluggy": "99.0"}


def test_the_images_own_build_is_the_only_candidate_for_its_name(bench: Bench) -> None:
    make_wheel(bench.offered, "torch", "99.0")
    snapshot = with_package(bench.snapshot, ImagePackage("torch", "2.7.1+rocm6.2.4"))
    fits = offer(bench, "tiny", "1.0", tiny_project(build_requires=["torch>=2"]))
    assert bench.builder(snapshot=snapshot).wheel("tiny", fits).version == "1.0"
    newer = offer(bench, "tiny", "2.0", tiny_project(version="2.0", build_requires=["torch>=99"]))
    with pytest.raises(BrokenReleaseError) as caught:
        bench.builder(snapshot=snapshot).wheel("tiny", newer)
    assert "what its build needs cannot be had" in caught.value.message
    assert "pyproject.toml: build-system.requires" in str(caught.value)
    assert "lumienv.toml: build-system" not in str(caught.value)


def test_a_build_requirement_that_is_source_only_is_built_first(bench: Bench) -> None:
    offer(bench, "tool", "1.0", tiny_project("tool"))
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=["tool"], imports=["tool"]))
    bench.builder().wheel("tiny", file)
    assert bench.said[0] == "building tiny 1.0 from its sources"
    assert any("tool 1.0" in line for line in bench.said[1:])


def test_sources_that_need_one_another_for_their_builds_are_an_error(bench: Bench) -> None:
    offer(bench, "tool", "1.0", tiny_project("tool", build_requires=["tiny"]))
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=["tool"]))
    with pytest.raises(BrokenReleaseError) as caught:
        bench.builder().wheel("tiny", file)
    assert "tiny 1.0" in caught.value.message


def test_sources_that_need_one_another_and_state_their_metadata_are_an_error_too(bench: Bench) -> None:
    def project(name: str, needed: str) -> dict[str, str]:
        files = tiny_project(name)
        files["pyproject.toml"] = (
            f'[project]\nname = "{name}"\nversion = "1.0"\n[build-system]\nrequires = ["{needed}"]\n'
            'build-backend = "backend"\nbackend-path = ["."]\n'
        )
        return files

    offer(bench, "tool", "1.0", project("tool", "tiny"))
    file = offer(bench, "tiny", "1.0", project("tiny", "tool"))
    with pytest.raises(BrokenReleaseError) as caught:
        bench.builder().wheel("tiny", file)
    assert caught.value.facts == ("tiny 1.0 → tool 1.0 → tiny 1.0",)


def test_a_build_requirement_from_an_address_is_refused(bench: Bench) -> None:
    need = "tool @ https://example.org/tool-1.0-py3-none-any.whl"
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=[need]))
    with pytest.raises(BrokenReleaseError, match="needs tool from an address"):
        bench.builder().wheel("tiny", file)


def test_exclude_newer_holds_for_builds_too(bench: Bench) -> None:
    make_wheel(bench.offered, "tool", "1.0")  # of June 2025, says the index
    file = offer(bench, "tiny", "1.0", tiny_project(build_requires=["tool"]))
    with pytest.raises(BrokenReleaseError, match="what its build needs cannot be had"):
        bench.builder(exclude_newer="2025-01-01").wheel("tiny", file)


def test_old_sources_that_fail_with_the_tools_of_today_are_built_with_those_of_their_time(
    bench: Bench,
) -> None:
    make_wheel(bench.offered, "tool", "1.0", modules={"tool.py": "__version__ = '1.0'\nold = 1\n"})
    make_wheel(bench.offered, "tool", "2.0")
    page = [bench.server.entry(path) for path in bench.server.files("tool")]
    for entry, day in zip(page, ("2020-01-01", "2024-01-01"), strict=True):
        entry["upload-time"] = f"{day}T00:00:00Z"
    listing = {"meta": {"api-version": "1.1"}, "name": "tool", "files": page}
    content_type = "application/vnd.pypi.simple.v1+json"
    bench.server.pages["/simple/tool/"] = (content_type, json.dumps(listing).encode())
    project = tiny_project(build_requires=["tool"], imports=["tool"])
    project["backend.py"] += "\nfrom tool import old\n"
    file = replace(offer(bench, "tiny", "1.0", project), upload_time="2021-06-01T12:00:00Z")

    wheel = bench.builder().wheel("tiny", file)

    assert facts_of(wheel)["versions"] == {"tool": "1.0"}
    assert bench.said[1] == "building tiny 1.0 once more, with build tools of its time (2021-06-02)"


def test_sources_that_no_tools_can_build_fail_with_what_was_said_first(bench: Bench) -> None:
    project = tiny_project() | {"backend.py": "from os import never\n"}
    file = replace(offer(bench, "tiny", "1.0", project), upload_time="2021-06-01T12:00:00Z")
    with pytest.raises(BrokenReleaseError, match="it cannot be built in") as caught:
        bench.builder().wheel("tiny", file)
    assert len(bench.said) == 2
    assert any("cannot import name 'never'" in fact for fact in caught.value.facts)


def test_a_wheel_that_is_a_link_to_something_else_is_not_taken(bench: Bench) -> None:
    secret = make_wheel(bench.project, "tiny", "1.0")
    link = f"    os.symlink({str(secret)!r}, os.path.join(wheel_directory, {secret.name!r}))\n"
    backend = (
        "import os\ndef build_wheel(wheel_directory, *a, **k):\n" + link + f"    return {secret.name!r}\n"
    )
    file = offer(bench, "tiny", "1.0", tiny_project() | {"backend.py": backend})
    with pytest.raises(BrokenReleaseError, match="it cannot be built in"):
        bench.builder().wheel("tiny", file)


def test_what_a_build_left_behind_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    victim = write_tree(tmp_path / "victim", {"file": "precious"})
    place = Workplace(tmp_path / "root")
    for name in ("out", "env", "tmp"):
        (place.made / name).symlink_to(victim)
    place.empty()
    assert (victim / "file").read_text() == "precious"
    assert not (place.made / "out").is_symlink()
    assert list((place.made / "out").iterdir()) == []


# -- folders -------------------------------------------------------------------------------------------------


def folder(bench: Bench, files: dict[str, str], name: str = "mylib") -> Path:
    return write_tree(bench.project / name, files)


def test_a_folder_is_read_from_the_place_that_the_manifest_names(bench: Bench) -> None:
    folder(bench, stated_project("mylib", "0.3", "six"))
    direct = bench.builder(runtime=None).direct("mylib", Source("path", "./mylib"), None)
    assert (direct.name, str(direct.version), direct.metadata.requires_dist) == ("mylib", "0.3", ("six",))
    assert direct.origin == Origin("directory", "./mylib")


def test_the_folder_of_a_project_is_not_written_to(bench: Bench) -> None:
    where = folder(bench, tiny_project("mylib"))
    before = sorted(path.name for path in where.rglob("*"))
    direct = bench.builder().direct("mylib", Source("path", "mylib"), None)
    wheel = bench.builder().wheel("mylib", direct.origin)
    assert "mylib.py" in names_in(wheel)
    assert sorted(path.name for path in where.rglob("*")) == before


def test_a_folder_is_built_whenever_it_is_asked_for(bench: Bench) -> None:
    where = folder(bench, tiny_project("mylib"))
    first = bench.builder().wheel("mylib", Origin("directory", "mylib"))
    (where / "new.txt").write_text("")
    second = bench.builder().wheel("mylib", Origin("directory", "mylib"))
    assert "new.txt" not in facts_of(first)["files"]
    assert "new.txt" in facts_of(second)["files"]


def test_an_editable_folder_is_built_in_place(bench: Bench) -> None:
    where = folder(bench, tiny_project("mylib"))
    origin = bench.builder().direct("mylib", Source("path", "mylib", editable=True), None).origin
    assert origin.editable
    wheel = bench.builder().wheel("mylib", origin)
    with zipfile.ZipFile(wheel.path) as archive:
        assert archive.read("_tiny.pth").decode() == f"{where}\n"


def test_a_build_takes_a_private_tool_from_where_the_user_has_it(bench: Bench) -> None:
    make_wheel(bench.offered, "tool", "99.0")
    folder(bench, tiny_project("tool"), "tool")
    folder(bench, tiny_project(build_requires=["tool"], imports=["tool"]), "tiny")
    builder = bench.builder(sources={"tool": Source("path", "tool", editable=True)})
    origin = builder.direct("tiny", Source("path", "tiny"), None).origin
    assert facts_of(builder.wheel("tiny", origin))["versions"] == {"tool": None}
    assert bench.server.paths() == []  # what the index has under that name is somebody else's


def test_addresses_in_lines_hold_for_builds_as_sources_do() -> None:
    manifest = Manifest(
        Path("lumienv.toml"),
        ImageTable("host", "python3"),
        (Dependency("Tool.X @ git+https://example.org/tool@v1", "dependencies"), Dependency("numpy", "")),
        sources={"other": Source("path", "other"), "pinned": Source("index", "group")},
    )
    assert direct_names(manifest) == {
        "tool-x": Source("git", "https://example.org/tool", "v1"),
        "other": Source("path", "other"),
    }


def test_a_wheel_for_another_platform_is_no_result(bench: Bench) -> None:
    files = tiny_project(prepares=True)
    files["backend.py"] = files["backend.py"].replace("py3-none-any", "cp27-cp27m-win32")
    file = offer(bench, "tiny", "1.0", files)
    with pytest.raises(BrokenReleaseError, match="which does not run here"):
        bench.builder().wheel("tiny", file)


def test_a_file_at_an_address_has_the_hash_that_the_user_says(bench: Bench) -> None:
    path = make_wheel(bench.offered, "mylib", "1.0")
    url = f"{bench.server.root}/files/{path.name}"
    right = url_source(f"{url}#sha256={bench.server.digest(path).upper()}")
    assert bench.builder().direct("mylib", right, None).origin.location == url
    with pytest.raises(ManifestError, match="is not the file that"):
        bench.builder().direct("mylib", url_source(f"{url}#sha256={'0' * 64}"), None)


@pytest.mark.parametrize("hashed", ["md5=" + "0" * 32, "sha256=123", "sha512=" + "0" * 128])
def test_a_hash_that_is_not_checked_is_refused(hashed: str) -> None:
    with pytest.raises(ValueError, match="lumienv does not check"):
        source_of_url(f"https://example.org/mylib-1.0.tar.gz#{hashed}")


def test_a_project_below_a_folder_is_found(bench: Bench) -> None:
    folder(bench, stated_project("mylib", "1.0"), "repo/python")
    source = Source("path", "repo", subdirectory="python")
    assert bench.builder(runtime=None).direct("mylib", source, None).name == "mylib"


@pytest.mark.parametrize("subdirectory", ["..", "a/../../b", "/etc"])
def test_a_subdirectory_that_leads_elsewhere_is_refused(bench: Bench, subdirectory: str) -> None:
    folder(bench, stated_project("mylib", "1.0"))
    with pytest.raises(ManifestError, match="leads out of its sources"):
        bench.builder().direct("mylib", Source("path", "mylib", subdirectory=subdirectory), None)


def test_a_folder_that_is_not_there_is_said_to_be_missing(bench: Bench) -> None:
    with pytest.raises(ManifestError, match=r"mylib comes from \.\./mylib, where there is nothing"):
        bench.builder().direct("mylib", Source("path", "../mylib"), None)


def test_a_folder_that_is_no_project_is_said_to_be_none(bench: Bench) -> None:
    folder(bench, {"README.md": ""})
    with pytest.raises(ManifestError, match=r"has no pyproject\.toml and no setup\.py"):
        bench.builder().direct("mylib", Source("path", "mylib"), None)


def test_a_folder_that_holds_another_project_is_said_to(bench: Bench) -> None:
    folder(bench, stated_project("yourlib", "1.0"))
    with pytest.raises(ManifestError, match="mylib is yourlib, not mylib"):
        bench.builder().direct("mylib", Source("path", "mylib"), None)


def test_where_builds_are_not_allowed_a_stated_folder_can_still_be_read(bench: Bench) -> None:
    folder(bench, stated_project("mylib", "1.0"))
    assert bench.builder(allowed=False).direct("mylib", Source("path", "mylib"), None).name == "mylib"


# -- archives ------------------------------------------------------------------------------------------------


def test_a_wheel_at_an_address_is_read_and_kept(bench: Bench) -> None:
    path = make_wheel(bench.offered, "thing", "1.0", ["six"])
    url = f"{bench.server.root}/files/{path.name}"
    direct = bench.builder(runtime=None, allowed=False).direct("thing", Source("url", url), None)
    assert direct.metadata.requires_dist == ("six",)
    assert direct.origin == Origin(
        "archive", url, filename=path.name, sha256=bench.server.digest(path), size=path.stat().st_size
    )
    asked = len(bench.server.requests)
    wheel = bench.builder(offline=True).wheel("thing", direct.origin)
    assert wheel.sha256 == direct.origin.sha256
    assert len(bench.server.requests) == asked


def test_a_locked_archive_is_not_fetched_again(bench: Bench) -> None:
    path = make_wheel(bench.offered, "thing", "1.0")
    source = Source("url", f"{bench.server.root}/files/{path.name}")
    locked = bench.builder().direct("thing", source, None).origin
    asked = len(bench.server.requests)
    assert bench.builder().direct("thing", source, locked).origin == locked
    assert len(bench.server.requests) == asked


def test_an_archive_that_has_changed_since_it_was_locked_is_refused(bench: Bench) -> None:
    path = make_wheel(bench.offered, "thing", "1.0")
    source = Source("url", f"{bench.server.root}/files/{path.name}")
    locked = replace(bench.builder().direct("thing", source, None).origin, sha256="1" * 64)
    with pytest.raises(PackageIndexError, match="is no longer the file that was locked") as caught:
        bench.builder().direct("thing", source, locked)
    assert "lumienv lock -P thing" in (caught.value.hint or "")


def test_a_local_archive_that_has_changed_since_it_was_locked_is_refused(bench: Bench) -> None:
    path = make_wheel(bench.project, "thing", "1.0")
    source = Source("path", path.name)
    locked = bench.builder().direct("thing", source, None).origin
    make_wheel(bench.project, "thing", "1.0", padding=10)
    with pytest.raises(PackageIndexError, match="is no longer the file that was locked"):
        bench.builder().direct("thing", source, locked)
    with pytest.raises(PackageIndexError, match="is no longer the file that was locked"):
        bench.builder().wheel("thing", locked)


@pytest.mark.parametrize("how", ["url", "file", "path"])
def test_an_archive_of_sources_is_built(bench: Bench, how: str) -> None:
    path = make_sdist(bench.offered, "mylib", "2.0", tiny_project("mylib", "2.0"))
    source = {
        "url": Source("url", f"{bench.server.root}/files/{path.name}"),
        "file": Source("url", path.as_uri()),
        "path": Source("path", f"../offered/{path.name}"),
    }[how]
    direct = bench.builder().direct("mylib", source, None)
    assert direct.origin.location == source.location
    assert direct.origin.sha256 == bench.server.digest(path)
    assert bench.builder().wheel("mylib", direct.origin).version == "2.0"


def test_a_wheel_for_another_platform_is_refused(bench: Bench) -> None:
    path = make_wheel(bench.project, "thing", "1.0", tag="cp312-cp312-win_amd64")
    with pytest.raises(ManifestError, match="it is for another Python or platform"):
        bench.builder().direct("thing", Source("path", path.name), None)


def test_an_address_where_nothing_is_is_the_users_to_correct(bench: Bench) -> None:
    url = f"{bench.server.root}/files/thing-1.0-py3-none-any.whl"
    with pytest.raises(ManifestError, match="where there is nothing"):
        bench.builder().direct("thing", Source("url", url), None)


def test_a_file_that_is_no_archive_is_said_to_be_none(bench: Bench) -> None:
    (bench.project / "thing.rar").write_text("")
    with pytest.raises(ManifestError, match="is no wheel and no source distribution"):
        bench.builder().direct("thing", Source("path", "thing.rar"), None)


# -- git -----------------------------------------------------------------------------------------------------


@pytest.fixture
def upstream(bench: Bench) -> Path:
    make_repository(bench.folder / "upstream", stated_project("mylib", "1.0", "six"))
    return bench.folder / "upstream"


def test_a_stated_repository_is_read_without_an_image(bench: Bench, upstream: Path) -> None:
    git(upstream, "tag", "v1")
    direct = bench.builder(runtime=None).direct("mylib", Source("git", upstream.as_uri(), "v1"), None)
    assert direct.metadata.requires_dist == ("six",)
    assert direct.origin.commit == git(upstream, "rev-parse", "HEAD")
    assert direct.origin.revision == "v1"


def test_a_locked_repository_stays_at_its_commit_until_its_line_changes(bench: Bench, upstream: Path) -> None:
    source = Source("git", upstream.as_uri(), "main")
    locked = bench.builder().direct("mylib", source, None).origin
    newer = commit(upstream, stated_project("mylib", "2.0"))
    assert bench.builder().direct("mylib", source, locked).origin == locked
    assert bench.builder().direct("mylib", source, None).origin.commit == newer
    assert bench.builder().direct("mylib", replace(source, revision=""), locked).origin.commit == newer


def test_a_repository_is_built_with_its_history_where_its_version_is_not_stated(bench: Bench) -> None:
    upstream = bench.folder / "upstream"
    make_repository(upstream, tiny_project("mylib"))
    direct = bench.builder().direct("mylib", Source("git", upstream.as_uri()), None)
    wheel = bench.builder().wheel("mylib", direct.origin)
    assert ".git" in facts_of(wheel)["files"]
    bench.builder().wheel("mylib", direct.origin)
    assert len([line for line in bench.said if line.startswith("building")]) <= 1


def test_a_project_below_a_repository_is_found(bench: Bench) -> None:
    upstream = bench.folder / "upstream"
    files = {f"python/{path}": text for path, text in stated_project("mylib", "1.0").items()}
    make_repository(upstream, files)
    source = Source("git", upstream.as_uri(), subdirectory="python")
    assert bench.builder().direct("mylib", source, None).origin.subdirectory == "python"
    with pytest.raises(ManifestError, match=r"has no pyproject\.toml and no setup\.py"):
        bench.builder().direct("mylib", replace(source, subdirectory=""), None)
