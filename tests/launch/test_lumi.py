"""A LUMI to try launches on: its tree of folders and links, its site, and what `run --print -v` says there.

The site is the shipped lumi.toml with each of its paths moved below a folder of the test's; that folder is
taken out of what is printed again, so that `lumi.txt` reads as on LUMI. It is reviewed by hand and compared
to the letter; when it is to change:

    LUMIENV_TEST_WRITE_MESSAGES=1 pytest tests/launch/test_lumi.py
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sif_files import DataObject, sif

import lumienv.site
from lumienv.image.base import sif_base
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.manifest.reader import read_manifest
from lumienv.overlay.generation import CARRIERS, Generation
from lumienv.overlay.store import Store

HERE = Path(__file__).parent
REVIEWED = HERE / "lumi.txt"
APPL_TREE = HERE.parent / "lab" / "appl-tree.sh"
WRITING = bool(os.environ.get("LUMIENV_TEST_WRITE_MESSAGES"))

SIF = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1"
MPI4PY = "lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6-dockerhash-f049c8bd4669"
IMAGES = {
    "amd": (f"appl/local/containers/sif-images/{SIF}.sif", "/opt/miniconda3/envs/pytorch"),
    "laif": ("appl/local/laifs/containers/lumi-multitorch-latest.sif", "/opt/venv"),
}
# What a batch script finds: four whole nodes of eight tasks with seven cores each, as LUMI's guides ask.
FOUR_NODES = {
    "SLURM_JOB_ID": "1234567",
    "SLURMD_NODENAME": "nid005001",
    "SLURM_JOB_PARTITION": "standard-g",
    "SLURM_NNODES": "4",
    "SLURM_JOB_NUM_NODES": "4",
    "SLURM_NTASKS": "32",
    "SLURM_NPROCS": "32",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_TASKS_PER_NODE": "8(x4)",
    "SLURM_CPUS_PER_TASK": "7",
    "SLURM_GPUS_PER_NODE": "8",
    "SLURM_GPUS_ON_NODE": "8",
}
ONE_NODE = FOUR_NODES | {
    "SLURM_NNODES": "1",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_NTASKS": "8",
    "SLURM_NPROCS": "8",
    "SLURM_TASKS_PER_NODE": "8",
}


@dataclass(frozen=True)
class Case:
    title: str
    preset: str
    family: str
    environ: Mapping[str, str]
    slurm: str = ""
    mode: str = "squashfs"
    words: tuple[str, ...] = ()


ON_FOUR = 'partition = "standard-g"\nnodes = 4\nntasks-per-node = 8\ncpus-per-task = 7\ngpus-per-node = 8\n'
CASES = [
    Case("lumi-g, one node, an AMD image", '"lumi-g"', "amd", ONE_NODE),
    Case("lumi-g, four nodes, an AMD image", '"lumi-g"', "amd", FOUR_NODES),
    Case("lumi-g, one node, a LAIF image", '"lumi-g"', "laif", ONE_NODE, mode="venv"),
    Case("lumi-g, four nodes, a LAIF image", '"lumi-g"', "laif", FOUR_NODES, mode="venv"),
    Case("lumi-g and torch-srun, four nodes, inside the job", '["lumi-g", "torch-srun"]', "laif", FOUR_NODES),
    Case(
        "lumi-g and torch-srun, four nodes, from a login node",
        '["lumi-g", "torch-srun"]',
        "amd",
        {},
        ON_FOUR,
        words=("--launcher", "srun"),
    ),
    Case("lumi-g and torchrun, one node", '["lumi-g", "torchrun"]', "amd", ONE_NODE),
    Case("lumi-g and torchrun, four nodes", '["lumi-g", "torchrun"]', "laif", FOUR_NODES),
    Case(
        "lumi-g, two GPUs of a node that others use, too",
        '"lumi-g"',
        "laif",
        {},
        'partition = "small-g"\nnodes = 1\nntasks-per-node = 2\ncpus-per-task = 7\ngpus-per-node = 2\n',
        words=("--launcher", "srun"),
    ),
    Case("lumi-g, on a login node", '"lumi-g"', "amd", {}),
    Case(
        "lumi-c, one node",
        '"lumi-c"',
        "amd",
        {name: value for name, value in ONE_NODE.items() if "GPU" not in name}
        | {"SLURM_JOB_PARTITION": "standard", "SLURM_CPUS_PER_TASK": "16"},
    ),
    Case(
        "lumi-c, four nodes of 128 tasks: too many loop devices",
        '"lumi-c"',
        "amd",
        {},
        'partition = "standard"\nnodes = 4\nntasks-per-node = 128\n',
        words=("--launcher", "srun"),
    ),
]


class Lumi:
    """The tree of LUMI's file systems below `root`, and a project in a workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        images = root / "builds"
        images.mkdir()
        names = [f"{SIF}-dockerhash-0d479e852886", MPI4PY]
        names.append("lumi-multitorch-full-u24r70f21m50t210-20260807_115122")
        for number, name in enumerate(names):
            content = sif([DataObject(b"H" * 5000)], uuid=bytes([number]) * 16)
            (images / f"{name}.sif").write_bytes(content)
            (images / f"{name}.json").write_text("{}")
            (images / f"{name}.sif.sha256").write_text("")
        subprocess.run(["bash", str(APPL_TREE), str(root / "appl"), str(images)], check=True)
        for name, at in (("scratch", "lustrep1"), ("projappl", "lustrep1"), ("flash", "lustref1")):
            workspace = root / "pfs" / at / name / "project_465000000"
            (workspace / "ada").mkdir(parents=True)
            (root / name).mkdir()
            (root / name / "project_465000000").symlink_to(workspace)
        (root / "project").symlink_to(root / "projappl")
        for folder in ("var/spool/slurmd", "opt/cray", "usr/lib64", "usr/bin"):
            (root / folder).mkdir(parents=True)
        for library in ("libcxi.so.1", "libjansson.so.4"):
            (root / "usr" / "lib64" / library).touch()
        runtime = root / "usr" / "bin" / "singularity"
        runtime.write_text("#!/bin/sh\nexit 3\n")
        runtime.chmod(0o755)
        self.project = root / "scratch" / "project_465000000" / "ada" / "train"
        self.project.mkdir()
        self.site = root / "lumi.toml"
        self.site.write_text(self.moved((Path(lumienv.site.__file__).parent / "lumi.toml").read_text()))

    def moved(self, text: str) -> str:
        """The site's text, its paths of the host below `root`: not those in images, nor a node's own /tmp."""
        keys = re.compile(r'^(?:path|directory) = "/|^folder = "/scratch|^    "/appl', re.MULTILINE)
        return keys.sub(lambda found: found[0].replace('"/', f'"{self.root}/'), text)

    def synced(self, case: Case) -> None:
        """The project with the manifest of this case, as `lumienv sync` would leave it."""
        image, prefix = self.root / IMAGES[case.family][0], IMAGES[case.family][1]
        slurm = f'[slurm]\naccount = "project_465000000"\n{case.slurm}'
        (self.project / "lumienv.toml").write_text(
            f'[image]\npath = "{image}"\n[sync]\nmode = "{case.mode}"\n[run]\npreset = {case.preset}\n{slurm}'
        )
        lock = self.project / LOCK_NAME
        lock.write_bytes(b"the lock")
        manifest, base = read_manifest(self.project / "lumienv.toml"), sif_base(image)
        store = Store(manifest.store_path)
        generation = Generation(
            path=store.generations,
            digest=bytes_digest(case.title.encode()),
            mode=case.mode,
            base_kind=base.kind,
            base_path=base.path,
            base_name=base.name,
            identity=base.identity,
            selection=manifest.image.selection(),
            inputs=manifest.inputs_digest(),
            lock=bytes_digest(lock.read_bytes()),
            runtime="singularity",
            python="3.12.9",
            image_prefix=prefix,
        )
        with store.writing(lambda _: None), store.staging() as staged:
            carrier = staged / CARRIERS[case.mode]
            carrier.mkdir() if case.mode == "venv" else carrier.touch()
            store.publish(staged, generation)

    def printed(self, case: Case) -> str:
        """What `lumienv run --print -v` says: its notes, then the line and the comments above it."""
        self.synced(case)
        spool = self.root / "var/spool/slurmd"
        shutil.rmtree(spool, ignore_errors=True)
        if case.environ:  # a batch script runs on a compute node, and only those have it
            spool.mkdir()
        environ = {
            "PATH": f"{self.root}/usr/bin:/usr/bin:/bin",
            "HOME": str(self.root),
            "USER": "ada",
            "PWD": str(self.project),
            "LUMIENV_SITE": str(self.site),
            "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
            **case.environ,
        }
        words = [sys.executable, "-m", "lumienv", "run", "--print", "-v", *case.words]
        done = subprocess.run(
            [*words, "--", "python", "train.py"],
            env=environ,
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (done.stderr + done.stdout).replace(str(self.root), "")


@pytest.fixture(scope="module")
def lumi(tmp_path_factory: pytest.TempPathFactory) -> Lumi:
    return Lumi(Path(os.path.realpath(tmp_path_factory.mktemp("lumi"))))


@pytest.fixture(scope="module")
def printed(lumi: Lumi) -> dict[str, str]:
    said = {case.title: lumi.printed(case) for case in CASES}
    if WRITING:
        texts = (f"## {title}\n\n{text}" for title, text in said.items())
        head = (
            "What `lumienv run --print -v -- python train.py` says on LUMI, reviewed; see test_lumi.py.\n\n"
        )
        REVIEWED.write_text(head + "\n".join(texts), encoding="utf-8")
    return said


def reviewed(title: str) -> str:
    _, _, rest = REVIEWED.read_text(encoding="utf-8").partition(f"## {title}\n\n")
    return rest.partition("\n\n## ")[0].rstrip("\n")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_printed_command_is_the_reviewed_one(case: Case, printed: dict[str, str]) -> None:
    assert printed[case.title].rstrip("\n") == reviewed(case.title)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_everything_that_the_site_gave_stands_above_with_its_source(
    case: Case, printed: dict[str, str]
) -> None:
    *comments, line = printed[case.title].splitlines()
    # What the site or a preset gives, by name; the overlay, the image and the user give the rest.
    own = {
        "PREPEND_PATH",
        "LUMIENV_ENVIRONMENT",
        "VIRTUAL_ENV",
        "PYTHONNOUSERSITE",
        "PYTHONPATH",
        "PYTHONHOME",
    }
    given = set(re.findall(r"SINGULARITYENV_(\w+)=", line)) - own
    told = {comment.removeprefix("# ").partition(": ")[0] for comment in comments if comment.startswith("# ")}
    assert given == {name for name in told if not name.startswith("-")}
    assert all(word.split()[0] in line for word in told)
    assert all(len(comment.split(": ")) > 2 for comment in comments if comment.startswith("# "))


def test_a_workspace_is_reached_by_its_link_and_by_where_the_link_leads(
    lumi: Lumi, printed: dict[str, str]
) -> None:
    assert (lumi.root / "scratch" / "project_465000000").is_symlink()
    line = printed[CASES[0].title].splitlines()[-1]
    assert "/pfs,/scratch," in line
