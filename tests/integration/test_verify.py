"""`lumienv verify`: whatever is done to an environment behind lumienv's back is found, and sync mends it."""

import json
import marshal
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wheels import make_wheel
from workspace import Said, Workspace

from lumienv.overlay.squashfs import find_program

pytestmark = pytest.mark.unprivileged

CARRIED = {"host": "venv", "venv": "venv", "squashfs": "squashfs", "append": "sif"}


@pytest.fixture(params=["host", "venv", "squashfs", "append"])
def mode(request: pytest.FixtureRequest) -> str:
    """`host` is a directory without a container, `append` an image that was appended to."""
    return str(request.param)


@pytest.fixture
def base(request: pytest.FixtureRequest, mode: str) -> str:
    if mode == "host":
        return f'host = "{sys.executable}"'
    return f'path = "{request.getfixturevalue("small_image")}"'


@pytest.fixture
def project(local: Workspace, wheels: Path, base: str, mode: str) -> Workspace:
    """Three packages in the overlay: one has a script, one cannot be imported."""
    make_wheel(
        wheels,
        "alpha",
        "1.0",
        modules={
            "alpha/__init__.py": "def main():\n    print('alpha')\n",
            "alpha/one.py": "value = 1\n",
            "alpha/two.py": "value = {1, 2, 3} & {2}\nhere = value in (1.0, float('nan'), 'x')\n",
            "alpha/data.txt": "data\n",
        },
        entry_points={"alpha-script": "alpha:main"},
    )
    make_wheel(wheels, "beta", "2.0", modules={"beta.py": "value = 2\n", "_beta_more.py": ""})
    make_wheel(wheels, "gamma", "3.0", modules={"gamma.py": "raise ImportError('no GPU here')\n"})
    local.write(
        base, ["alpha", "beta", "gamma"], f'[sync]\nmode = "{CARRIED[mode]}"\n[sif]\nbuilder = "append"\n'
    )
    local.lumienv("sync")
    return local


def site_of(tree: Path) -> Path:
    return next(tree.glob("lib/python3*/site-packages"))


@contextmanager
def opened(project: Workspace, mode: str, scratch: Path) -> Iterator[Path]:
    """The tree of the current environment, to be changed by somebody who is not lumienv."""
    generation = project.current.resolve()
    if mode != "squashfs":
        yield generation / "tree"
        return
    tree = scratch / "unpacked"
    shutil.rmtree(tree, ignore_errors=True)
    carrier = generation / "overlay.squashfs"
    subprocess.run([find_program("unsquashfs"), "-q", "-n", "-d", tree, carrier], check=True)
    yield tree
    carrier.unlink()
    subprocess.run(
        [find_program("mksquashfs"), tree, carrier, "-quiet", "-no-progress", "-all-root"], check=True
    )


def rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def other_bytecode(path: Path) -> None:
    """The header stays, so that Python takes it; the code is other code."""
    head = path.read_bytes()[:16]
    rewrite(path, head + marshal.dumps(compile("value = 666", "one.py", "exec")))


def lines(said: Said) -> list[str]:
    return [line.strip() for line in said.err.splitlines()]


def test_an_environment_as_it_was_made_is_sound(project: Workspace) -> None:
    first, *rest = project.lumienv("verify").splitlines()
    assert rest == []
    assert first.startswith("3 packages, ")
    assert first.endswith(" files: as locked")
    answer = json.loads(project.lumienv("verify", "--json"))
    assert (answer["sound"], answer["packages"], answer["damage"]) == (True, 3, [])


@pytest.mark.parametrize("mode", ["host", "venv", "squashfs"], indirect=True)
def test_every_change_of_the_tree_is_found_and_mended_by_the_next_sync(
    project: Workspace, mode: str, tmp_path: Path
) -> None:
    with opened(project, mode, tmp_path) as tree:
        site = site_of(tree)
        rewrite(site / "alpha/__init__.py", b"def main():\n    print('omega')\n")
        other_bytecode(next((site / "alpha/__pycache__").glob("one.*.pyc")))
        (site / "alpha/data.txt").unlink()
        rewrite(site / "beta.py", b"value = 3\n")
        record = site / "beta-2.0.dist-info/RECORD"
        rewrite(record, record.read_bytes().replace(b"beta.py,", b"other.py,"))
        (site / "added.pth").write_text("import added\n")
        (site / "alpha/__pycache__/one.cpython-312.opt-1.pyc").write_bytes(b"never looked at")
        rewrite(next(site.glob("_lumienv_*.py")), b"IMAGE = []\n")
        (tree / "bin/torchrun.new").symlink_to("/bin/true")

    said = project.try_("verify")

    where = (
        "lib/"
        + next(line for line in lines(said) if "alpha/__init__.py" in line).split("/")[1]
        + "/site-packages"
    )
    assert said.status == 1
    found = lines(said)
    assert found[0] == f"error: the environment in {project.current.resolve()} is damaged"
    for expected in (
        f"{where}/alpha/__init__.py (alpha) has changed",
        f"{where}/alpha/data.txt (alpha) is gone",
        f"{where}/beta-2.0.dist-info/RECORD (beta) has changed",
        f"{where}/added.pth belongs to nothing that was installed",
        f"{where}/alpha/__pycache__/one.cpython-312.opt-1.pyc belongs to nothing that was installed",
        "bin/torchrun.new belongs to nothing that was installed",
    ):
        assert expected in found
    assert any(line.startswith(f"{where}/_lumienv_") and line.endswith(" has changed") for line in found)
    assert any(
        line.startswith(f"{where}/alpha/__pycache__/one.cpython-")
        and line.endswith("(alpha) is not what its source compiles to")
        for line in found
    )
    assert found[-1] == f"help: it is not run again; make it anew: lumienv sync --mode {CARRIED[mode]}"

    damaged = project.current.resolve()
    refused = project.try_("run", "--no-sync", "--", "python", "-c", "print('it ran')")
    assert (refused.status, refused.out) == (1, "")
    assert "is damaged: `lumienv verify` found it changed" in refused.err
    assert "installed 3 packages" in project.lumienv("sync")
    assert project.current.resolve() != damaged
    assert project.python("import alpha; alpha.main()") == "alpha"
    assert "as locked" in project.lumienv("verify")


@pytest.mark.parametrize("mode", ["squashfs", "append"], indirect=True)
def test_bytes_that_have_gone_bad_in_a_file_are_found(project: Workspace, mode: str) -> None:
    """The start and the end, by which an image is recognised, stay as they are."""
    carrier = next(project.current.resolve().glob("*.s*f*"))
    content = bytearray(carrier.read_bytes())
    start = content.rindex(b"hsqs")
    used = int.from_bytes(content[start + 40 : start + 48], "little")
    content[start + used // 2 : start + used // 2 + 400] = bytes(400)
    rewrite(carrier, bytes(content))
    said = project.try_("verify")
    assert said.status == 1
    assert "is damaged" in said.err


@pytest.mark.parametrize("mode", ["squashfs"], indirect=True)
def test_a_squashfs_file_that_was_replaced_cut_short_or_removed_is_found(
    project: Workspace, tmp_path: Path
) -> None:
    def damages() -> Iterator[tuple[Callable[[Path], None], str]]:
        def another(carrier: Path) -> None:
            folder = tmp_path / "another"
            (folder / "bin").mkdir(parents=True)
            (folder / "bin/python").symlink_to("/bin/true")
            make = [find_program("mksquashfs"), folder, carrier, "-quiet", "-no-progress", "-noappend"]
            subprocess.run(make, check=True)

        yield another, "alpha 1.0 is locked, and is not there"
        yield (lambda carrier: rewrite(carrier, carrier.read_bytes()[:-5000])), "is cut short"
        yield (lambda carrier: rewrite(carrier, b"text")), "is no squashfs file"
        yield Path.unlink, "overlay.squashfs is gone"

    for damage, expected in damages():
        carrier = project.current.resolve() / "overlay.squashfs"
        carrier.chmod(0o644)
        damage(carrier)
        said = project.try_("verify")
        assert said.status == 1
        assert expected in said.err, said.err
        assert "installed 3 packages" in project.lumienv("sync")
    assert "as locked" in project.lumienv("verify")


def test_modules_that_cannot_be_imported_are_warnings(project: Workspace) -> None:
    said = project.try_("verify", "--import")
    assert said.status == 0
    assert "warning: import gamma (gamma) failed: ImportError: no GPU here" in said.err
    assert "alpha" not in said.err
    assert "as locked" in said.out
    answer = json.loads(project.lumienv("verify", "--import", "--json"))
    assert len(answer["imports"]) == 1


@pytest.mark.parametrize("mode", ["host"], indirect=True)
def test_an_environment_that_is_not_of_this_lock_is_said_to_be_so(project: Workspace, wheels: Path) -> None:
    make_wheel(wheels, "beta", "2.1")
    project.lumienv("lock", "-P", "beta")
    said = project.try_("verify")
    assert said.status == 1
    assert "is sound, but not up to date: pylock.lumienv.toml has changed since it was synced" in said.err
    project.lumienv("sync")
    assert "as locked" in project.lumienv("verify")


@pytest.mark.parametrize("mode", ["host"], indirect=True)
def test_what_is_not_there_cannot_be_verified(project: Workspace) -> None:
    said = project.try_("verify", "--mode", "squashfs")
    assert said.status == 1
    assert "there is no environment of the mode squashfs here" in said.err
    assert "help: make it: lumienv sync --mode squashfs" in said.err
    assert project.try_("verify", "--mode", "tar").status == 2
    assert "as locked" in project.lumienv("verify", "--mode", "venv")


def test_an_image_is_verified_when_the_base_that_it_was_made_from_is_gone(
    local: Workspace, wheels: Path, small_image: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.sif"
    shutil.copyfile(small_image, base)
    make_wheel(wheels, "alpha", "1.0")
    local.write(f'path = "{base}"', ["alpha"], '[sync]\nmode = "sif"\n[sif]\nbuilder = "append"\n')
    local.lumienv("sync")
    base.unlink()
    assert "as locked" in local.lumienv("verify")
    image = local.current.resolve() / "image.sif"
    image.chmod(0o600)
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - 4096)
    assert local.try_("verify").status == 1
