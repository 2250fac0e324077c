"""The tutorial and the how-tos are all run, block by block, by tests/integration/test_pages.py."""

import re
from pathlib import Path

import pytest
import yaml
from console import Shown, Written, fences, shown_commands, steps
from terminal import Terminal

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
# The blocks that nothing runs, by their first line. They need what only LUMI, or only a reader, has.
NOT_RUN = {
    "tutorial.md": ["module load cray-python"],
    "jupyter.md": ["lumienv srun --time=2:00:00 -- sh -c 'jupyter lab --no-browser --ip=$(hostname)'"],
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_something_to_type_and_leaves_out_only_what_is_listed_here(page):
    text = page.read_text()
    found = fences(text)
    blocks = len(re.findall(r"^\s*```", text, re.MULTILINE))
    assert blocks == 2 * len(found), "a block that is indented is not run"
    assert shown_commands(text) != []
    not_run = [one.text.splitlines()[0] for one in found if not one.title and one.language != "console"]
    assert not_run == NOT_RUN.get(page.name, [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_console_block_begins_with_a_command(page):
    blocks = [one.text for one in fences(page.read_text()) if one.language == "console"]
    assert [text for text in blocks if not text.startswith("$ ")] == []


def test_each_page_that_is_run_is_in_the_navigation_and_the_other_way_round():
    nav = {
        title: part
        for entry in yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text())["nav"]
        for title, part in entry.items()
    }
    how_to = [path for entry in nav["How to"] for path in entry.values()]
    run = {str(page.relative_to(DOCS)) for page in PAGES}
    # The examples' pages are their READMEs, which tests/integration/test_examples.py runs.
    assert {nav["Tutorial"], *how_to} == run | {"examples.md"}


def test_the_files_and_commands_of_a_page_are_read_off_in_their_order():
    page = '```toml title="a/b.toml"\nx = 1\n```\n\n```console\n$ one\nout\n$ two\n```\n\n```bash\nnot\n```\n'
    assert steps(page) == [Written("a/b.toml", "x = 1\n"), Shown("one", ("out",)), Shown("two", ())]


def test_what_is_typed_goes_to_one_shell_and_a_question_gets_the_answer_that_is_shown(tmp_path):
    with Terminal(tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}) as terminal:
        assert terminal.type_(Shown("mkdir sub && cd sub", ())).status == 0
        assert terminal.folder() == (tmp_path / "sub").resolve()
        asked = Shown("read -p 'which one? ' x; echo you said $x >&2; test -t 1", ("which one? the second",))
        said = terminal.type_(asked)
        assert (said.status, said.out) == (0, "which one? the second\nyou said the second\n")
        assert terminal.type_(Shown("exit 3 | false", ())).status == 1
        assert terminal.type_(Shown("bash", ())).out == ""  # one within the other, as salloc starts it
        assert terminal.type_(Shown("exit 4", ())).out == "exit\n"


def test_a_command_that_is_shown_to_be_refused_has_to_be():
    assert Shown("lumienv lock", ("error: no", "help: yes")).fails
    assert not Shown("lumienv lock", ("locked",)).fails
