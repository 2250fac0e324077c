"""What a shell holds that reaches into containers unasked."""

import os
from pathlib import Path

import pytest
from checkup import Checkup, told

from lumienv.project.checks_shell import (
    bind_sources,
    check_binds_of_shell,
    check_locale,
    check_modules,
    check_pip,
    check_umask,
    check_user_packages,
    check_variables,
)
from lumienv.runtime.singularity import Singularity
from lumienv.site import Site

LUMI = Site("lumi")


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


def test_the_sources_of_binds_are_what_stands_before_the_first_colon() -> None:
    assert bind_sources("/a:/b:ro,/c,/d.sqfs:/e:image-src=/,ro") == ["/a", "/c", "/d.sqfs"]
    assert bind_sources("") == []


def test_a_bind_whose_source_is_gone_is_a_problem(here: Checkup) -> None:
    case = here.case(SINGULARITY_BIND=f"/no/such,{here.folder}:/x")
    assert told(check_binds_of_shell, case) == [
        "problem binds: SINGULARITY_BIND names /no/such, which is not on this node: plain singularity "
        "fails → unset SINGULARITY_BIND, or unload the module that sets it"
    ]


def test_singularityce_reads_no_variables_of_apptainers(here: Checkup) -> None:
    ce = here.case(runtime=Singularity("/s", "singularity"), APPTAINER_BIND="/no/such")
    apptainer = here.case(runtime=Singularity("/a", "apptainer"), APPTAINER_BIND="/no/such")
    assert told(check_binds_of_shell, ce) == []
    assert len(told(check_binds_of_shell, apptainer)) == 1


def test_binds_that_are_there_are_fine(here: Checkup) -> None:
    case = here.case(APPTAINER_BINDPATH=str(here.folder))
    assert told(check_binds_of_shell, case, all_=True) == [
        "fine binds: all paths of APPTAINER_BINDPATH are there"
    ]


def test_variables_that_other_pythons_use_are_noted_one_by_one(here: Checkup) -> None:
    case = here.case(PYTHONPATH="/x", LD_PRELOAD="/l.so", SINGULARITYENV_PREPEND_PATH="/p")
    assert told(check_variables, case) == [
        "note variables: PYTHONPATH is set and goes before all packages of a container; lumienv run sets it "
        "aside, plain singularity does not → unset PYTHONPATH",
        "note variables: LD_PRELOAD is set and names libraries of the host, which a container does not have; "
        "lumienv run sets it aside, plain singularity does not → unset LD_PRELOAD",
        "note variables: SINGULARITYENV_PREPEND_PATH is handed to every container → "
        "unset SINGULARITYENV_PREPEND_PATH",
    ]


def test_an_active_environment_is_noted_with_what_leaves_it(here: Checkup) -> None:
    said = told(check_variables, here.case(CONDA_PREFIX="/opt/conda", VIRTUAL_ENV=f"{here.home}/venv"))
    assert [line.rpartition(" → ")[2] for line in said] == ["deactivate", "conda deactivate"]
    assert "a venv is active (~/venv)" in said[0]


def test_a_clean_shell_is_fine(here: Checkup) -> None:
    assert told(check_variables, here.case()) == []
    assert told(check_modules, here.case()) == []


@pytest.mark.parametrize(
    ("module", "verdict"),
    [
        ("singularity-bindings/24.03", "problem"),
        ("singularity-CPEbits/24.03", "problem"),
        ("singularity-AI-bindings/24.03", "note"),
        ("lumi-aif-singularity-bindings/0.1", "note"),
        ("PyTorch/2.7.1-rocm-6.2.4-python-3.12-singularity-20250827", "note"),
    ],
)
def test_a_module_that_gets_in_the_way_is_named_with_what_unloads_it(
    here: Checkup, module: str, verdict: str
) -> None:
    case = here.case(site=LUMI, LOADEDMODULES=f"LUMI/24.03:{module}:cray-python/3.11")
    (finding,) = check_modules(case)
    assert (finding.verdict, finding.facts.split()[0]) == (verdict, module)
    assert finding.remedy == f"module unload {module.partition('/')[0]}"
    assert finding.source


def test_modules_of_lumi_say_nothing_about_other_sites(here: Checkup) -> None:
    case = here.case(LOADEDMODULES="singularity-bindings/24.03")
    assert told(check_modules, case, all_=True) == ["fine modules: none of the 1 that are loaded"]


def test_the_old_folders_of_csc_on_path_are_noted(here: Checkup) -> None:
    old, like = "/appl/local/csc/soft/ai/bin", "/appl/local/csc/soft/air/bin"
    (said,) = told(check_modules, here.case(site=LUMI, PATH=f"/usr/bin:{old}:{like}"))
    assert said.startswith(f"note modules: {old} is of CSC's old modules")


def installed(home: Path, version: str, *names: str) -> None:
    for name in names:
        (home / f".local/lib/python{version}/site-packages/{name}-1.0.dist-info").mkdir(parents=True)


def test_packages_in_the_users_own_folder_are_noted_by_name(here: Checkup) -> None:
    installed(here.home, "3.12", "einops", "wandb")
    assert told(check_user_packages, here.case()) == [
        "note packages in ~/.local: ~/.local/lib/python3.12/site-packages has einops and wandb, which "
        "Python 3.12 of every image sees; not so in lumienv run → "
        "mv ~/.local/lib/python3.12/site-packages ~/.local/lib/python3.12/site-packages.off"
    ]


def test_without_any_package_there_the_folder_may_be(here: Checkup) -> None:
    (here.home / ".local/lib/python3.12/site-packages").mkdir(parents=True)
    assert told(check_user_packages, here.case(), all_=True) == ["fine packages in ~/.local: none"]


def test_pips_index_is_named_by_its_host_alone(here: Checkup) -> None:
    address = "https://ada:secret@packages.example.org/simple?token=x"
    case = here.case(PIP_INDEX_URL=address, PIP_CONFIG_FILE=os.devnull)
    assert told(check_pip, case, all_=True) == ["fine pip: packages come from packages.example.org"]


def test_further_places_of_pips_are_noted(here: Checkup) -> None:
    conf = here.home / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "[global]\nextra-index-url = https://ada:secret@packages.example.org/simple\nno-index = 1\n"
    )
    case = here.case(PIP_FIND_LINKS="/wheels", XDG_CONFIG_DIRS="/nowhere")
    assert told(check_pip, case) == [
        "note pip: pip is told to use no index (no-index); lumienv uses the one of uv all the same → "
        "[[index]] in lumienv.toml names another",
        "note pip: pip's extra-index-url and find-links are not taken over by lumienv → "
        "[[index]] in lumienv.toml, if packages are to come from there",
    ]


def test_a_pip_configuration_that_cannot_be_read_is_a_problem_without_its_lines(here: Checkup) -> None:
    conf = here.home / "pip.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("index-url = https://ada:secret@packages.example.org\n")
    (said,) = told(check_pip, here.case(PIP_CONFIG_FILE=str(conf)))
    assert said.startswith("problem pip: cannot read pip's configuration")
    assert "secret" not in said


@pytest.mark.parametrize("name", ["", "C", "POSIX", "C.UTF-8", "fi_FI.utf8", "en_GB.UTF-8"])
def test_a_locale_of_utf8_is_fine(here: Checkup, name: str) -> None:
    assert told(check_locale, here.case(LANG=name)) == []


def test_another_locale_is_noted_and_lc_all_goes_first(here: Checkup) -> None:
    (said,) = told(check_locale, here.case(LANG="C.UTF-8", LC_ALL="fi_FI"))
    assert said.startswith("note locale: the locale fi_FI is not of UTF-8")
    assert said.endswith("→ export LC_ALL=C.UTF-8")


@pytest.mark.parametrize(("mask", "said"), [("0000", "everybody may write"), ("0007", ""), ("0022", "")])
def test_a_umask_that_lets_everybody_write_is_noted(here: Checkup, mask: str, said: str) -> None:
    here.file("/proc/self/status", f"Name:\tlumienv\nUmask:\t{mask}\nState:\tR\n")
    found = told(check_umask, here.case())
    assert (said in found[0]) if said else found == []


def test_a_umask_that_cannot_be_read_is_left_out(here: Checkup) -> None:
    assert told(check_umask, here.case(), all_=True) == []
