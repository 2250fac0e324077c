"""The project on this machine: image, lock, environment, store, `[run]`."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from checkup import Checkup, told
from generations import described

from lumienv.overlay.store import Store
from lumienv.project.checks_project import (
    check_environment,
    check_image,
    check_lock,
    check_room_for_sync,
    check_run_table,
    check_store,
)
from lumienv.project.finding import Case
from lumienv.project.status import EnvironmentStatus, ImageStatus, LockStatus, Status
from lumienv.site import Site

HOST = f'[image]\nhost = "{sys.executable}"\n'
SIF = '[image]\npath = "x.sif"\n[sync]\nmode = "sif"\n'
UP_TO_DATE = Status(ImageStatus("x.sif", known=True), LockStatus(3), (), "", "")


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


def seen(here: Checkup, toml: str = HOST, status: Status = UP_TO_DATE, **more: object) -> Case:
    """A case whose project `lumienv status` has looked at."""
    return replace(here.case(toml=toml, **more), status=status)  # type: ignore[arg-type]


def test_an_image_that_is_gone_is_a_problem(here: Checkup) -> None:
    image = ImageStatus("x.sif", problem="x.sif does not exist")
    gone = replace(UP_TO_DATE, image=image, remedy="lumienv image list")
    assert told(check_image, seen(here, status=gone)) == [
        "problem image: x.sif does not exist → lumienv image list"
    ]


def test_a_python_of_the_machine_is_looked_for_and_not_started(here: Checkup) -> None:
    started = here.folder / "started"
    python = here.program("python-that-tells", f"touch {started}")
    assert told(check_image, seen(here, '[image]\nhost = "python-that-tells"\n')) == []
    assert told(check_image, seen(here, f'[image]\nhost = "{python}"\n')) == []
    (said,) = told(check_image, seen(here, '[image]\nhost = "no-such-python"\n'))
    assert said.startswith("problem image: there is no Python called no-such-python on this machine")
    assert not started.exists()


def test_a_stale_lock_is_a_note_and_inside_a_job_a_problem(here: Checkup) -> None:
    stale = replace(UP_TO_DATE, lock=LockStatus(3, "it is old"), problem="it is old", remedy="lumienv sync")
    login, job = seen(here, status=stale), seen(here, status=stale, SLURM_JOB_ID="1")
    assert told(check_lock, login) == ["note lock: it is old → lumienv sync"]
    assert told(check_environment, login) == ["note environment: it is old → lumienv sync"]
    assert told(check_lock, job) == ["problem lock: it is old → lumienv sync"]
    assert told(check_environment, job) == ["problem environment: it is old → lumienv sync"]


def test_a_damaged_lock_is_a_problem(here: Checkup) -> None:
    case = seen(here)
    assert case.project is not None
    case.project.lock_path.write_text("no lock [")
    (said,) = told(check_lock, case)
    assert said.startswith("problem lock: ")


def test_what_is_up_to_date_is_fine(here: Checkup) -> None:
    one = EnvironmentStatus(here.folder, "squashfs", "", (), 1, True, False)
    case = seen(here, status=replace(UP_TO_DATE, environments=(one,)))
    assert told(check_lock, case, all_=True) == ["fine lock: up to date, 3 packages"]
    assert told(check_environment, case, all_=True) == ["fine environment: up to date, squashfs"]


def test_an_editable_folder_that_is_gone_is_a_problem(here: Checkup) -> None:
    case = seen(here)
    assert case.project is not None
    store = Store(case.project.manifest.store_path)
    with store.writing(lambda _: None), store.staging() as staged:
        (staged / "tree").mkdir()
        store.select(store.publish(staged, described(store, editable=("/no/such/folder",))))
    (said,) = told(check_environment, case)
    assert said.startswith(
        "problem sources: the folder /no/such/folder, which is installed editable, is gone"
    )


def test_a_tree_of_small_files_on_lustre_is_noted(here: Checkup) -> None:
    here.file("/proc/self/mountinfo", f"2 1 0:2 / {here.folder} rw - lustre server rw\n")
    case = seen(here)
    assert case.project is not None
    case.project.manifest.store_path.mkdir()
    assert told(check_store, case) == [
        f"note store: {here.folder}/project/.lumienv is on Lustre, and the mode venv puts thousands of small "
        "files there → lumienv sync --mode squashfs"
    ]
    assert told(check_store, seen(here, HOST + '[sync]\nmode = "squashfs"\n')) == []


def test_what_a_killed_sync_has_left_is_noted(here: Checkup) -> None:
    case = seen(here)
    assert case.project is not None
    (case.project.manifest.store_path / "generations" / ".staging-n-1-x").mkdir(parents=True)
    (said,) = told(check_store, case)
    assert "1 folders in" in said
    assert said.endswith("→ lumienv clean")


def test_many_older_environments_are_noted(here: Checkup) -> None:
    one = EnvironmentStatus(here.folder, "venv", "", (), 1, True, False)
    case = seen(here, status=replace(UP_TO_DATE, environments=(one,) * 7))
    (said,) = told(check_store, case)
    assert said.endswith("holds 6 older environments → lumienv clean --dry-run")


def test_variables_and_binds_of_run_have_to_be_there(here: Checkup) -> None:
    toml = HOST + '[run]\nbind = ["/no/such:/x", "."]\n[run.env]\nKEY = { from = "host" }\nA = "b"\n'
    assert told(check_run_table, seen(here, toml)) == [
        "problem [run]: [run] env: KEY is taken from the host, where KEY is not set → export KEY=…",
        "problem [run]: [run] bind: /no/such does not exist here, and no container starts without it → "
        "mkdir -p /no/such, or remove the bind",
    ]


def test_a_bind_that_no_launch_could_read_is_not_taken_for_good(here: Checkup) -> None:
    toml = HOST + '[run]\nbind = [".:relative"]\n'
    assert told(check_run_table, seen(here, toml)) == [
        "problem [run]: the bind .:relative cannot be read → write source[:target[:ro]]"
    ]


def test_a_secret_that_is_there_is_not_shown(here: Checkup) -> None:
    toml = HOST + '[run]\nbind = ["."]\n[run.env]\nKEY = { from = "host" }\n'
    said = told(check_run_table, seen(here, toml, KEY="s3cret"), all_=True)
    assert said == ["fine [run]: 1 variables and 1 binds: all there"]


def test_room_for_an_image_is_that_of_unpacking_and_packing_it(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = here.folder / "x.sif"
    image.write_bytes(b"x" * 1000)
    status = replace(UP_TO_DATE, image=ImageStatus("x.sif", path=str(image)))
    assert told(check_room_for_sync, seen(here, SIF, status)) == []
    os.truncate(image, 1 << 43)  # a file with a hole: 8 TB of nothing
    (said,) = told(check_room_for_sync, seen(here, SIF, status, site=Site("lumi", scratch=here.folder)))
    assert said.startswith("problem room for the image: there is not enough room for the environment")
    assert "unpacking the base image" in said
