"""Hundreds of nasty variables and arguments in one start, by every way, on every image: all arrive whole."""

import os
import subprocess
from collections.abc import Mapping, Sequence

import pytest
import tomlkit
from torture import SHOW, Seen, named, output_of, raws, texts

from lumienv.launch.variables import OF_A_SHELL

pytestmark = pytest.mark.unprivileged

BASES = ["mpi4py", "pytorch", "multitorch", "small", "host"]

TEXTS = texts(150)
RAWS = raws(80)


@pytest.fixture(scope="module", params=BASES)
def base(request, lab):
    """The line of [image] for one of the bases."""
    if request.param == "host":
        return 'host = "python3"'
    image = request.getfixturevalue("small_image") if request.param == "small" else lab.images[request.param]
    return f'path = "{image}"'


@pytest.fixture(scope="module")
def project(base, tmp_path_factory, cache):
    """A synced project in a folder whose name has to be quoted; its manifest sets 200 variables."""
    from workspace import make_workspace

    folder = tmp_path_factory.mktemp("torture") / 'it\'s a "$project"\n,x'
    made = make_workspace(folder, cache)
    table = tomlkit.document()
    table["run"] = {"env": {name: value.decode() for name, value in WRITTEN.items()}}
    made.write(base, more=tomlkit.dumps(table))
    made.lumienv("sync")
    return made


WRITTEN = {f"W_{name}": value for name, value in named(TEXTS).items()} | named(TEXTS[-60:])
TYPED = {f"T_{name}": value for name, value in named([*TEXTS[100:], *RAWS]).items()} | named(TEXTS[:60])
EXPORTED = {f"E_{name}": value for name, value in named(TEXTS).items()}
WORDS = [*TEXTS, *RAWS]


# The runtimes expand a tilde in what they take over from the host without being asked (Apptainer 1.4.5).
EXPORTED = {name: value for name, value in EXPORTED.items() if not value.startswith(b"~")}


def typed(variables: Mapping[str, bytes]) -> list[str]:
    return [word for name, value in variables.items() for word in ("--env", f"{name}={os.fsdecode(value)}")]


def called(
    project, name: str, variables: Mapping[str, bytes], words: Sequence[bytes], *options: str
) -> list[str]:
    command = ["python", "-c", SHOW, *map(os.fsdecode, words)]
    return project.command(name, "--no-sync", *options, *typed(variables), "--", *command)


def run(project, variables: Mapping[str, bytes], words: Sequence[bytes], *options: str) -> list[str]:
    return called(project, "run", variables, words, *options)


def is_host(project) -> bool:
    return 'host = "' in (project.directory / "lumienv.toml").read_text()


def seen(project, command, **exported):
    env = project.environment({name: os.fsdecode(value) for name, value in EXPORTED.items()} | exported)
    return Seen.of(output_of(command, project.directory, env))


def test_run_itself_hands_on_every_value_and_argument_to_the_byte(project):
    found = seen(project, run(project, TYPED, WORDS))

    assert found.changed(WRITTEN | TYPED | EXPORTED) == {}
    assert found.words == tuple(WORDS)
    assert not (project.directory / "evil").exists()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_printed_line_hands_on_the_same_in_another_shell(project, shell):
    text = {name: value for name, value in TYPED.items() if value in TEXTS}
    line = output_of(run(project, text, TEXTS, "--print"), project.directory, project.environment({}))

    script = project.directory / "line"  # longer than one argument may be
    script.write_bytes(line)
    found = seen(project, [shell, str(script)])

    assert found.changed(WRITTEN | text | EXPORTED) == {}
    assert found.words == tuple(TEXTS)


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("export", ["ALL", "NONE", "HOME,E_x"])
def test_srun_hands_on_the_plan_whatever_it_is_to_export(project, export):
    found = seen(
        project,
        run(project, TYPED, WORDS, "--launcher", "srun", "--srun", f"-Q -n1 --export={export}"),
    )

    # The word `:` would be srun's, so a shell has it for the command; on a host base it has them, too.
    own = OF_A_SHELL if is_host(project) else ()
    sent = WRITTEN | TYPED | (EXPORTED if export == "ALL" else {})
    assert found.changed({name: value for name, value in sent.items() if name not in own}) == {}
    assert found.words == tuple(WORDS)


@pytest.mark.usefixtures("slurm")
def test_lumienv_srun_hands_on_the_same(project):
    found = seen(project, called(project, "srun", TYPED, WORDS, "-Q", "-n1", "-pdebug", "-t5"))

    own = OF_A_SHELL if is_host(project) else ()
    sent = WRITTEN | TYPED | EXPORTED
    assert found.changed({name: value for name, value in sent.items() if name not in own}) == {}
    assert found.words == tuple(WORDS)


@pytest.mark.usefixtures("slurm")
def test_a_submitted_job_hands_on_the_same(project, tmp_path):
    options = ("-Q", "-n1", "-pdebug", "-t5", "--wait", f"--output={tmp_path}/out")
    env = project.environment({name: os.fsdecode(value) for name, value in EXPORTED.items()})
    done = subprocess.run(
        called(project, "sbatch", TYPED, WORDS, *options),
        cwd=project.directory,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    output = (tmp_path / "out").read_bytes() if (tmp_path / "out").exists() else b""
    assert done.returncode == 0, (done.stderr + output)[-3000:]

    found = Seen.of(output)
    own = OF_A_SHELL if is_host(project) else ()
    sent = WRITTEN | TYPED | EXPORTED
    assert found.changed({name: value for name, value in sent.items() if name not in own}) == {}
    assert found.words == tuple(WORDS)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_launcher_hands_on_the_same(project, shell):
    """Started by its own first line, and by another shell."""
    launcher = str(project.directory / ".lumienv/bin/python")
    found = seen(project, [shell, launcher, "-c", SHOW, *WORDS])

    assert found.changed(WRITTEN | EXPORTED) == {}
    assert found.words == tuple(WORDS)
