"""`lumienv.toml`, checked key by key: every complaint names the file, the line and the key."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import ManifestError
from lumienv.manifest import Dependency, HostValue, IndexTable, Manifest, Source, metadata_digest
from lumienv.manifest.reader import read_manifest

HOST = '[image]\nhost = "python3"\n'


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "lumienv.toml"
    path.write_text(text, encoding="utf-8")
    return read_manifest(path)


def complaint(tmp_path: Path, text: str) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, text)
    return caught.value


# -- what is read ----------------------------------------------------------------------------------------

WHOLE = """\
dependencies = [                       # PEP 508; what the overlay adds
  "h5py>=3.11",
  "datasets[audio]",
]

[image]
name = "pytorch"
rocm = "6.2.4"
activate = "auto"

[image.assume]
torch = "2.8.0"

[dependency-groups]
test = ["pytest", "ipdb"]
dev = [{ include-group = "test" }, "ruff"]

[sources.h5py]
index = "group"

[resolve]
replace = ["numpy"]
omit = ["triton"]
constraints = ["scipy<2"]
overrides = ["pandas==2.2.*"]
exclude-newer = "2026-11-01"
prerelease = "allow"
resolution = "lowest-direct"
build = "never"

[[index]]
name = "group"
url = "https://packages.example.org/simple"
explicit = true

[sync]
mode = "squashfs"
store = ".store"

[run]
env = { HF_HOME = "/scratch/hf", WANDB_API_KEY = { from = "host" }, OMP_NUM_THREADS = 7 }
bind = ["/scratch"]
entry = "run"

[slurm]
account = "project_465000000"
gpus-per-node = 8
exclusive = true

[tasks]
train = "python train.py --epochs 10"
"""


def test_every_table_is_read_with_the_lines_of_its_requirements(tmp_path: Path) -> None:
    manifest = read(tmp_path, WHOLE)
    line = {text: number for number, text in enumerate(WHOLE.splitlines(), 1)}
    assert manifest.dependencies == (
        Dependency("h5py>=3.11", "dependencies", line['  "h5py>=3.11",']),
        Dependency("datasets[audio]", "dependencies", line['  "datasets[audio]",']),
    )
    assert (manifest.image.kind, manifest.image.value) == ("name", "pytorch")
    assert manifest.image.selectors == {"rocm": "6.2.4"}
    assert manifest.image.assume == {"torch": "2.8.0"}
    assert [entry.text for entry in manifest.groups["test"]] == ["pytest", "ipdb"]
    assert [entry.text for entry in manifest.groups["dev"]] == ["pytest", "ipdb", "ruff"]
    assert manifest.sources == {"h5py": Source("index", "group")}
    resolve = manifest.resolve
    assert (resolve.replace, resolve.omit) == (("numpy",), ("triton",))
    assert [entry.text for entry in (*resolve.constraints, *resolve.overrides)] == [
        "scipy<2",
        "pandas==2.2.*",
    ]
    assert resolve.constraints[0].line == line['constraints = ["scipy<2"]']
    assert (resolve.exclude_newer, resolve.prerelease) == ("2026-11-01", "allow")
    assert (resolve.resolution, resolve.build) == ("lowest-direct", "never")
    assert manifest.indexes == (IndexTable("https://packages.example.org/simple", "group", True),)
    assert (manifest.mode, manifest.store) == ("squashfs", ".store")
    assert manifest.run.env == {
        "HF_HOME": "/scratch/hf",
        "WANDB_API_KEY": HostValue("WANDB_API_KEY"),
        "OMP_NUM_THREADS": "7",
    }
    assert (manifest.run.bind, manifest.run.entry) == (("/scratch",), "run")
    assert manifest.slurm == {"account": "project_465000000", "gpus-per-node": "8", "exclusive": True}
    assert manifest.tasks == {"train": "python train.py --epochs 10"}


def test_only_the_image_has_to_be_named(tmp_path: Path) -> None:
    manifest = read(tmp_path, HOST)
    assert (manifest.dependencies, manifest.groups, manifest.indexes) == ((), {}, ())
    assert (manifest.mode, manifest.store, manifest.run.entry) == ("venv", ".lumienv", "exec")
    assert (manifest.resolve.prerelease, manifest.resolve.resolution) == ("if-necessary", "highest")
    assert (manifest.resolve.build, manifest.resolve.exclude_newer) == ("allow", None)


@pytest.mark.parametrize("kind", ["name", "path", "uri", "host", "snapshot"])
def test_an_image_is_named_in_one_of_five_ways(tmp_path: Path, kind: str) -> None:
    value = "docker://org/image:1" if kind == "uri" else "value"
    image = read(tmp_path, f'[image]\n{kind} = "{value}"\n').image
    assert (image.kind, image.value) == (kind, value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("https://example.org/image.sif", "is no address of an image that lumienv knows"),
        ("docker://name:secret@example.org/image", "has a user name or a password in it"),
        ("docker://Org/Image", "has a name that no image can have"),
        ("oci-archive:image.tar", "names an image in a registry, and this is a file or folder"),
    ],
)
def test_an_address_that_is_none_is_refused_with_its_line(tmp_path: Path, uri: str, said: str) -> None:
    error = complaint(tmp_path, f'[image]\nuri = "{uri}"\n')
    assert error.message.startswith(f"lumienv.toml:2: image.uri {said}")
    assert "secret" not in str(error)
    assert error.hint is not None
    assert "lumienv image pull" in error.hint


@pytest.mark.parametrize(
    "written", ['"2026-11-01T10:00:00Z"', "2026-11-01T10:00:00Z", "2026-11-01 10:00:00Z"]
)
def test_a_date_means_the_same_with_quotes_and_without(tmp_path: Path, written: str) -> None:
    newest = read(tmp_path, f"{HOST}[resolve]\nexclude-newer = {written}\n").resolve.exclude_newer
    assert newest is not None
    assert newest.replace("+00:00", "Z") == "2026-11-01T10:00:00Z"


def test_a_name_with_a_dot_keeps_its_value(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        f'{HOST}[image.assume]\n"ruamel.yaml" = "0.18"\n[tasks]\n"train.big" = "python big.py"\n'
        '[dependency-groups]\n"a.b" = ["h5py"]\n',
    )
    assert manifest.image.assume == {"ruamel.yaml": "0.18"}
    assert manifest.tasks == {"train.big": "python big.py"}
    assert [entry.text for entry in manifest.groups["a.b"]] == ["h5py"]


def test_a_source_may_be_given_for_a_name_with_a_dot(tmp_path: Path) -> None:
    index = '[[index]]\nname = "group"\nurl = "https://packages.example.org/simple"\n'
    manifest = read(tmp_path, f'{HOST}{index}[sources."ruamel.yaml"]\nindex = "group"\n')
    assert manifest.sources == {"ruamel.yaml": Source("index", "group")}


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "key", "near_miss"),
    [
        ('dependecies = ["h5py"]\n' + HOST, 1, "dependecies", "dependencies"),
        (HOST + "\n[slrum]\n", 4, "slrum", "slurm"),
        ('[image]\nnmae = "pytorch"\n', 2, "image.nmae", "name"),
        ('[image]\nhost = "python3"\n[resolve]\nreplaces = []\n', 4, "resolve.replaces", "replace"),
        (HOST + '[sync]\nmod = "venv"\n', 4, "sync.mod", "mode"),
        (HOST + "[run]\nbinds = []\n", 4, "run.binds", "bind"),
        (
            HOST + '[[index]]\nurl = "https://packages.example.org"\nexplict = true\n',
            5,
            "index.explict",
            "explicit",
        ),
        (
            HOST
            + '[[index]]\nurl = "https://packages.example.org/a"\n\n'
            + '[[index]]\nurl = "https://packages.example.org/b"\nnmae = "b"\n',
            8,
            "index.nmae",
            "name",
        ),
        ('image.nmae = "pytorch"\n', 1, "image.nmae", "name"),
        ('image = { nmae = "pytorch" }\n', 1, "image.nmae", "name"),
        (HOST + '[sources]\nlocalpkg = { pth = "./localpkg" }\n', 4, "sources.localpkg.pth", "path"),
        ('[image]\nhost = "p"\npython = "3.12"\n\n[pythno]\n', 5, "pythno", None),
    ],
)
def test_an_unknown_key_names_its_line_and_the_near_miss(
    tmp_path: Path, text: str, line: int, key: str, near_miss: str | None
) -> None:
    error = complaint(tmp_path, text)
    assert error.message == f"lumienv.toml:{line}: {key} is not a key that lumienv knows"
    if near_miss is not None:
        assert error.hint == f"did you mean {near_miss}?"


def test_an_unknown_key_that_resembles_none_lists_those_that_are_known(tmp_path: Path) -> None:
    assert complaint(tmp_path, HOST + '[sync]\nqqq = "x"\n').hint == "known here: mode, store"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('dependencies = "h5py"\n' + HOST, 1, "dependencies"),
        ('dependencies = ["h5py", 5]\n' + HOST, 1, "dependencies"),
        ("image = 5\n", 1, "image"),
        ("\n[image]\nhost = 3\n", 3, "image.host"),
        ('[image]\nhost = "p"\nname = "q"\n', 1, "image"),
        ("# nothing\n[image]\n", 2, "image"),
        ('[image]\nhost = "p"\nrocm = "6.2"\n', 3, "image.rocm"),
        ('[image]\nname = "p"\nrocm = 6.2\n', 3, "image.rocm"),
        (HOST + "[image.assume]\ntorch = 2.8\n", 4, "image.assume.torch"),
        (HOST + "[dependency-groups]\ndev = 5\n", 4, "dependency-groups.dev"),
        (HOST + '[dependency-groups]\ndev = [{ include-group = "tset" }]\n', 4, "dependency-groups.dev"),
        (HOST + '[dependency-groups]\ndev = [{ include-group = ["a"] }]\n', 4, "dependency-groups.dev"),
        (HOST + '[dependency-groups]\ndev = [{ path = "a" }]\n', 4, "dependency-groups.dev"),
        (HOST + "[resolve]\nreplace = 5\n", 4, "resolve.replace"),
        (HOST + '[resolve]\nprerelease = "sometimes"\n', 4, "resolve.prerelease"),
        (HOST + "[resolve]\nexclude-newer = 5\n", 4, "resolve.exclude-newer"),
        (HOST + '[index]\nurl = "https://packages.example.org"\n', 3, "index"),
        (HOST + '[[index]]\nname = "a"\n', 3, "index"),
        (HOST + '[[index]]\nurl = "https://packages.example.org"\nexplicit = true\n', 3, "index"),
        (HOST + '[[index]]\nurl = "https://packages.example.org"\nexplicit = "yes"\n', 5, "index.explicit"),
        (HOST + '[[index]]\nurl = "https://me:secret@packages.example.org"\n', 4, "index.url"),
        (HOST + '[sources.h5py]\nindex = "group"\n', 4, "sources.h5py.index"),
        (HOST + '[sources]\nh5py = "group"\n', 4, "sources.h5py"),
        (HOST + '[sync]\nmode = "tar"\n', 4, "sync.mode"),
        (HOST + '[run]\nentry = "shell"\n', 4, "run.entry"),
        (HOST + '[run]\nbind = "/scratch"\n', 4, "run.bind"),
        (HOST + '[run]\nenv = { "MY-NAME" = "x" }\n', 4, "run.env"),
        (HOST + "[run.env]\nA = true\n", 4, "run.env.A"),
        (HOST + '[run.env]\nA = "a\\u0000b"\n', 4, "run.env.A"),
        (HOST + '[run.env]\nA = { from = "vault" }\n', 4, "run.env.A"),
        (HOST + '[slurm]\nGpus = "8"\n', 4, "slurm.Gpus"),
        (HOST + "[slurm]\ngpus = [8]\n", 4, "slurm.gpus"),
        (HOST + '[slurm]\naccount = "a\\u0000b"\n', 4, "slurm.account"),
        (HOST + '[tasks]\ntrain = ["python"]\n', 4, "tasks.train"),
        (HOST + '[tasks]\ntrain = "python a\\u0000b"\n', 4, "tasks.train"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_line_and_key(
    tmp_path: Path, text: str, line: int, key: str
) -> None:
    message = complaint(tmp_path, text).message
    assert message.startswith(f"lumienv.toml:{line}: {key} ")


def test_a_choice_that_is_misspelt_gets_the_near_miss(tmp_path: Path) -> None:
    error = complaint(tmp_path, HOST + '[sync]\nmode = "squashf"\n')
    assert error.hint == "did you mean squashfs?"
    assert "venv, squashfs, sif" in error.message


def test_groups_are_included_by_their_normal_form(tmp_path: Path) -> None:
    groups = '[dependency-groups]\nDev_Tools = ["ruff"]\ndev = [{ include-group = "dev.tools" }]\n'
    assert [entry.text for entry in read(tmp_path, HOST + groups).groups["dev"]] == ["ruff"]


def test_two_groups_of_one_normal_form_are_refused(tmp_path: Path) -> None:
    error = complaint(tmp_path, HOST + '[dependency-groups]\n"dev.tools" = []\nDev_Tools = []\n')
    assert error.message == "lumienv.toml:5: dependency-groups.Dev_Tools has the same name as dev.tools"


def test_a_group_that_includes_itself_under_another_spelling_is_a_circle_too(tmp_path: Path) -> None:
    groups = '[dependency-groups]\na-b = [{ include-group = "A_B" }]\n'
    assert "a-b → a-b" in complaint(tmp_path, HOST + groups).message


def test_a_group_that_includes_itself_shows_the_circle(tmp_path: Path) -> None:
    groups = '[dependency-groups]\na = [{ include-group = "b" }]\nb = [{ include-group = "a" }]\n'
    assert "a → b → a" in complaint(tmp_path, HOST + groups).message


def test_a_password_in_an_index_url_is_not_repeated(tmp_path: Path) -> None:
    error = complaint(tmp_path, HOST + '[[index]]\nurl = "https://me:hunter2@packages.example.org"\n')
    assert "hunter2" not in str(error)
    assert ".netrc" in (error.hint or "")


def test_without_an_image_table_the_message_shows_one(tmp_path: Path) -> None:
    error = complaint(tmp_path, 'dependencies = ["h5py"]\n')
    assert "has no [image] table" in error.message
    assert "[image]" in (error.hint or "")


@pytest.mark.parametrize("text", ["[image\n", 'a = "\n', "a = 1\na = 2\n", HOST + HOST])
def test_broken_toml_names_the_file_and_the_place(tmp_path: Path, text: str) -> None:
    message = complaint(tmp_path, text).message
    assert "lumienv.toml is not valid TOML" in message
    assert "line" in message


@pytest.mark.parametrize("deep", ["a = " + "[" * 3000 + "]" * 3000, "a = " + "{a=" * 3000 + "1" + "}" * 3000])
def test_toml_that_is_nested_deeper_than_it_can_be_read_is_said_to_be(tmp_path: Path, deep: str) -> None:
    assert "lumienv.toml is not valid TOML: it is nested too deeply" in complaint(tmp_path, deep).message


def test_a_byte_order_mark_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "lumienv.toml"
    path.write_text('[image]\nhost = "python3"\n', encoding="utf-8-sig")
    with pytest.raises(ManifestError, match="begins with a byte order mark"):
        read_manifest(path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "lumienv.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ManifestError, match=r"lumienv\.toml cannot be read: it is not UTF-8"):
        read_manifest(tmp_path / "lumienv.toml")


def test_a_manifest_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifest(tmp_path / "lumienv.toml")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_manifest_that_is_closed_to_this_user_is_named(tmp_path: Path) -> None:
    (tmp_path / "lumienv.toml").write_text(HOST)
    (tmp_path / "lumienv.toml").chmod(0)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "lumienv.toml")


_SCALARS: Any = st.one_of(
    st.text(max_size=8), st.integers(-9, 9), st.booleans(), st.floats(allow_nan=True), st.dates()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["a", "b.c", "index", "include-group", "from", "dev", "name", "url", "env"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
_TABLES = st.dictionaries(
    st.sampled_from(
        [
            "dependencies",
            "dependency-groups",
            "sources",
            "resolve",
            "index",
            "sync",
            "sif",
            "run",
            "slurm",
            "tasks",
        ]
    ),
    _VALUES
    | st.dictionaries(
        st.sampled_from(["dev", "replace", "exclude-newer", "mode", "store", "env", "bind", "entry", "url"]),
        _VALUES,
        max_size=3,
    ),
    max_size=4,
)


@examples(300)
@given(tables=_TABLES)
def test_whatever_the_file_says_it_is_read_or_refused_with_a_sentence(
    tmp_path: Path, tables: dict[str, Any]
) -> None:
    text = tomlkit.dumps({"image": {"host": "python3"}} | tables)
    with suppress(ManifestError):
        assert read(tmp_path, text).inputs_digest().startswith("sha256:")


def test_of_two_names_in_the_place_of_one_none_is_proposed(tmp_path: Path) -> None:
    assert complaint(tmp_path, f'{HOST}[sync]\nmode = ["venv", "sif"]\n').hint is None


def test_a_project_whose_keys_are_nested_without_end_has_a_digest(tmp_path: Path) -> None:
    def digest(value: int) -> str:
        (tmp_path / "pyproject.toml").write_text(f"[project]\n{'a.' * 3000}a = {value}\n")
        return metadata_digest(tmp_path)

    assert digest(1) == digest(1) != digest(2)


@pytest.mark.parametrize("key", ["replace", "omit"])
@pytest.mark.parametrize("written", ["numpy>=2", "numpy[x]", ""])
def test_what_is_no_name_of_a_package_is_refused_where_only_names_count(
    tmp_path: Path, key: str, written: str
) -> None:
    error = complaint(tmp_path, f'{HOST}[resolve]\n{key} = ["scipy", "{written}"]\n')
    assert error.message == (f'lumienv.toml:4: resolve.{key} takes names of packages alone, not "{written}"')


def test_values_of_the_wrong_kind_are_shown_as_toml_writes_them(tmp_path: Path) -> None:
    error = complaint(tmp_path, f"{HOST}[resolve]\nprerelease = true\n")
    assert error.message == "lumienv.toml:4: resolve.prerelease must be text, not true"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[image]\nname = "pytorch"\nrocm = 6.2\n', 'write rocm = "6.2"'),
        ('image = "pytorch"\n', 'under [image], write: name = "pytorch"'),
        ('dependencies = "h5py"\n[image]\nname = "pytorch"\n', 'write dependencies = ["h5py"]'),
        ('[image]\nname = "pytorch"\ndependencies = ["h5py"]\n', "write it at the top, above all of them"),
        (f'{HOST}[tasks]\ngo = ["python", "x y.py"]\n', """write go = "python 'x y.py'\""""),
        ('image = "/appl/my.sif"\n', 'under [image], write: path = "/appl/my.sif"'),
        ('image = "docker://org/image:1"\n', 'under [image], write: uri = "docker://org/image:1"'),
        ('image = "lumi.json"\n', 'under [image], write: snapshot = "lumi.json"'),
        ("image = 'my\"own'\n", "under [image], write: name = 'my\"own'"),
        ('image = ["pytorch"]\n', "write its keys under [image]"),
        ('[image]\nname = ["pytorch"]\n', 'write name = "pytorch"'),
        ('dependencies = "h5py numpy"\n[image]\nname = "pytorch"\n', 'write dependencies = ["…", "…"]'),
        (
            f'{HOST}[project]\nname = "x"\n',
            "that is pyproject.toml's: here `dependencies = […]` stands at the top",
        ),
        (f"{HOST}[run]\nenv = []\n", "write its keys under [run.env]"),
    ],
)
def test_what_is_written_in_the_wrong_way_or_place_is_answered_with_the_right_one(
    tmp_path: Path, text: str, hint: str
) -> None:
    assert hint in (complaint(tmp_path, text).hint or "")


def test_a_table_that_stands_twice_is_named_as_it_is_written(tmp_path: Path) -> None:
    error = complaint(tmp_path, f'{HOST}[run.env]\nA = "1"\n[run.env]\nB = "2"\n')
    assert "Cannot declare run.env twice" in error.message
