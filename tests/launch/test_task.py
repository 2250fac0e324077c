"""What a task works out: the one line of shell, under the shells that may read it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import ManifestError
from lumienv.launch.task import filled, is_of_the_task, task_words

SHELLS = ["dash", "bash"]
SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('S_')}))"


def exported(
    shell: str, values: Mapping[str, str], environ: Mapping[str, str], folder: str = "/tmp", user: str = "ada"
) -> dict[str, str]:
    """The variables that the command finds, their prefix taken off."""
    words = [shell, *task_words(values, "S_", folder, user)[1:], sys.executable, "-ISc", SHOW]
    env = {"PATH": "/usr/bin:/bin", **environ}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, str] = json.loads(done.stdout)
    return {name.removeprefix("S_"): value for name, value in found.items()}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("nid001", "nid001"),
        ("nid001,nid005", "nid001"),
        ("nid[001-003,7],a1", "nid001"),
        ("nid[005001-005002,005010]", "nid005001"),
        ("nid[003,007]", "nid003"),
        ("a1,nid[001-003]", "a1"),
        ("gpu-node[01-02]", "gpu-node01"),
        ("gpu-node7", "gpu-node7"),
        ("gpu-node7,gpu-node9", "gpu-node7"),
        ("", ""),
    ],
)
def test_the_first_node_is_read_from_slurms_list(shell: str, nodes: str, first: str) -> None:
    found = exported(shell, {"MASTER_ADDR": "{first-node}"}, {"SLURM_STEP_NODELIST": nodes})
    assert found == {"MASTER_ADDR": first}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ("8", ["8"]),
        ("8(x2)", ["8", "8"]),
        ("3,2(x2),1", ["3", "2", "2", "1"]),
        ("12(x10),1", [*["12"] * 10, "1"]),
        ("2,1", ["2", "1"]),
    ],
)
def test_each_node_finds_how_many_tasks_it_has(shell: str, tasks: str, expected: list[str]) -> None:
    for node, here in enumerate(expected):
        environ = {"SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_NODEID": str(node)}
        found = exported(shell, {"LOCAL_WORLD_SIZE": "{tasks-on-node}", "X": "a,b c"}, environ)
        assert found == {"LOCAL_WORLD_SIZE": here, "X": "a,b c"}


@pytest.mark.parametrize("shell", SHELLS)
def test_two_jobs_and_two_steps_of_one_have_ports_of_their_own(shell: str) -> None:
    def port(job: str, step: str) -> int:
        environ = {"SLURM_JOB_ID": job, "SLURM_STEP_ID": step}
        return int(exported(shell, {"MASTER_PORT": "{port}"}, environ)["MASTER_PORT"])

    ports = [port("1234567", "0"), port("1234568", "0"), port("1234567", "1"), port("1234567", "4294967290")]
    assert len(set(ports)) == 4
    assert ports[0] == 14567  # 1 and the last four digits, as LUMI's guides do it
    assert all(10000 <= number < 20000 for number in ports)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tasks_own_variables_are_taken_as_they_are_when_it_starts(shell: str) -> None:
    environ = {"SLURM_PROCID": "7", "SLURM_ODD": "$(id) `id` \"'\\ * a  b\n"}
    values = {"RANK": "{SLURM_PROCID}", "ODD": "<{SLURM_ODD}>", "NONE": "{SLURM_NOT_SET}"}
    assert exported(shell, values, environ) == {"RANK": "7", "ODD": f"<{environ['SLURM_ODD']}>", "NONE": ""}


_TEXT = st.text(st.characters(exclude_characters="\0{", exclude_categories=["Cs"]), max_size=30)
_NASTY = st.sampled_from(
    ["$(exit 3)", "`exit 3`", "'; exit 3; '", '"; exit 3; "', "$HOME", "\\", "a\nb", "-e", "*"]
)


@examples(60)
@given(before=st.one_of(_NASTY, _TEXT), behind=st.one_of(_NASTY, _TEXT), shell=st.sampled_from(SHELLS))
def test_the_text_of_a_template_is_never_run(before: str, behind: str, shell: str) -> None:
    environ = {"SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "nid[1-2]"}
    values = {"A": f"{before}{{SLURM_PROCID}}{behind}", "B": f"{before}{{first-node}}{behind}"}
    found = exported(shell, values, environ)
    assert found == {"A": f"{before}1{behind}", "B": f"{before}nid1{behind}"}


@examples(30)
@given(folder=st.one_of(_NASTY, _TEXT), user=st.one_of(_NASTY, _TEXT), shell=st.sampled_from(SHELLS))
def test_neither_a_folder_nor_a_users_name_is_ever_run(folder: str, user: str, shell: str) -> None:
    found = exported(shell, {"C": "{node-cache}/x"}, {"TMPDIR": "/tmp"}, f"/no/such/{folder}", user)
    assert found["C"].startswith("/tmp/tmp.")
    Path(found["C"]).parent.rmdir()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tasks_of_a_job_share_a_cache_on_the_node_that_nobody_else_reads(
    shell: str, tmp_path: Path
) -> None:
    def cache() -> Path:
        environ = {"SLURM_JOB_ID": "42"}
        return Path(exported(shell, {"C": "{node-cache}/triton"}, environ, str(tmp_path))["C"])

    assert cache() == cache() == tmp_path / "lumienv-ada-42" / "triton"
    assert cache().parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("trap", ["link", "file's owner"])
def test_a_cache_that_somebody_else_put_there_is_not_used(shell: str, trap: str, tmp_path: Path) -> None:
    place = tmp_path / "lumienv-ada-0"
    if trap == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    elif os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    else:
        place.mkdir()
        os.chown(place, 65534, 65534)
    environ = {"TMPDIR": str(tmp_path)}
    found = Path(exported(shell, {"C": "{node-cache}"}, environ, str(tmp_path))["C"])
    assert found != place
    assert found.parent == tmp_path
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_gets_its_words_as_they_are(shell: str) -> None:
    words = task_words({"RANK": "{SLURM_PROCID}"}, "", "/tmp", "ada")
    command = ["printf", "%s|", "a b", "$HOME", "", "*", "'"]
    done = subprocess.run([shell, *words[1:], *command], capture_output=True, text=True, check=True)
    assert done.stdout == "a b|$HOME||*|'|"


def test_the_line_becomes_the_command_so_that_signals_and_status_are_its_own() -> None:
    words = task_words({"RANK": "{SLURM_PROCID}"}, "", "/tmp", "ada")
    assert subprocess.run([*words, "sh", "-c", "kill -TERM $$"], check=False).returncode == -15
    assert subprocess.run([*words, "sh", "-c", "exit 7"], check=False).returncode == 7


def test_without_anything_to_work_out_there_is_no_shell() -> None:
    assert task_words({}, "S_", "/tmp", "ada") == []


def test_what_several_variables_need_is_worked_out_once() -> None:
    words = task_words({"A": "{first-node}:{port}", "B": "{first-node}"}, "", "/tmp", "ada")
    assert words[2].count("first=${SLURM_STEP_NODELIST") == 1


def test_what_nothing_fills_is_named() -> None:
    with pytest.raises(ManifestError, match=r"MASTER_ADDR in a preset has \{first-nod\}") as caught:
        task_words({"MASTER_ADDR": "{first-nod}"}, "", "/tmp", "ada")
    assert "first-node" in (caught.value.hint or "")


def test_known_numbers_are_filled_in_before_the_start() -> None:
    assert filled("{nodes}x{SLURM_PROCID}", {"nodes": 2}) == "2x{SLURM_PROCID}"
    assert filled("{nodes}", {"nodes": None}) is None
    assert filled("{tasks-on-node}", {"tasks-on-node": None}) == "{tasks-on-node}"
    assert filled("{tasks-on-node}", {"tasks-on-node": 8}) == "8"
    assert is_of_the_task("{SLURM_PROCID}")
    assert not is_of_the_task("{ a }")
