"""Slurm's commands, partitions and variables; the programs here say what Slurm 22.05 says."""

from pathlib import Path

import pytest
from checkup import Checkup, told

from lumienv.project.checks_slurm import Partition, check_slurm, check_slurm_variables, read_partitions
from lumienv.site import Site

PARTITIONS = """\
PartitionName=small AllowGroups=ALL Default=YES MaxTime=3-00:00:00 OverSubscribe=NO State=UP TotalNodes=2
PartitionName=standard-g AllowGroups=ALL Default=NO OverSubscribe=EXCLUSIVE State=UP TotalNodes=2
PartitionName=old OverSubscribe=NO State=DOWN TotalNodes=2
"""
SCONTROL = f"case $1 in --version) echo slurm 22.05.8;; *) echo '{PARTITIONS}';; esac"
TOML = '[image]\nhost = "python3"\n[slurm]\n'


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    made = Checkup(tmp_path)
    for name in ("srun", "salloc", "squeue", "sbatch"):
        made.program(name, "exit 0")
    made.program("scontrol", SCONTROL)
    return made


def test_partitions_are_read_with_what_jobs_have_there() -> None:
    assert read_partitions(PARTITIONS) == {
        "small": Partition("small", up=True, whole_nodes=False),
        "standard-g": Partition("standard-g", up=True, whole_nodes=True),
        "old": Partition("old", up=False, whole_nodes=False),
    }


def test_a_cluster_that_answers_is_fine(here: Checkup) -> None:
    said = told(check_slurm, here.case(SLURM_CLUSTER_NAME="lumi"), all_=True)
    assert said == ["fine cluster: slurm 22.05.8 answers for lumi, with 3 partitions"]


def test_no_slurm_is_fine_but_not_on_a_site_that_has_one(tmp_path: Path) -> None:
    bare = Checkup(tmp_path)
    site = Site("lumi", whole_node_partitions=("standard-g",))
    assert told(check_slurm, bare.case(programs="")) == []
    (said,) = told(check_slurm, bare.case(site=site, programs=""))
    assert said.startswith("problem commands: none of Slurm's is on PATH")


def test_a_command_that_is_missing_is_noted(here: Checkup) -> None:
    (here.folder / "bin" / "salloc").unlink()
    said = told(check_slurm, here.case(programs="/nowhere"))
    assert said == ["note commands: not on PATH: salloc → log in anew"]


def test_a_cluster_that_does_not_answer_is_a_problem_and_asked_nothing_more(here: Checkup) -> None:
    here.program(
        "scontrol",
        'case $* in --version) echo slurm 22.05.8;; *) echo "slurm_load_partitions: Unable to contact slurm '
        'controller (connect failure)" >&2; exit 1;; esac',
    )
    site = Site("lumi", whole_node_partitions=("standard-g",))
    case = here.case(site=site, toml=TOML + 'partition = "x"\n', programs="/bin")
    assert told(check_slurm, case) == [
        "problem cluster: slurm 22.05.8 does not answer: slurm_load_partitions: Unable to contact slurm "
        "controller (connect failure) → try again in a minute; then: sinfo"
    ]


def test_partitions_of_the_profile_have_to_be_there_and_to_give_whole_nodes(here: Checkup) -> None:
    good = Site("lumi", whole_node_partitions=("standard-g",))
    bad = Site("lumi", whole_node_partitions=("small", "standard", "standard-g"))
    assert told(check_slurm, here.case(site=good)) == []
    assert told(check_slurm, here.case(site=bad)) == [
        "note partitions: the profile of lumi names standard, which this cluster does not have → "
        "sinfo -s; tell the maintainers of the site's profile",
        "problem partitions: jobs in small may share nodes, while the profile takes them for whole → "
        "srun --exclusive; tell the maintainers of the site's profile",
    ]


def test_a_partition_of_the_project_that_is_not_there_is_a_problem_with_those_that_are(here: Checkup) -> None:
    said = told(check_slurm, here.case(toml=TOML + 'partition = "standrad-g"\n'))
    assert said == [
        "problem [slurm]: [slurm] partition: this cluster has no standrad-g → "
        "there are: small, standard-g, old"
    ]


def test_a_job_that_slurm_would_refuse_is_told_with_slurms_words(here: Checkup) -> None:
    here.program(
        "sbatch",
        'echo "allocation failure: Invalid account or account/partition combination specified" >&2; exit 1',
    )
    case = here.case(toml=TOML + 'account = "project_1"\npartition = "small"\n')
    assert told(check_slurm, case) == [
        "problem [slurm]: a job with --account=project_1 --partition=small would be refused: Invalid account "
        "or account/partition combination specified → change [slurm] in lumienv.toml; your accounts: "
        "sacctmgr show assoc"
    ]


def test_only_what_asks_for_access_is_tried_and_nothing_is_submitted(here: Checkup) -> None:
    words = here.folder / "words"
    here.program("sbatch", f'printf "%s\\n" "$@" > {words}')
    toml = TOML + 'account = "a b"\nexclusive = true\noutput = "/etc/x"\nget-user-env = true\nhint = "x"\n'
    assert told(check_slurm, here.case(toml=toml)) == []
    assert words.read_text().splitlines() == ["--test-only", "--account=a b", "--exclusive", "--wrap", "true"]


def test_a_partition_that_is_down_is_noted(here: Checkup) -> None:
    assert told(check_slurm, here.case(toml=TOML + 'partition = "old"\n')) == [
        "note [slurm]: the partition old is not up: jobs wait → sinfo -s"
    ]


# -- variables


def test_an_export_of_nothing_is_noted(here: Checkup) -> None:
    case = here.case(SLURM_EXPORT_ENV="NONE", SBATCH_EXPORT="ALL,X=1")
    assert told(check_slurm_variables, case) == [
        "note variables: SLURM_EXPORT_ENV=NONE: plain srun and sbatch leave your variables behind; "
        "lumienv run does not → unset SLURM_EXPORT_ENV"
    ]


def test_cpus_that_srun_does_not_take_over_are_noted_in_a_job(here: Checkup) -> None:
    job = {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "7"}
    (said,) = told(check_slurm_variables, here.case(**job))
    assert said.startswith("note variables: the job has 7 CPUs a task, but srun gives a task one")
    assert said.endswith("→ export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK")
    assert told(check_slurm_variables, here.case(SRUN_CPUS_PER_TASK="7", **job)) == []
    assert told(check_slurm_variables, here.case(toml=TOML + "cpus-per-task = 7\n", **job)) == []


def test_variables_of_a_job_that_has_ended_are_noted(here: Checkup) -> None:
    said = told(check_slurm_variables, here.case(SLURM_NTASKS="8", SRUN_CPUS_PER_TASK="7"))
    assert [line.rpartition(" → ")[2] for line in said] == ["unset SRUN_CPUS_PER_TASK", "unset SLURM_NTASKS"]


def test_a_shell_without_any_of_them_is_fine(here: Checkup) -> None:
    assert told(check_slurm_variables, here.case()) == []
