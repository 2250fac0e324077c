"""What a command finds around it, with a real runtime: nothing stale of the host's, all of the user's."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from torture import SHOW, Seen, output_of
from wheels import make_wheel
from workspace import make_workspace

from lumienv.overlay.generation import current_generation
from lumienv.project import open_project
from lumienv.project.activation import SHELLS_OWN, activation_differences

pytestmark = pytest.mark.unprivileged

STALE = {
    **{
        f"{prefix}_{name}": "/no/such"
        for prefix in ("APPTAINER", "SINGULARITY")
        for name in ("OVERLAY", "MOUNT")
    },
    "SINGULARITY_BIND": "/no/such/folder",
    "APPTAINER_BINDPATH": "/no/such/folder:/x",
    "APPTAINER_PWD": "/usr",
    "SINGULARITY_CONTAINALL": "1",
    "APPTAINER_CLEANENV": "1",
    "APPTAINER_NO_MOUNT": "tmp,cwd",
    "SINGULARITYENV_PATH": "/stale",
    "SINGULARITYENV_PREPEND_PATH": "/stale",
    "APPTAINERENV_PYTHONPATH": "/stale",
    "SINGULARITYENV_VIRTUAL_ENV": "/stale",
    "PYTHONPATH": "/stale",
    "PYTHONSTARTUP": "/stale",
    "PYTHONUSERBASE": "/stale",
    "CONDA_PREFIX": "/stale",
    "CONDA_SHLVL": "3",
    "_CE_CONDA": "stale",
    "VIRTUAL_ENV": "/stale",
    "VIRTUAL_ENV_PROMPT": "(stale)",
    "PIP_TARGET": "/stale",
    "BASH_ENV": "/stale",
}
CHOSEN = {
    "http_proxy": "http://proxy.example.org:3128",
    "LC_TIME": "fi_FI.UTF-8",
    "NCCL_SOCKET_IFNAME": "hsn0,hsn1",
    "SLURM_JOB_NAME": "a job",
    "PMI_RANK": "3",
    "MINE": 'a,b="c" $(id)',
    "PYTHONUNBUFFERED": "1",
    "SINGULARITYENV_WANTED": "yes",
    "BASH_FUNC_module%%": "() { :; }",
}


@pytest.fixture(scope="module")
def shared(lab, small_image, tmp_path_factory, cache):
    """A synced project on the small image, in a folder that no runtime mounts by itself."""
    place = Path("/srv") if os.access("/srv", os.W_OK) else Path("/project/project_465000000")
    folder = place / f"lumienv-test-{os.getpid()}"
    made = make_workspace(folder / "pfs" / "a project", cache)
    try:
        made.write(f'path = "{small_image}"')
        made.lumienv("sync")
        yield made
    finally:
        shutil.rmtree(folder)


def plain(seen: Seen) -> Seen:
    """Without what a shell in between keeps for itself."""
    return replace(seen, env={name: value for name, value in seen.env.items() if name not in SHELLS_OWN})


def look(project, *words, **variables) -> Seen:
    command = project.command("run", *words, "--", "python", "-c", SHOW)
    return Seen.of(output_of(command, project.directory, project.environment(variables)))


def test_nothing_stale_changes_what_a_command_finds_and_the_users_own_reaches_it(shared):
    clean = look(shared, **CHOSEN)
    stale = look(shared, **CHOSEN, **STALE)

    assert stale == clean
    kept = {name: value for name, value in CHOSEN.items() if not name.startswith("SINGULARITYENV_")}
    assert clean.changed({name: value.encode() for name, value in kept.items()} | {"WANTED": b"yes"}) == {}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_printed_line_does_the_same_as_run_in_the_shell_where_it_was_printed(shared, shell):
    # dash hands on no variable whose name it could not set, and bash writes functions in its own way.
    held = {name: value for name, value in (CHOSEN | STALE).items() if name.isidentifier()}
    line = shared.lumienv("run", "--print", "--", "python", "-c", SHOW, **held)

    pasted = output_of([shell, "-c", line], shared.directory, shared.environment(held))

    assert plain(Seen.of(pasted)) == plain(look(shared, **held))


def test_paths_of_a_binding_module_that_are_not_bound_are_named_once(shared):
    said = shared.try_("run", "--", "true", SINGULARITY_BIND=f"/opt/cray,{shared.directory}/x")

    assert said.status == 0
    assert said.err.splitlines() == [
        "SINGULARITY_BIND is not used (/opt/cray); name what is to be seen in [run] bind"
    ]


def test_the_whole_project_is_seen_from_a_folder_below_it(shared):
    below = replace(shared, directory=shared.directory / "src")
    below.directory.mkdir(exist_ok=True)

    assert below.python("import os; print(os.path.exists('../lumienv.toml'))") == "True"


def test_a_folder_reached_by_a_link_is_the_same_in_the_container(shared):
    link = shared.directory.parents[1] / "scratch"
    link.symlink_to("pfs")
    linked = replace(shared, directory=link / shared.directory.name)
    code = "import os, sys; print(os.path.exists('lumienv.toml'), os.path.exists(sys.argv[1]), os.getcwd())"

    seen = linked.python(code, f"{linked.directory}/lumienv.toml")

    assert seen == f"True True {shared.directory}"
    line = linked.lumienv("run", "--print", "--", "python", "-c", code, f"{linked.directory}/lumienv.toml")
    assert linked.shell(["sh", "-c", line]).out.strip() == seen


def test_a_bind_through_a_link_and_binds_within_binds_are_seen(shared):
    place = shared.directory.parents[1]
    (place / "lustre" / "data" / "inner").mkdir(parents=True)
    (place / "other").mkdir()
    (place / "lustre" / "data" / "x").write_text("linked")
    (place / "other" / "y").write_text("inner")
    (place / "flash").symlink_to("lustre")
    code = "print(open('/in/x').read(), open('/in/inner/y').read(), open(__import__('sys').argv[1]).read())"
    words = (
        "--bind",
        f"{place}/other:/in/inner:ro",
        "--bind",
        f"{place}/flash/data:/in",
        "--bind",
        f"{place}/flash",
    )

    seen = shared.lumienv("run", *words, "--", "python", "-c", code, f"{place}/flash/data/x")

    assert seen.strip() == "linked inner linked"
    refused = shared.try_("run", *words, "--", "sh", "-c", "echo a >/in/inner/z")
    assert "Read-only" in refused.err


def test_no_secret_stands_on_a_command_line_of_any_process(shared):
    """Neither of the runtime's nor of srun's: they are looked at from within, while they run."""
    code = (
        "import glob; print([name for name in glob.glob('/proc/[0-9]*/cmdline') "
        "if b's3c'+b'r3t' in open(name, 'rb').read()])"
    )
    said = shared.lumienv("run", "--env", "TOKEN", "--", "python", "-c", code, TOKEN="s3cr3t")

    assert said.strip() == "[]"


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("export", ["ALL", "NONE"])
def test_no_secret_is_told_by_slurm_or_stands_on_a_command_line_of_a_job(shared, export):
    look_around = (
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; scontrol show job -d $SLURM_JOB_ID; "
        "scontrol show step $SLURM_JOB_ID; squeue -j $SLURM_JOB_ID -o %all"
    )
    watch = f'"$@" & job=$!; {look_around}; wait $job; {look_around}'
    words = shared.command(
        *("run", "--env", "TOKEN", "--srun", f"--export={export}", "--"),
        *("python", "-c", "import os; print('arrived' if os.environ['TOKEN'] == 's3c' + 'r3t' else 'lost')"),
    )
    said = shared.shell(["salloc", "-Q", "-n1", "sh", "-c", watch, "sh", *words], TOKEN="s3cr3t")

    assert "arrived" in said.out, said.err
    assert "TOKEN" in said.out, "the job's processes were not seen"
    assert "s3cr3t" not in said.out + said.err


@pytest.mark.parametrize("words", [(), ("--env", "X=1")])
def test_a_task_is_the_runtime_and_then_the_command_and_no_other_program(shared, require, tmp_path, words):
    require(shutil.which("strace") is not None, "no strace here: install Debian's package of that name")
    trace = tmp_path / "trace"
    inner = shared.command("run", *words, "--", "python", "-c", "pass")
    shared_said = shared.shell(["strace", "-f", "-qq", "-e", "trace=execve", "-o", str(trace), *inner])

    assert shared_said.status == 0, shared_said.err
    started = [
        json.loads(line.partition("execve(")[2].split(",")[0])
        for line in trace.read_text().splitlines()
        if "execve(" in line and line.endswith("= 0")
    ]
    begun = next(i for i, name in enumerate(started) if name.endswith(("/singularity", "/apptainer")))
    after = [Path(name).name for name in started[begun:]]
    # The runtime starts helpers of its own; of shells there is none, and the command is the last.
    assert after[-1] == "python"
    assert not {"sh", "bash", "dash", "env", "busybox"} & set(after)


FAMILIES = {
    "mpi4py": "source /opt/miniconda3/bin/activate mpi4py",
    "pytorch": "$WITH_CONDA",
    "multitorch": "true",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_recorded_activation_does_what_running_it_does(lab, local, wheels, family):
    make_wheel(wheels, "overlay-only", "1.0")
    local.write(f'path = "{lab.images[family]}"', ["overlay-only"])
    local.lumienv("sync")
    project = open_project(str(local.directory), local.environment({}))
    generation = current_generation(project.manifest.store_path)

    found = activation_differences(
        generation, FAMILIES[family], project.manifest, project.site, local.environment({"CONDA_SHLVL": "2"})
    )

    assert found == []


def test_a_difference_that_an_activation_makes_is_found(lab, local):
    local.write(f'path = "{lab.images["pytorch"]}"')
    local.lumienv("sync")
    project = open_project(str(local.directory), local.environment({}))
    generation = current_generation(project.manifest.store_path)
    command = "export NEW=1 PATH=/first:$PATH; unset CONDA_SHLVL"

    found = activation_differences(generation, command, project.manifest, project.site, local.environment({}))

    assert [(one.name, one.recorded, one.live) for one in found if one.name != "PATH"] == [
        ("CONDA_SHLVL", "1", None),
        ("NEW", None, "1"),
    ]
    assert "PATH" in {one.name for one in found}


@pytest.mark.parametrize(
    ("family", "activate"),
    [
        ("mpi4py", "live"),
        ("mpi4py", FAMILIES["mpi4py"]),
        ("pytorch", "none"),
        ("multitorch", "none"),
        ("multitorch", "live"),
    ],
)
def test_every_way_of_activation_ends_in_the_same_environment(lab, local, family, activate):
    line = f'path = "{lab.images[family]}"'
    local.write(line)
    local.lumienv("sync")
    recorded = look(local)
    local.write(f"{line}\nactivate = '{activate}'")
    local.lumienv("sync")
    other = look(local)

    assert plain(other) == plain(recorded)
