"""What `lumienv run` leaves behind: the words and the environment that each task of a job starts with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bench import Bench, fresh
from benchmarks.measure import started


def launched(
    bench: Bench, env: Mapping[str, str], folder: Path, command: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """A task's words and environment, for a command in the project `folder`.

    A program that writes them down takes the runtime's place.
    """
    recorder = fresh(bench.work / "recorder") / "apptainer"
    recorder.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"${0%/*}/words"\nenv -0 >"${0%/*}/environment"\n')
    recorder.chmod(0o755)
    ours = [bench.lumienv, "run", "--launcher", "direct", "--", *command]
    started(ours, {**env, "LUMIENV_RUNTIME": str(recorder)}, folder)
    words, environment = (
        (recorder.parent / name).read_text().removesuffix("\0").split("\0")
        for name in ("words", "environment")
    )
    return [bench.runtime(), *words], dict(line.split("=", 1) for line in environment)
