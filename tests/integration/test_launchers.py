"""The launchers in `.lumienv/bin`: in a shell, a job, a container, and where the project was moved to."""

import json
import shutil
import subprocess

import pytest
from wheels import make_wheel

pytestmark = pytest.mark.unprivileged

CODE = "def main():\n    import sys\n    print(__file__, sys.argv, flush=True)\n    sys.exit(3)\n"
WHO = "import os, thing; print(os.environ.get('RANK'), os.environ.get('SLURM_PROCID'), thing.__file__)"
SEEN = "import json, sys; print(json.dumps([sys.executable, sys.prefix, sys.argv[1:]]))"
NASTY = ["two words", "it's", "$HOME `id` $(id)", "a\nb", "a,b=c", "*", "\\", "", "--flag", "ü"]


def launcher(project, name="python") -> str:
    return str(project.directory / ".lumienv/bin" / name)


def synced(local, wheels, image, mode, more=""):
    make_wheel(wheels, "thing", "1.0", modules={"thing.py": CODE}, entry_points={"thing-tool": "thing:main"})
    local.write(f'path = "{image}"', ["thing"], more)
    words = ["--mode", "sif", "--builder", "append"] if mode == "sif" else ["--mode", mode]
    local.lumienv("sync", *words)
    return local


@pytest.fixture
def project(small_image, local, wheels):
    return synced(local, wheels, small_image, "venv", '[run]\npreset = "torch-srun"\n')


@pytest.mark.parametrize(
    ("family", "mode"), [("mpi4py", "venv"), ("pytorch", "squashfs"), ("multitorch", "sif")]
)
def test_programs_are_started_by_path_on_every_family(lab, local, wheels, tmp_path, family, mode):
    project = synced(local, wheels, lab.images[family], mode)
    version = next((project.directory / ".lumienv/bin").glob("python3.*")).name

    for name in ("python", version):
        said = subprocess.run(
            [launcher(project, name), "-c", SEEN, *NASTY],
            env=project.environment({}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert said.stderr == ""
        assert json.loads(said.stdout) == [f"/opt/lumienv/bin/{name}", "/opt/lumienv", NASTY]
    tool = project.shell([launcher(project, "thing-tool"), "a b"])
    assert tool.status == 3
    assert tool.out.startswith("/opt/lumienv/lib/")
    assert "['/opt/lumienv/bin/thing-tool', 'a b']" in tool.out
    if family == "mpi4py":
        listed = project.shell([launcher(project, "pip"), "list"]).out
        assert ["thing", "1.0"] in [line.split() for line in listed.splitlines()]
    in_container = ["run", "--", "sh", "-c", f'exec {launcher(project)} "$@"', "sh", "-c", SEEN]
    assert json.loads(project.lumienv(*in_container))[0] == "/opt/lumienv/bin/python"
    assert len(list((project.directory / ".lumienv/generations").rglob("*"))) <= 12 or mode == "venv"


def test_a_launcher_in_a_batch_script_and_behind_srun(project, slurm):
    script = project.directory / "job.sh"
    script.write_text(
        "#!/bin/sh\n#SBATCH --ntasks=4 --output=%s\n" % (project.directory / "job.out")
        + f"{launcher(project)} -c {json.dumps(WHO)}\nsrun -n4 {launcher(project)} -c {json.dumps(WHO)}\n"
        + f"srun -n2 --export=NONE {launcher(project, 'thing-tool')} x\n"
    )
    done = project.shell(["sbatch", "--wait", "--quiet", str(script)])

    printed = (project.directory / "job.out").read_text().splitlines()
    assert done.status == 3, printed
    # srun says of each task that it failed, which may be before the next one has printed its line.
    lines = [line for line in printed if not line.startswith("srun: ")]
    at = "/opt/lumienv/lib/python3."
    assert lines[0].split()[0] == "None"
    ranks = sorted(line.split()[0] for line in lines[1:5])
    assert ranks == ["0", "1", "2", "3"]
    assert all(line.split()[0] == line.split()[1] for line in lines[1:5])
    assert [at in line for line in lines] == [True] * 7, printed


def test_launchers_take_run_of_the_manifest_with_the_next_sync(project):
    manifest = project.directory / "lumienv.toml"
    manifest.write_text(manifest.read_text() + "[run.env]\nMINE = 'a,b \"$(id)\"'\n")

    said = project.lumienv("sync")

    assert "up to date" in said
    assert project.shell([launcher(project), "-c", "import os; print(os.environ['MINE'])"]).out == (
        'a,b "$(id)"\n'
    )
    assert f"launchers:    {project.directory}/.lumienv/bin" in project.lumienv("status")


def test_in_a_container_a_launcher_becomes_the_program_itself(project, small_image, runtime, tmp_path):
    tool = project.directory / "tool.sh"
    tool.write_text(f"#!/bin/sh\nexec {launcher(project)} -c '{SEEN}'\n")
    tool.chmod(0o755)
    # Started by another launcher, through Python's own subprocess.
    code = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    within = project.shell([launcher(project), "-c", code, str(tool)])
    assert json.loads(within.out)[0] == "/opt/lumienv/bin/python", within.err

    bind = ["--bind", str(project.directory)]
    other = project.shell([runtime, "exec", *bind, str(small_image), str(tool)])
    assert other.status == 1
    assert "was started in the container of another image or project" in other.err

    # A sync meanwhile: who is in the old environment stays there.
    with subprocess.Popen(
        [launcher(project), "-c", f"input(); {code}", str(tool)],
        env=project.environment({}),
        cwd=project.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as job:
        manifest = project.directory / "lumienv.toml"
        manifest.write_text(manifest.read_text().replace('"thing"', '"thing>=1"'))
        project.lumienv("sync")
        out, _ = job.communicate("\n", timeout=120)
    assert json.loads(out)[0] == "/opt/lumienv/bin/python"


def test_a_moved_project_and_links_to_a_launcher(project, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    (links / "py").symlink_to(launcher(project))
    through_a_link = project.shell([str(links / "py"), "-c", SEEN])
    assert json.loads(through_a_link.out)[0] == "/opt/lumienv/bin/python"

    moved = tmp_path / "moved to here"
    shutil.move(project.directory, moved)

    said = subprocess.run(
        [moved / ".lumienv/bin/thing-tool"],
        env=project.environment({"PWD": "/"}),
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (3, "")


def test_without_a_container_too(local, wheels):
    make_wheel(wheels, "thing", "1.0", modules={"thing.py": CODE}, entry_points={"thing-tool": "thing:main"})
    local.write('host = "/usr/bin/python3"', ["thing"])
    local.lumienv("sync")

    tool = local.shell([launcher(local, "thing-tool"), "a b"])

    assert (tool.status, tool.err) == (3, "")
    assert f"{local.directory}/.lumienv/generations/" in tool.out
