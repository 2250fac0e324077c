"""Which programs and processes a task is, as strace tells: the runtime and the command."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from workspace import Workspace, make_workspace

pytestmark = pytest.mark.unprivileged

# A task of a step, as its variables tell.
STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NODELIST": "nid[005001-005002]",
    "SLURM_STEP_TASKS_PER_NODE": "2",
}
SHELLS = {"sh", "bash", "dash", "ash", "busybox", "env"}
RUNTIMES = {"singularity", "apptainer"}
RANK = "import os; raise SystemExit(os.environ.get('RANK') != {rank})"


@pytest.fixture(scope="module")
def project(small_image: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("processes") / "project", cache)
    made.write(f'path = "{small_image}"')
    made.lumienv("sync")
    return made


@dataclass(frozen=True)
class Traced:
    """The programs that were started one after the other, by name, each with its process."""

    programs: list[tuple[int, str]]
    children: list[int]
    """the processes that the first one had made when it became the runtime"""

    @staticmethod
    def of(text: str) -> "Traced":
        programs: list[tuple[int, str]] = []
        children: list[int] = []
        for line in text.splitlines():
            found = re.match(r'(\d+) +(\w+)\((?:"([^"]*)")?', line)
            if found is None or "= -1" in line:
                continue
            if found[2] == "execve":
                programs.append((int(found[1]), Path(found[3]).name))
            elif not RUNTIMES & {name for _, name in programs} and "CLONE_THREAD" not in line:
                children.append(int(found[1]))
        return Traced(programs, children)


@pytest.mark.parametrize(
    ("before", "rank"),
    [
        (["lumienv", "run", "--launcher", "direct", "--"], None),
        (["lumienv", "run", "--launcher", "direct", "--preset", "torch-srun", "--"], "1"),
        ([".lumienv/bin/"], None),
    ],
    ids=["plain", "what only a task knows", "a launcher"],
)
def test_a_task_becomes_the_runtime_with_no_process_and_one_sh_at_most_before_it(
    project: Workspace,
    require: Callable[[bool, str], None],
    tmp_path: Path,
    before: list[str],
    rank: str | None,
) -> None:
    require(shutil.which("strace") is not None, "no strace here: install Debian's package of that name")
    if before[0] == "lumienv":
        words = [*project.command(*before[1:]), "python"]
    else:
        words = [f"{project.directory}/{before[0]}python"]
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=execve,clone,clone3,fork,vfork", "-o", str(trace)]
    done = project.shell([*strace, *words, "-c", RANK.format(rank=repr(rank))], **STEP)

    assert done.status == 0, done.err
    traced = Traced.of(trace.read_text())
    names = [name for _, name in traced.programs]
    at = next(place for place, name in enumerate(names) if name in RUNTIMES)
    assert names[:at] == [Path(words[0]).name, *(["sh"] if rank else [])]
    assert len({process for process, _ in traced.programs[: at + 1]}) == 1
    assert traced.children == []
    # What comes then is the runtime's own: of shells there is none, and the command is the last.
    assert not SHELLS & set(names[at:])
    assert names.count("python") == (1 if before[0] == "lumienv" else 2)
    assert names[-1] == "python"
