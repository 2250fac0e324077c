"""Launchers for the image's own console scripts, run for real with a Python of this machine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lumienv.image.snapshot import ImageScript
from lumienv.overlay.image_scripts import write_image_scripts

MODULE = """
import json, sys
def main():
    print(json.dumps({"argv": sys.argv, "path": sys.path, "prefix": sys.prefix}))
    return 3
class Deep:
    class Inner:
        main = staticmethod(main)
"""
PIP = "import sys\ndef main():\n    print('pip runs', sys.argv[1:])\n    return 0\n"
CONTAINED = pytest.mark.parametrize("contained", [True, False], ids=["in a container", "movable"])


class Tree:
    """An overlay tree: a virtual environment with the image's modules in view."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.root)], check=True)
        (site,) = self.root.glob("lib/python3*/site-packages")
        (site / "tool.py").write_text(MODULE)
        for package in ("pip", "pip/_internal", "pip/_internal/cli"):
            (site / package).mkdir()
            (site / package / "__init__.py").write_text("")
        (site / "pip" / "_internal" / "cli" / "main.py").write_text(PIP)

    def write(self, *scripts: ImageScript, contained: bool = False) -> list[str]:
        return write_image_scripts(self.root, scripts, f"{self.root}/bin/python" if contained else "")

    def run(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        program = str(self.root / "bin" / name)
        return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@CONTAINED
@pytest.mark.parametrize("entry", ["tool:main", "tool:Deep.Inner.main", " tool : main "])
def test_an_entry_point_runs_with_the_overlays_python(tree: Tree, contained: bool, entry: str) -> None:
    assert tree.write(ImageScript("tool", entry=entry), contained=contained) == ["tool"]
    done = tree.run("tool", "a b", "$HOME", "")
    assert done.returncode == 3, done.stderr
    assert str(tree.root) in done.stdout
    assert '"a b", "$HOME", ""' in done.stdout


@CONTAINED
def test_a_script_file_of_the_image_runs_with_the_overlays_python(
    tree: Tree, contained: bool, tmp_path: Path
) -> None:
    script = tmp_path / "it's a tool"
    script.write_text(
        "#!/no/such/python\nif __name__ == '__main__':\n    import sys, tool\n    sys.exit(tool.main())\n"
    )
    tree.write(ImageScript("tool", file=str(script)), contained=contained)
    done = tree.run("tool", "a b")
    assert done.returncode == 3, done.stderr
    assert f'"argv": ["{script}", "a b"]' in done.stdout


@CONTAINED
def test_a_file_beside_the_launcher_does_not_pass_for_a_module(tree: Tree, contained: bool) -> None:
    (tree.root / "bin" / "tool.py").write_text("raise SystemExit('the wrong module')\n")
    (tree.root / "bin" / "json.py").write_text("raise SystemExit('the wrong module')\n")
    tree.write(ImageScript("tool", entry="tool:main"), contained=contained)
    done = tree.run("tool")
    assert "the wrong module" not in done.stderr
    assert done.returncode == 3


def test_a_movable_launcher_still_works_after_a_move_and_through_a_link(tree: Tree, tmp_path: Path) -> None:
    tree.write(ImageScript("tool", entry="tool:main"))
    tree.root = tree.root.rename(tmp_path / "moved ' tree")
    assert tree.run("tool").returncode == 3
    (tmp_path / "link").symlink_to(tree.root / "bin" / "tool")
    assert subprocess.run([str(tmp_path / "link")], capture_output=True, check=False).returncode == 3


def test_an_overlay_packages_own_script_wins(tree: Tree) -> None:
    own = tree.root / "bin" / "tool"
    own.write_text("the overlay's own")
    assert tree.write(ImageScript("tool", entry="tool:main"), ImageScript("more", entry="tool:main")) == [
        "more"
    ]
    assert own.read_text() == "the overlay's own"


@pytest.mark.parametrize("name", ["python", "python3", "python3.12", "activate", "../escape", "a/b"])
def test_what_belongs_to_the_overlay_or_leads_out_of_it_is_not_written(tree: Tree, name: str) -> None:
    before = sorted(path for path in tree.root.parent.rglob("*"))
    assert tree.write(ImageScript(name, entry="tool:main")) == []
    assert sorted(path for path in tree.root.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    ["activate-global-python-argcomplete", "python-argcomplete-check-easy-install-script"],
)
def test_a_script_that_only_begins_like_python_is_written(tree: Tree, name: str) -> None:
    """These are in argcomplete, for one: every console script of the image is there (decision 9)."""
    assert tree.write(ImageScript(name, entry="tool:main")) == [name]


@pytest.mark.parametrize("umask", [0o022, 0o007, 0o077])
def test_launchers_can_be_run_by_all_whatever_the_umask(tree: Tree, umask: int) -> None:
    before = os.umask(umask)
    try:
        tree.write(ImageScript("tool", entry="tool:main"))
    finally:
        os.umask(before)
    assert (tree.root / "bin" / "tool").stat().st_mode & 0o777 == 0o755


PIPS = pytest.mark.parametrize(
    "script",
    [
        ImageScript("pip", entry="pip._internal.cli.main:main"),
        ImageScript("pip3", entry="pip._internal.cli.main:main"),
        ImageScript("pip3.12", file="/opt/env/bin/pip3.12"),
    ],
    ids=lambda script: script.name,
)


@PIPS
@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "--format", "freeze"], ["show", "install"], ["freeze"], ["check"], ["--version"], []],
)
def test_pip_reads(tree: Tree, script: ImageScript, words: Sequence[str]) -> None:
    tree.write(script)
    done = tree.run(script.name, *words)
    assert (done.returncode, done.stdout) == (0, f"pip runs {list(words)}\n")


@PIPS
@pytest.mark.parametrize(
    "words",
    [["install", "list"], ["uninstall", "x"], ["-q", "install", "x"], ["download", "x"], ["wheel", "x"]],
)
def test_pip_does_not_change_and_says_why(tree: Tree, script: ImageScript, words: Sequence[str]) -> None:
    tree.write(script)
    done = tree.run(script.name, *words)
    assert done.returncode != 0
    assert "pip runs" not in done.stdout
    assert "read-only" in done.stderr
    assert "lumienv.toml" in done.stderr


def test_other_programs_of_pips_kin_are_not_taken_for_it(tree: Tree) -> None:
    tree.write(ImageScript("pip-compile", entry="tool:main"), ImageScript("pipx", entry="tool:main"))
    for name in ("pip-compile", "pipx"):
        assert tree.run(name, "install").returncode == 3
