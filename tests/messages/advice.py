"""Takes the help of a message at its word: each proposal is turned into the lumienv.toml that it asks for."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from textwrap import dedent

import tomlkit
from messages.scene import Scene

_TEXT = r"""("[^"]+"|'[^']+')"""
_WHERE = r" \(lumienv\.toml:(\d+)\)"
# What no change of lumienv.toml can carry out: advice for a person.
_FOR_PEOPLE = (
    "choose an image with ",
    "check the spelling of ",
    "name the index that has it: ",
    "check the network",
    "lock where the image is, which can build it",
    "run the command once without `--offline`",
    "write a name, with extras, versions and a marker as needed: ",
    "a marker compares what PEP 508 names, versions with whole ones: ",
)


def proposals(message: str) -> list[list[str]]:
    """The alternatives that the help of a message has, for each of the troubles that it tells of."""
    _, _, help_ = message.partition("\nhelp: ")
    troubles = re.split(rf"\n +and for {_TEXT}{_WHERE}(?: and {_TEXT}{_WHERE})*: ", help_)
    return [re.split(r"\n +or ", one) for one in troubles[::5]]


def mended(toml: str, troubles: list[list[str]]) -> list[str]:
    """The lumienv.toml with each alternative for the first trouble, and the first for the others."""
    texts = [text for proposal in troubles[0] for text in changed(toml, proposal)]
    for alternatives in troubles[1:]:
        texts = [new for text in texts for new in changed(text, alternatives[0])]
    return texts


def changed(toml: str, proposal: str) -> list[str]:
    """The lumienv.toml with a proposal carried out; several where it leaves a choice; [] for other advice."""
    if proposal.startswith("leave out "):
        which = proposal.partition("): ")[0] + ")"  # behind it stands why
        return [_without(toml, text, line) for text, line in _lines(which)]
    if proposal.startswith("take "):
        for text, line in _lines(proposal):
            toml = _without(toml, text, line)
        return [toml]
    if proposal.startswith("write ") and " instead of " in proposal:
        written = re.findall(rf"{_TEXT} instead of {_TEXT}{_WHERE}", proposal)
        assert written, proposal
        for new, old, line in written:
            toml = _on_line(toml, int(line), old, new)
        return [toml]
    document = tomlkit.parse(toml)
    done = False
    for key, value in re.findall(r"\[resolve\] ([a-z-]+) = (\[[^]]*\]|\"[^\"]*\")", proposal):
        document.setdefault("resolve", tomlkit.table())[key] = tomlkit.parse(f"v = {value}")["v"]
        done = True
    for text in re.findall(r'add "([^"]+)" to \[resolve\] constraints', proposal):
        document["resolve"]["constraints"].append(text)
        done = True
    for name, version in re.findall(r"\[image\.assume\] (\S+) = \"([^\"]+)\"", proposal):
        document["image"].setdefault("assume", tomlkit.table())[name] = version
        done = True
    if done:
        return [tomlkit.dumps(document)]
    assert proposal.startswith(_FOR_PEOPLE), f"a kind of advice that no test carries out: {proposal}"
    return []


def with_image(scene: Scene, troubles: list[list[str]]) -> Scene | None:
    """The scene with an image as it is advised in each trouble; None where no other image is."""
    for alternatives in troubles:
        advised = next((one for one in alternatives if one.startswith("choose an image with ")), None)
        if advised is None:
            return None
        wanted = advised.removeprefix("choose an image with ").partition(": ")[0]
        if (match := re.fullmatch(r"Python \D*(\d+\.\d+)", wanted)) is not None:
            scene = replace(scene, python=f"{match[1]}.0")
        elif (match := re.fullmatch(r"glibc 2\.(\d+) or newer", wanted)) is not None:
            scene = replace(scene, glibc=int(match[1]))
        else:
            match = re.fullmatch(r"([\w-]+)[>=]=([^,]+)(,.*)?", wanted)
            assert match, wanted
            others = [line for line in scene.image.splitlines() if line.split()[:1] not in ([], [match[1]])]
            scene = replace(scene, image=dedent("\n".join(others)) + f"\n{match[1]} {match[2]}")
    return scene


def _lines(text: str) -> Iterator[tuple[str, int]]:
    for quoted, line in re.findall(rf"{_TEXT}{_WHERE}", text):
        yield quoted, int(line)


def _without(toml: str, text: str, line: int) -> str:
    return _on_line(toml, line, text, "")


def _on_line(toml: str, number: int, old: str, new: str) -> str:
    """`old` on a line of the file replaced, in whichever quotes it stands; nothing leaves no comma."""
    lines = toml.splitlines(keepends=True)
    text = lines[number - 1]
    spellings = (old, json.dumps(old[1:-1]))
    found = next((one for one in spellings if one in text), None)
    assert found is not None, f"{old} does not stand on line {number}: {text}"
    pattern = re.escape(found) + ("" if new else r",?\s?")
    lines[number - 1] = re.sub(pattern, lambda _: new, text, count=1)
    return "".join(lines)
