"""The container runtime: what it says of itself, and what the machine allows."""

import importlib.util
import os
from pathlib import Path

import pytest
from checkup import Checkup, told

from lumienv.project.checks_machine import (
    check_configuration,
    check_privileges,
    check_runtime,
    check_tools,
    read_configuration,
)
from lumienv.project.finding import Case
from lumienv.runtime.singularity import Singularity
from lumienv.site import Site

CONF = "# max loop devices = 1\nmax loop devices = 256\nuser bind control = yes\nenable overlay = try\n"
HOST = '[image]\nhost = "python3"\n'
SIF = '[image]\npath = "x.sif"\n[sync]\nmode = "sif"\n'


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check says to a user who is not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def runtime(here: Checkup, flavour: str = "singularity", said: str = "singularity-ce version 4.1.3") -> Case:
    """A case whose runtime says `said`, and lies with its configuration below the folder."""
    program = here.program(
        flavour,
        f"case $1 in buildcfg) echo LIBEXECDIR={here.folder}/libexec; "
        f"echo {flavour.upper()}_CONF_FILE=/etc/x.conf;; *) echo {said!r};; esac",
    )
    return here.case(runtime=Singularity(str(program), flavour))


# -- which one


def test_the_runtime_is_told_with_its_version(here: Checkup) -> None:
    case = runtime(here)
    assert told(check_runtime, case, all_=True) == [
        f"fine runtime: singularity 4.1.3, {here.folder}/bin/singularity"
    ]


@pytest.mark.parametrize(("version", "noted"), [("1.3.3-1.el8", True), ("1.3.4", False), ("1.4.5", False)])
def test_an_old_apptainer_is_noted_where_images_are_appended_to(
    here: Checkup, version: str, noted: bool
) -> None:
    program = here.program("apptainer", f"echo apptainer version {version}")
    case = here.case(runtime=Singularity(str(program), "apptainer"), toml=SIF + '[sif]\nbuilder = "append"\n')
    said = told(check_runtime, case)
    assert [line.startswith(f"note runtime: Apptainer {version} does not mount") for line in said] == [
        True for _ in range(noted)
    ]


def test_without_a_runtime_the_way_out_is_that_of_run(here: Checkup) -> None:
    (said,) = told(check_runtime, here.case(programs="/nowhere"))
    assert said.startswith("problem runtime: no container runtime was found")
    assert "[image] host" in said


def test_a_project_on_a_python_of_the_machine_needs_none(here: Checkup) -> None:
    assert told(check_runtime, here.case(programs="/nowhere", toml=HOST)) == []


def test_a_runtime_that_does_not_answer_is_a_problem(here: Checkup) -> None:
    here.program("singularity", "echo 'library not found' >&2; exit 127")
    case = here.case(runtime=Singularity(f"{here.folder}/bin/singularity", "singularity"))
    (said,) = told(check_runtime, case)
    assert said == (
        f"problem runtime: {here.folder}/bin/singularity does not tell its version: library not found → "
        f"{here.folder}/bin/singularity --version"
    )


# -- privileges


@pytest.mark.usefixtures("somebody")
def test_a_setuid_runtime_needs_neither_namespaces_nor_fuse(here: Checkup) -> None:
    starter = here.folder / "libexec/singularity/bin/starter-suid"
    starter.parent.mkdir(parents=True)
    starter.touch()
    starter.chmod(0o4755)
    assert told(check_privileges, runtime(here), all_=True) == [
        "fine privileges: the runtime is installed setuid root"
    ]


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/proc/sys/user/max_user_namespaces", "0\n"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0\n"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
    ],
)
def test_forbidden_user_namespaces_are_a_problem_without_setuid(here: Checkup, path: str, text: str) -> None:
    here.file("/proc/sys/user/max_user_namespaces", "1000\n")
    here.file(path, text)
    here.file("/dev/fuse")
    said = told(check_privileges, runtime(here))
    assert said[0].startswith(f"problem privileges: the runtime is not setuid, and {path} forbids")


@pytest.mark.usefixtures("somebody")
def test_without_setuid_squashfuse_mounts_images(here: Checkup) -> None:
    here.file("/proc/sys/user/max_user_namespaces", "1000\n")
    here.file("/dev/fuse")
    here.program("squashfuse_ll", "")
    assert told(check_privileges, runtime(here), all_=True) == [
        "fine privileges: user namespaces are allowed (1000 for each user)",
        f"fine FUSE: /dev/fuse is open, {here.folder}/bin/squashfuse_ll mounts images",
    ]


@pytest.mark.usefixtures("somebody")
def test_without_fuse_images_would_be_unpacked(here: Checkup) -> None:
    here.file("/proc/sys/user/max_user_namespaces", "1000\n")
    (said,) = told(check_privileges, runtime(here))
    assert said.startswith("problem FUSE: /dev/fuse is not there")


def test_root_needs_nothing(here: Checkup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert told(check_privileges, runtime(here)) == []


# -- configuration


def test_the_configuration_is_read_line_by_line_without_its_comments() -> None:
    assert read_configuration(CONF) == {
        "max loop devices": "256",
        "user bind control": "yes",
        "enable overlay": "try",
    }


def test_a_usual_configuration_is_fine_and_its_loop_devices_are_told(here: Checkup) -> None:
    here.file("/etc/x.conf", CONF)
    assert told(check_configuration, runtime(here), all_=True) == [
        "fine configuration: /etc/x.conf: 256 loop devices on a node, shared: no"
    ]


def test_forbidden_binds_are_a_problem(here: Checkup) -> None:
    here.file("/etc/x.conf", CONF.replace("control = yes", "control = no"))
    (said,) = told(check_configuration, runtime(here))
    assert said.startswith("problem configuration: /etc/x.conf says user bind control = no")


def test_loop_devices_that_differ_from_the_profile_are_noted(here: Checkup) -> None:
    here.file("/etc/x.conf", CONF)
    runtime(here)
    case = here.case(
        runtime=Singularity(f"{here.folder}/bin/singularity", "singularity"),
        site=Site("lumi", loop_devices=512),
    )
    (said,) = told(check_configuration, case)
    assert said.startswith(
        "note loop devices: /etc/x.conf allows 256 on a node, the profile of lumi says 512"
    )


def test_without_overlays_appending_to_an_image_has_no_effect(here: Checkup) -> None:
    here.file("/etc/x.conf", CONF.replace("try", "no"))
    runtime(here)
    of = Singularity(f"{here.folder}/bin/singularity", "singularity")
    appended = here.case(runtime=of, toml=SIF + '[sif]\nbuilder = "append"\n')
    assert told(check_configuration, here.case(runtime=of, toml=SIF)) == []
    (said,) = told(check_configuration, appended)
    assert said.endswith("→ lumienv sync --mode sif --builder cotainr")


def test_a_configuration_that_is_not_there_is_not_checked(here: Checkup) -> None:
    assert told(check_configuration, runtime(here)) == [
        "not checked configuration: /etc/x.conf cannot be read"
    ]


# -- tools


def test_what_this_project_does_not_need_is_only_noted(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumienv.overlay.squashfs._MORE_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    verdicts = {
        toml: [finding.verdict for finding in check_tools(here.case(toml=toml))] for toml in (HOST, SIF)
    }
    assert verdicts == {HOST: ["note", "note"], SIF: ["problem", "problem"]}


def test_cotainr_is_found_where_lumienv_is_installed(here: Checkup) -> None:
    said = told(check_tools, here.case(), all_=True)
    assert any(line.startswith("fine cotainr: 2025.7") for line in said)
