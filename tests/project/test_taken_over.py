"""Whatever stands in other tools' files, what is written of it can be read and nothing is lost unsaid."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from properties import examples

from lumienv.errors import ManifestError
from lumienv.manifest.reader import manifest_of
from lumienv.manifest.template import Draft, manifest_text
from lumienv.project.conda_files import read_environment
from lumienv.project.imported import Imported, on_image
from lumienv.project.requirement_files import read_requirements

NAMES = ["torch", "Num_py", "a.b-c", "nvidia-x", "zeta"]
NAME = st.sampled_from(NAMES)
RANGE = st.sampled_from(["", "==1.0", ">=1,<3", " ~= 2.1", "!=1.*", "===weird", "[x]", "[x,y]>=2", ">=1.0a1"])
MARKER = st.sampled_from(["", "; python_version < '3.13'", ' ; extra == "x"', "; sys_platform=='linux'"])
ADDRESS = st.sampled_from(
    [
        "https://example.org/simple",
        "https://me:geheim@example.org/simple/",
        "https://example.org/whl/cu121",
        "https://example.org/pack-1.0.tar.gz",
        "https://me:geheim@example.org/pack-1.0-py3-none-any.whl#sha256=00",
        "git+https://example.org/g/repo@v1#egg=repo[x]&subdirectory=a/b",
        "git+ssh://git@example.org/repo.git",
        "hg+https://example.org/h",
        "file:///opt/wheels",
        "file:./here",
        "./here",
        "../there/two-2.0.zip",
        "~/mine",
        "/opt/x y",
        "http://[half",
        "://",
        "example.org",
        "",
    ]
)
OPTION = st.sampled_from(
    [
        *("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-e", "--editable", "--pre"),
        *("--only-binary", "--no-binary", "--trusted-host", "--hash", "-x", "--", "-", "--no-index"),
    ]
)
LINE = st.one_of(
    st.tuples(NAME, RANGE, MARKER).map("".join),
    st.tuples(NAME, st.just(" @ "), ADDRESS, MARKER).map("".join),
    st.tuples(OPTION, st.sampled_from([" ", "=", ""]), ADDRESS).map("".join),
    st.tuples(ADDRESS, MARKER).map("".join),
    st.tuples(NAME, RANGE, st.just(" \\\n    --hash=sha256:00")).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def read_back(taken: Imported) -> None:
    """As `init` writes it, and every command reads it."""
    draft = Draft(
        {"host": "python3"},
        dependencies=taken.dependencies,
        sources=taken.sources,
        constraints=taken.constraints,
        prerelease=taken.prerelease,
        build=taken.build,
        indexes=taken.indexes,
        env=taken.env,
    )
    manifest = manifest_of(Path("lumienv.toml"), manifest_text(draft))
    assert [entry.text for entry in manifest.dependencies] == list(taken.dependencies)


@given(st.lists(LINE, max_size=6))
@examples(150)
def test_any_requirements_file_becomes_a_manifest_that_can_be_read(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    taken = read_requirements(path, tmp_path)
    read_back(taken)
    assert "geheim" not in str(taken)


@given(st.lists(st.tuples(NAME, RANGE, MARKER), unique_by=lambda parts: parts[0]))
@examples(60)
def test_a_plain_requirement_is_never_lost(tmp_path: Path, parts: list[tuple[str, str, str]]) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("".join(f"{''.join(part)}  # why\n" for part in parts))
    taken = read_requirements(path, tmp_path)
    assert [Requirement(text) for text in taken.dependencies] == [Requirement("".join(p)) for p in parts]
    assert taken.notes == ()


@given(
    st.lists(st.tuples(NAME, RANGE), unique_by=lambda parts: parts[0]), st.sampled_from(["1.0", "2.1", "odd"])
)
@examples(60)
def test_on_an_image_each_name_stays_or_is_said_to_be_left_out(
    parts: list[tuple[str, str]], have: str
) -> None:
    asked = Imported(
        tuple("".join(part) for part in parts), constraints=tuple(f"{name}<2" for name, _ in parts)
    )
    provided = {str(canonicalize_name(name)): have for name in NAMES[:3]}
    fitted = on_image(asked, provided)
    names = [Requirement(text).name for text in fitted.dependencies]
    said = "\n".join(fitted.notes)
    assert [name for name, _ in parts if name not in names] == [
        name for name, _ in parts if "for NVIDIA's GPUs" in said and name.startswith("nvidia-")
    ]
    for text in fitted.dependencies:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) in provided and requirement.name not in said:
            assert not requirement.specifier or requirement.specifier.contains(have, prereleases=True)
    read_back(fitted)


CONDA = st.one_of(
    st.tuples(
        NAME, st.sampled_from(["", "=1.26", "==1.0=py_0", ">=1,<2", " 1.2.*", " 1.2 py3_0", "|2", "[a=b]"])
    ).map("".join),
    st.sampled_from(
        ["conda-forge::numpy", "_libgcc_mutex", "cudnn", "python=3.11", "python", "@", "", "a b c d", "*"]
    ),
    st.none(),
    st.integers(),
    st.fixed_dictionaries({"pip": st.lists(LINE, max_size=3)}),
    st.just({"npm": ["x"]}),
)


@given(
    st.lists(CONDA, max_size=5),
    st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from(["A", "a-b", "HF_TOKEN", "é"]), st.one_of(st.integers(), st.text(), st.booleans())
        ),
    ),
)
@examples(150)
def test_any_environment_yml_becomes_a_manifest_that_can_be_read(
    tmp_path: Path, entries: list, variables: dict | None
) -> None:
    path = tmp_path / "environment.yml"
    path.write_text(yaml.safe_dump({"dependencies": entries, "variables": variables}), encoding="utf-8")
    taken = read_environment(path, tmp_path)
    read_back(taken)
    assert all(name in taken.env or f"variable {name} (" in str(taken.notes) for name in variables or {})


@given(st.binary(max_size=40))
@examples(100)
def test_bytes_that_are_no_such_file_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    for name, read in (("requirements.txt", read_requirements), ("environment.yml", read_environment)):
        path = tmp_path / name
        path.write_bytes(content)
        said = ""
        try:
            read(path, tmp_path)
        except ManifestError as error:
            said = str(error)
        assert not said or (str(path) in said and "nothing was written" in said)


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: is a directory"):
        read_requirements(tmp_path, tmp_path)
