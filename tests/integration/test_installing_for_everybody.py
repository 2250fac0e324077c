"""What a site's staff installs: contrib/, loaded by a real Lmod and built by a real EasyBuild."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from uv import find_uv_bin

from lumienv import __version__
from lumienv.index.client import IndexClient

# Whoever installs is an administrator; nothing here depends on who that is.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "contrib/install.sh"
MODULE = ROOT / f"contrib/lmod/lumienv/{__version__}.lua"
RECIPE = ROOT / f"contrib/easybuild/lumienv-{__version__}.eb"
LMOD = Path("/usr/share/lmod/lmod/init/bash")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

Require = Callable[[bool, str], None]


def run(
    words: list[str], environ: Mapping[str, str], umask: int = -1, timeout: int = 300
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=dict(environ), umask=umask, capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, real_index: IndexClient) -> Path:
    """A folder with lumienv's wheel and all that it needs, its build backend too: fetched once."""
    del real_index  # that there is one
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    done = run([*pip, "--wheel-dir", str(folder), str(ROOT), "hatchling"], os.environ)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def surroundings(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An administrator's shell, in which a module has left a click that would break lumienv."""
    home = tmp_path_factory.mktemp("home")
    (home / "python").mkdir()
    (home / "python" / "click.py").write_text("raise SystemExit('the click of another Python')\n")
    return {
        "HOME": str(home),
        "USER": "ada",
        "PATH": SYSTEM_PATH,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(home / "python"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
    }


@pytest.fixture(scope="module")
def prefix(surroundings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lumienv, installed by contrib/install.sh under a umask that keeps others out."""
    folder = tmp_path_factory.mktemp("appl") / "local" / "lumienv"
    done = run(["bash", str(INSTALL), str(folder)], surroundings, umask=0o077)
    assert done.returncode == 0, done.stderr
    assert f"module use {folder}/modules; module load lumienv" in done.stdout
    return folder


@pytest.fixture(scope="module")
def shell(surroundings: dict[str, str], require: Require) -> Callable[..., list[str]]:
    """Runs lines in a bash with Lmod; returns what they print, line by line."""
    require(LMOD.exists(), "no Lmod here: run tests/lab/install-tools.sh as root")

    def typed(modules: Path, *lines: str, fails: bool = False) -> list[str]:
        text = "\n".join((f". {LMOD}", f"module use {modules}", *lines))
        done = run(["bash", "-c", text], surroundings)
        assert (done.returncode != 0) == fails, done.stderr
        return (done.stdout + done.stderr).splitlines()

    return typed


def test_a_module_brings_lumienv_and_takes_it_away_again(
    prefix: Path, shell: Callable[..., list[str]]
) -> None:
    said = shell(
        prefix / "modules",
        "module load lumienv && lumienv --version && command -v lumienv",
        "module unload lumienv",
        "command -v lumienv || echo gone",
    )
    assert said == [f"lumienv {__version__}", f"{prefix}/{__version__}/bin/lumienv", "gone"]


def test_the_module_changes_the_path_and_nothing_else(prefix: Path, shell: Callable[..., list[str]]) -> None:
    said = "\n".join(shell(prefix / "modules", "module show lumienv"))
    assert re.findall(r"^(?:\w*path|\w*env)\(.*", said, re.MULTILINE) == [
        f'prepend_path("PATH","{prefix}/{__version__}/bin")'
    ]


def test_the_users_own_python_stays_theirs(prefix: Path, shell: Callable[..., list[str]]) -> None:
    which = "command -v python3 pip3 uv || true"
    said = shell(prefix / "modules", which, "echo --", "module load lumienv", which)
    before, after = said[: said.index("--")], said[said.index("--") + 1 :]
    assert before == after
    assert [path.name for path in (prefix / __version__ / "bin").iterdir()] == ["lumienv"]


def test_a_module_of_binds_may_stay_loaded(
    prefix: Path, shell: Callable[..., list[str]], tmp_path: Path
) -> None:
    bindings = tmp_path / "singularity-AI-bindings" / "24.03.lua"
    bindings.parent.mkdir()
    bindings.write_text('setenv("SINGULARITY_BIND", "/pfs,/scratch")\n')
    said = shell(
        prefix / "modules",
        f"module use {tmp_path}",
        "module load singularity-AI-bindings lumienv",
        "module -t list 2>&1; echo $SINGULARITY_BIND; lumienv --version",
    )
    assert said == [
        "singularity-AI-bindings/24.03",
        f"lumienv/{__version__}",
        "/pfs,/scratch",
        f"lumienv {__version__}",
    ]


def test_the_sites_profile_comes_with_the_module_and_goes_with_it(
    prefix: Path, shell: Callable[..., list[str]]
) -> None:
    profile = prefix / "site.toml"
    profile.write_text(f'name = "fjord"\n[cache]\nfolder = "{prefix}/cache"\n')
    try:
        said = shell(
            prefix / "modules",
            "export LUMIENV_SITE=generic",
            "module load lumienv",
            "echo $LUMIENV_SITE; lumienv cache dir",
            "module unload lumienv",
            "echo $LUMIENV_SITE",
        )
    finally:
        profile.unlink()
    assert said == [str(profile), f"{prefix}/cache", "generic"]


def test_everybody_can_read_what_was_installed_whatever_the_administrators_umask(prefix: Path) -> None:
    closed = []
    for folder, names, files in os.walk(prefix):
        for name in (*names, *files):
            path = Path(folder, name)
            mode = stat.S_IMODE(path.stat().st_mode)
            if not mode & 0o004 or (path.is_dir() and not mode & 0o001) or mode & 0o022:
                closed.append(path)
    assert closed == []


def test_what_is_installed_is_not_installed_over(prefix: Path, surroundings: dict[str, str]) -> None:
    done = run(["bash", str(INSTALL), str(prefix)], surroundings)
    assert done.returncode == 1
    assert f"lumienv {__version__} is installed in {prefix} already" in done.stderr
    assert f"help: to make it anew, remove it first: rm -r {prefix}/{__version__}" in done.stderr


def test_a_python_that_is_too_old_is_refused_before_anything_is_made(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    old = tmp_path / "python3.6"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run(["bash", str(INSTALL), str(tmp_path / "appl")], surroundings | {"PYTHON": str(old)})
    assert done.returncode == 1
    assert f"no Python 3.11 or newer with venv was found: not {old}" in done.stderr
    assert list((tmp_path / "appl").iterdir()) == []


def test_an_installation_that_failed_can_be_loaded_by_nobody(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\n[ "$2" != -m ] || { mkdir -p "$5"; exit 1; }\n')  # its venv stays half-made
    python.chmod(0o755)
    done = run(["bash", str(INSTALL), str(tmp_path / "appl")], surroundings | {"PYTHON": str(python)})
    assert done.returncode == 1
    assert (tmp_path / "appl" / __version__ / "venv").is_dir()
    assert not (tmp_path / "appl/modules").exists()


def test_a_module_without_its_lumienv_says_how_to_install_it(
    shell: Callable[..., list[str]], tmp_path: Path
) -> None:
    copy = tmp_path / "modules/lumienv" / MODULE.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(MODULE.read_bytes())
    said = " ".join(shell(tmp_path / "modules", "module load lumienv", fails=True)).split()
    words = " ".join(said)
    assert f"there is no lumienv {__version__} in" in words
    assert "bash contrib/install.sh" in words


def test_the_module_loads_what_uv_tool_has_installed(
    wheels: Path, surroundings: dict[str, str], shell: Callable[..., list[str]], tmp_path: Path
) -> None:
    root = tmp_path / __version__
    places = {"UV_TOOL_DIR": str(root / "tools"), "UV_TOOL_BIN_DIR": str(root / "bin")}
    tool = [find_uv_bin(), "tool", "install", "--quiet", "--no-config", "--python", sys.executable]
    tool += ["--no-index", "--find-links", str(wheels), "lumienv"]
    done = run(tool, surroundings | places | {"UV_CACHE_DIR": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    copy = tmp_path / "modules/lumienv" / MODULE.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(MODULE.read_bytes())
    said = shell(tmp_path / "modules", "unset PYTHONPATH", "module load lumienv", "lumienv --version")
    assert said == [f"lumienv {__version__}"]


def test_easybuild_installs_by_the_recipe_and_its_module_loads(
    wheels: Path,
    surroundings: dict[str, str],
    shell: Callable[..., list[str]],
    require: Require,
    tmp_path: Path,
) -> None:
    venv = tmp_path / "easybuild"
    packages = ["easybuild-framework>=5,<6", "easybuild-easyblocks>=5,<6"]
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], os.environ)
    # From the index that this machine's pip is configured with, so in its surroundings.
    pip = [sys.executable, "-m", "pip", "--python", str(venv), "install", "--quiet"]
    done = run([*pip, "--disable-pip-version-check", *packages], os.environ)
    require(done.returncode == 0, f"EasyBuild cannot be installed here: {done.stderr[-300:]}")

    environ = surroundings | {"EB_PYTHON": str(venv / "bin/python")}
    del environ["PYTHONPATH"]  # EasyBuild is a Python program, too
    options = [f"--sourcepath={wheels}", f"--prefix={tmp_path}/eb", f"--tmpdir={tmp_path}"]
    options += ["--modules-tool=Lmod", "--module-syntax=Lua", "--umask=022"]
    options += ["--allow-use-as-root-and-accept-consequences"] if os.geteuid() == 0 else []
    eb = " ".join(map(str, [venv / "bin/eb", RECIPE, *options]))
    done = run(["bash", "-c", f". {LMOD}\nexec {eb}"], environ)
    assert done.returncode == 0, done.stdout[-3000:]

    said = shell(
        tmp_path / "eb/modules/all",
        "module load lumienv && lumienv --version && command -v lumienv",
        "echo ${PYTHONPATH##*/}",
        "module unload lumienv",
        "command -v lumienv || echo gone",
    )
    binary = tmp_path / f"eb/software/lumienv/{__version__}/bin/lumienv"
    assert said == [f"lumienv {__version__}", str(binary), "python", "gone"]
    assert [path.name for path in binary.parent.iterdir()] == ["lumienv"]


def test_module_file_and_recipe_are_there_for_this_version() -> None:
    assert [path.name for path in MODULE.parent.iterdir()] == [f"{__version__}.lua"]
    assert [path.name for path in RECIPE.parent.iterdir()] == [f"lumienv-{__version__}.eb"]
    assert f"version = '{__version__}'" in RECIPE.read_text()
