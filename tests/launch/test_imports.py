"""The import budget of `lumienv run`: each module that may be imported before a job, by name.

Where a test fails here, import what it names only where it is needed, or add it, with what it costs
(`python -X importtime -m lumienv run …`), knowing that every job on the cluster pays for it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
from entry_point import PROGRAM, clean_environment
from generations import described
from sif_files import DataObject, sif

from lumienv.image.sif import read_sif
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.store import Store

LUMIENV = {
    "lumienv",
    *("lumienv.__main__", "lumienv.cli", "lumienv.cli.run"),
    *("lumienv.digest", "lumienv.errors", "lumienv.image", "lumienv.image.sif"),
    *("lumienv.launch", "lumienv.launch.arguments", "lumienv.launch.binds", "lumienv.launch.conditions"),
    *("lumienv.launch.inherited", "lumienv.launch.notes", "lumienv.launch.plan", "lumienv.launch.presets"),
    *("lumienv.launch.run", "lumienv.launch.shape", "lumienv.launch.slurm", "lumienv.launch.slurm_options"),
    *("lumienv.launch.task", "lumienv.launch.variables"),
    *("lumienv.lockdigest", "lumienv.manifest", "lumienv.manifest.reader", "lumienv.manifest.tables"),
    *("lumienv.overlay", "lumienv.overlay.generation", "lumienv.overlay.leases", "lumienv.overlay.trust"),
    *("lumienv.paths", "lumienv.plainjson"),
    *("lumienv.runtime", "lumienv.runtime.host", "lumienv.runtime.singularity", "lumienv.shell"),
    *("lumienv.site", "lumienv.site.facts", "lumienv.site.presets", "lumienv.toml", "lumienv.values"),
}
STANDARD = {
    *(
        "__future__",
        "atexit",
        "collections",
        "contextlib",
        "errno",
        "functools",
        "gc",
        "itertools",
        "keyword",
    ),
    *("operator", "reprlib", "struct", "types"),
    "warnings",  # os, to look for srun on PATH
}
# A task's words, and those behind --srun, are split as a shell does; what is printed is quoted for one.
SPLITTING = {"copyreg", "enum", "re", "shlex"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on an image, with a published environment that is up to date."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "image.sif").write_bytes(sif([DataObject(b"the file system")]))
    (folder / "lumienv.toml").write_text(
        'dependencies = ["h5py>=3", "einops"]\n[image]\npath = "../image.sif"\n'
        '[run]\nenv = { OMP_NUM_THREADS = 7 }\n[slurm]\ncpu-bind = "none"\n[tasks]\nsay = "true said"\n'
    )
    publish(folder)
    return folder


def publish(folder: Path) -> None:
    (folder / LOCK_NAME).write_text("the lock")
    manifest, store = read_manifest(folder / "lumienv.toml"), Store(folder / ".lumienv")
    image = folder.parent / "image.sif"
    generation = described(
        store,
        base_path=str(image),
        base_name=image.name,
        identity=read_sif(image).identity,
        selection=manifest.image.selection(),
        inputs=manifest.inputs_digest(),
        lock=bytes_digest(b"the lock"),
        runtime="singularity",
    )
    with store.writing(pytest.fail), store.staging() as staged:
        (staged / "tree").mkdir()
        store.publish(staged, generation)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Where runtime and srun are programs that do nothing."""
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    for name in ("singularity", "srun"):
        shutil.copy(shutil.which("true") or "/bin/true", programs / name)
    # No bytecode is written by others meanwhile, and no coverage is measured.
    return {**clean_environment(home), "PATH": f"{programs}:{os.environ['PATH']}"}


def imported(words: list[str], project: Path, env: dict[str, str]) -> set[str]:
    """What Python imports until it ends, or becomes another program."""
    argv = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert (done.returncode, done.stderr.splitlines()) == (0, lines)
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


def script_imports(program: str) -> str:
    """What the installed script imports by itself: pip's has `re`, uv's has not."""
    if program == "-m":
        return "pass"
    lines = Path(program).read_text(encoding="utf-8").splitlines()
    return "\n".join([line for line in lines if line.startswith("import ")] or ["pass"])


def beyond_budget(project: Path, env: dict[str, str], *words: str, more: Collection[str] = ()) -> list[str]:
    """What `lumienv words…` imports and should not."""
    program = list(PROGRAM) if len(PROGRAM) == 1 else ["-m", "lumienv"]
    imported([*program, *words], project, env)  # what is kept from then on, is kept
    bare = imported(["-c", script_imports(program[0])], project, env)
    found = imported([*program, *words], project, env) - bare
    assert {"lumienv.launch.plan", "lumienv.image.sif"} <= found
    public = {name for name in found if not name.startswith("_") or name == "__future__"}
    return sorted(name for name in public - LUMIENV if name.partition(".")[0] not in {*STANDARD, *more})


ALLOCATION = {
    "SLURM_JOB_ID": "7",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_JOB_PARTITION": "standard-g",
    "SLURM_CLUSTER_NAME": "lumi",
}


@pytest.mark.parametrize("words", [("run", "true"), ("run", "--print", "true")])
@pytest.mark.parametrize("allocated", [False, True], ids=["outside a job", "inside a job"])
@pytest.mark.parametrize("site", ["generic", "lumi"])
def test_run_imports_what_stands_here_and_nothing_else(
    project: Path, env: dict[str, str], words: tuple[str, ...], allocated: bool, site: str
) -> None:
    # Quiet, as this is not LUMI: what is missing here would be told, and telling imports click.
    env = {**env, "LUMIENV_SITE": site, "LUMIENV_QUIET": "1", **(ALLOCATION if allocated else {})}
    more = SPLITTING if "--print" in words else ()
    assert beyond_budget(project, env, *words, more=more) == []


@pytest.mark.parametrize("preset", ["torch-srun", "torchrun"])
def test_a_preset_imports_nothing_more(project: Path, env: dict[str, str], preset: str) -> None:
    manifest = project / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace("[run]\n", f'[run]\npreset = "{preset}"\n'))
    assert beyond_budget(project, {**env, **ALLOCATION}, "run", "true") == []
    assert beyond_budget(project, {**env, **ALLOCATION}, "run", "--preset", preset, "true") == []


@pytest.mark.parametrize("words", [("run", "say", "more"), ("run", "--srun", "-n1", "--", "true")])
def test_words_that_are_to_be_split_import_what_splits_them(
    project: Path, env: dict[str, str], words: tuple[str, ...]
) -> None:
    assert beyond_budget(project, {**env, **ALLOCATION}, *words, more=SPLITTING) == []


def test_what_is_too_much_would_be_named(project: Path, env: dict[str, str]) -> None:
    """A text that cannot be kept, as it has a date, needs the parser of the standard library."""
    manifest = project / "lumienv.toml"
    manifest.write_text(manifest.read_text() + "[resolve]\nexclude-newer = 2026-11-01\n")
    publish(project)
    found = beyond_budget(project, env, "run", "true")
    assert {"tomllib", "datetime", "typing"} <= set(found)
