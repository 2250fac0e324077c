"""The launch plan: what runs, what is printed, and that both are the same."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import ImageError, ManifestError, UsageError
from lumienv.launch.plan import LaunchPlan, launch_plan, surroundings_of
from lumienv.manifest import HostValue, ImageTable, Manifest, RunTable
from lumienv.overlay.generation import Entrance, Generation
from lumienv.overlay.store import Store
from lumienv.runtime import Bind
from lumienv.site import Family, Preset, Setting, Site, SiteBind

# Prints its words and its environment, byte by byte. Shells and Python itself may change the rest.
SHOW = """\
import json, os, sys
ignored = {b"_", b"PWD", b"OLDPWD", b"SHLVL", b"LC_CTYPE"}
env = {k.decode("latin-1"): v.decode("latin-1") for k, v in os.environb.items() if k not in ignored}
words = [os.fsencode(word).decode("latin-1") for word in sys.argv]
print(json.dumps([words, env]))
"""


class Stage:
    """A project with a published generation, and a program that stands for the runtime."""

    def __init__(self, folder: Path, kind: str = "sif", flavour: str = "singularity") -> None:
        self.project = folder / "it's the $(project)"
        self.project.mkdir(parents=True)
        self.program = folder / "bin" / flavour
        self.program.parent.mkdir()
        self.program.write_text(
            f'#!/bin/sh\n[ "$*" = --version ] && echo {flavour} && exit\n'
            f'exec "{sys.executable}" -IS "{self.program}.py" "$@"\n'
        )
        self.program.chmod(0o755)
        Path(f"{self.program}.py").write_text(SHOW)
        self.environ = {"PATH": f"{self.program.parent}:/usr/bin:/bin", "HOME": str(folder)}
        self.kind = kind
        self.generation = self.publish("sha256:" + "a" * 64)

    def publish(self, digest: str, **changes: Any) -> Generation:
        store = Store(self.project / ".lumienv")
        made = Generation(
            path=store.generations,
            digest=digest,
            mode="venv",
            base_kind=self.kind,
            base_path="/images/base.sif",
            base_name="base.sif",
            identity="sif:0",
            selection={},
            inputs="sha256:0",
            lock="sha256:0",
            runtime="singularity",
            python="3.12.9",
            **changes,
        )
        with store.writing(lambda _: None), store.staging() as staged:
            (staged / "tree" / "bin").mkdir(parents=True)
            return store.publish(staged, made)

    def manifest(self, **run: Any) -> Manifest:
        return Manifest(self.project / "lumienv.toml", ImageTable("path", "base.sif"), run=RunTable(**run))

    def plan(self, *command: str, run: Mapping[str, Any] | None = None, **options: Any) -> LaunchPlan:
        environ = options.pop("environ", self.environ)
        manifest = self.manifest(**(run or {}))
        site = options.pop("site", Site("here"))
        return launch_plan(self.generation, command, manifest, site, environ, **options)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def host(tmp_path: Path) -> Stage:
    return Stage(tmp_path, kind="host")


def shown(argv: Sequence[str | bytes], env: Mapping[str, str]) -> Any:
    done = subprocess.run(list(argv), env=dict(env), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_both(plan: LaunchPlan, environ: Mapping[str, str]) -> tuple[Any, Any]:
    """(words, environment) of the command, become directly and by a shell that reads the printed line."""
    direct = shown(plan.argv, plan.environment(environ))
    return direct, shown(["/bin/sh", "-c", os.fsencode(str(plan))], environ)


# -- what runs -------------------------------------------------------------------------------------------


def test_the_tree_is_bound_read_only_and_its_bin_comes_first(stage: Stage) -> None:
    plan = stage.plan("python", "train.py")
    tree = str(stage.generation.carrier)
    assert "generations" in tree
    assert plan.argv[0] == str(stage.program)
    assert plan.argv[2] == "exec"
    assert f"{tree}:/opt/lumienv:ro" in plan.argv
    assert plan.argv[-3:] == ("/images/base.sif", "python", "train.py")
    assert plan.env["SINGULARITYENV_PREPEND_PATH"] == "/opt/lumienv/bin"
    assert plan.env["SINGULARITY_NO_EVAL"] == "1"


def test_nothing_of_the_hosts_python_is_inherited(stage: Stage) -> None:
    environ = stage.environ | {"PYTHONPATH": "/mine", "SINGULARITYENV_PYTHONHOME": "/evil"}
    env = stage.plan("python", environ=environ).environment(environ)
    assert (env["SINGULARITYENV_PYTHONPATH"], env["SINGULARITYENV_PYTHONHOME"]) == ("", "")
    assert env["SINGULARITYENV_PYTHONNOUSERSITE"] == "1"


def test_a_pythonpath_that_the_user_writes_is_kept(stage: Stage) -> None:
    assert stage.plan("x", run={"env": {"PYTHONPATH": "/m"}}).env["SINGULARITYENV_PYTHONPATH"] == "/m"
    typed = stage.plan("x", run={"env": {"PYTHONPATH": "/m"}}, env=["PYTHONPATH=/t"])
    assert typed.env["SINGULARITYENV_PYTHONPATH"] == "/t"


def test_recorded_activation_is_applied_behind_the_overlay(stage: Stage) -> None:
    entered = Entrance({"CONDA_PREFIX": "/opt/conda"}, ("/opt/conda/bin",))
    stage.generation = stage.publish("sha256:" + "b" * 64, entrance=entered)
    plan = stage.plan("python")
    assert plan.env["SINGULARITYENV_CONDA_PREFIX"] == "/opt/conda"
    assert plan.env["SINGULARITYENV_PREPEND_PATH"] == "/opt/lumienv/bin:/opt/conda/bin"
    assert plan.argv[-1] == "python"


def test_the_plan_names_the_generation_itself_so_that_a_later_sync_changes_nothing(stage: Stage) -> None:
    plan = stage.plan("python")
    stage.publish("sha256:" + "b" * 64)
    assert any(str(stage.generation.path) in word for word in plan.argv)
    assert not any("/current" in word for word in plan.argv)


def test_the_launcher_stands_in_front(stage: Stage) -> None:
    plan = stage.plan("python", launcher=["srun", "-n", "4", "--export=NONE"])
    assert plan.argv[:3] == ("srun", "-n", "4")
    exported = plan.argv[3].removeprefix("--export=").split(",")
    assert set(exported) == set(plan.env)
    assert plan.argv[4] == str(stage.program)


def test_an_image_may_be_entered_through_its_runscript(stage: Stage) -> None:
    assert stage.plan("python", run={"entry": "run"}).argv[2] == "run"


def test_without_a_container_the_command_runs_in_the_tree(host: Stage) -> None:
    plan = host.plan("python", "x")
    assert plan.argv == ("python", "x")
    assert plan.env["PATH"] == f"{host.generation.carrier}/bin:{host.environ['PATH']}"
    assert plan.env["VIRTUAL_ENV"] == str(host.generation.carrier)


def test_what_a_generation_gives_to_every_command_holds_the_tree_and_nothing_of_the_user(
    stage: Stage,
) -> None:
    around = surroundings_of(stage.generation, {"A": "1"}, [Bind("/a", "/a")])
    assert around.binds == (Bind(str(stage.generation.carrier), "/opt/lumienv"), Bind("/a", "/a"))
    assert around.env["A"] == "1"
    assert around.prepend_path == ("/opt/lumienv/bin",)


def test_live_activation_runs_before_the_command_and_leaves_the_overlay_first(
    host: Stage, tmp_path: Path
) -> None:
    script = tmp_path / "activate it"
    script.write_text('export LIVE="a b" PATH="/conda/bin:$PATH"\n')
    live = Entrance(live=f"source {shlex.quote(str(script))}")
    host.generation = host.publish("sha256:" + "c" * 64, entrance=live)
    plan = host.plan(str(host.program), "a b", "$HOME", "")
    (words, env), printed = run_both(plan, host.environ)
    assert words[1:] == ["a b", "$HOME", ""]
    assert env["LIVE"] == "a b"
    assert env["PATH"].startswith(f"{host.generation.carrier}/bin:/conda/bin:")
    assert printed == [words, env]


# -- binds -----------------------------------------------------------------------------------------------


def binds_of(plan: LaunchPlan) -> list[str]:
    """Behind the tree's: `source:target[:ro]`, those that share a word one by one."""
    _, *words = [plan.argv[i + 1] for i, word in enumerate(plan.argv) if word == "--bind"]
    binds = [bind for word in words for bind in word.split(",")]
    return [bind if ":" in bind else f"{bind}:{bind}" for bind in binds]


def test_binds_are_read_as_the_runtime_reads_them(stage: Stage, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    written = [str(data), f"{data}:/in", f"{data}:/in:ro", f"{data}:/in:rw"]
    plan = stage.plan("x", run={"bind": written[:2]}, bind=written[2:])
    assert binds_of(plan) == [f"{data}:{data}", f"{data}:/in"]  # the last of a target is the one that counts
    assert binds_of(stage.plan("x", bind=written[2:3])) == [f"{data}:/in:ro"]


def test_a_relative_bind_starts_at_the_project(stage: Stage) -> None:
    (stage.project / "data").mkdir()
    source = stage.project / "data"
    plan = stage.plan("x", run={"bind": ["data", "data:/in"]})
    assert binds_of(plan) == [f"{source}:{source}", f"{source}:/in"]


def test_a_bind_in_the_home_directory_is_followed(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert binds_of(stage.plan("x", run={"bind": ["~/data"]})) == [f"{tmp_path}/data:{tmp_path}/data"]
    assert binds_of(stage.plan("x", bind=["~/data:/in"])) == [f"{tmp_path}/data:/in"]


@pytest.mark.parametrize("text", ["/usr:relative", "/usr:/a:rx", "/usr:/a:ro:more", ""])
def test_a_bind_that_cannot_be_read_shows_how_to_write_one(stage: Stage, text: str) -> None:
    with pytest.raises(ManifestError, match="bind") as caught:
        stage.plan("x", bind=[text])
    assert "target" in (caught.value.hint or "")


def test_a_bind_of_what_is_not_there_is_refused_before_the_container_would(stage: Stage) -> None:
    with pytest.raises(ManifestError, match="/no/such/folder, which does not exist here"):
        stage.plan("x", bind=["/no/such/folder"])


def test_the_sites_binds_are_left_out_where_they_are_missing(stage: Stage, tmp_path: Path) -> None:
    there = Site("here", binds=(SiteBind(str(tmp_path)), SiteBind("/no/such/folder")))
    plan = stage.plan("x", site=there)
    assert binds_of(plan) == [f"{tmp_path}:{tmp_path}"]
    assert [note for note in plan.notes if "/no/such/folder" in note] == list(plan.notes) != []
    needed = Site("here", binds=(SiteBind("/no/such/folder", optional=False, source="the manual"),))
    with pytest.raises(ImageError, match="/no/such/folder") as caught:
        stage.plan("x", site=needed)
    assert caught.value.facts == ("the manual",)
    assert "optional = true" in (caught.value.hint or "")


def test_what_only_compute_nodes_have_is_bound_for_tasks_there_and_not_missed_elsewhere(stage: Stage) -> None:
    site = Site("here", binds=(SiteBind("/no/spool", in_jobs=True),))
    on_login = stage.plan("x", site=site)
    assert (binds_of(on_login), on_login.notes) == ([], ())
    from_login = stage.plan("x", site=site, launcher=["srun"])
    assert (binds_of(from_login), from_login.notes) == (["/no/spool:/no/spool"], ())
    node = stage.environ | {"SLURMD_NODENAME": "nid1", "SLURM_JOB_ID": "1"}
    on_node = stage.plan("x", site=site, launcher=["srun"], environ=node)
    assert binds_of(on_node) == []
    assert "/no/spool" in on_node.notes[0]


def test_binds_are_for_the_families_that_need_them(stage: Stage, tmp_path: Path) -> None:
    stage.generation = stage.publish("sha256:" + "d" * 64, image_prefix="/opt/venv")
    families = (Family("laif", ("/opt/venv",)), Family("amd", ("/opt/conda",)))
    for family, expected in (("laif", [f"{tmp_path}:{tmp_path}"]), ("amd", [])):
        site = Site("here", binds=(SiteBind(str(tmp_path), families=(family,)),), families=families)
        assert binds_of(stage.plan("x", site=site)) == expected


# -- variables -------------------------------------------------------------------------------------------


def test_variables_come_from_the_manifest_then_from_what_is_typed(stage: Stage) -> None:
    environ = stage.environ | {"TOKEN": "s3cret"}
    plan = stage.plan(
        "x",
        run={"env": {"A": "1", "B": "2", "TOKEN": HostValue("TOKEN")}},
        env=["B=3=4", "C="],
        environ=environ,
    )
    values = {name.removeprefix("SINGULARITYENV_"): value for name, value in plan.env.items()}
    assert (values["A"], values["B"], values["C"], values["TOKEN"]) == ("1", "3=4", "", "s3cret")


def test_a_variable_that_the_host_lacks_is_named(stage: Stage) -> None:
    with pytest.raises(ManifestError, match="TOKEN is taken from the host") as caught:
        stage.plan("x", run={"env": {"TOKEN": HostValue("TOKEN")}})
    assert "export TOKEN" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="--env TOKEN"):
        stage.plan("x", env=["TOKEN"])


@pytest.mark.parametrize("text", ["", "=x", "1A=x", "A-B=x", "A B=x", "é=x", "²=x"])
def test_a_name_that_no_shell_could_read_is_refused(stage: Stage, text: str) -> None:
    with pytest.raises(UsageError, match="write NAME=value"):
        stage.plan("x", env=[text])


def test_the_users_variables_go_before_a_presets_even_those_of_each_task(stage: Stage) -> None:
    ours = Preset("ours", settings=(Setting("A", "1"), Setting("RANK", "{SLURM_PROCID}"), Setting("B", "2")))
    site = Site("here", presets={"ours": ours})
    plan = stage.plan("x", run={"presets": ("ours",), "env": {"A": "mine"}}, env=["RANK=7"], site=site)
    values = {name.removeprefix("SINGULARITYENV_"): value for name, value in plan.env.items()}
    assert (values["A"], values["RANK"], values["B"]) == ("mine", "7", "2")
    assert not {"sh", "/bin/sh"} & set(plan.argv)
    assert plan.sources == {"B": "preset ours"}


def test_what_the_site_gave_is_explained_in_comments_that_a_shell_passes_over(stage: Stage) -> None:
    ours = Preset(
        "ours", settings=(Setting("A", "a b", "o\x1b[2Jne\nrm -rf /"), Setting("B", "{SLURM_PROCID}"))
    )
    site = Site("here", presets={"ours": ours})
    environ = stage.environ | {"SLURM_PROCID": "3"}
    plan = stage.plan("x", run={"presets": ("ours",)}, site=site, environ=environ)
    assert plan.explained().splitlines()[:2] == ["# A: preset ours: o[2Jne rm -rf /", "# B: preset ours"]
    direct, printed = run_both(plan, environ)
    assert shown(["/bin/sh", "-c", plan.explained()], environ) == printed == direct
    assert (direct[1]["SINGULARITYENV_A"], direct[1]["SINGULARITYENV_B"]) == ("a b", "3")


# -- what is printed -------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_BYTES = st.binary(max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
_NASTY = st.sampled_from(
    [
        "",
        " ",
        "'",
        '"',
        "$HOME",
        "$(id)",
        "`id`",
        "a\nb",
        "\\",
        "~",
        "*",
        "a=b",
        "-n",
        "!x",
        "#",
        "\t",
        "\\n'",
    ]
)
_UTF8 = st.one_of(_NASTY, _TEXT)
_ANY = st.one_of(_UTF8, _BYTES)
# What a runtime would lose is written by a shell in the container: test_torture sends that through one.
_KEPT = _UTF8.filter(lambda value: not any(part in value for part in ("\x80", "\x81", "\r\n")))
_NAME = st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: (
        name not in ("_", "PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "LC_CTYPE", "IFS", "PPID", "OPTIND")
    )
)


@examples(60)
@given(
    command=st.lists(_UTF8, min_size=1, max_size=4),
    env=st.dictionaries(_NAME, _KEPT, max_size=4),
    inherited=st.dictionaries(_NAME.map("SINGULARITYENV_{}".format), _TEXT, max_size=3),
)
def test_a_shell_that_reads_the_printed_line_runs_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    command: list[str],
    env: dict[str, str],
    inherited: dict[str, str],
) -> None:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    environ = stage.environ | inherited | {"APPTAINERENV_PATH": "stale"}
    plan = stage.plan(*command, env=[f"{name}={value}" for name, value in env.items()], environ=environ)
    direct, printed = run_both(plan, environ)
    assert printed == direct
    words, seen = direct
    assert words[-len(command) :] == [os.fsencode(word).decode("latin-1") for word in command]
    for name, value in env.items():
        assert seen[f"SINGULARITYENV_{name}"] == os.fsencode(value).decode("latin-1")
    assert "APPTAINERENV_PATH" not in seen


@examples(40)
@given(command=st.lists(_ANY, max_size=4), env=st.dictionaries(_NAME, _ANY, max_size=4))
def test_without_a_container_the_printed_line_runs_the_same_too(
    tmp_path_factory: pytest.TempPathFactory, command: list[str], env: dict[str, str]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("stage"), kind="host")
    plan = stage.plan(str(stage.program), *command, env=[f"{name}={value}" for name, value in env.items()])
    direct, printed = run_both(plan, stage.environ)
    assert printed == direct
    assert direct[0][1:] == [os.fsencode(word).decode("latin-1") for word in command]


@pytest.mark.parametrize("kind", ["sif", "host"])
@pytest.mark.parametrize("by", ["manifest", "typed"])
def test_a_secret_is_named_in_what_is_printed_and_never_written(tmp_path: Path, kind: str, by: str) -> None:
    stage = Stage(tmp_path, kind=kind)
    secret = "s3cr3t '\" $(id) \n end"
    environ = stage.environ | {"TOKEN": secret}
    given_by: dict[str, Any] = (
        {"run": {"env": {"TOKEN": HostValue("TOKEN")}}} if by == "manifest" else {"env": ["TOKEN"]}
    )
    plan = stage.plan(str(stage.program), environ=environ, **given_by)
    assert "s3cr3t" not in str(plan)
    assert not any("s3cr3t" in word for word in plan.argv)
    direct, printed = run_both(plan, environ)
    assert printed == direct
    assert secret in direct[1].values()


def test_a_printed_line_fails_where_its_secret_is_missing(stage: Stage) -> None:
    plan = stage.plan(str(stage.program), environ=stage.environ | {"TOKEN": "x"}, env=["TOKEN"])
    done = subprocess.run(
        ["/bin/sh", "-c", str(plan)], env=stage.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "TOKEN" in done.stderr


def test_the_path_of_the_host_may_be_handed_on_without_losing_the_overlay(host: Stage) -> None:
    plan = host.plan(str(host.program), env=["PATH"])
    direct, printed = run_both(plan, host.environ)
    assert direct[1]["PATH"].startswith(f"{host.generation.carrier}/bin:")
    assert printed == direct


@pytest.mark.parametrize("kind", ["sif", "host"])
def test_a_printed_line_follows_later_syncs(tmp_path: Path, kind: str) -> None:
    stage = Stage(tmp_path, kind=kind)
    plan = stage.plan(str(stage.program))
    old = stage.generation.path
    new = stage.publish("sha256:" + "b" * 64).path
    _, printed = run_both(plan, stage.environ)
    assert str(new) in json.dumps(printed)
    assert old.name not in json.dumps(printed)


def test_a_printed_line_uses_one_generation_throughout(host: Stage) -> None:
    """Also where the path stands in one value several times."""
    environ = host.environ | {"PATH": f"{host.generation.carrier}/bin:{host.environ['PATH']}"}
    plan = host.plan(str(host.program), environ=environ)
    old = host.generation.path.name
    host.publish("sha256:" + "b" * 64)
    printed = shown(["/bin/sh", "-c", str(plan)], host.environ)
    assert old not in printed[1]["PATH"]


def test_a_line_unsets_the_name_of_the_folder_only_where_that_is_a_link(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.chdir(real)
    assert "-u PWD" not in str(stage.plan("x", environ=stage.environ | {"PWD": str(real.resolve())}))
    plan = stage.plan("x", environ=stage.environ | {"PWD": str(link)})
    assert "-u PWD" in str(plan)
    assert "PWD" in plan.unset


def test_a_line_names_the_variables_to_leave_out() -> None:
    plan = LaunchPlan(("env",), {"A": "x y"}, unset=("B", "C", "D"), set_here=frozenset({"B", "C"}))
    seen = subprocess.run(
        ["/bin/sh", "-c", str(plan)],
        env={"PATH": os.environ["PATH"], "B": "1", "C": "2"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "A=x y" in seen.splitlines()
    assert not [line for line in seen.splitlines() if line.startswith(("B=", "C="))]
    assert "-u D" not in str(plan)
