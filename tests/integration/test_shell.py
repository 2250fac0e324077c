"""`lumienv shell` at a terminal: what is typed runs in the environment, and its exit status comes back."""

import sys
from pathlib import Path

import pytest
from slurm_lab import PARTITION, allocation, at_terminal
from workspace import Workspace, make_workspace

pytestmark = pytest.mark.unprivileged

WHERE = "python -c 'import sys; print(sys.prefix)'; echo done1"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, cache: Path, small_image: Path) -> Workspace:
    """The name of its folder is what a shell would run if it stood in a prompt."""
    made = make_workspace(tmp_path_factory.mktemp("shell") / "my$(touch run)project", cache, **PARTITION)
    made.write(f'path = "{small_image}"', more="[run.env]\nMINE = 'a $(id)'\n")
    made.lumienv("sync")
    return made


def at_shell(
    project: Workspace, *typed: str, words: tuple[str, ...] = (), **variables: str
) -> tuple[int, str]:
    env = project.environment({"TERM": "dumb", "PROMPT_COMMAND": "no-such-command", **variables})
    return at_terminal(project.command("shell", *words), typed, project.directory, env)


def test_a_shell_in_an_image_that_has_no_bash(image: Workspace) -> None:
    status, shown = at_shell(image, WHERE, 'printf "<%s>\\n" "$MINE"; echo done2', "exit 7")
    assert status == 7, shown
    assert "\n/opt/lumienv\n" in shown
    assert "<a $(id)>" in shown
    assert "(mytouchrunproject) $ " in shown
    assert not (image.directory / "run").exists()


def test_a_shell_on_the_hosts_python_is_bash_without_what_the_user_has_set_for_it(
    tmp_path: Path, cache: Path
) -> None:
    project = make_workspace(tmp_path / "project", cache, HOME=str(tmp_path))
    project.write(f'host = "{sys.executable}"')
    project.lumienv("sync")
    (tmp_path / ".bashrc").write_text("echo rc-was-read; PS1=mine\n")
    status, shown = at_shell(project, "cd /tmp; echo done1", WHERE, "exit 3")
    assert status == 3, shown
    assert f"\n{project.current.resolve()}/tree\n" in shown
    assert "(project) /tmp" in shown
    assert "rc-was-read" not in shown
    assert "no-such-command" not in shown


def test_a_shell_inside_an_allocation_is_on_its_node_and_leaves_room_for_steps(
    image: Workspace, slurm: None
) -> None:
    with allocation(image, "-N2", "-n2") as room:
        typed = ("echo step-$SLURM_STEP_ID-$SLURM_NTASKS; echo done1", WHERE, "exit 4")
        status, shown = at_shell(image, *typed, **room.variables, SLURM_NTASKS="2")
    assert status == 4, shown
    assert "\nstep-0-1\n" in shown
    assert "\n/opt/lumienv\n" in shown


def test_what_would_be_started_can_be_seen(image: Workspace) -> None:
    line = image.lumienv("shell", "--print", "--launcher", "srun", "--srun=-pdebug")
    assert " srun --export=ALL --pty --overlap --nodes=1 --ntasks=1 -pdebug " in line
