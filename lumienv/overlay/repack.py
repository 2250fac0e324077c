"""Runs in a process of its own, as cotainr changes the current folder and ends programs as it sees fit.

Asks cotainr for a sandbox of the base, takes the tree into it and has it packed. What is to be done comes as
JSON on standard input; a failure is one line on standard error.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LABELS = ".singularity.d/labels.json"


def main() -> None:
    """Do what standard input says; see `lumienv.overlay.sif_cotainr`."""
    request = json.load(sys.stdin)
    sys.path[:] = request["sys_path"]
    sys.argv[:] = request["argv"]  # what cotainr notes down as the command
    from cotainr.container import SingularitySandbox
    from cotainr.tracing import LogSettings

    # Quiet, as the runtime's progress would be all of what a failure shows; its errors still come.
    sandbox = SingularitySandbox(
        base_image=request["base"], log_settings=LogSettings(verbosity=0, no_color=True)
    )
    sandbox.architecture = request["machine"]  # else the sandbox is started to ask
    stages = Stages(Path(request["stages"]))
    stages.begin("unpacking the image")
    try:
        with sandbox:
            stages.begin("taking in the environment")
            furnish(Path(sandbox.sandbox_dir), request, sandbox.add_metadata)
            stages.begin("packing the image")
            sandbox.build_image(path=request["image"])
            stages.begin("clearing up")
        stages.begin("")
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except Exception as error:  # CalledProcessError among others: what the program said is on the stream
        said = [(getattr(error, "stderr", None) or "").strip()]
        status = getattr(error, "returncode", 0)
        said += [f"killed by signal {-status}"] if status < 0 else []
        sys.exit("\n".join(filter(None, said)) or str(error))


class Stages:
    """What is being done, and when it began, a JSON line each: the caller reads it while this goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, what: str) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([what, time.monotonic()]) + "\n")


def furnish(sandbox: Path, request: Mapping[str, Any], add_metadata: Any) -> None:
    """Bring into the unpacked image what was appended to the base, the tree, the scripts and the labels."""
    from lumienv.runtime.process import capture

    for words in request["unpack"]:
        done = capture([*words[:1], "-force", "-dest", str(sandbox), *words[1:]])
        if done.returncode not in (0, 2):  # 2: something that only root may make, an owner for one
            raise RuntimeError(done.stderr or done.stdout)
    root = Path(request["root"])
    for place in (*request["open"], LABELS):
        refuse_links(sandbox, place)
    for folder, folders, files in os.walk(root):
        inside = sandbox / os.path.relpath(folder, root)
        for name in (*folders, *files):
            source, target = Path(folder, name), inside / name
            if name in folders and not source.is_symlink() and target.is_dir():
                continue
            shutil.move(source, target)
        folders[:] = [name for name in folders if Path(folder, name).is_dir()]
    for place in request["open"]:
        open_for_all(sandbox / place)
    labels = sandbox / LABELS
    known = read_labels(labels)
    # cotainr writes over the file's beginning: a longer text than its own would leave a rest.
    labels.write_text(json.dumps(known))
    add_metadata()
    labels.write_text(json.dumps(read_labels(labels) | request["labels"], indent=1))
    labels.chmod(0o644)


def refuse_links(sandbox: Path, place: str) -> None:
    """Raises RuntimeError where a link in the image would lead what is written out of the sandbox."""
    path = sandbox
    for part in Path(place).parts:
        path /= part
        if path.is_symlink():
            raise RuntimeError(f"/{path.relative_to(sandbox)} is a link in the image")


def read_labels(path: Path) -> dict[str, Any]:
    """The labels in a file, none where it holds something else."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def open_for_all(place: Path) -> None:
    """Let everybody read what is there, and nobody but its owner change it, whatever the umask was."""
    for folder, _, files in os.walk(place):
        for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118
            if not os.path.islink(path):  # noqa: PTH114
                mode = os.stat(path).st_mode  # noqa: PTH116
                executable = 0o111 if mode & 0o100 else 0
                os.chmod(path, (mode | 0o444 | executable) & 0o7755)  # noqa: PTH101


if __name__ == "__main__":
    main()
