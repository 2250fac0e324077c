"""What a package's `.dist-info` says of how it came here, as pip and uv read it: PEP 610 and PEP 376."""

import base64
import csv
import hashlib
import json
import zipfile
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.direct_url import DirectUrl
from wheels import make_wheel

from lumienv.overlay.dist_info import Provenance, direct_url, write_provenance
from lumienv.resolve.origin import Origin

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32
EMPTY = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
GIT = Origin("git", "https://example.org/mylib", revision="v1", commit=COMMIT)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages as uv installs them: by name from a folder of wheels, each as if asked for."""
    site = tmp_path / "tree" / "lib" / "python3.12" / "site-packages"
    for name in ("My.Lib", "other"):
        wheel = make_wheel(tmp_path, name, "1.0")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        info = site / f"{name.replace('.', '_')}-1.0.dist-info"
        (info / "REQUESTED").touch()
        lines = [*(info / "RECORD").read_text().splitlines(), f"{info.name}/REQUESTED,{EMPTY},0"]
        (info / "RECORD").write_text("".join(f"{line}\n" for line in sorted(lines)))
    return tmp_path / "tree"


def info_of(tree: Path, name: str) -> Path:
    return next(tree.glob(f"lib/python3*/site-packages/{name}-1.0.dist-info"))


def recorded(tree: Path, name: str) -> dict[str, tuple[str, str]]:
    """File in the `.dist-info` → its hash and size in RECORD."""
    info = info_of(tree, name)
    with (info / "RECORD").open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[0].startswith(info.name)]
    return {path.partition("/")[2]: (digest, size) for path, digest, size in rows}


def said(origin: Origin, project: Path = Path("/projects/one")) -> dict[str, Any]:
    """What `direct_url.json` would say, which every reader accepts."""
    found = direct_url(origin, project, "mylib")
    DirectUrl.from_dict(found)
    return dict(found)


def test_a_git_repository_is_told_with_its_commit_and_what_was_asked_for() -> None:
    assert said(GIT) == {
        "url": "https://example.org/mylib",
        "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": COMMIT},
    }


def test_the_default_branch_of_a_repository_is_no_revision_that_was_asked_for() -> None:
    found = said(Origin("git", "https://example.org/mylib", commit=COMMIT, subdirectory="python"))
    assert found["vcs_info"] == {"vcs": "git", "commit_id": COMMIT}
    assert found["subdirectory"] == "python"


def test_an_archive_is_told_with_its_hash() -> None:
    url = "https://example.org/files/mylib-1.0.tar.gz"
    assert said(Origin("archive", url, filename="mylib-1.0.tar.gz", sha256=SHA256)) == {
        "url": url,
        "archive_info": {"hash": f"sha256={SHA256}", "hashes": {"sha256": SHA256}},
    }


@pytest.mark.parametrize(
    "url", ["https://alice:secret@example.org/a-1.0.zip", "https://secret@example.org/a-1.0.zip"]
)
def test_no_user_name_and_no_password_reaches_a_file(url: str) -> None:
    """A lock has none of them, unless somebody wrote one into it."""
    assert said(Origin("archive", url, sha256=SHA256))["url"] == "https://example.org/a-1.0.zip"


def test_the_user_that_all_repositories_have_is_no_secret() -> None:
    url = "ssh://git@example.org/group/mylib"
    assert said(Origin("git", url, commit=COMMIT))["url"] == url


def test_the_signature_in_an_address_is_left_out() -> None:
    origin = Origin("archive", "https://example.org/a-1.0.zip?signature=secret", sha256=SHA256)
    assert said(origin)["url"] == "https://example.org/a-1.0.zip"


def test_a_folder_is_told_by_its_whole_path_as_pip_does(tmp_path: Path) -> None:
    project = tmp_path / "a project"
    (project / "mylib").mkdir(parents=True)
    wanted = f"file://{tmp_path}/a%20project/mylib"
    assert said(Origin("directory", "./mylib"), project) == {"url": wanted, "dir_info": {}}
    found = said(Origin("directory", "./mylib", editable=True), project)
    assert found == {"url": wanted, "dir_info": {"editable": True}}


def test_a_project_below_a_folder_is_told_by_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "mylib" / "python").mkdir(parents=True)
    found = said(Origin("directory", f"{tmp_path}/mylib", subdirectory="python", editable=True))
    assert found == {"url": f"file://{tmp_path}/mylib/python", "dir_info": {"editable": True}}


def test_an_archive_of_this_machine_is_told_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "a-1.0.zip").touch()
    (tmp_path / "project").mkdir()
    found = said(Origin("archive", "../a-1.0.zip", sha256=SHA256), tmp_path / "project")
    assert found["url"] == f"file://{tmp_path}/a-1.0.zip"


def test_what_is_of_a_direct_source_says_so_and_records_it(tree: Path) -> None:
    write_provenance(tree, Provenance({"my-lib"}, {"my-lib": said(GIT)}))

    file = info_of(tree, "My_Lib") / "direct_url.json"
    content = file.read_bytes()
    assert json.loads(content) == said(GIT)
    assert file.stat().st_mode & 0o777 == 0o644
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert recorded(tree, "My_Lib")["direct_url.json"] == (f"sha256={digest}", str(len(content)))
    assert not (info_of(tree, "other") / "direct_url.json").exists()
    assert Distribution.at(file.parent).read_text("direct_url.json") is not None


def test_only_what_the_user_asked_for_is_requested(tree: Path) -> None:
    write_provenance(tree, Provenance({"my-lib"}, {}))
    assert (info_of(tree, "My_Lib") / "REQUESTED").exists()
    assert recorded(tree, "My_Lib")["REQUESTED"] == (EMPTY, "0")
    assert not (info_of(tree, "other") / "REQUESTED").exists()
    assert "REQUESTED" not in recorded(tree, "other")
    assert "METADATA" in recorded(tree, "other")


def test_what_a_wheel_says_of_its_own_origin_is_not_believed(tree: Path) -> None:
    """Only who installs a package knows where it came from (PEP 610)."""
    info = info_of(tree, "other")
    (info / "direct_url.json").write_text('{"url": "https://example.org/other", "dir_info": {}}')
    with (info / "RECORD").open("a") as record:
        record.write(f"{info.name}/direct_url.json,sha256=x,1\n")
    write_provenance(tree, Provenance((), {}))
    assert not (info / "direct_url.json").exists()
    assert "direct_url.json" not in recorded(tree, "other")


def test_the_same_provenance_gives_the_same_bytes(tree: Path) -> None:
    given = Provenance({"my-lib"}, {"my-lib": said(GIT)})
    write_provenance(tree, given)
    once = (info_of(tree, "My_Lib") / "RECORD").read_bytes()
    write_provenance(tree, given)
    assert (info_of(tree, "My_Lib") / "RECORD").read_bytes() == once
    assert once.splitlines() == sorted(once.splitlines())
