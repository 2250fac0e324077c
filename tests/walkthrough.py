"""The walk-through in the README: what a terminal shows of a new project's first minutes, as a picture.

Made anew with `LUMIENV_TEST_WRITE_WALKTHROUGH=1 pytest tests/integration/test_walkthrough.py`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from recording import Line, Span, lines_of, on_terminal
from workspace import Workspace

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "walkthrough.svg"
TITLE = "lumienv in a terminal: init, add, a conflict explained, run, and the line that would run in a job"

# Releases as they were that day: the same lines next year.
_DAY = '\n[resolve]\nexclude-newer = "2026-11-01"\n'
# Each with the exit status that it has to have. Words in "…" are typed as they stand.
COMMANDS = (
    ("lumienv init --image pytorch", 0),
    ("lumienv add torch h5py einops xarray", 0),
    ('lumienv add "trl>=1"', 1),
    ("lumienv run -- python -c 'import torch, h5py; print(torch.__version__, h5py.__file__)'", 0),
    ("salloc -Q -N2 lumienv run --print -- python train.py", 0),
)


def recorded(place: Workspace) -> Iterator[Line]:
    """The lines that the commands leave on a terminal, with the commands themselves.

    `…` stands for the folders that the project and the images lie in, which are the tests'.
    """
    (place.directory / "train.py").write_text("")
    environ = place.environment({"TERM": "xterm-256color", "LUMIENV_NO_PROGRESS": "1"})
    del environ["NO_COLOR"]
    for number, (command, status) in enumerate(COMMANDS):
        if number:
            yield ()
        yield (Span("$ ", color=32, bold=True), Span(command, bold=True))
        found, text = on_terminal(["bash", "-c", command], place.directory, environ)
        assert found == status, text
        for folder in (place.directory.parent, environ["LUMIENV_IMAGE_PATH"]):
            text = text.replace(str(folder), "…")
        yield from lines_of(text)
        manifest = place.directory / "lumienv.toml"
        if number == 0:
            manifest.write_text(manifest.read_text() + _DAY)


def comparable(lines: list[str]) -> str:
    """All of them as one text without line breaks, and without what differs from one run to another.

    That is how long it takes, and how large wheels are: not all are built for one version of Python only.
    """
    text = re.sub(r"in\d+\.\ds", "in…s", "".join("".join(lines).split()))
    return re.sub(r"wheels,[\d.]+MB", "wheels,…MB", text)
