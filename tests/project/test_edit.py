"""`add` and `remove`: what is written, and that it is both files or neither."""

import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from place import Place, Told
from wheels import make_wheel
from workspace import interruptible

from lumienv.errors import ManifestError, ResolutionError, UsageError
from lumienv.image.handmade import snapshot_of_list
from lumienv.image.saved import save_snapshot
from lumienv.manifest.reader import read_manifest
from lumienv.project import Project, open_project
from lumienv.project.edit import add, remove
from lumienv.project.lock import lock
from lumienv.project.pair import exchange, finish

TEXT = 'dependencies = [\n    "thing", # why\n]\n\n[image]\nsnapshot = "image.json"\n'


def opened(place: Place) -> Project:
    return open_project(str(place.directory), place.environ)


@pytest.fixture
def project(place: Place) -> Project:
    made = snapshot_of_list("numpy==1.26.4\n", python="3.12.11", glibc="2.31", name="lumi.sif")
    save_snapshot(made, place.directory / "image.json")
    make_wheel(place.server.directory, "thing", "1.0", ["numpy"])
    make_wheel(place.server.directory, "thing", "2.0", ["numpy"])
    make_wheel(place.server.directory, "other", "1.0")
    make_wheel(place.server.directory, "stubborn", "1.0", ["numpy>=2"])
    (place.directory / "lumienv.toml").write_text(TEXT)
    return opened(place)


def both(project: Project) -> tuple[bytes, bytes]:
    lock_path = project.lock_path
    return Path(project.manifest.path).read_bytes(), lock_path.read_bytes() if lock_path.exists() else b""


# -- what is written ----------------------------------------------------------------------------------------


def test_an_added_package_stands_in_the_file_and_in_the_lock(project: Project) -> None:
    outcome = add(project, Told(), ["other"])
    assert outcome.edited.added == ("other",)
    assert outcome.locked is not None
    assert "other 1.0" in outcome.locked.added
    assert Path(project.manifest.path).read_text() == TEXT.replace("[\n", '[\n    "other",\n', 1)
    now = read_manifest(Path(project.manifest.path))
    assert f'inputs = "{now.inputs_digest()}"' in project.lock_path.read_text()


def test_a_package_of_the_image_is_written_by_its_name_and_said_to_be_there(project: Project) -> None:
    outcome = add(project, Told(), ["NumPy"])
    assert outcome.edited.added == ("NumPy",)
    assert outcome.provided == ("numpy 1.26.4",)


def test_what_fits_no_image_leaves_both_files_as_they_were(project: Project) -> None:
    lock(project, Told())
    before = both(project)
    with pytest.raises(ResolutionError) as caught:
        add(project, Told(), ["stubborn"])
    assert "stay as they were" in caught.value.facts[-1]
    assert both(project) == before
    assert {path.name for path in project.lock_path.parent.iterdir()} == {
        *("image.json", "lumienv.toml", "pylock.lumienv.toml")
    }


def test_what_does_not_fit_is_told_by_the_lines_of_the_file_as_it_is_and_by_the_command(
    project: Project, place: Place
) -> None:
    make_wheel(place.server.directory, "stubborn", "0.9", ["numpy"])
    text = TEXT.replace("[\n", "[\n    # one more line\n", 1) + '[resolve]\nconstraints = ["thing<2"]\n'
    Path(project.manifest.path).write_text(text)
    with pytest.raises(ResolutionError) as caught:
        add(opened(place), Told(), ["stubborn>=1"])
    assert "you ask for stubborn>=1  (in this command)" in caught.value.facts
    assert caught.value.hint is not None
    assert 'write "stubborn<=0.9" instead of "stubborn>=1" (in this command)' in caught.value.hint
    with pytest.raises(ResolutionError) as caught:
        add(opened(place), Told(), ["thing>=2"])
    said = "\n".join(caught.value.facts)
    assert "(in this command)" in said
    assert "(lumienv.toml:9)" in said  # the constraint, as people find it


def test_a_dry_run_shows_the_change_and_writes_nothing(project: Project) -> None:
    before = both(project)
    outcome = add(project, Told(), ["thing<2"], dry_run=True)
    assert outcome.edited.changed == (("thing", "thing<2"),)
    assert outcome.locked is not None
    assert outcome.locked.added == ("thing 1.0",)
    assert not outcome.written
    assert both(project) == before


def test_frozen_edits_the_file_alone(project: Project) -> None:
    outcome = add(project, Told(), ["nobody-has-this"], frozen=True, group="dev")
    assert outcome.locked is None
    assert both(project) == ((TEXT + '\n[dependency-groups]\ndev = ["nobody-has-this"]\n').encode(), b"")


def test_a_removed_package_leaves_the_lock_too(project: Project) -> None:
    add(project, Told(), ["other"])
    outcome = remove(project, Told(), ["Other"])
    assert outcome.locked is not None
    assert outcome.locked.removed == ("other 1.0",)
    assert Path(project.manifest.path).read_text() == TEXT


def test_a_link_to_a_shared_file_stays_a_link(project: Project, place: Place) -> None:
    path = Path(project.manifest.path)
    shared = path.rename(path.with_name("shared.toml"))
    path.symlink_to("shared.toml")
    add(opened(place), Told(), ["other"])
    assert path.is_symlink()
    assert '"other"' in shared.read_text()


def shared_lock(project: Project) -> Path:
    """The project's lock, moved to a folder of others' and linked to from its place."""
    lock(project, Told())
    folder = Path(project.manifest.path).parents[1] / "shared"
    folder.mkdir()
    shared = project.lock_path.rename(folder / "pylock.toml")
    project.lock_path.symlink_to(shared)
    return shared


def test_a_link_to_a_shared_lock_stays_a_link(project: Project, place: Place) -> None:
    shared = shared_lock(project)
    add(project, Told(), ["other"])
    assert '"other"' in shared.read_text()
    Path(project.manifest.path).write_text(TEXT)
    lock(opened(place), Told())
    assert '"other"' not in shared.read_text()
    assert project.lock_path.is_symlink()
    assert list(shared.parent.iterdir()) == [shared]


def test_what_a_killed_edit_has_left_beside_a_shared_lock_is_put_in_its_place(
    project: Project, place: Place
) -> None:
    shared = shared_lock(project)
    add(project, Told(), ["other"])
    new = shared.read_bytes()
    shared.with_name(".pylock.toml-edited").write_bytes(new)
    shared.write_bytes(new.replace(b"other", b"thing"))
    finish(opened(place).manifest, project.lock_path)
    assert shared.read_bytes() == new
    assert project.lock_path.is_symlink()


@pytest.mark.parametrize("content", [None, "alias ls=ls\n"])
def test_a_link_that_leads_to_no_lock_is_replaced(project: Project, content: str | None) -> None:
    """It may have come with a clone: what it leads to is none of lumienv's business."""
    other = project.lock_path.with_name("profile")
    if content is not None:
        other.write_text(content)
    project.lock_path.symlink_to(other)
    lock(project, Told())
    assert not project.lock_path.is_symlink()
    assert (other.read_text() if other.exists() else None) == content


@pytest.mark.parametrize(
    ("names", "group", "message", "hint"),
    [
        (["thingg"], None, "thingg is not in the dependencies", "lumienv remove thing"),
        (["pytest"], None, "pytest is not in the dependencies", "lumienv remove --group dev pytest"),
        (["thing"], "dev", "thing is not in the group dev", "lumienv remove thing"),
        (["thing"], "docs", "there is no dependency group docs", "lumienv remove thing"),
        (["numpy"], None, "numpy is not in the dependencies", "lumienv why numpy"),
        (["thing>=1"], None, "by their names alone", None),
        (["thing", "x-y"], None, "x-y is not in", "lumienv why x-y"),
    ],
)
def test_what_is_not_there_is_told_with_where_it_is(
    project: Project, names: list[str], group: str | None, message: str, hint: str | None
) -> None:
    add(project, Told(), ["pytest"], frozen=True, group="dev")
    before = both(project)
    with pytest.raises(UsageError, match=message) as caught:
        remove(project, Told(), names, group=group)
    assert (caught.value.hint or "").endswith(hint or "")
    assert both(project) == before


# -- words --------------------------------------------------------------------------------------------------


def test_a_folder_is_a_source_seen_from_the_project(project: Project, place: Place) -> None:
    sources = place.directory / "libs" / "mylib"
    sources.mkdir(parents=True)
    (sources / "pyproject.toml").write_text('[project]\nname = "My.Lib"\nversion = "1.0"\n')
    add(project, Told(), ["../libs/mylib[x]"], editable=True, here=place.directory / "libs", frozen=True)
    text = Path(project.manifest.path).read_text()
    assert '    "My.Lib[x]",\n' in text
    assert text.endswith('\n[sources.my-lib]\npath = "./libs/mylib"\neditable = true\n')
    remove(project, Told(), ["my-lib"], frozen=True)
    assert Path(project.manifest.path).read_text() == TEXT


def test_addresses_are_taken_apart(project: Project) -> None:
    git, wheel = "git+https://example.org/a/mylib@v1", "https://example.org/w/pack-1.0-py3-none-any.whl"
    add(project, Told(), [f"mylib @ {git}", wheel], frozen=True)
    add(project, Told(), ["lib2 @ git+https://example.org/a/lib2"], revision={"tag": "v2"}, frozen=True)
    manifest = read_manifest(Path(project.manifest.path))
    assert [entry.text for entry in manifest.dependencies] == ["lib2", f"mylib @ {git}", "pack", "thing"]
    assert manifest.sources["pack"].location == wheel
    assert manifest.sources["lib2"].revision == "v2"


def test_each_kind_of_source_is_written_as_sources_have_it(project: Project, place: Place) -> None:
    lib = place.directory / "lib"
    lib.mkdir()
    (lib / "setup.cfg").write_text("[metadata]\nname = lib\n")
    (place.directory / "tiny-1.0.tar.gz").write_bytes(b"")
    sha = "0" * 64
    words = [
        "mine @ ./lib",
        str(lib),
        "./tiny-1.0.tar.gz",
        f"far @ file://{place.directory}/far",
        f"https://example.org/w/pack-1.0-py3-none-any.whl#sha256={sha}",
        "git+https://example.org/g/mono@v1#egg=part&subdirectory=part",
        "git+ssh://git@example.org/g/own.git#egg=own",
    ]
    add(project, Told(), words, here=place.directory, frozen=True, revision=None)
    data = tomllib.loads(Path(project.manifest.path).read_text())
    assert data["sources"] == {
        "mine": {"path": "./lib"},
        "lib": {"path": str(lib)},
        "tiny": {"path": "./tiny-1.0.tar.gz"},
        "pack": {"url": f"https://example.org/w/pack-1.0-py3-none-any.whl#sha256={sha}"},
        "part": {"git": "https://example.org/g/mono", "rev": "v1", "subdirectory": "part"},
        "own": {"git": "ssh://git@example.org/g/own.git"},
    }
    assert f"far @ file://{place.directory}/far" in data["dependencies"]


def test_an_index_is_named_for_the_package(project: Project, place: Place) -> None:
    path = Path(project.manifest.path)
    path.write_text(TEXT + f'[[index]]\nname = "group"\nurl = "{place.server.url}"\nexplicit = true\n')
    with pytest.raises(UsageError, match="has the name grop") as caught:
        add(opened(place), Told(), ["other"], index="grop")
    assert caught.value.hint == "did you mean group?"
    add(opened(place), Told(), ["other"], index="group")
    assert read_manifest(path).sources["other"].location == "group"


def test_an_environment_file_is_added_and_what_is_left_out_is_told(project: Project, place: Place) -> None:
    (place.directory / "environment.yml").write_text(
        "variables: {A: b}\ndependencies:\n- other=1.0\n- pip: [--pre]\n"
    )
    told = Told()
    outcome = add(project, told, [], files=[Path("environment.yml")], here=place.directory)
    assert outcome.edited.added == ("other==1.0.*",)
    assert told.warnings[-2:] == [
        'not taken over: what [resolve] prerelease = "allow" would be here',
        "the variable A is not taken over: [run] env is the place for it",
    ]


def test_a_pyproject_is_no_requirements_file(project: Project, place: Place) -> None:
    (place.directory / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ManifestError, match=r"pyproject\.toml is no requirements file") as caught:
        add(project, Told(), [], files=[Path("pyproject.toml")], here=place.directory)
    assert "lumienv add --editable" in str(caught.value.hint)


def test_a_requirements_file_is_added_line_by_line(project: Project, place: Place) -> None:
    (place.directory / "more.txt").write_text("other # said\n")
    (place.directory / "requirements.txt").write_text(
        "# all\n--index-url https://user:secret@example.org/simple\n-r more.txt\n"
        "thing == 2.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
    )
    told = Told()
    outcome = add(project, told, [], files=[Path("requirements.txt")], here=place.directory)
    assert outcome.edited.added == ("other",)
    assert outcome.edited.changed == (("thing", "thing==2.0"),)
    assert told.warnings == [
        "requirements.txt:2: https://example.org/simple is written without its password: that belongs into "
        "~/.netrc",
        "left out: the hashes of 1 of the requirements (the lock has its own)",
        "the index https://example.org/simple is not taken over: lumienv.toml names indexes in [[index]]",
    ]


@pytest.mark.parametrize(
    ("word", "options", "message"),
    [
        ("h5py=3.1", {}, "a version is named with =="),
        ("a b c", {}, "is not a requirement"),
        ("./nowhere", {}, "there is no folder or file ./nowhere"),
        ("./image.json", {}, "no wheel and no source distribution"),
        (".", {}, "is no Python project"),
        ("lumienv.toml", {}, "lumienv.toml is a file"),
        ("a @ https://user:secret@example.org/a-1.0.tar.gz", {}, "user name or password"),
        ("a b @ https://user:secret@example.org/a-1.0.tar.gz", {}, "is not a requirement"),
        ("git+https://user:secret@example.org/a.git", {}, "user name or password"),
        ("git+https://example.org/a.git", {}, "no package's name can be told"),
        ("hg+https://example.org/a", {}, "lumienv knows git only"),
        ("thing", {"editable": True}, "--editable is for folders"),
        ("thing", {"revision": {"tag": "v1"}}, "--tag is for git repositories"),
        ("thing", {"group": "-x"}, "no dependency group can be called"),
        ("./lib", {"revision": {"tag": "v1"}}, "--tag says nothing of ./lib, which is on this machine"),
        ("./lib[not ok]", {}, "is not a requirement"),
        ("./bare", {}, "no package's name can be told from ./bare"),
        ("./odd.whl", {}, "no package's name can be told from ./odd.whl"),
        ("./odd.whl", {"editable": True}, "is a file: only a folder can be editable"),
        ("git+https://example.org/a#egg=a", {"editable": True}, "--editable says nothing of a, which comes"),
        ("https://example.org/a-1-py3-none-any.whl", {"revision": {"rev": "1"}}, "--rev is for git"),
        ("git+https://[half/a#egg=a", {}, "the address is no address"),
        ("a @ https://[half/a-1.0.tar.gz", {}, "the address of a is no address"),
        ("a @ https://example.org/page", {}, "names no wheel and no source distribution"),
        ("a @ https://example.org/a-1.0.tar.gz#md5=00", {}, "a hash that lumienv does not check"),
        ("a @ git+ftp://example.org/a", {}, "is no address of a git repository"),
        ("a @ git+https://example.org/a@-x", {}, "names a revision that git cannot have: -x"),
    ],
)
def test_words_that_mean_nothing_are_refused_and_no_secret_is_said(
    project: Project, place: Place, word: str, options: dict, message: str
) -> None:
    for name in ("lib", "bare"):
        (place.directory / name).mkdir()
    (place.directory / "lib" / "setup.cfg").write_text("[metadata]\nname = lib\n")
    (place.directory / "bare" / "setup.py").write_text("")
    (place.directory / "odd.whl").write_text("")
    before = both(project)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        add(project, Told(), [word], here=place.directory, **options)
    assert "secret" not in str(caught.value)
    assert both(project) == before


# -- both files or neither ----------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from lumienv.project.pair import exchange
wanted, seen = int(sys.argv[2]), 0
def hook(event, _):
    global seen
    if event in ("os.rename", "os.remove", "tempfile.mkstemp"):
        seen += 1
        if seen == wanted:
            os.kill(os.getpid(), int(sys.argv[3]))
sys.addaudithook(hook)
folder = Path(sys.argv[1])
manifest, lock = folder / "lumienv.toml", folder / "pylock.lumienv.toml"
after, locked = (folder / "new.toml").read_bytes(), (folder / "new.lock").read_bytes()
exchange(manifest, manifest.read_bytes(), after, lock, locked)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_whoever_is_killed_leaves_both_old_or_both_new(
    project: Project, place: Place, ending: signal.Signals
) -> None:
    lock(project, Told())
    old = both(project)
    add(project, Told(), ["other"])
    new = both(project)
    (place.directory / "new.toml").write_bytes(new[0])
    (place.directory / "new.lock").write_bytes(new[1])
    found = []
    for step in range(1, 20):
        Path(project.manifest.path).write_bytes(old[0])
        project.lock_path.write_bytes(old[1])
        words = [sys.executable, "-c", KILLED, str(place.directory), str(step), str(int(ending))]
        done = subprocess.run(words, capture_output=True, preexec_fn=interruptible)
        if ending == signal.SIGINT:
            assert both(project) in (old, new), "who can clean up needs no other command"
        place.server.requests.clear()
        lock(opened(place), Told())
        assert not place.server.requests, "what was locked is taken, not made anew"
        found.append(both(project))
        assert found[-1] in (old, new), f"killed at step {step}"
        if done.returncode == 0:
            break
        assert done.returncode == -ending
    assert found[0] == old
    assert found[-1] == new
    assert len(found) > 4


def test_what_a_killed_edit_has_left_is_not_taken_for_another(project: Project, place: Place) -> None:
    add(project, Told(), ["other"])
    stale = project.lock_path.rename(project.lock_path.with_name(".pylock.lumienv.toml-edited"))
    Path(project.manifest.path).write_text(TEXT)
    finish(opened(place).manifest, project.lock_path)
    assert not project.lock_path.exists()
    add(opened(place), Told(), ["thing<2"])
    assert not stale.exists()


def test_a_file_that_somebody_else_saved_meanwhile_is_theirs(project: Project) -> None:
    path = Path(project.manifest.path)
    with pytest.raises(ManifestError, match="changed by somebody else meanwhile"):
        exchange(path, b"what it was", b"new", project.lock_path, b"lock")
    assert both(project) == (TEXT.encode(), b"")


def test_two_at_once_add_one_after_the_other(project: Project, place: Place) -> None:
    names = ["other", "thing<2"]
    words = [sys.executable, "-m", "lumienv", "add", "-C", str(place.directory)]
    started = [subprocess.Popen([*words, name], env=place.environ) for name in names]
    assert [one.wait(60) for one in started] == [0, 0]
    manifest = opened(place).manifest
    assert [entry.text for entry in manifest.dependencies] == ["other", "thing<2"]
    assert lock(opened(place), Told()).fresh
