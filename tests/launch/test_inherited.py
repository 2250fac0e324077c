"""What a command inherits, what is withheld from it, and what binds of the user's shell become."""

import pytest

from lumienv.launch.inherited import WITHHELD, unused_binds, withheld
from lumienv.runtime import Bind
from lumienv.runtime.singularity import APPTAINER, SINGULARITY

# What the issue of a launch names as the user's: none of it may ever come to stand in the data.
WANTED = (
    *("SLURM_PROCID", "SLURM_JOB_ID", "PMI_RANK", "PMIX_RANK", "http_proxy", "HTTPS_PROXY", "no_proxy"),
    *(
        "LANG",
        "LC_ALL",
        "TZ",
        "USER",
        "TMPDIR",
        "SSL_CERT_FILE",
        "NCCL_SOCKET_IFNAME",
        "FI_CXI_DEFAULT_CQ_SIZE",
    ),
    *("MPICH_GPU_SUPPORT_ENABLED", "ROCR_VISIBLE_DEVICES", "OMP_NUM_THREADS", "WANDB_API_KEY", "HF_HOME"),
    *(
        "PYTHONUNBUFFERED",
        "PYTHONHASHSEED",
        "PYTHONWARNINGS",
        "PYTHONFAULTHANDLER",
        "PIP_INDEX_URL",
        "EDITOR",
    ),
    *(
        "SINGULARITY_TMPDIR",
        "SINGULARITY_CACHEDIR",
        "APPTAINER_NV",
        "SINGULARITYENV_MINE",
        "APPTAINERENV_MINE",
    ),
)


@pytest.mark.parametrize("flavour", [APPTAINER, SINGULARITY, "host"])
def test_what_the_user_wants_there_is_never_withheld(flavour):
    assert set(withheld(flavour, "", {})) & set(WANTED) == set()


@pytest.mark.parametrize("name", ["CONDA_PREFIX", "VIRTUAL_ENV_PROMPT", "PIP_USER", "PYTHONUSERBASE"])
@pytest.mark.parametrize("flavour", [APPTAINER, SINGULARITY, "host"])
def test_other_environments_of_the_host_are_withheld_from_every_command(flavour, name):
    assert name in withheld(flavour, "/usr", {})


@pytest.mark.parametrize("name", ["LD_PRELOAD", "BASH_ENV", "PYTHONSTARTUP", "PWD"])
def test_files_of_the_host_are_withheld_from_containers_alone(name):
    assert name in withheld(APPTAINER, "", {})
    assert name not in withheld("host", "", {})


def test_a_host_python_of_the_active_conda_environment_keeps_condas_variables():
    active = {"CONDA_PREFIX": "/conda/envs/mine"}
    assert "CONDA_PREFIX" not in withheld("host", "/conda/envs/mine", active)
    assert "CONDA_PREFIX" in withheld("host", "/usr", active)
    assert "CONDA_PREFIX" in withheld(APPTAINER, "/conda/envs/mine", active)


def test_options_of_the_runtime_are_withheld_under_the_prefixes_that_it_reads():
    assert {"APPTAINER_BIND", "SINGULARITY_BIND"} <= set(withheld(APPTAINER, "", {}))
    assert "SINGULARITY_WRITABLE_TMPFS" in withheld(SINGULARITY, "", {})
    assert not [name for name in withheld(SINGULARITY, "", {}) if name.startswith("APPTAINER")]
    assert not [name for name in withheld("host", "", {}) if "BIND" in name]


def test_the_names_do_not_depend_on_what_is_set_where_the_line_is_printed():
    here = {"SINGULARITY_BIND": "/a", "LD_PRELOAD": "/x.so", "CONDA_PREFIX": "/conda"}
    assert withheld(APPTAINER, "", here) == withheld(APPTAINER, "", {})


def test_every_name_has_a_reason_and_stands_there_once():
    names = [name for entry in WITHHELD for name in entry.names]
    assert len(names) == len(set(names))
    assert all(entry.reason and set(entry.where) <= {"container", "host"} for entry in WITHHELD)


def test_paths_that_nothing_else_binds_are_told_once_and_the_others_not():
    binds = [Bind("/scratch", "/scratch"), Bind("/x", "/y")]
    module = {
        "SINGULARITY_BIND": "/scratch/project_465000000,/opt/cray:/opt/cray:ro,/x",
        "SINGULARITY_BINDPATH": "/x",
    }
    assert unused_binds(SINGULARITY, module, binds) == (
        "SINGULARITY_BIND and SINGULARITY_BINDPATH are not used (/opt/cray, /x); "
        "name what is to be seen in [run] bind"
    )
    assert unused_binds(SINGULARITY, {"SINGULARITY_BIND": "/scratch,/scratch/a:/b"}, binds) is None
    assert unused_binds(SINGULARITY, {"APPTAINER_BIND": "/opt"}, binds) is None
    assert unused_binds("host", {"SINGULARITY_BIND": "/opt"}, binds) is None


def test_an_overlay_of_the_users_is_told_too():
    said = unused_binds(APPTAINER, {"APPTAINER_OVERLAY": "/my.img"}, [])
    assert said == "APPTAINER_OVERLAY is not used; name what is to be seen in [run] bind"
