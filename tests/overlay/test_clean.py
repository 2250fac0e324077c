"""Which generations may go: none that somebody may be using."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from generations import described

from lumienv.overlay.clean import YOUNG, CleanOutcome, clean
from lumienv.overlay.generation import Generation, read_generation
from lumienv.overlay.launched import launch_text, write_launchers
from lumienv.overlay.leases import start_time, take_lease
from lumienv.overlay.queue import Queue
from lumienv.overlay.store import Store

IDLE = Queue({}, "lumi")
"""a Slurm that has no job"""


def publish(store: Store, digest: str, mode: str = "venv") -> Generation:
    generation = described(store, f"sha256:{digest * 64}", mode, lock=digest)
    with store.writing(pytest.fail), store.staging() as staged:
        if mode == "venv":
            (staged / "tree").mkdir()
            (staged / "tree" / "file").write_text(digest * 100)
        else:
            generation.at(staged).carrier.write_text(digest * 100)
        return store.publish(staged, generation)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def old(store: Store) -> Generation:
    """A generation that was replaced by another, a month ago."""
    made = publish(store, "a")
    publish(store, "b")
    age(made.path, 30)
    return made


def age(path: Path, days: float) -> None:
    at = time.time() - days * 86400
    os.utime(path, (at, at))


def run_clean(store: Store, queue: Queue | None = IDLE, *, fits: str = "b", **options: bool) -> CleanOutcome:
    with store.writing(pytest.fail):
        return clean(
            store, queue, lambda made: made.lock == fits, slurm=options.pop("slurm", True), **options
        )


def why(outcome: CleanOutcome, generation: Generation) -> str:
    """Why it stays; empty when it goes."""
    return {one.path: one.reason for one in outcome.kept}.get(generation.path, "")


def test_what_nobody_uses_goes_with_its_size_and_the_current_one_stays(store: Store, old: Generation) -> None:
    outcome = run_clean(store)
    assert [(gone.path, gone.size > 100) for gone in outcome.removed] == [(old.path, True)]
    assert [one.reason for one in outcome.kept] == ["it is the current one"]
    assert not old.path.exists()
    assert len(list(store.generations.iterdir())) == 1


def test_a_dry_run_says_the_same_and_removes_nothing(store: Store, old: Generation) -> None:
    take_lease(old.path, "lumi.1")
    age(store.root / "leases" / "lumi.1", 20)
    outcome = run_clean(store, dry_run=True)
    assert [gone.path for gone in outcome.removed] == [old.path]
    assert outcome.leases == 1
    assert (store.root / "leases" / "lumi.1").exists()
    assert read_generation(old.path) == old


def test_the_newest_of_another_mode_stays_while_it_fits_the_lock(store: Store) -> None:
    first, second = publish(store, "a", "squashfs"), publish(store, "b", "squashfs")
    publish(store, "b")
    for made in (first, second):
        age(made.path, 30)
    outcome = run_clean(store)
    assert why(outcome, second) == "it is the newest of the mode squashfs"
    assert why(outcome, first) == ""


@pytest.mark.parametrize("started", [None, 0.0])
def test_what_a_pending_or_running_job_has_a_lease_for_stays(
    store: Store, old: Generation, started: float | None
) -> None:
    take_lease(old.path, "lumi.7")
    age(store.root / "leases" / "lumi.7", 100)
    outcome = run_clean(store, Queue({"7": started}, "lumi"))
    assert why(outcome, old) == "job 7 uses it"
    assert (store.root / "leases" / "lumi.7").exists()


def test_when_slurm_cannot_be_asked_what_any_job_ever_used_stays(store: Store, old: Generation) -> None:
    take_lease(old.path, "lumi.7")
    age(store.root / "leases" / "lumi.7", 100)
    assert "Slurm cannot be asked" in why(run_clean(store, None), old)
    assert "Slurm cannot be asked" in why(run_clean(store, None, slurm=False), old)


@pytest.mark.parametrize(("days", "stays"), [(20, True), (89, True), (91, False)])
def test_what_a_job_of_another_cluster_used_stays_as_long_as_that_may_run(
    store: Store, old: Generation, days: int, stays: bool
) -> None:
    take_lease(old.path, "mahti.7")
    age(store.root / "leases" / "mahti.7", days)
    assert ("cluster mahti" in why(run_clean(store), old)) is stays


@pytest.mark.parametrize(("days", "stays"), [(1, True), (13.9, True), (14.1, False)])
@pytest.mark.parametrize("name", ["lumi.7", "nid005001.12.34"])
def test_a_lease_holds_for_fourteen_days_after_its_last_use(
    store: Store, old: Generation, name: str, days: float, stays: bool
) -> None:
    take_lease(old.path, name)
    lease = store.root / "leases" / name
    age(lease, days)
    outcome = run_clean(store)
    assert ("kept for 14 days" in why(outcome, old)) is stays
    assert (outcome.leases, lease.exists()) == ((0, True) if stays else (1, False))


def test_a_command_on_this_node_holds_as_long_as_it_runs(store: Store, old: Generation) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        take_lease(old.path, f"{os.uname().nodename}.{process.pid}.{start_time(process.pid)}")
        assert why(run_clean(store), old) == f"process {process.pid} on {os.uname().nodename} uses it"
        process.communicate(b"\n")
    outcome = run_clean(store)
    assert [gone.path for gone in outcome.removed] == [old.path]
    assert outcome.leases == 1


def test_another_process_of_the_same_number_does_not_hold_it(store: Store, old: Generation) -> None:
    take_lease(old.path, f"{os.uname().nodename}.{os.getpid()}.1")
    assert why(run_clean(store), old) == ""


@pytest.mark.parametrize("how", ["word", "variable", "open file", "folder"])
def test_what_a_process_of_this_node_has_in_hand_stays(store: Store, old: Generation, how: str) -> None:
    file = old.carrier / "file"
    env = dict(os.environ) | ({"PATH": f"{old.carrier}/bin"} if how == "variable" else {})
    words = [str(file)] if how == "word" else []
    cwd = old.carrier if how == "folder" else None
    with (
        file.open() as opened,
        subprocess.Popen(
            [sys.executable, "-c", "input()", *words],
            stdin=subprocess.PIPE,
            env=env,
            cwd=cwd,
            pass_fds=[opened.fileno()] if how == "open file" else [],
        ) as process,
    ):
        opened.close()
        assert why(run_clean(store), old) == f"process {process.pid} uses it"
        process.communicate(b"\n")
    assert why(run_clean(store), old) == ""


def test_a_lease_that_cannot_be_read_may_be_for_anything(store: Store, old: Generation) -> None:
    (store.root / "leases" / "lumi.7").symlink_to("/nowhere")
    assert why(run_clean(store, Queue({"7": None}, "lumi")), old) == "job 7 uses it"


@pytest.mark.parametrize(("ago", "stays"), [(40, True), (20, False)])
def test_a_job_that_began_before_the_switch_may_have_come_by_way_of_current(
    store: Store, old: Generation, ago: float, stays: bool
) -> None:
    """A line that `run --print` wrote takes no lease: it resolves `current` when it starts."""
    began = time.time() - ago * 86400
    outcome = run_clean(store, Queue({"9": began, "10": None}, "lumi", frozenset(("9", "10"))))
    assert why(outcome, old) == ("job 9 started before it was replaced, and may run in it" if stays else "")


def test_the_time_of_the_switch_is_noted_by_the_switch(store: Store) -> None:
    first = publish(store, "a")
    age(first.path, 30)
    publish(store, "b")
    queue = Queue({"9": time.time() - 60}, "lumi", frozenset(("9",)))
    assert "started before it was replaced" in why(run_clean(store, queue), first)


def test_somebody_elses_job_does_not_hold_what_is_not_shared(store: Store, old: Generation) -> None:
    assert why(run_clean(store, Queue({"9": 0.0}, "lumi")), old) == ""


def test_what_is_shared_stays_for_a_while_as_the_jobs_of_others_cannot_be_known(store: Store) -> None:
    first = publish(store, "a")
    with store.writing(pytest.fail):
        store.share(first)
    publish(store, "b")
    assert "it is shared" in why(run_clean(store), first)
    age(first.path, YOUNG / 86400 + 1)
    assert why(run_clean(store), first) == ""


def test_a_command_that_takes_its_lease_meanwhile_gets_the_generation_back(
    store: Store, old: Generation
) -> None:
    def late() -> bool:
        take_lease(old.path, "lumi.7")
        return False

    with store.writing(pytest.fail):
        assert not store.remove(old.path, late)
    assert read_generation(old.path) == old


def test_a_removal_that_was_killed_is_finished_by_the_next_writer(store: Store, old: Generation) -> None:
    old.path.rename(old.path.with_name(f".removing-{old.path.name}"))
    with store.writing(pytest.fail):
        pass
    assert [path.name[:5] for path in store.generations.iterdir()] == ["venv-"]


def test_what_lumienv_did_not_make_is_left_alone(store: Store, old: Generation) -> None:
    (store.generations / "mine").mkdir()
    (store.generations / "mine" / "data").write_text("mine")
    assert [gone.path for gone in run_clean(store).removed] == [old.path]
    assert (store.generations / "mine" / "data").exists()


def test_one_that_cannot_be_trusted_may_go_like_any_other(store: Store, old: Generation) -> None:
    old.path.chmod(0o777)
    assert [gone.path for gone in run_clean(store).removed] == [old.path]


def lease_of_launchers(store: Store, generation: Generation, host: str) -> None:
    path = store.root / "leases" / f"launchers.{generation.path.name}.{host}"
    path.touch()
    age(path, 300)


def test_what_launchers_started_on_another_node_keeps_it_for_two_weeks_after_it_was_replaced(
    store: Store, old: Generation
) -> None:
    lease_of_launchers(store, old, "uan02.example")
    age(old.path, 3.5)  # clocks of file systems are not those of programs

    assert why(run_clean(store), old).startswith("a launcher on uan02.example used it 3 days ago")
    age(old.path, 30)
    assert why(run_clean(store), old) == ""


def test_what_launchers_started_on_this_node_is_seen_as_processes(store: Store, old: Generation) -> None:
    lease_of_launchers(store, old, os.uname().nodename)
    age(old.path, 3)
    assert why(run_clean(store), old) == ""


def test_the_lease_of_launchers_lasts_as_long_as_the_environment(store: Store, old: Generation) -> None:
    current = publish(store, "c")
    lease_of_launchers(store, old, "uan02")
    lease_of_launchers(store, current, "uan02")

    run_clean(store)
    run_clean(store)

    left = [path.name for path in (store.root / "leases").iterdir()]
    assert left == [f"launchers.{current.path.name}.uan02"]


def test_the_environment_of_the_launchers_stays_where_a_sync_was_killed_before_it_wrote_them(
    store: Store, old: Generation
) -> None:
    write_launchers(store.root, launch_text(old.path.name, ""), ["python"])

    assert why(run_clean(store), old) == "the launchers start programs in it"
    write_launchers(store.root, launch_text("venv-another", ""), ["python"])
    assert why(run_clean(store), old) == ""
