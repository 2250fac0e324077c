"""`lumienv doctor` as a whole: it always comes to its end, and says of what it could not look."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from checkup import Checkup

from lumienv.errors import ContainerError, ManifestError
from lumienv.project import doctor
from lumienv.project.doctor import CHECKS, Examination, examine
from lumienv.project.finding import FINE, PROBLEM, VERDICTS, Case, Finding, amount, listed, mount_of

HOST = '[image]\nhost = "python3"\n'


@pytest.fixture
def here(tmp_path: Path) -> Checkup:
    return Checkup(tmp_path)


def examined(here: Checkup, toml: str | None = None, **environ: str) -> Examination:
    project = here.folder / "project"
    project.mkdir(exist_ok=True)
    if toml is not None:
        (project / "lumienv.toml").write_text(toml)
    variables = {
        "HOME": str(here.home),
        "PATH": f"{here.folder}/bin:/usr/bin:/bin",
        "LUMIENV_SITE": "generic",
        "LUMIENV_CACHE_DIR": str(here.folder / "cache"),
        "TMPDIR": str(here.folder),
    }
    return examine(str(project), variables | environ, root=here.root)


def said_of(found: Examination, what: str) -> list[str]:
    return [f"{one.verdict}: {one.facts}" for one in found.findings if one.what == what]


def test_every_finding_has_a_group_a_verdict_and_a_sentence(here: Checkup) -> None:
    found = examined(here, HOST)
    assert {one.group for one in found.findings} == set(CHECKS)
    assert {one.verdict for one in found.findings} <= set(VERDICTS)
    assert [one for one in found.findings if not one.what or not one.facts] == []


def test_every_problem_comes_with_what_to_do_about_it(here: Checkup) -> None:
    toml = HOST + '[run]\npreset = "none"\nbind = ["/no/such"]\n[run.env]\nKEY = { from = "host" }\n'
    found = examined(here, toml, SINGULARITY_BIND="/no/such", TMPDIR="/no/such", LUMIENV_SITE="nowhere")
    problems = found.of(PROBLEM)
    assert len(problems) >= 6
    assert [one for one in problems if not one.remedy] == []
    assert not found.sound


def test_without_a_project_the_machine_is_looked_at(here: Checkup) -> None:
    found = examined(here)
    (said,) = said_of(found, "lumienv.toml")
    assert said.startswith("fine: there is no lumienv.toml")
    assert [one.what for one in found.findings if one.group == "project"] == ["lumienv.toml"]


def test_a_lumienv_toml_that_cannot_be_read_is_a_problem_and_the_rest_is_still_looked_at(
    here: Checkup,
) -> None:
    found = examined(here, "[image\n")
    (said,) = said_of(found, "lumienv.toml")
    assert said.startswith("problem: ")
    assert "not valid TOML" in said
    assert {one.group for one in found.findings} == set(CHECKS)


def test_a_site_file_that_is_broken_is_a_problem_and_the_rest_is_still_looked_at(here: Checkup) -> None:
    file = here.folder / "mine.toml"
    file.write_text("[images]\nfolders = 3\n")
    found = examined(here, HOST, LUMIENV_SITE=str(file))
    assert "images.folders" in said_of(found, "profile")[0]
    assert {one.group for one in found.findings} == set(CHECKS)


def test_a_store_whose_variable_is_not_set_is_a_problem(here: Checkup) -> None:
    found = examined(here, HOST + '[sync]\nstore = "$NO_SUCH_VARIABLE/x"\n')
    assert any("has a variable that is not set" in said for said in said_of(found, "store"))
    assert any(one.verdict == PROBLEM for one in found.findings if one.what == "store")


def test_a_folder_that_is_none_is_refused(here: Checkup) -> None:
    with pytest.raises(ManifestError, match="is not a directory"):
        examine("/no/such/folder", {})


def refusing(case: Case) -> Iterator[Finding]:
    raise ContainerError("the runtime is gone", hint="look for it")
    yield


def denied(case: Case) -> Iterator[Finding]:
    yield Finding("first", FINE, "it was there")
    raise PermissionError(13, "Permission denied", "/closed")


def mistaken(case: Case) -> Iterator[Finding]:
    raise ValueError("a bug")
    yield


def test_a_check_that_cannot_be_done_says_so_and_ends_nothing_else(
    here: Checkup, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: Mapping[str, object] = {"machine": (refusing, denied), "home": (mistaken,)}
    monkeypatch.setattr(doctor, "CHECKS", {group: checks.get(group, ()) for group in CHECKS})
    found = [one for one in examined(here, HOST).findings if one.group in checks]
    assert [(one.group, one.what, one.verdict, one.facts) for one in found] == [
        ("machine", "refusing", "not checked", "the runtime is gone"),
        ("machine", "first", "fine", "it was there"),
        ("machine", "denied", "not checked", "/closed: Permission denied"),
        ("home", "mistaken", "not checked", "an error in lumienv itself (ValueError: a bug)"),
    ]


def manifest_is_a_folder(project: Path) -> None:
    (project / "lumienv.toml").mkdir()


def manifest_leads_nowhere(project: Path) -> None:
    (project / "lumienv.toml").symlink_to("nowhere")


def manifest_is_binary(project: Path) -> None:
    (project / "lumienv.toml").write_bytes(b"\xff\xfe\0")


def store_is_a_file(project: Path) -> None:
    (project / "lumienv.toml").write_text(HOST)
    (project / ".lumienv").touch()


def lock_is_a_folder(project: Path) -> None:
    (project / "lumienv.toml").write_text(HOST)
    (project / "pylock.lumienv.toml").mkdir()


def generation_is_damaged(project: Path) -> None:
    (project / "lumienv.toml").write_text(HOST)
    folder = project / ".lumienv" / "generations" / "venv-x"
    folder.mkdir(parents=True)
    (folder / "generation.json").write_text("{")
    (project / ".lumienv" / "current").symlink_to("generations/venv-x")


def user_is_unknown(project: Path) -> None:
    bind = '[run]\nbind = ["~no-such-user/x"]\n'
    (project / "lumienv.toml").write_text(HOST + bind)


BROKEN = (
    *(manifest_is_a_folder, manifest_leads_nowhere, manifest_is_binary, store_is_a_file, lock_is_a_folder),
    *(generation_is_damaged, user_is_unknown),
)


@pytest.mark.parametrize("damage", BROKEN)
def test_whatever_is_broken_is_a_finding_and_no_error_of_lumienvs(
    here: Checkup, damage: Callable[[Path], None]
) -> None:
    (here.folder / "project").mkdir()
    damage(here.folder / "project")
    found = examined(here)
    assert {one.verdict for one in found.findings if one.group == "project"} & {"problem", "note"}
    assert [one for one in found.findings if "lumienv itself" in one.facts] == []


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH": ""},
        {"HOME": "/no/such/home"},
        {"SINGULARITY_BIND": ",,:relative:", "LOADEDMODULES": ":::/:", "LC_ALL": "xx"},
        {"LUMIENV_SITE": "lumi", "SLURM_JOB_ID": "x", "SLURMD_NODENAME": "", "SLURM_EXPORT_ENV": ""},
        {"LUMIENV_RUNTIME": "/bin/false"},
        {"LUMIENV_RUNTIME": "cat"},
        {"TMPDIR": "/dev/null", "LUMIENV_CACHE_DIR": "/dev/null/x", "SINGULARITY_TMPDIR": "/dev/null"},
    ],
    ids=str,
)
def test_no_environment_is_an_error_of_lumienvs(here: Checkup, environ: dict[str, str]) -> None:
    found = examined(here, '[image]\npath = "x.sif"\n', **environ)
    assert {one.group for one in found.findings} == set(CHECKS)
    assert [one for one in found.findings if "lumienv itself" in one.facts] == []


def test_nothing_is_written(here: Checkup) -> None:
    here.home.mkdir()
    (here.folder / "project").mkdir()
    (here.folder / "project" / "lumienv.toml").write_text(HOST)
    before = sorted(here.folder.rglob("*"))
    examined(here)
    assert sorted(here.folder.rglob("*")) == before


def test_what_the_project_names_is_not_started(here: Checkup) -> None:
    started = here.folder / "started"
    python = here.program("evil", f"touch {started}")
    examined(here, f'[image]\nhost = "{python}"\n[tasks]\nt = "{python}"\n[run]\npreset = "x"\n')
    assert not started.exists()


# -- words


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 kB"), (12_345, "12 kB"), (5e6, "5 MB"), (2.5e9, "2.5 GB"), (3e12, "3.0 TB")]
)
def test_an_amount_is_told_as_people_read_it(size: float, said: str) -> None:
    assert amount(size) == said


def test_a_list_ends_with_and_and_tells_how_many_it_leaves_out() -> None:
    assert listed([]) == "none"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefgh"), 3) == "a, b, c and 5 more"


def test_a_mount_is_the_innermost_and_the_last_of_one_place(here: Checkup) -> None:
    inner = os.path.realpath(here.folder)
    here.file(
        "/proc/self/mountinfo",
        f"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {inner} rw shared:1 - xfs b rw\n"
        f"3 1 0:3 / {inner} rw - lustre c rw\n4 1 0:4 / {inner}x rw - tmpfs d rw\nbroken line\n",
    )
    machine = here.case().machine
    assert [getattr(mount_of(path, machine), "kind", None) for path in (here.folder / "x", Path("/etc"))] == [
        "lustre",
        "ext4",
    ]


def test_a_mount_point_may_have_a_blank(here: Checkup) -> None:
    folder = here.folder / "with blank"
    folder.mkdir()
    here.file("/proc/self/mountinfo", f"1 0 0:1 / {here.folder}/with\\040blank rw - lustre c rw\n")
    mount = mount_of(folder, here.case().machine)
    assert mount is not None
    assert (mount.point, mount.kind) == (str(folder), "lustre")
