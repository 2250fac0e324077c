"""`list`, `tree`, `why` and `diff`, through the real program, after a lock for a saved snapshot."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_server import IndexServer
from universe import snapshot
from wheels import make_wheel
from workspace import Workspace, make_workspace

from lumienv.image.saved import save_snapshot
from lumienv.image.snapshot import ImagePackage

DEPENDENCIES = ["datasets[audio]", "xarray[io]", "rich ; python_version < '3'", "triton"]
GROUPS = '[dependency-groups]\ndev = ["pytest"]\n[resolve]\nreplace = ["dill"]\nomit = ["nothere"]\n'


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    (tmp_path / "wheels").mkdir()
    with IndexServer(tmp_path / "wheels", sidecars=True) as server:
        needs = ["dill", "pyarrow", 'soundfile; extra == "audio"']
        make_wheel(server.directory, "datasets", "3.0", needs, extras=["audio"])
        make_wheel(server.directory, "dill", "0.4", ["ring"])
        make_wheel(server.directory, "ring", "1.0", ["datasets", "numpy"])
        make_wheel(server.directory, "pyarrow", "18.0", ["numpy", "torch", "ring"])
        make_wheel(server.directory, "soundfile", "0.13")
        make_wheel(server.directory, "zarr", "2.0", ["numpy"])
        make_wheel(server.directory, "pytest", "8.0", ["pluggy"])
        make_wheel(server.directory, "pluggy", "1.5")
        yield server


@pytest.fixture
def project(tmp_path: Path, index: IndexServer) -> Workspace:
    """Locked for a saved snapshot; the index is not asked any more."""
    made = make_workspace(tmp_path / "project", tmp_path / "cache", PIP_INDEX_URL=index.url)
    save_snapshot(
        snapshot(
            ImagePackage("numpy", "1.26.4", location="/opt/a", installer="conda"),
            ImagePackage("numpy", "1.20.0", location="/opt/b"),
            ImagePackage("torch", "2.7.1+rocm6.2.4", ("numpy", "sympy", "dill", "broken >>")),
            ImagePackage("sympy", "1.13"),
            ImagePackage("dill", "0.3.8"),
            ImagePackage("pytorch-triton-rocm", "3.3"),
            ImagePackage("xarray", "2024.1", ('zarr; extra == "io"',), extras=("io",)),
        ),
        made.directory / "image.json",
    )
    made.write('snapshot = "image.json"', DEPENDENCIES, GROUPS)
    made.lumienv("lock")
    return made


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def change(project: Workspace, old: str, new: str) -> None:
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace(old, new))


# -- list ------------------------------------------------------------------------------------------------


def test_list_has_every_package_with_its_origin_and_what_shadows_it(project: Workspace) -> None:
    rows = [line.split(maxsplit=3) for line in project.lumienv("list").splitlines()]
    said = {(row[0], row[1]): " ".join(row[2:]) for row in rows[1:]}
    assert said["dill", "0.4"] == "overlay replaces the image's 0.3.8"
    assert said["dill", "0.3.8"] == "image shadowed by the overlay's 0.4"
    assert said["numpy", "1.20.0"] == "image shadowed by the image's 1.26.4"
    assert said["numpy", "1.26.4"] == "image the lock rests on it"
    assert said["pytest", "8.0"] == "overlay dev"
    assert said["sympy", "1.13"] == "image"


def test_list_can_leave_one_of_both_out(project: Workspace) -> None:
    overlay = json.loads(project.lumienv("list", "--overlay", "--json"))
    image = json.loads(project.lumienv("list", "--image", "--json"))
    assert {one["origin"] for one in overlay} == {"overlay"}
    assert {one["origin"] for one in image} == {"image"}
    assert image[1] == {
        "name": "numpy",
        "version": "1.26.4",
        "origin": "image",
        "source": "/opt/a",
        "installer": "conda",
        "groups": [],
        "needed": True,
        "replaces": None,
        "shadowed_by": None,
        "shadowed_in": None,
        "latest": None,
    }


@pytest.mark.parametrize("words", [["--overlay", "--image"], ["--image", "--outdated"]])
def test_list_refuses_words_that_contradict_each_other(project: Workspace, words: list[str]) -> None:
    assert project.try_("list", *words).status == 2


def test_outdated_is_what_the_index_has_newer_for_this_image(project: Workspace, index: IndexServer) -> None:
    assert "nothing newer" in project.try_("list", "--outdated").err
    make_wheel(index.directory, "pluggy", "2.0")
    make_wheel(index.directory, "pluggy", "3.0rc1")
    make_wheel(index.directory, "ring", "9.0", requires_python=">=3.13")
    make_wheel(index.directory, "zarr", "9.0", tag="cp313-cp313-win_amd64")
    make_wheel(index.directory, "numpy", "9.0")
    assert project.lumienv("list", "--outdated").splitlines()[1:] == ["pluggy   1.5     2.0"]
    assert "└── pluggy 1.5 (latest: 2.0)" in project.lumienv("tree", "--outdated")


def test_without_a_lock_list_shows_the_image(project: Workspace) -> None:
    project.lock_path.unlink()
    said = project.try_("list")
    assert (said.status, "numpy" in said.out, "datasets" in said.out) == (0, True, False)
    assert "there is no lock yet" in said.err
    for words in (["list", "--overlay"], ["tree"], ["why", "numpy"]):
        said = project.try_(*words)
        assert (said.status, said.err) == (
            1,
            "error: there is no pylock.lumienv.toml yet\nhelp: make it: lumienv lock\n",
        )


# -- tree ------------------------------------------------------------------------------------------------


TREE = """\
datasets[audio] 3.0
├── dill 0.4 (replaces the image's 0.3.8)
│   └── ring 1.0
│       ├── datasets 3.0 (*)
│       └── numpy 1.26.4 (image)
├── pyarrow 18.0
│   ├── numpy 1.26.4 (image)
│   ├── ring 1.0 (*)
│   └── torch 2.7.1+rocm6.2.4 (image)
└── soundfile 0.13
xarray[io] 2024.1 (image)
└── zarr 2.0
    └── numpy 1.26.4 (image)
pytorch-triton-rocm 3.3 (image) (for triton)
pytest 8.0 (group: dev)
└── pluggy 1.5
(*) shown above
"""


def test_tree_follows_the_users_lines_through_overlay_extras_and_rings(project: Workspace) -> None:
    assert project.lumienv("tree") == TREE


def test_tree_needs_neither_network_nor_image_nor_caches(
    project: Workspace, index: IndexServer, tmp_path: Path
) -> None:
    index.close()
    change(project, 'snapshot = "image.json"', 'path = "gone.sif"')
    other = make_workspace(project.directory, tmp_path / "another cache", LUMIENV_RUNTIME="/bin/false")
    said = other.try_("tree")
    assert said.out == TREE.replace("dill 0.4 (replaces the image's 0.3.8)", "dill 0.4")
    listed = other.try_("list")
    assert "only what the lock rests on" in listed.err
    assert "sympy" not in listed.out
    assert (
        f"error: the image {project.directory}/gone.sif does not exist\nhelp: "
        in other.try_("list", "--image").err
    )
    assert "what the overlay shadows is not marked" in said.err


def test_depth_cuts_the_tree(project: Workspace) -> None:
    assert project.lumienv("tree", "--depth", "0").splitlines() == [
        line for line in TREE.splitlines() if line[0] not in "├└│ ("
    ]


def test_a_package_that_was_cut_off_is_not_called_shown(project: Workspace) -> None:
    assert "(*)" not in project.lumienv("tree", "--depth", "1")


def test_invert_leads_from_a_package_to_the_lines_that_need_it(project: Workspace) -> None:
    assert project.lumienv("tree", "--invert", "--package", "pluggy") == (
        'pluggy 1.5\n└── pytest 8.0 ← lumienv.toml:11 "pytest"\n'
    )


def test_invert_begins_with_what_needs_nothing(project: Workspace) -> None:
    said = project.lumienv("tree", "--invert").splitlines()
    roots = [line.split()[0] for line in said if line[0] not in "├└│ ("]
    assert roots == ["numpy", "pluggy", "pytorch-triton-rocm", "soundfile", "torch"]


def test_what_the_image_needs_inside_is_shown_where_it_is_asked_for(project: Workspace) -> None:
    assert "sympy" not in project.lumienv("tree")
    assert "sympy 1.13 (image)" in project.lumienv("tree", "--image")
    assert "└── sympy 1.13 (image)" in project.lumienv("tree", "--package", "torch")
    assert "└── torch" in project.lumienv("tree", "--invert", "--package", "sympy")
    # Else numpy would have a row for half of the image.
    assert "torch" not in project.lumienv("tree", "--invert", "--package", "numpy")


def test_a_misspelt_package_is_answered_with_the_near_miss(project: Workspace) -> None:
    said = project.try_("tree", "--package", "nmpy")
    assert (said.status, said.err) == (
        2,
        "error: neither the lock nor the image has a package nmpy\nhelp: did you mean numpy?\n",
    )


def test_a_line_that_is_not_locked_yet_is_named(project: Workspace) -> None:
    change(project, '"triton"', '"triton", "brandnew"')
    said = project.try_("tree")
    assert said.out == TREE
    assert "the lock is stale: " in said.err
    assert 'not in the lock yet: lumienv.toml:5 "brandnew"' in said.err


def test_the_tree_in_json_is_the_graph(project: Workspace) -> None:
    said = json.loads(project.lumienv("tree", "--json", "--package", "pytest"))
    common = {"origin": "overlay", "groups": ["dev"], "replaces": None, "latest": None}
    assert said == {
        "lines": [
            {
                "name": "pytest",
                "text": "pytest",
                "where": "lumienv.toml:11",
                "group": "dev",
                "extras": [],
                "stands_for": None,
            }
        ],
        "packages": [
            {"name": "pluggy", "version": "1.5", **common, "branches": []},
            {"name": "pytest", "version": "8.0", **common, "branches": ["pluggy"]},
        ],
    }


def test_the_tree_as_a_page_is_the_graph_and_the_same_every_time(project: Workspace) -> None:
    said = project.try_("tree", "--html", "tree.html")
    page = (project.directory / "tree.html").read_text()
    assert (said.out, said.err) == ("wrote 12 packages to tree.html\n", "")
    assert project.lumienv("tree", "--html", "-") == page
    assert len(re.findall('class="box line"', page)) == 4
    assert len(re.findall('class="box image"', page)) == 4
    assert 'replaces the image&#x27;s 0.3.8"' in page
    assert str(project.directory) not in page
    elsewhere = make_workspace(project.directory.with_name("elsewhere"), project.cache)
    for name in ("lumienv.toml", "image.json", "pylock.lumienv.toml"):
        (elsewhere.directory / name).write_bytes((project.directory / name).read_bytes())
    assert elsewhere.lumienv("tree", "--html", "-") == page


def test_a_page_may_be_of_one_package_and_tell_what_is_newer(project: Workspace, index: IndexServer) -> None:
    make_wheel(index.directory, "pluggy", "2.0", ["numpy"])
    page = project.lumienv("tree", "--html", "-", "--package", "pytest", "--outdated")
    assert re.findall(r'<tr id="package-(.*?)"', page) == ["pluggy", "pytest"]
    assert 'data-sort="newer"' in page
    assert "1.5 → 2.0" in page
    assert "xarray" in project.lumienv("tree", "--html", "-", "--package", "xarray")
    assert "sympy" in project.lumienv("tree", "--html", "-", "--image")


@pytest.mark.parametrize("words", [["--invert"], ["--depth", "1"], ["--json"]])
def test_a_page_refuses_what_it_has_anyway(project: Workspace, words: list[str]) -> None:
    said = project.try_("tree", "--html", "tree.html", *words)
    assert said.status == 2
    assert f"--html and {words[0]} contradict each other" in said.err
    assert not (project.directory / "tree.html").exists()


def test_a_page_replaces_only_a_page_and_says_so_before_it_asks_anybody(project: Workspace) -> None:
    change(project, "pytest", "pytset")
    for _ in range(2):
        said = project.try_("tree", "--html", "tree.html")
        assert "not in the lock yet" in said.err
        assert "the lock is stale" in (project.directory / "tree.html").read_text()
    said = project.try_("tree", "--html", "lumienv.toml")
    assert said.status == 1
    assert "it is not a page that lumienv has written" in said.err
    assert "help: name another file with --html" in said.err
    assert "is a directory" in project.try_("tree", "--html", ".").err


# -- why -------------------------------------------------------------------------------------------------


def test_why_shows_the_shortest_chain_from_each_line(project: Workspace) -> None:
    assert (
        project.lumienv("why", "NumPy")
        == """\
lumienv.toml:2 "datasets[audio]"
└── datasets 3.0
    └── pyarrow 18.0
        └── numpy 1.26.4 (image)
lumienv.toml:3 "xarray[io]"
└── xarray 2024.1 (image)
    └── zarr 2.0
        └── numpy 1.26.4 (image)
in the image it is needed by torch
"""
    )


def test_why_tells_of_what_only_the_image_has(project: Workspace) -> None:
    assert project.lumienv("why", "sympy").splitlines() == [
        "sympy 1.13 is in the image only: the lock does not rest on it",
        "in the image it is needed by torch",
    ]


def test_why_tells_what_stands_for_a_name(project: Workspace) -> None:
    said = project.lumienv("why", "triton")
    assert said.startswith("triton is not installed: the image's pytorch-triton-rocm 3.3 stands for it\n")
    assert 'lumienv.toml:5 "triton"\n└── pytorch-triton-rocm 3.3 (image)' in said


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pyarow", "did you mean pyarrow?"),
        ("nothere", "lumienv.toml says never to install it: take nothere out of [resolve] omit"),
        ("unheard-of", "have it installed: lumienv add unheard-of"),
    ],
)
def test_what_is_nowhere_is_answered_with_a_way_out(project: Workspace, name: str, hint: str) -> None:
    said = project.try_("why", name)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith(f"error: nothing needs {name}: it is neither in the lock nor in the image\n")
    assert f"help: {hint}" in said.err


def test_why_answers_in_json(project: Workspace) -> None:
    said = json.loads(project.lumienv("why", "zarr", "--json"))
    assert said["chains"][0]["packages"] == ["xarray", "zarr"]
    assert said["chains"][0]["line"]["where"] == "lumienv.toml:3"
    assert (said["chains_in_all"], said["origin"], said["needed_in_image"]) == (1, "overlay", [])


# -- diff ------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(project: Workspace) -> Workspace:
    git(project.directory, "init", "-q")
    git(project.directory, "add", ".")
    git(project.directory, "commit", "-qm", "one")
    return project


def test_diff_shows_what_changed_since_the_commit(committed: Workspace, index: IndexServer) -> None:
    assert committed.lumienv("diff") == "pylock.lumienv.toml has the packages and the image of HEAD\n"
    make_wheel(index.directory, "pluggy", "2.0")
    make_wheel(index.directory, "extra", "1.0", ["sympy"])
    change(committed, '"xarray[io]"', '"extra"')
    committed.lumienv("lock", "-U")
    assert committed.lumienv("diff").splitlines() == [
        "= xarray 2024.1 from the image no longer needed",
        "= sympy 1.13 from the image",
        "- zarr 2.0",
        "~ pluggy 1.5 → 2.0",
        "+ extra 1.0",
    ]
    assert json.loads(committed.lumienv("diff", "--json")) == {
        "old": "HEAD",
        "new": "pylock.lumienv.toml",
        "image": {
            "old": "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif",
            "new": "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif",
            "rebuilt": False,
            "python_old": "3.12.9",
            "python_new": "3.12.9",
        },
        "packages": {
            "added": {"extra": "1.0"},
            "removed": {"zarr": "2.0"},
            "changed": {"pluggy": {"old": "1.5", "new": "2.0"}},
        },
        "other_files": [],
        "from_image": {"added": {"sympy": "1.13"}, "removed": {"xarray": "2024.1"}, "changed": {}},
    }
    git(committed.directory, "commit", "-qam", "two")
    assert "~ pluggy 1.5 → 2.0" in committed.lumienv("diff", "--rev", "HEAD~1")


def test_diff_compares_two_files_outside_of_a_project(project: Workspace, tmp_path: Path) -> None:
    text = project.lock_path.read_text()
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(text)
    image = text.replace('frozen = "sha256:', 'frozen = "sha256:0').replace("3.12.9", "3.12.11")
    new.write_text(
        image.replace('version = "1.26.4"', 'version = "2.0"').replace('sha256 = "', 'sha256 = "0', 1)
    )
    outside = make_workspace(tmp_path / "outside", tmp_path / "cache")
    assert outside.lumienv("diff", str(old), str(new)).splitlines() == [
        "image: lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif is another one of the same name",
        "Python: 3.12.9 → 3.12.11",
        "= numpy 1.26.4 → 2.0 from the image",
        "~ datasets: another file of the same version",
    ]
    new.write_text(text.replace(".sif", "-new.sif"))
    said = outside.lumienv("diff", str(old), str(new))
    assert said.startswith("image: lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif → lumi-")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rev", "nothing"], "error: git has no pylock.lumienv.toml at nothing"),
        (["--rev=--textconv"], "--textconv is no revision"),
        (["none.toml"], "error: there is no lock none.toml"),
        (["--rev", "HEAD", "old.toml"], "--rev is for git's version"),
    ],
)
def test_diff_says_what_there_is_nothing_to_compare_with(
    committed: Workspace, words: list[str], said: str
) -> None:
    answer = committed.try_("diff", *words)
    assert answer.status == (1 if said.startswith("error: ") else 2)
    assert said in answer.err


def test_a_damaged_older_lock_is_not_to_be_mended_by_locking_anew(
    committed: Workspace, tmp_path: Path
) -> None:
    whole = committed.lock_path.read_bytes()
    committed.lock_path.write_bytes(b"\xff")
    git(committed.directory, "commit", "-qam", "damaged")
    git(committed.directory, "branch", "group/damaged")
    committed.lock_path.write_bytes(whole)
    (tmp_path / "old.toml").write_text("a = [")
    for words in (["--rev", "group/damaged"], [str(tmp_path / "old.toml")]):
        said = committed.try_("diff", *words)
        assert said.status == 1
        assert f"{words[-1]} is damaged: " in said.err.replace("pylock.lumienv.toml of ", "")
        assert "help: name another one: lumienv diff OLD_LOCK" in said.err


# -- nothing is started ----------------------------------------------------------------------------------


def test_looking_starts_nothing_that_the_projects_files_name(project: Workspace, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    program = project.directory / "python"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    change(project, 'snapshot = "image.json"', 'host = "./python"')
    git(project.directory, "init", "-q")
    for setting in (
        f"core.fsmonitor={program}",
        f"core.pager={program}",
        f"core.sshCommand={program}",
        f"diff.x.textconv={program}",
        "core.repositoryformatversion=1",
        "extensions.partialClone=origin",
        "remote.origin.url=ssh://localhost/nowhere",
        "remote.origin.promisor=true",
    ):
        git(project.directory, "config", *setting.split("=", 1))
    (project.directory / ".gitattributes").write_text("* diff=x\n")
    for words in (
        ["list"],
        ["tree"],
        ["tree", "--html", "-"],
        ["why", "numpy"],
        ["diff", "--rev", "a" * 40],
        ["status"],
        ["doctor"],
        ["export"],
        ["image", "list"],
        ["image", "suggest"],
        ["clean"],
        ["cache", "size"],
    ):
        project.try_(*words)
        assert not mark.exists(), words
    assert "a shim, as of pyenv, is not followed" in project.try_("list", "--image").err


def test_a_python_of_this_machine_is_known_once_it_was_looked_into(
    tmp_path: Path, index: IndexServer
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    made = make_workspace(tmp_path / "own", tmp_path / "cache", PIP_INDEX_URL=index.url)
    made.write(f'host = "{tmp_path}/env/bin/python"', ["zarr<9"])
    make_wheel(index.directory, "numpy", "2.0")
    made.lumienv("lock")
    assert made.lumienv("tree") == "zarr 2.0\n└── numpy 2.0\n"
    assert made.try_("list").err == ""
