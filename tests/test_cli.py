"""The command line, through the real program."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import click
import click.core
import pytest
from entry_point import PROGRAM, clean_environment, lumienv
from reference import leaves, options_of

from lumienv.cli import usage
from lumienv.cli.srun_command import SlurmCommand
from lumienv.errors import LumienvError
from lumienv.image.base import host_base
from lumienv.image.probing import take_snapshot
from lumienv.launch.arguments import OPTIONS
from lumienv.launch.slurm_arguments import parse_slurm
from lumienv.launch.slurm_options import SRUN
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import Generation
from lumienv.overlay.store import Store
from lumienv.resolve.origin import Origin
from lumienv.runtime.host import Host
from lumienv.ui import Output, show_error

COMMANDS = (
    ("init",),
    ("lock",),
    ("sync",),
    ("list",),
    ("tree",),
    ("why",),
    ("diff",),
    ("status",),
    ("doctor",),
    ("clean",),
    ("run",),
    ("srun",),
    ("sbatch",),
    ("shell",),
    ("verify",),
    ("image", "list"),
    ("image", "show"),
)
LEAVES = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
HEAVY = ("click", "rich", "urllib3", "resolvelib", "packaging", "tomlkit", "uv")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return clean_environment(home)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on a host Python of its own, with a published generation that is up to date."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    folder = tmp_path / "project"
    folder.mkdir()
    python = tmp_path / "env" / "bin" / "python"
    (folder / "lumienv.toml").write_text(f'[image]\nhost = "{python}"\n[tasks]\nsay = "echo said"\n')
    (folder / LOCK_NAME).write_text("the lock")
    manifest, base = read_manifest(folder / "lumienv.toml"), host_base(str(python))
    store = Store(folder / ".lumienv")
    generation = Generation(
        path=store.generations,
        digest="sha256:" + "a" * 64,
        mode="venv",
        base_kind="host",
        base_path=base.path,
        base_name=base.name,
        identity=take_snapshot(base, "auto", Host(), None).image.identity,
        fingerprint=base.fingerprint,
        selection=manifest.image.selection(),
        inputs=manifest.inputs_digest(),
        lock=bytes_digest(b"the lock"),
        runtime="host",
        python="3.12.9",
    )
    with store.writing(lambda _: None), store.staging() as staged:
        (staged / "tree" / "bin").mkdir(parents=True)
        (staged / "tree" / "bin" / "python").symlink_to(python)
        store.publish(staged, generation)
    return folder


# -- help and usage --------------------------------------------------------------------------------------


def test_the_program_is_called_lumienv() -> None:
    (found,) = (entry for entry in entry_points(group="console_scripts") if entry.name == "lumienv")
    assert found.value == "lumienv.__main__:main"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_lists_every_command_with_what_it_is_for(tmp_path: Path, env: dict[str, str], word: str) -> None:
    done = lumienv(word, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("lock", "sync", "status", "clean", "run", "image"):
        assert [line for line in done.stdout.splitlines() if line.split()[:1] == [command] and len(line) > 20]


@pytest.mark.parametrize("group", [[], ["image"], ["cache"]])
def test_a_group_of_commands_alone_shows_its_help(
    tmp_path: Path, env: dict[str, str], group: list[str]
) -> None:
    done = lumienv(*group, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == lumienv(*group, "--help", cwd=tmp_path, env=env).stdout


@LEAVES
@pytest.mark.parametrize("word", ["-h", "--help"])
def test_every_command_explains_itself(
    tmp_path: Path, env: dict[str, str], command: tuple[str, ...], word: str
) -> None:
    done = lumienv(*command, word, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: lumienv {' '.join(command)}" in done.stdout


def test_the_help_of_run_shows_every_option(tmp_path: Path, env: dict[str, str]) -> None:
    text = lumienv("run", "--help", cwd=tmp_path, env=env).stdout
    assert [name for option in OPTIONS for name in option.names if name not in text] == []


@LEAVES
@pytest.mark.parametrize(
    "option", ["-C", "--project", "-q", "--quiet", "-v", "--verbose", "--color", "--no-progress", "--offline"]
)
def test_every_command_takes_the_common_options(
    tmp_path: Path, env: dict[str, str], command: tuple[str, ...], option: str
) -> None:
    if command in (("srun",), ("sbatch",)) and option in ("-C", "-q", "--quiet", "-v", "--verbose"):
        return  # Slurm's own, of another meaning or the same
    help_text = lumienv(*command, "--help", cwd=tmp_path, env=env).stdout
    assert option in help_text.replace(",", " ").split()


@pytest.mark.parametrize(
    "command", ["lock", "sync", "list", "tree", "why", "diff", "doctor", "image list", "image show"]
)
def test_every_command_that_reports_can_answer_in_json(
    tmp_path: Path, env: dict[str, str], command: str
) -> None:
    assert "--json" in lumienv(*command.split(), "--help", cwd=tmp_path, env=env).stdout


def test_the_version_is_that_of_the_distribution(tmp_path: Path, env: dict[str, str]) -> None:
    assert lumienv("--version", cwd=tmp_path, env=env).stdout == f"lumienv {version('lumienv')}\n"


def test_the_package_can_be_run_as_a_module(tmp_path: Path, env: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "lumienv", "--version"]
    assert subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("typed", "meant"), [("lokc", "lock"), ("snyc", "sync"), ("runn", "run"), ("images", "image")]
)
def test_a_misspelt_command_is_answered_with_the_near_miss(
    tmp_path: Path, env: dict[str, str], typed: str, meant: str
) -> None:
    done = lumienv(typed, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: there is no command lumienv {typed}\nhelp: did you mean lumienv {meant}?\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "image lst",
            "error: there is no command lumienv image lst\nhelp: did you mean lumienv image list?\n",
        ),
        (
            "cache clena",
            "error: there is no command lumienv cache clena\nhelp: did you mean lumienv cache clean?\n",
        ),
        ("lock --upgrad", "error: lumienv lock has no option --upgrad\nhelp: did you mean --upgrade?\n"),
        ("run --no-snyc x", "error: lumienv run has no option --no-snyc\nhelp: did you mean --no-sync?\n"),
        (
            "shell --lancher x",
            "error: lumienv shell has no option --lancher\nhelp: did you mean --launcher?\n",
        ),
        ("tree --dept 2", "error: lumienv tree has no option --dept\nhelp: did you mean --depth?\n"),
        ("why", "error: lumienv why needs NAME\nhelp: lumienv why [OPTIONS] NAME\n"),
        ("run", "error: lumienv run needs COMMAND\nhelp: lumienv run [OPTIONS] COMMAND...\n"),
        (
            "remove --dev",
            "error: lumienv remove needs PACKAGES\nhelp: lumienv remove [OPTIONS] PACKAGES...\n",
        ),
        (
            "-q lock",
            "error: lumienv has no option -q\nhelp: it stands behind the command: lumienv COMMAND -q\n",
        ),
        (
            "image -C x list",
            "error: lumienv image has no option -C\n"
            "help: it stands behind the command: lumienv image COMMAND -C\n",
        ),
        (
            "lock word",
            "error: lumienv lock: got unexpected extra argument (word)\n"
            "help: lumienv lock --help shows what it takes\n",
        ),
        (
            "nothing-like-it",
            "error: there is no command lumienv nothing-like-it\nhelp: lumienv --help shows what there is\n",
        ),
    ],
)
def test_wrong_usage_is_a_sentence_with_a_way_out(
    tmp_path: Path, env: dict[str, str], words: str, said: str
) -> None:
    done = lumienv(*words.split(), cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ("pip install x", "lumienv add"),
        ("install", "lumienv sync"),
        ("generate-shell-completion bash", "lumienv completion SHELL"),
        ("cache prune", "lumienv cache clean --older-than DAYS"),
        ("run --with h5py -- python", "lumienv add PACKAGE"),
        ("run -m pytest", "lumienv run -- python -m MODULE"),
        ("add h5py --extra-index-url https://example.org", "[[index]] in lumienv.toml"),
        ("lock --exclude-newer 2026-01-01", "[resolve]"),
        ("sync --python 3.12", "lumienv image list"),
        ("sync --extra plot", 'lumienv add "PACKAGE[EXTRA]"'),
        ("run --nodes=2 -- python", "lumienv srun --nodes=… -- COMMAND"),
        ("run -n 2 python", "lumienv srun -n … -- COMMAND"),
        ("run -N2 python", "lumienv srun -N … -- COMMAND"),
        ("run -p small python", "lumienv srun -p … -- COMMAND"),
        ("run --dry-run python", "--print shows what would run"),
        ("shell --dry-run", "--print shows what would run"),
        ("run --exclusive python", "lumienv srun --exclusive -- COMMAND"),
        ("run --acount=project python", "lumienv srun --account=… -- COMMAND"),
        ("run --no-dev python", "lumienv sync --no-dev"),
        ("run --all-groups python", "lumienv sync --all-groups"),
        ("run --locked python", "lumienv sync --locked"),
        ("sync --dev", "is there unless --no-dev is given"),
        ("sync --progress", "that is so unless --no-progress is given"),
        ("sync -U", "lumienv lock --upgrade, and then lumienv sync"),
        ("sync --upgrade", "lumienv lock --upgrade, and then lumienv sync"),
        ("sync -P h5py", "lumienv lock --upgrade-package NAME, and then lumienv sync"),
        ("add -U h5py", "lumienv lock --upgrade, and then lumienv sync"),
        ("add -e .", "lumienv add --editable FOLDER"),
        ("lock --locked", "lumienv lock --check"),
        ("lock --no-dev", "lumienv sync --no-dev"),
        ("export -f requirements.txt", "lumienv export --format FORMAT"),
    ],
)
def test_what_fingers_know_from_other_tools_is_answered_with_what_does_it_here(
    tmp_path: Path, env: dict[str, str], words: str, instead: str
) -> None:
    done = lumienv(*words.split(), cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert instead in done.stderr.partition("\nhelp: ")[2]


@pytest.mark.parametrize(
    "words", ["sync --unlocked", "sync --nodes=2", "lock --online", "export --hashes", "add --install"]
)
def test_no_option_is_proposed_that_says_the_opposite_or_something_else(
    tmp_path: Path, env: dict[str, str], words: str
) -> None:
    done = lumienv(*words.split(), cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "did you mean" not in done.stderr


def test_what_other_tools_have_is_answered_only_where_lumienv_has_it_not_and_with_what_it_has() -> None:
    known = dict(leaves())
    assert not set(usage.COMMANDS) & set(known)
    of_commands = [answer for one in usage.OPTIONS_OF.values() for answer in one.values()]
    for command, options in usage.OPTIONS_OF.items():
        assert not set(options) & {word for option in known[command].params for word in option.opts}
    for answer in (*usage.COMMANDS.values(), *usage.OPTIONS.values(), *of_commands):
        for line in re.findall(r"lumienv ((?:image |cache )?[a-z]+(?: --[a-z-]+)*)", answer):
            own = {word for option in known[re.sub(r" --.*", "", line)].params for word in option.opts}
            assert set(re.findall(r"--[a-z-]+", line)) <= own | {"--help"}, answer


@pytest.mark.parametrize(
    "words",
    [
        ["nothing-like-it"],
        ["lock", "--no-such-option"],
        ["lock", "--color", "purple"],
        ["lock", "word"],
        ["run"],
        ["run", "--"],
        ["run", "--launcher", "mpirun", "x"],
        ["run", "--no-such-option", "x"],
        ["image", "no-such"],
        ["sync", "--mode", "zip"],
    ],
)
def test_wrong_usage_is_exit_status_2_and_no_traceback(
    project: Path, env: dict[str, str], words: list[str]
) -> None:
    done = lumienv(*words, cwd=project, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


VARIABLES = [
    pytest.param(name, option, id=f"{name} {option.opts[-1]}")
    for name, command in leaves()
    for option in options_of(command)
]


@pytest.mark.parametrize(("name", "option"), VARIABLES)
def test_every_option_can_be_given_by_its_variable(
    name: str, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = dict(leaves())[name]
    value = "1"
    if isinstance(option.type, click.Choice):
        value = option.type.choices[-1]
    assert option.name is not None
    if isinstance(command, SlurmCommand):
        given, usual = (
            parse_slurm(["--", "true"], environ, SRUN) for environ in ({str(option.envvar): value}, {})
        )
        assert [name for name in vars(given) if vars(given)[name] != vars(usual)[name]] == [option.name]
        return
    monkeypatch.setenv(str(option.envvar), value)
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    words = ["bash" if isinstance(one.type, click.Choice) else "word" for one in arguments if one.required]
    context = command.make_context(name, words)
    assert context.get_parameter_source(option.name) is click.core.ParameterSource.ENVIRONMENT


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("sync", "LUMIENV_MODE"),
        ("sync", "LUMIENV_BUILDER"),
        ("run", "LUMIENV_MODE"),
        ("verify", "LUMIENV_MODE"),
        ("cache clean", "LUMIENV_OLDER_THAN"),
    ],
)
def test_a_wrong_value_from_a_variable_is_told_as_the_variables(
    project: Path, env: dict[str, str], command: str, name: str
) -> None:
    words = [*command.split(), *(["true"] if command == "run" else [])]
    done = lumienv(*words, cwd=project, env=env | {name: "foo"})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: lumienv {command}: {name} in the environment: 'foo' is not " in done.stderr
    assert f"help: unset {name}; lumienv {command} --help shows what it takes" in done.stderr


# -- what the user must change ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["lock"], ["sync"], ["run", "true"], ["run", "--print", "true"], ["image", "show"]]
)
def test_without_a_manifest_every_command_says_how_to_begin(
    tmp_path: Path, env: dict[str, str], words: list[str]
) -> None:
    done = lumienv(*words, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no lumienv.toml")
    assert "\nhelp: " in done.stderr


@pytest.mark.parametrize("words", [["lock"], ["sync"], ["run", "true"]])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[image\n", "not valid TOML"),
        ('[image]\nnmae = "x"\n', "lumienv.toml:2: image.nmae"),
        ('[image]\nhost = "no-such-python"\n', "no-such-python"),
        ('[image]\npath = "no.sif"\n', "no.sif does not exist"),
        ('[image]\nname = "pytroch"\n', "no image called pytroch"),
    ],
)
def test_a_manifest_that_is_wrong_is_a_sentence(
    tmp_path: Path, env: dict[str, str], words: list[str], text: str, said: str
) -> None:
    (tmp_path / "lumienv.toml").write_text(text)
    done = lumienv(*words, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "lumienv.toml"]


@pytest.mark.parametrize(
    "words",
    [
        ["image", "show", "~nobody-has-this-name/x.sif"],
        ["init", "--image", "~nobody-has-this-name/x.json"],
        ["init", "--host", "-r", "~nobody-has-this-name/x.txt"],
    ],
)
def test_the_home_of_a_user_whom_nobody_knows_is_a_sentence(
    tmp_path: Path, env: dict[str, str], words: list[str]
) -> None:
    done = lumienv(*words, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "~nobody-has-this-name/x" in done.stderr
    assert "error in lumienv itself" not in done.stderr


def test_a_lock_that_is_not_up_to_date_is_said_by_check(project: Path, env: dict[str, str]) -> None:
    (project / LOCK_NAME).unlink()
    done = lumienv("lock", "--check", cwd=project, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is none yet" in done.stderr
    assert not (project / LOCK_NAME).exists()


@pytest.mark.parametrize("command", ["lock", "sync", "run"])
def test_a_project_folder_that_is_not_there_is_named(
    project: Path, env: dict[str, str], command: str
) -> None:
    words = ["true"] if command == "run" else []
    done = lumienv(command, "-C", "missing", *words, cwd=project, env=env)
    assert done.returncode in (1, 2)
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["lock --check", "image show", "run --print -- true"])
def test_the_project_may_be_named_by_its_variable(
    tmp_path: Path, project: Path, env: dict[str, str], command: str
) -> None:
    """Every option has an environment variable LUMIENV_… (design: Commands)."""
    done = lumienv(*command.split(), cwd=tmp_path, env=env | {"LUMIENV_PROJECT": str(project)})
    assert "no lumienv.toml" not in done.stderr


@pytest.mark.parametrize("command", ["lock --check", "image show", "run --print -- true"])
def test_the_folder_one_stands_in_counts_not_what_the_variable_pwd_says(
    tmp_path: Path, project: Path, env: dict[str, str], command: str
) -> None:
    """A program that starts another in a folder (`subprocess`, `make -C`, cron) often leaves PWD stale."""
    done = lumienv(*command.split(), cwd=project, env=env | {"PWD": str(tmp_path)})
    assert "no lumienv.toml" not in done.stderr


def test_images_are_listed_in_a_table_and_in_json(tmp_path: Path, env: dict[str, str]) -> None:
    name = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"
    (tmp_path / name).write_bytes(b"")
    env["LUMIENV_IMAGE_PATH"] = str(tmp_path)
    table = lumienv("image", "list", cwd=tmp_path, env=env)
    heading, row = table.stdout.splitlines()
    assert heading.split() == ["name", "version", "rocm", "python", "path"]
    assert row.split() == ["pytorch", "2.7.1", "6.2.4", "3.12", str(tmp_path / name)]
    (found,) = json.loads(lumienv("image", "list", "--json", cwd=tmp_path, env=env).stdout)
    assert (found["path"], found["what"], found["rocm"]) == (str(tmp_path / name), "pytorch", "6.2.4")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, env: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [*PROGRAM, "--help"], cwd=tmp_path, env=env, stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("color", "variables", "coloured"),
    [
        ("always", {}, True),
        ("never", {}, False),
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
@pytest.mark.parametrize("words", ["lock", "run -- true", "image show"])
def test_colour_is_used_when_asked_for(
    tmp_path: Path, env: dict[str, str], words: str, color: str, variables: dict[str, str], coloured: bool
) -> None:
    first, *more = words.replace("image show", "image+show").split()
    done = lumienv(*first.split("+"), "--color", color, *more, cwd=tmp_path, env=env | variables)
    assert ("\x1b[" in done.stderr) is coloured
    assert "no lumienv.toml" in done.stderr


# -- run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 2, 42, 130])
def test_the_exit_status_is_the_commands(project: Path, env: dict[str, str], status: int) -> None:
    assert lumienv("run", "--", "sh", "-c", f"exit {status}", cwd=project, env=env).returncode == status


def test_a_signal_that_ends_the_command_ends_lumienv(project: Path, env: dict[str, str]) -> None:
    done = lumienv("run", "--", "sh", "-c", "kill -TERM $$", cwd=project, env=env)
    assert done.returncode == -signal.SIGTERM


def test_lumienv_becomes_the_command(project: Path, env: dict[str, str]) -> None:
    argv = [*PROGRAM, "run", "--", "sh", "-c", "echo $$"]
    with subprocess.Popen(argv, cwd=project, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0] == f"{process.pid}\n"


def test_arguments_arrive_intact(project: Path, env: dict[str, str]) -> None:
    words = ["a b", "", "$HOME", "`id`", "'", '"', "two\nlines", "*", "--", "-q", "é"]
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = lumienv("run", "--", "python", "-c", show, *words, cwd=project, env=env)
    assert json.loads(done.stdout) == words


def test_standard_input_reaches_the_command(project: Path, env: dict[str, str]) -> None:
    assert lumienv("run", "cat", cwd=project, env=env, stdin="text").stdout == "text"


def test_a_task_runs_by_its_name_from_any_folder_below(project: Path, env: dict[str, str]) -> None:
    (project / "deep").mkdir()
    assert lumienv("run", "say", "more", cwd=project / "deep", env=env).stdout == "said more\n"


def test_what_is_printed_runs_without_lumienv(project: Path, env: dict[str, str]) -> None:
    words = ["--", "sh", "-c", 'printf "%s|" "$@" "$VIRTUAL_ENV"', "sh", "a b", "it's", "$HOME", "x\ny"]
    printed = lumienv("run", "--print", *words, cwd=project, env=env)
    assert printed.returncode == 0
    assert "lumienv run" not in printed.stdout
    by_hand = subprocess.run(
        ["/bin/sh", "-c", printed.stdout], cwd="/", env=env, capture_output=True, text=True, check=True
    )
    assert by_hand.stdout == lumienv("run", *words, cwd=project, env=env).stdout


def test_an_argument_that_is_no_text_can_be_printed(project: Path, env: dict[str, str]) -> None:
    argv: list[str | bytes] = [*PROGRAM, "run", "--print", "--", "echo", b"\xff"]
    strict = env | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(argv, cwd=project, env=strict, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\xff" in done.stdout or b"\\377" in done.stdout


def test_a_command_that_is_not_there_is_a_sentence(project: Path, env: dict[str, str]) -> None:
    done = lumienv("run", "no-such-program", cwd=project, env=env)
    assert done.returncode == 1
    assert "error: cannot start no-such-program" in done.stderr


def test_inside_a_job_a_stale_environment_is_an_error(project: Path, env: dict[str, str]) -> None:
    (project / LOCK_NAME).write_text("another lock")
    done = lumienv("run", "true", cwd=project, env=env | {"SLURM_JOB_ID": "7"})
    assert done.returncode == 1
    assert f"lumienv sync -C {project}" in done.stderr


def imported(project: Path, env: dict[str, str], *words: str) -> list[str]:
    """The modules that the program imports before it becomes the command."""
    argv = [sys.executable, "-X", "importtime", "-m", "lumienv", *words]
    done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert (done.returncode, done.stderr.splitlines()) == (0, lines)
    return [line.rpartition("|")[2].strip() for line in lines][1:]


@pytest.mark.parametrize("words", [("run", "--", "true"), ("run", "--print", "true"), ("run", "say")])
def test_run_imports_none_of_the_heavy_libraries(
    project: Path, env: dict[str, str], words: tuple[str, ...]
) -> None:
    modules = imported(project, env, *words)
    assert "lumienv.launch.plan" in modules
    assert sorted({module.split(".")[0] for module in modules} & set(HEAVY)) == []


def test_run_imports_of_the_standard_library_nothing_that_it_does_not_need(
    project: Path, env: dict[str, str]
) -> None:
    modules = set(imported(project, env, "run", "--", "true"))
    unneeded = {"asyncio", "subprocess", "ssl", "http", "email", "importlib.metadata", "logging", "zipfile"}
    assert sorted(modules & unneeded) == []
    assert [
        name for name in modules if name.startswith(("lumienv.index", "lumienv.resolve", "lumienv.ui"))
    ] == []


def test_a_heavy_library_would_be_seen(project: Path, env: dict[str, str]) -> None:
    """`run --help` is click's: this is what the test above would find."""
    assert "click" in imported(project, env, "run", "--help")


def test_messages_hold_nothing_that_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;title\x07boo \x1b[2J\x1b[31mred\x1b[0m\x00\x9b2J\u202e"
    show_error(LumienvError(hostile, hostile, hint=f"{hostile}\nsecond"), color=True)
    Output(color=True).warn(hostile)
    said = capsys.readouterr().err
    assert said.count("boo red2J") == 4
    assert "second" in said
    assert not re.search(r"\x1b(?!\[\d*m)|[\x00\x07\x9b\u202e]", said)


def test_what_stands_behind_an_address_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    address = "https://example.org/mylib-1.0.zip?token=s3cr3t&x=1"
    output = Output(verbose=1)
    for say in (output.note, output.warn, output.detail, output.result):
        say(f"mylib comes from {address} (see {address}#sha256=00)")
    show_error(LumienvError(f"cannot fetch {address}", f"at '{address}'", hint=f"look at {address}"))
    said = "".join(capsys.readouterr())
    assert "s3cr3t" not in said
    assert "(see https://example.org/mylib-1.0.zip#sha256=00)" in said
    assert str(Origin("archive", address)) == "https://example.org/mylib-1.0.zip"
