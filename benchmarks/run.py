"""`run` against what one types without lumienv, and what lumienv itself adds before the container starts."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.bench import Bench, LeftOutError, fresh
from benchmarks.launched import launched
from benchmarks.measure import Bar, Row, interleaved, say, started, timed
from benchmarks.mirror import Mirror
from benchmarks.tracing import trace

_NOW = "import time; print(time.time_ns())"
_FAMILIES = ("mpi4py", "pytorch")
# Where activation costs what conda's own does nothing may be added to what one does by hand; the lab's images
# have a stand-in of conda, so that what it costs is measured and decides which bar holds.
_CONDA_COSTS = 0.15  # seconds
_COSTLY, _FREE = Bar(1.0), Bar(1.0, 0.08)


def rows(bench: Bench) -> Iterator[Row]:
    """The rows; those that this machine cannot measure say why."""
    for family in _FAMILIES:
        try:
            folder, venv = _environments(bench, family)
        except LeftOutError as reason:
            yield Row(f"run, {family}", note=str(reason))
            continue
        yield _first_line(bench, family, folder, venv)
        if family == "mpi4py":
            yield from _own_part(bench, folder)
        yield _task(bench, family, folder)


def _environments(bench: Bench, family: str) -> tuple[Path, Path]:
    """A synced project, and a venv made by hand on the same image. Raises LeftOutError."""
    image = bench.image(family)
    say(f"run: two environments on the {family} image")
    folder = bench.project(f"run-{family}", image, ["einops"])
    venv = fresh(bench.work / f"venv-{family}")
    with Mirror(bench.store) as mirror:
        env = bench.environment(mirror.url, LUMIENV_CACHE_DIR=str(bench.work / "run-cache"))
        started([bench.lumienv, "sync"], env, folder)
        script = (
            f"$WITH_CONDA && python -m venv --system-site-packages {venv} && {venv}/bin/pip install -q einops"
        )
        by_hand = [bench.runtime(), "exec", "-B", str(bench.work), str(image), "bash", "-c", script]
        started(by_hand, {**env, "PIP_INDEX_URL": mirror.url}, folder)
    return folder, venv


def _first_line(bench: Bench, family: str, folder: Path, venv: Path) -> Row:
    say(f"run: the first line on the {family} image")
    env = bench.environment(LUMIENV_CACHE_DIR=str(bench.work / "run-cache"))
    script = f'$WITH_CONDA && source {venv}/bin/activate && python -c "{_NOW}"'
    in_image = [bench.runtime(), "exec", "-B", str(bench.work), str(bench.image(family))]
    ours = [bench.lumienv, "run", "--launcher", "direct", "--", "python", "-c", _NOW]
    found = interleaved(
        {
            "lumienv": _until_python(ours, env, folder),
            "by hand": _until_python([*in_image, "bash", "-c", script], env, folder),
            "not activated": _until_python([*in_image, f"{venv}/bin/python", "-c", _NOW], env, folder),
        },
        4 * bench.runs,
    )
    costs = found["by hand"].median - found["not activated"].median
    return Row(
        f"run, to the first Python line, {family}",
        found["lumienv"],
        "by hand",
        found["by hand"],
        _COSTLY if costs >= _CONDA_COSTS else _FREE,
        f"activation costs {costs * 1000:.0f} ms on this image",
    )


def _until_python(argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> Callable[[], float]:
    def case() -> float:
        began = time.time_ns()
        said, _ = started(argv, env, cwd)
        return (int(said.split()[-1]) - began) / 1e9

    return case


# One task of a job's step, as Slurm tells it.
_STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
_STEP |= {"SLURM_NNODES": "1", "SLURM_NTASKS": "1", "SLURM_STEP_NODELIST": "nid001"}


def _own_part(bench: Bench, folder: Path) -> Iterator[Row]:
    """What lumienv does before it is gone: the runtime is a program that ends at once."""
    say("run: lumienv's own part")
    bare = [bench.python, "-c", "pass"]
    # LUMI's is called singularity, and is no link to an apptainer: lumienv then looks which one it is.
    for name, options, step, remark in (
        ("apptainer", (), {}, ""),
        ("singularity", (), {}, " named as on LUMI"),
        ("apptainer", ("--preset", "torch-srun"), _STEP, ", with a preset in a step of Slurm's"),
    ):
        words = [bench.lumienv, "run", "--launcher", "direct", *options, "--", "true"]
        program = fresh(bench.work / f"no-op-{name}") / name
        shutil.copy(shutil.which("true") or "/bin/true", program)
        env = bench.environment(
            LUMIENV_CACHE_DIR=str(bench.work / "run-cache"), LUMIENV_RUNTIME=str(program), **step
        )
        found = interleaved(
            {
                "lumienv": lambda words=words, env=env: timed(words, env, folder),
                "python": lambda env=env: timed(bare, env, folder),
            },
            8 * bench.runs,
        )
        modules = _modules(bench.python, words, env, folder), _modules(bench.python, bare, env, folder)
        yield Row(
            f"run, lumienv's own part, a runtime{remark} that does nothing",
            found["lumienv"],
            "python -c pass",
            found["python"],
            Bar(2.5),
            f"{modules[0]} modules imported, by Python itself {modules[1]}"
            + _asked(bench, words, env, folder),
        )


def _asked(bench: Bench, words: Sequence[str], env: Mapping[str, str], folder: Path) -> str:
    """What this asks of the file systems' metadata, once a job."""
    if shutil.which("strace") is None:
        return ""
    made = trace(words, env, folder, bench.work / "trace-run")
    python = trace([bench.python, "-c", "pass"], env, folder, bench.work / "trace-run")
    return (
        f"; {made.metadata('')} operations on metadata (Python itself {python.metadata('')}), "
        f"{made.metadata(str(folder))} of them in the project and its store"
    )


def _modules(python: str, words: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
    """How many modules a Python program imports."""
    program = words[1:] if words[0] == python else words
    done = subprocess.run(
        [python, "-X", "importtime", *program],
        env={**env, "PWD": str(cwd)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    return sum(line.startswith("import time:") for line in done.stderr.splitlines()) - 1


def _task(bench: Bench, family: str, folder: Path) -> Row:
    """What each task of a job starts: the words and the environment that `lumienv run` leaves behind."""
    say(f"run: a task on the {family} image")
    env = bench.environment(LUMIENV_CACHE_DIR=str(bench.work / "run-cache"))
    task, task_env = launched(bench, env, folder, ["python", "-c", _NOW])
    # The image's Python by its path, so that nothing has to be activated.
    bare = [bench.runtime(), "exec", str(bench.image(family)), _image_python(bench, family), "-c", _NOW]
    found = interleaved(
        {"task": _until_python(task, task_env, folder), "bare": _until_python(bare, env, folder)},
        4 * bench.runs,
    )
    return Row(
        f"run, a task, {family}",
        found["task"],
        "bare singularity exec",
        found["bare"],
        note=_more_programs((task, task_env), (bare, env), folder),
    )


def _image_python(bench: Bench, family: str) -> str:
    _, facts = bench.snapshot(family)
    return str(facts["python"]["executable"])


Start = tuple[Sequence[str], Mapping[str, str]]


def _more_programs(task: Start, bare: Start, cwd: Path) -> str:
    """Which programs a task starts that a bare start does not, by strace."""
    if shutil.which("strace") is None:
        return "its processes were not looked at: there is no strace here"
    known = _programs(*bare, cwd)
    more = [name for name in _programs(*task, cwd) if name not in known]
    return f"programs that a bare start has not: {', '.join(more) or 'none'}"


def _programs(words: Sequence[str], env: Mapping[str, str], cwd: Path) -> list[str]:
    traced = ["strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", *words]
    done = subprocess.run(
        traced, env={**env, "PWD": str(cwd)}, cwd=cwd, capture_output=True, text=True, errors="replace"
    )
    found = [line.partition('execve("')[2] for line in done.stderr.splitlines() if line.endswith(" = 0")]
    return list(dict.fromkeys(line.partition('"')[0] for line in found if line))
