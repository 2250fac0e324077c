"""Each way in which `lumienv lock` fails, with its complete message, as reviewed in `messages.txt`.

A message that changes fails here. Where the new one is better: write the file anew, look at what changed, and
commit it with the reason.

    LUMIENV_TEST_WRITE_MESSAGES=1 pytest tests/messages
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from messages.advice import mended, proposals, with_image
from messages.scene import Scene, Stage, staged
from messages.scenes import SCENES

REVIEWED = Path(__file__).parent / "messages.txt"
WRITING = bool(os.environ.get("LUMIENV_TEST_WRITE_MESSAGES"))
HEAD = """\
What people read when `lumienv lock` finds nothing: the input, and the complete message. Reviewed by hand;
compared letter for letter by tests/messages/test_messages.py, whose head says how to write this file anew.
"""
each = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            if name.startswith(("PIP_", "UV_", "LUMIENV_")) or name.lower().endswith("_proxy"):
                patched.delenv(name)
        root = tmp_path_factory.mktemp("scenes")
        yield {
            scene.title: stack.enter_context(staged(scene, root / str(number)))
            for number, scene in enumerate(SCENES)
        }


@pytest.fixture(scope="module")
def messages(stages: dict[str, Stage]) -> dict[str, str]:
    # Those with a bound patch the search while they run, so they cannot be run side by side.
    said = {title: stage.message() for title, stage in stages.items() if stage.scene.rounds}
    programs = {title: stage for title, stage in stages.items() if title not in said}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        said |= zip(programs, threads.map(Stage.message, programs.values()), strict=True)
    if WRITING:
        text = "\n".join(scene.shown(said[scene.title]) for scene in SCENES)
        REVIEWED.write_text(f"{HEAD}\n{text}", encoding="utf-8")
    return said


@each
def test_the_message_is_the_reviewed_one(scene: Scene, messages: dict[str, str]) -> None:
    assert scene.shown(messages[scene.title]) in REVIEWED.read_text(encoding="utf-8")


def test_the_reviewed_file_holds_nothing_else(messages: dict[str, str]) -> None:
    text = "\n".join(scene.shown(messages[scene.title]) for scene in SCENES)
    assert REVIEWED.read_text(encoding="utf-8") == f"{HEAD}\n{text}"


@each
def test_a_message_reads_like_one(scene: Scene, messages: dict[str, str]) -> None:
    message = messages[scene.title]
    first, *rest = message.splitlines()
    assert re.fullmatch(r"error: .*[\w?=]", first)
    facts = [line for line in rest if not line.startswith(("help: ", "      "))]
    assert all(re.match(r"  \S", line) for line in facts)
    assert sum(line.startswith("help: ") for line in rest) == 1
    assert all(len(line) <= 150 for line in rest)
    assert not re.search(
        r"<[a-z_]+[. ]|\b\w+\(\)|Version\(|SpecifierSet|Requirement\(|frozenset|set\(|\{'|\['|\\n"
        r"|\bNone\b|\bTrue\b|\bFalse\b|Traceback|Error\b|Exception|0x[0-9a-f]{6}|loosen",
        message,
    )


@pytest.mark.parametrize(
    "scene", [scene for scene in SCENES if scene.resolved], ids=lambda scene: scene.title
)
def test_a_failure_names_the_line_of_the_users_that_leads_there(
    scene: Scene, messages: dict[str, str]
) -> None:
    message = messages[scene.title]
    assert re.match("error: (no set of packages fits|the search for packages) on top of ", message)
    asked = re.findall(r"^  you ask for (.+)  \(lumienv\.toml:(\d+)\)", message, re.MULTILINE)
    assert asked
    lines = scene.toml.splitlines()
    assert all(text in lines[int(number) - 1] for text, number in asked)
    # No link of the chain is left out: what a package is said to need is told of, or known from the image.
    for name in re.findall(r"^  \S+ .*needs? (?!other |what |before )([a-z][\w-]*)", message, re.MULTILINE):
        named = sum(
            bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", line)) for line in message.splitlines()
        )
        assert named >= 2, f"{name} is needed, and nothing else is said of it"


@each
def test_the_help_works(scene: Scene, stages: dict[str, Stage], messages: dict[str, str]) -> None:
    message = messages[scene.title]
    stage = stages[scene.title]
    troubles = proposals(message)
    assert all(all(alternatives) for alternatives in troubles)
    for text in mended(scene.toml, troubles):
        stage.lock(text)
    advised = with_image(scene, troubles)
    if advised is not None:
        stage.lock_on(advised)


def test_most_messages_propose_a_change_that_can_be_tried(messages: dict[str, str]) -> None:
    tried = [scene for scene in SCENES if mended(scene.toml, proposals(messages[scene.title]))]
    assert len(tried) >= 30
