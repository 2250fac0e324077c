"""The reference agrees with the program: commands, options, variables, answers, exit codes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from entry_point import clean_environment, lumienv
from reference import (
    COMMANDS,
    MESSAGES,
    SCHEMAS,
    WORDS,
    commands_page,
    has_json,
    leaves,
    messages_page,
    options_of,
    words_table,
)

from lumienv.manifest.tables import KEYS

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
LEAVES = dict(leaves())
SHOWN = [[], *([name] for name in ("image", "cache")), *(name.split() for name in LEAVES)]


@pytest.mark.parametrize(
    ("page", "made"), [(COMMANDS, commands_page), (MESSAGES, messages_page), (WORDS, words_table)]
)
def test_a_page_that_is_made_is_the_one_that_would_be_made_now(page: Path, made: Callable[[], str]) -> None:
    if os.environ.get("LUMIENV_TEST_WRITE_REFERENCE"):
        page.write_text(made())
    said = "write it anew: LUMIENV_TEST_WRITE_REFERENCE=1 pytest tests/test_reference.py"
    assert page.read_text() == made(), said


def help_of(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lumienv", *words, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.environ["PATH"], "COLUMNS": "80"},
    )
    return done.stdout


@pytest.mark.parametrize("words", SHOWN, ids=lambda words: " ".join(words) or "lumienv")
def test_help_fits_a_screen(words: list[str]) -> None:
    lines = help_of(words).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", LEAVES)
def test_help_names_what_the_reference_names(name: str) -> None:
    said = help_of(name.split())
    _, _, behind = COMMANDS.read_text().partition(f"\n## lumienv {name}\n")
    section = behind.partition("\n## ")[0]
    of_all = COMMANDS.read_text().partition("## Options of all commands")[2].partition("\n## ")[0]
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", said)) - {"--help"}
    rows = [line.split(" | ")[0] for line in (section + of_all).splitlines() if line.startswith("| `")]
    known = set(re.findall(r"--[a-z][a-z-]+", " ".join(rows)))
    prose = [LEAVES[name].help or "", *(option.help or "" for option in options_of(LEAVES[name]))]
    mentioned = set(re.findall(r"--[a-z][a-z-]+", " ".join(prose)))
    assert shown - mentioned <= known
    own = {word for option in options_of(LEAVES[name]) for word in option.opts if word.startswith("--")}
    assert own <= shown


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_says_what_it_is_for_in_a_sentence(name: str) -> None:
    command = LEAVES[name]
    assert command.help
    assert command.help.strip().endswith(".")
    for option in options_of(command):
        assert option.help, option.opts
        assert option.help.endswith("."), option.help
        assert option.help[0].isupper() or option.help.startswith("…"), option.help


def test_every_command_that_answers_in_json_has_a_schema_and_every_schema_a_command() -> None:
    with_json = {name.replace(" ", "-") for name, command in LEAVES.items() if has_json(command)}
    assert {path.stem for path in SCHEMAS.glob("*.json")} == with_json
    page = (REFERENCE / "json.md").read_text()
    assert set(re.findall(r"\(\.\./schemas/([\w-]+)\.json\)", page)) == with_json


def test_every_option_has_a_variable_of_lumienvs() -> None:
    options: list[click.Option] = [option for one in LEAVES.values() for option in options_of(one)]
    assert [one.opts for one in options if not re.fullmatch(r"LUMIENV_[A-Z_]+", str(one.envvar))] == []


def test_a_variable_means_the_same_in_every_command() -> None:
    """What is set for one command redirects no other: where to write, and what to edit, is each one's own."""
    options = {
        f"{name} {option.opts[-1]}": str(option.envvar)
        for name, one in LEAVES.items()
        for option in options_of(one)
        if option.opts[-1] in ("--output", "--group", "--dev", "--rev", "--tag", "--branch", "--index")
    }
    shared = [name for name, variable in options.items() if list(options.values()).count(variable) > 1]
    assert set(shared) <= {"sync --group", "export --group"}


def test_every_variable_that_lumienv_reads_or_sets_stands_on_its_page() -> None:
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "lumienv").rglob("*.py")))
    named = set(re.findall(r"\bLUMIENV_[A-Z][A-Z_]*[A-Z]\b", sources))
    of_options = {str(option.envvar) for one in LEAVES.values() for option in options_of(one)}
    page = (REFERENCE / "environment.md").read_text()
    told = set(re.findall(r"`(LUMIENV_[A-Z_]+)[`=]", page))
    assert named - of_options - told == set()
    assert told <= named | of_options


def test_every_key_of_lumienv_toml_stands_on_the_page_of_the_files() -> None:
    page = (REFERENCE / "files.md").read_text()
    section = page.partition("## lumienv.toml")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")]
    told = set(re.findall(r"`\[*([\w.-]+)\]*`", " ".join(cells)))
    told = {name.removesuffix(".PACKAGE").removesuffix(".NAME").removeprefix("image.") for name in told}
    assert told == {key for keys in KEYS.values() for key in keys}


def test_exit_codes_are_those_of_the_page(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    def code(*words: str) -> int:
        return lumienv(*words, cwd=tmp_path, env=clean_environment(home)).returncode

    assert code("cache", "dir") == 0
    assert code("lock") == 1  # there is no lumienv.toml
    assert code("lock", "--no-such-option") == 2
    assert code("no-such-command") == 2
    (tmp_path / "lumienv.toml").write_text(f'[image]\nhost = "{sys.executable}"\n')
    assert code("lock", "--check") == 1
    assert code("lock") == 0
    assert code("sync", "--check") == 1
    assert code("sync") == 0
    assert code("run", "--", "sh", "-c", "exit 7") == 7
    assert code("run", "--", "sh", "-c", "kill -SEGV $$") in (139, -11)
