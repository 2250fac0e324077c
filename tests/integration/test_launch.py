"""`lumienv run`: what is typed arrives, what comes back is the command's own."""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import replace

import pytest
from wheels import make_wheel

NASTY = ["two words", "it's", 'say "hi"', "$HOME `id` $(id)", "a\nb", "a,b=c", "*", "\\", "", "--flag", "ü"]


@pytest.fixture
def project(lab, local, wheels):
    make_wheel(wheels, "overlay-only", "1.0")
    local.write(f'path = "{lab.images["pytorch"]}"', ["overlay-only"])
    local.lumienv("sync")
    return local


def test_arguments_arrive_as_they_were_typed(project):
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(project.python(code, *NASTY)) == NASTY


def test_values_of_variables_arrive_as_they_were_written(project):
    code = f"import json, os; print(json.dumps([os.environ[f'V{{i}}'] for i in range({len(NASTY)})]))"
    typed = [word for i, value in enumerate(NASTY) for word in ("--env", f"V{i}={value}")]

    assert json.loads(project.lumienv("run", *typed, "--", "python", "-c", code)) == NASTY


def test_a_value_in_the_manifest_is_not_run_by_a_shell(project):
    text = (project.directory / "lumienv.toml").read_text()
    (project.directory / "lumienv.toml").write_text(text + "[run.env]\nEVIL = '$(id) `id` \\ \"'\n")

    assert project.python("import os; print(os.environ['EVIL'])") == '$(id) `id` \\ "'


def test_the_exit_status_is_the_commands_own(project):
    assert project.try_("run", "--", "python", "-c", "raise SystemExit(37)").status == 37


def test_a_command_that_is_not_there_says_so(project):
    said = project.try_("run", "--", "no-such-command")
    assert said.status != 0
    assert "no-such-command" in said.err


def test_a_signal_reaches_the_command_and_its_end_comes_back(project):
    # The command says when it is ready, catches the signal, and ends with a status of its own.
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(41))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    with project.start("run", "--", "python", "-c", code) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"

        os.kill(running.pid, signal.SIGTERM)

        assert running.wait(timeout=60) == 41


def test_the_printed_line_does_the_same_when_pasted_into_a_shell(project):
    code = "import json, sys, os, overlay_only; print(json.dumps([sys.argv[1:], overlay_only.__file__]))"
    words = ("--env", "X=$(id)", "--", "python", "-c", code, *NASTY)

    line = project.lumienv("run", "--print", *words)

    assert project.shell(["sh", "-c", line]).out == project.lumienv("run", *words)


def test_a_printed_line_still_works_after_a_later_sync(project, wheels):
    line = project.lumienv(
        "run", "--print", "--", "python", "-c", "import overlay_only as o; print(o.__version__)"
    )
    make_wheel(wheels, "overlay-only", "2.0")
    project.lumienv("lock", "--upgrade")
    project.lumienv("sync")

    assert project.shell(["sh", "-c", line]).out == "2.0\n"


def test_a_secret_of_the_host_is_named_in_what_is_printed_and_reaches_the_command(project):
    text = (project.directory / "lumienv.toml").read_text()
    (project.directory / "lumienv.toml").write_text(text + '[run.env]\nTOKEN = { from = "host" }\n')

    line = project.lumienv("run", "--print", "--", "printenv", "TOKEN", TOKEN="s3cr3t")

    assert "s3cr3t" not in line
    assert project.shell(["sh", "-c", line], TOKEN="s3cr3t").out == "s3cr3t\n"
    assert project.lumienv("run", "--", "printenv", "TOKEN", TOKEN="s3cr3t") == "s3cr3t\n"
    said = project.try_("run", "--", "printenv", "TOKEN")
    assert said.status == 1
    assert "TOKEN is taken from the host, and is not set there" in said.err


def test_a_task_runs_with_what_is_typed_behind_it(project):
    text = (project.directory / "lumienv.toml").read_text()
    task = "[tasks]\nhello = \"python -c 'import sys; print(sys.argv[1:])' one\"\n"
    (project.directory / "lumienv.toml").write_text(text + task)

    assert project.lumienv("run", "hello", "two words") == "['one', 'two words']\n"


def test_a_bind_is_seen_and_a_missing_one_is_said_before_anything_starts(project, tmp_path):
    data = tmp_path / "data set"
    data.mkdir()
    (data / "x").write_text("there")

    assert project.lumienv("run", "--bind", f"{data}:/data", "--", "cat", "/data/x") == "there"
    said = project.try_("run", "--bind", f"{tmp_path}/none:/data", "--", "true")
    assert said.status == 1
    assert f"{tmp_path}/none, which does not exist here" in said.err


def test_run_syncs_a_stale_environment_first(project, wheels):
    make_wheel(wheels, "another", "1.0")
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace('"overlay-only",', '"overlay-only", "another",'))

    said = project.try_("run", "--", "python", "-c", "import another; print(another.__version__)")

    assert said.out == "1.0\n"
    assert 'syncing first: "another" was added to dependencies since it was locked' in said.err


def test_a_changed_image_is_noticed_before_anything_runs(lab, local, wheels, tmp_path):
    image = tmp_path / "image.sif"
    image.symlink_to(lab.images["pytorch"])
    make_wheel(wheels, "overlay-only", "1.0")
    local.write(f'path = "{image}"', ["overlay-only"])
    local.lumienv("sync")
    image.unlink()
    image.symlink_to(lab.images["multitorch"])

    said = local.try_("run", "--no-sync", "--", "echo", "it ran")

    assert said.status == 1
    assert "it ran" not in said.out
    assert "has changed since the environment was made for it" in said.err
    assert "lumienv sync" in said.err


def test_run_works_from_a_folder_below_the_project_and_starts_there(project):
    below = replace(project, directory=project.directory / "src")
    below.directory.mkdir()

    said = below.lumienv("run", "--", "python", "-c", "import os, overlay_only; print(os.getcwd())")

    assert said.strip() == str(below.directory)


def test_a_path_of_ones_own_stays_behind_the_overlay(project):
    code = "import os, overlay_only; print(os.environ['PATH'])"

    path = project.lumienv("run", "--env", "PATH=/mine:/usr/bin", "--", "python", "-c", code)

    assert path.strip() == "/opt/lumienv/bin:/mine:/usr/bin"


def test_printing_syncs_nothing(project, wheels):
    make_wheel(wheels, "another", "1.0")
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text().replace('"overlay-only",', '"overlay-only", "another",'))
    before = list((project.directory / ".lumienv/generations").iterdir())

    said = project.try_("run", "--print", "--", "true")

    assert said.status == 1
    assert "bring it up to date first: lumienv sync" in said.err
    assert list((project.directory / ".lumienv/generations").iterdir()) == before


def test_a_sync_on_the_way_keeps_the_groups_that_were_chosen(lab, local, wheels):
    for name in ("thing", "tool", "extra", "new"):
        make_wheel(wheels, name, "1.0")
    groups = '[dependency-groups]\ndev = ["tool"]\nmore = ["extra"]\n'
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing"], groups)
    local.lumienv("sync", "--no-dev", "--group", "more")
    local.write(f'path = "{lab.images["pytorch"]}"', ["thing", "new"], groups)

    look = "import importlib.util as u; print([n for n in ('new', 'tool', 'extra') if u.find_spec(n)])"

    assert local.python(look) == "['new', 'extra']"


def test_a_generation_that_came_with_a_copy_is_made_anew(project, tmp_path):
    shutil.copytree(project.directory, tmp_path / "copy", symlinks=True)
    copied = replace(project, directory=tmp_path / "copy")

    refused = copied.try_("run", "--no-sync", "--", "echo", "it ran")
    made_anew = copied.try_("run", "--", "python", "-c", "import overlay_only; print('fine')")

    assert refused.status == 1
    assert "was not made here by you: it is a copy" in refused.err
    assert "it ran" not in refused.out
    assert (made_anew.status, made_anew.out) == (0, "fine\n")


def test_a_job_goes_on_while_the_same_environment_is_made_anew_under_it(project):
    # It says that it runs, waits for a word, and imports what it has not imported before.
    code = "print('running', flush=True); input(); import overlay_only; print('fine')"
    words = project.command("run", "--no-sync", "--", "python", "-c", code)
    with subprocess.Popen(
        words,
        cwd=project.directory,
        env=project.environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "running\n"
        # Without its notes lumienv takes the generation for somebody else's, and makes another.
        project.lumienv("sync", XDG_STATE_HOME=str(project.cache / "other-state"))
        assert job.communicate("go\n", timeout=60)[0] == "fine\n"


def test_moving_the_project_breaks_nothing(project, tmp_path):
    project.directory.rename(tmp_path / "elsewhere")
    moved = replace(project, directory=tmp_path / "elsewhere")

    said = moved.try_("run", "--", "python", "-c", "import overlay_only; print(overlay_only.__version__)")

    assert (said.status, said.out, said.err) == (0, "1.0\n", "")
