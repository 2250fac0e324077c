"""One image that has the environment inside, by both builders: it runs by itself, and others build on it."""

import os
import subprocess
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import Said, Workspace

BUILDERS = ["append", "cotainr"]


class Image:
    """A SIF, started as anybody would who has never heard of lumienv."""

    def __init__(self, path: Path, runtime: str) -> None:
        self.path = path
        self.runtime = runtime

    def exec(self, *command: str, entry: str = "exec", **variables: str) -> Said:
        environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
        words = [self.runtime, "--quiet", *entry.split(), str(self.path), *command]
        done = subprocess.run(words, cwd="/", env=environ, capture_output=True, text=True)
        return Said(done.returncode, done.stdout.strip(), done.stderr)

    def python(self, code: str, **variables: str) -> str:
        said = self.exec("python", "-c", code, **variables)
        assert said.status == 0, said.err
        return said.out


@pytest.fixture
def poison(tmp_path):
    """A home and a folder for PYTHONPATH with modules that end every program that imports them."""
    folders = [
        tmp_path / "poison",
        *(tmp_path / f"home/.local/lib/python3.{n}/site-packages" for n in range(9, 16)),
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        for module in ("overlay_only", "imgtool", "numpy"):
            (folder / f"{module}.py").write_text("raise SystemExit('the host leaked in')\n")
    return {"PYTHONPATH": str(folders[0]), "PYTHONHOME": str(folders[0]), "HOME": str(tmp_path / "home")}


@pytest.fixture
def synced(local: Workspace, wheels: Path, small_image: Path, runtime: str):
    """Makes the project's image of `overlay-only`, on the small one."""

    def sync(builder: str) -> Image:
        make_wheel(wheels, "overlay-only", "1.0", ["imgtool"], modules={"overlay_only.py": "here = True\n"})
        local.write(f'path = "{small_image}"', ["overlay-only"])
        local.lumienv("sync", "--mode", "sif", "--builder", builder)
        return Image(local.current / "image.sif", runtime)

    return sync


@pytest.mark.parametrize("entry", ["exec", "run", "exec --userns"])
@pytest.mark.parametrize("builder", ["append"])
def test_an_image_runs_by_itself_whatever_the_host_has_set(synced, poison, builder, entry):
    image = synced(builder)
    show = "import overlay_only, imgtool, sys; print(overlay_only.__file__, imgtool.__file__, sys.prefix)"

    said = image.exec("python", "-c", show, entry=entry, **poison)

    assert said.status == 0, said.err
    overlay, of_image, prefix = said.out.split()
    assert overlay.startswith("/opt/lumienv/lib/python3.")
    assert of_image.startswith("/opt/venv/lib/python3.")
    assert prefix == "/opt/lumienv"
