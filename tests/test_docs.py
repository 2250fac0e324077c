"""What README and docs name exists: files, commands, options."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lumienv.launch.slurm_options import BATCH, read_options

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
TEXTS = {page: page.read_text() for page in PAGES}
# What a site installs, and what describes the project: they name files and commands as pages do.
OTHERS = [ROOT / "CITATION.cff", *(path for path in sorted((ROOT / "contrib").rglob("*")) if path.is_file())]

# `tests/run.sh`, `docs/development.md`: a path below the checkout, in backquotes or in a command.
NAMED = re.compile(
    r"(?<![\w/.-])((?:docs|tests|examples|benchmarks|lumienv|contrib|\.ci)/[\w./-]*\w|lumienv\.toml\.example"
    r"|(?:CHANGELOG|CONTRIBUTING|SECURITY)\.md|CITATION\.cff)"
)
MADE_WHEN_RUN = {"benchmarks/results"}
TEST = re.compile(r"\btest_\w+\b(?!\.py)")
COMMAND = re.compile(r"`lumienv ([^`]+)`|^\$ lumienv ([^#\n]+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page):
    named = set(NAMED.findall(TEXTS[page])) - MADE_WHEN_RUN
    missing = [
        name for name in sorted(named) if not (ROOT / name).exists() and not (page.parent / name).exists()
    ]
    assert missing == []


def test_every_test_that_a_page_names_is_one():
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    functions = set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
    named = {name for text in TEXTS.values() for name in TEST.findall(text)}
    assert named - functions == set()
    assert len(named) > 30  # docs/explanation/security.md names one or more for each promise


def commands() -> list[str]:
    found = {first or second for text in TEXTS.values() for first, second in COMMAND.findall(text)}
    return sorted(command.strip() for command in found if not command.startswith("--"))


@pytest.mark.parametrize("command", commands())
def test_every_command_that_a_page_shows_is_one(command):
    words = shlex.split(command.partition(" -- ")[0])
    name = words[:2] if words[0] in ("image", "cache") else words[:1]
    help_ = subprocess.run(
        [sys.executable, "-m", "lumienv", *name, "--help"], capture_output=True, text=True, timeout=60
    )
    assert help_.returncode == 0, help_.stderr
    # A word with a blank is the value of an option: `--srun "-n8 --exclusive"`.
    own = [word for word in words if word.startswith("-") and " " not in word]
    options = [word.rstrip(",").partition("=")[0] for word in own]
    if words[0] in ("srun", "sbatch"):  # Slurm's own are not in lumienv's help
        options = [option.words[0] for option in read_options(own, BATCH)[0] if not option.known]
    assert [option for option in options if option not in help_.stdout] == []


def hints() -> list[str]:
    """The commands that lumienv's own messages tell people to type."""
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "lumienv").rglob("*.py")))
    command = r"lumienv ([a-z]+(?: (?:list|show|freeze|suggest|dir|size|clean))?(?: --?[a-zA-Z-]+)*)"
    advised = rf"(?:`|run |with: |at once: |first: |anew: |date: ){command}"
    found = re.findall(advised, sources)
    return sorted(set(found))


@pytest.mark.parametrize("hint", hints())
def test_every_command_that_a_message_advises_is_one(hint):
    test_every_command_that_a_page_shows_is_one(hint)


def test_no_page_names_a_package_registry_or_a_path_of_one_machine():
    words = (
        "py" + "pi.org",
        "python" + "hosted",
        "deb." + "debian.org",
        "npm" + "js",
        "/wo" + "rk/",
        "/ro" + "ot/",
    )
    texts = TEXTS | {path: path.read_text() for path in OTHERS}
    assert {page: word for page, text in texts.items() for word in words if word in text} == {}


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_every_file_that_what_a_site_installs_names_exists(path):
    named = set(NAMED.findall(path.read_text()))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
