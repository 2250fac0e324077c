"""lumienv.toml edited: what was asked for changes, and not a byte more."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from properties import examples

from lumienv.errors import ManifestError
from lumienv.manifest.edits import Entry, added_to, without, written
from lumienv.manifest.reader import read_manifest

IMAGE = '[image]\nhost = "python3"\n'


def entries(*texts: str) -> list[Entry]:
    return [Entry(Requirement(text)) for text in texts]


def add(text: str, *requirements: str, group: str | None = None) -> str:
    return added_to(text, entries(*requirements), group).text


# -- where an entry goes ------------------------------------------------------------------------------------


def test_an_entry_is_sorted_in_where_the_others_are_sorted() -> None:
    assert add('dependencies = ["a", "c"]\n', "b") == 'dependencies = ["a", "b", "c"]\n'
    assert add('dependencies = ["b"]\n', "a") == 'dependencies = ["a", "b"]\n'


def test_an_entry_is_appended_where_the_others_are_in_no_order() -> None:
    assert add('dependencies = ["c", "a"]\n', "b") == 'dependencies = ["c", "a", "b"]\n'


def test_names_are_sorted_in_their_normal_form() -> None:
    text = 'dependencies = ["Aa", "b_c", "B-d"]\n'
    assert add(text, "b.cc") == 'dependencies = ["Aa", "b_c", "b.cc", "B-d"]\n'


def test_a_new_line_is_indented_and_quoted_like_the_others() -> None:
    text = "dependencies = [\n  'a', # one\n  # two\n  'c',\n]\n"
    assert add(text, "b") == "dependencies = [\n  'a', # one\n  'b',\n  # two\n  'c',\n]\n"
    assert add(text, "d") == "dependencies = [\n  'a', # one\n  # two\n  'c',\n  'd',\n]\n"


def test_a_marker_with_quotes_is_quoted_the_other_way() -> None:
    found = add('dependencies = ["a"]\n', 'b; python_version < "3.12"')
    assert found == 'dependencies = ["a", \'b ; python_version < "3.12"\']\n'


def test_a_list_that_is_not_there_is_made() -> None:
    assert add(IMAGE, "b", "a") == f'dependencies = ["a", "b"]\n{IMAGE}'


def test_a_group_that_is_not_there_is_made_at_the_end_or_beside_the_others() -> None:
    assert add(IMAGE, "pytest", group="dev") == f'{IMAGE}\n[dependency-groups]\ndev = ["pytest"]\n'
    there = '[dependency-groups] # those\ndev = [\n  "a",\n] # so\n\n[image]\nhost = "python3"\n'
    assert add(there, "b", group="docs") == there.replace("# so\n", '# so\ndocs = ["b"]\n')


def test_a_group_is_known_by_its_normal_name() -> None:
    assert add('dependency-groups.My_Docs = ["a"]\n', "b", group="my-docs").endswith('["a", "b"]\n')


# -- an entry that is there ---------------------------------------------------------------------------------


def test_another_range_takes_the_place_of_the_old_one() -> None:
    edited = added_to('dependencies = ["z>=1", "a>=2", ] # x\n', entries("A>=3,<4"))
    assert edited.text == 'dependencies = ["z>=1", "a>=3,<4", ] # x\n'
    assert edited.changed == (("a>=2", "a>=3,<4"),)


def test_a_name_alone_keeps_the_range_that_is_there() -> None:
    edited = added_to('dependencies = ["a >= 2"]\n', entries("a"))
    assert edited.text == 'dependencies = ["a >= 2"]\n'
    assert edited.kept == ("a >= 2",)


def test_extras_are_added_to_those_that_are_there() -> None:
    assert add('dependencies = ["a[x]>=2"]', "a[y]") == 'dependencies = ["a[x,y]>=2"]'


def test_an_entry_for_another_marker_is_another_entry() -> None:
    text = "dependencies = [\"a>=2 ; python_version < '3.12'\"]"
    assert add(text, "a>=3") == 'dependencies = ["a>=2 ; python_version < \'3.12\'", "a>=3"]'


# -- [sources] ----------------------------------------------------------------------------------------------

LOCAL = {"path": "./mylib", "editable": True}
STYLES = {
    "none": (IMAGE, '\n[sources.mylib]\npath = "./mylib"\neditable = true\n'),
    "headers": (
        f'[sources.a]\npath = "./a" # there\n\n# of the image\n{IMAGE}',
        '\n[sources.mylib]\npath = "./mylib"\neditable = true\n',
    ),
    "lines": (
        f'[sources]\na = {{ path = "./a" }} # there\n\n{IMAGE}',
        'mylib = { path = "./mylib", editable = true }\n',
    ),
    "dotted": (
        f'sources.a.path = "./a"\nsources.a.editable = true\n\n{IMAGE}',
        'sources.mylib = { path = "./mylib", editable = true }\n',
    ),
    "dotted lines": (
        f'[sources]\na.path = "./a"\n\n{IMAGE}',
        'mylib = { path = "./mylib", editable = true }\n',
    ),
    "inline": (
        f'sources = {{ a = {{ path = "./a" }} }}\n\n{IMAGE}',
        ', mylib = { path = "./mylib", editable = true }',
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_source_is_written_like_those_that_are_there(style: str) -> None:
    text, line = STYLES[style]
    text = f'dependencies = ["a"]\n{text}'
    edited = added_to(text, [Entry(Requirement("mylib"), LOCAL)])
    assert line in edited.text
    assert edited.text.replace(line, "").replace(', "mylib"', "") == text
    assert without(edited.text, ["mylib"]).text == text


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_source_goes_with_its_only_package(style: str, newline: str) -> None:
    text = f'dependencies = ["a", "b"]\n{STYLES[style][0]}'.replace("\n", newline)
    edited = without(text, ["A"])
    assert "a" not in tomllib.loads(edited.text).get("sources", {})
    assert ("# of the image" in text) == ("# of the image" in edited.text)


def test_under_a_header_alone_a_source_gets_a_table_of_its_own() -> None:
    text = f'dependencies = ["a"]\n[sources] # none yet\n\n{IMAGE}'
    edited = added_to(text, [Entry(Requirement("mylib"), LOCAL)]).text
    table = '\n[sources.mylib]\npath = "./mylib"\neditable = true\n'
    assert edited == text.replace('["a"]', '["a", "mylib"]') + table


def test_under_a_header_alone_a_group_becomes_its_first_line() -> None:
    text = f"[ dependency-groups ] # ours\n\n{IMAGE}"
    assert add(text, "pytest", group="dev") == text.replace("# ours\n", '# ours\ndev = ["pytest"]\n')
    with pytest.raises(ManifestError, match="cannot edit without changing more of it") as caught:
        add(text.replace("dependency-groups", '"dependency-groups"'), "pytest", group="dev")
    assert caught.value.hint == "edit it yourself, then type: lumienv sync"


def test_a_source_stays_while_a_group_has_the_package() -> None:
    text = 'dependencies = ["a"]\ndependency-groups.dev = ["a"]\n[sources]\na = { path = "./a" }\n'
    edited = without(text, ["a"])
    assert edited.text == text.replace('["a"]', "[]", 1)
    assert "a" not in tomllib.loads(without(edited.text, ["a"], "dev").text).get("sources", {})


def test_an_address_takes_the_place_of_a_source() -> None:
    text = 'dependencies = ["a"]\n[sources]\na = { path = "./a" }\nb = { path = "./b" }\n'
    found = add(text, "a @ git+https://example.org/a@v1")
    assert found == ('dependencies = ["a @ git+https://example.org/a@v1"]\n[sources]\nb = { path = "./b" }\n')


# -- taking out ---------------------------------------------------------------------------------------------


def test_all_entries_of_a_name_are_taken_out() -> None:
    text = "dependencies = [\n  \"a>=2 ; python_version < '3.12'\", # old\n  'b', # kept\n  'A',\n]\n"
    edited = without(text, ["a"])
    assert edited.text == "dependencies = [\n  'b', # kept\n]\n"
    assert edited.removed == ("A", "a>=2 ; python_version < '3.12'")


def test_a_name_that_is_not_there_changes_nothing() -> None:
    assert without('dependencies = ["a"]\n', ["b"]).text == 'dependencies = ["a"]\n'
    assert without(IMAGE, ["b"], "dev").text == IMAGE


# -- all else stays -----------------------------------------------------------------------------------------

NAMES = ["alpha", "Beta", "c_c", "delta", "eps", "zeta"]
BOUNDS = ["", ">=1", "[x]", " >= 2, < 3", "[x,y]==1.*"]


@st.composite
def a_list(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A list of requirements in some style, and its entries."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    if draw(st.booleans()):
        names.sort(key=lambda name: name.lower().replace("_", "-"))
    texts = [name + draw(st.sampled_from(BOUNDS)) for name in names]
    quotes = [draw(st.sampled_from("'\"")) for _ in texts]
    shown = [f"{quote}{text}{quote}" for quote, text in zip(quotes, texts, strict=True)]
    comma = bool(shown) and draw(st.booleans())
    if draw(st.booleans()):
        gap = draw(st.sampled_from(["", " "]))
        inner = f"{gap}{draw(st.sampled_from([', ', ',', ' , '])).join(shown)}{',' if comma else ''}{gap}"
        return f"[{inner}]", texts
    indent = draw(st.sampled_from(["  ", "    ", "\t", ""]))
    lines = [draw(st.sampled_from(["", " # first"]))]
    for number, one in enumerate(shown):
        if draw(st.booleans()):
            lines.append(f"{indent}# about {names[number]}, it's [so]")
        if draw(st.integers(0, 4)) == 0:
            lines.append("")
        last = number == len(shown) - 1
        lines.append(
            f"{indent}{one}{'' if last and not comma else ','}{draw(st.sampled_from(['', ' # why']))}"
        )
    if draw(st.booleans()):
        lines.append(f"{indent}# the end")
    return "[" + "\n".join(lines) + "\n]", texts


@st.composite
def a_file(draw: st.DrawFn) -> tuple[str, str, str, list[str], str | None]:
    """What stands before a list, the list, what stands behind it, its entries, and its group."""
    array, texts = draw(a_list())
    after = draw(st.sampled_from(["", " # those", "  "]))
    rest = draw(st.sampled_from(["", "[run]\nbind = ['/x', ] # y\n", "\n# end\n[tasks]\nt = 'x # ]'\n\n\n"]))
    image = draw(st.sampled_from([IMAGE, 'image = {host="python3"}\n', 'image.host = "python3" # on it\n']))
    style = draw(st.sampled_from(["dependencies", "group", "dotted", "quoted"]))
    if style == "dependencies":
        parts = ("# top\n\ndependencies   = ", array, f"{after}\n{image}{rest}", None)
    elif style == "dotted":
        parts = ("dependency-groups.dev = ", array, f"{after}\n{image}{rest}", "dev")
    elif style == "quoted":
        parts = ('"dependencies"=', array, f"{after}\n{image}{rest}", None)
    else:
        parts = (f"{image}[ dependency-groups ] # x\n  dev = ", array, f"{after}\nother=['q']\n{rest}", "dev")
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    before, array, behind = (part.replace("\n", newline) for part in parts[:3])
    if draw(st.booleans()):
        behind = behind.rstrip("\r\n")
    return before, array, behind, texts, parts[3]


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


@given(a_file(), st.sampled_from([*NAMES, "new"]), st.sampled_from(["", ">=7", "[x]"]))
@examples(400)
def test_all_but_the_touched_entry_stays_byte_for_byte(tmp_path: Path, file, name: str, bound: str) -> None:
    before, array, behind, texts, group = file
    text = before + array + behind
    new = added_to(text, entries(name + bound), group)
    assert new.text.startswith(before)
    assert new.text.endswith(behind)
    assert comments(array) == comments(new.text[len(before) :].removesuffix(behind))
    if "\r\n" in text:
        assert new.text.count("\n") == new.text.count("\r\n")
    (tmp_path / "lumienv.toml").write_bytes(new.text.encode())
    manifest = read_manifest(tmp_path / "lumienv.toml")
    found = [entry.text for entry in (manifest.groups[group] if group else manifest.dependencies)]
    same = [text for text in texts if Requirement(text).name == name]
    assert [one for one in found if Requirement(one).name != name] == [
        one for one in texts if one not in same
    ]
    (mine,) = [Requirement(one) for one in found if Requirement(one).name == name]
    if same and bound == ">=7":
        assert mine.specifier == Requirement(f"x{bound}").specifier
    elif same:
        assert mine.specifier == Requirement(same[0]).specifier
    else:
        assert str(mine) == name + bound
        assert without(new.text, [name], group).text.startswith(before)
        again = without(new.text, [name], group).text
        assert tomllib.loads(again) == tomllib.loads(text)
        if texts:
            assert again == text


@given(a_file(), st.data())
@examples(300)
def test_what_is_taken_out_takes_its_own_line_alone(tmp_path: Path, file, data) -> None:
    before, array, behind, texts, group = file
    name = data.draw(st.sampled_from(NAMES))
    new = without(before + array + behind, [name], group)
    assert new.text.startswith(before)
    assert new.text.endswith(behind)
    (tmp_path / "lumienv.toml").write_bytes(new.text.encode())
    manifest = read_manifest(tmp_path / "lumienv.toml")
    found = [entry.text for entry in (manifest.groups[group] if group else manifest.dependencies)]
    assert found == [text for text in texts if Requirement(text).name != name]
    if found == texts:
        assert new.text == before + array + behind


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("datasets <4, >= 3", "datasets>=3,<4"),
        ("Mylib @ git+https://example.org/mylib@v1", "Mylib @ git+https://example.org/mylib@v1"),
        ("a[z,b]; sys_platform=='linux'", 'a[b,z] ; sys_platform == "linux"'),
    ],
)
def test_requirements_are_written_as_people_write_them(typed: str, shown: str) -> None:
    assert written(Requirement(typed)) == shown
    assert Requirement(shown) == Requirement(typed)


def test_a_file_that_cannot_be_edited_safely_is_left_to_its_owner() -> None:
    with pytest.raises(ManifestError, match="cannot edit"):
        add('x = "lumienv-edits-this-value"\ndependencies = ["x"]', "y")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('["a", "b",\n  "c", "d"]', '["a", "b",\n  "d"]'),
        ('["a", "b",\n  "c"]', '["a", "b"]'),
        ('[ # all\n"b", # why\n"c" # last, ]\n, ]', '[ # all\n"b", # why\n]'),
        ('["c", # it\n # of d\n "d"]', '[\n # of d\n "d"]'),
        ('[{include-group = "g"}, "c"]', '[{include-group = "g"}]'),
        ("[\n  # none yet\n  '''c''' # it\n]", "[\n  # none yet\n]"),
    ],
)
def test_an_element_goes_from_a_list_in_any_style(text: str, shown: str) -> None:
    before = f"dependency-groups.g = []\ndependency-groups.x = {text} # end\n"
    after = without(before, ["c"], "x").text
    assert after == before.replace(text, shown)
    again = tomllib.loads(add(after, "c", group="x"))["dependency-groups"]["x"]
    assert {str(one) for one in again} == {
        str(one) for one in tomllib.loads(before)["dependency-groups"]["x"]
    }
