"""pip's requirements files and conda's environment.yml, taken over: what becomes of each line."""

import json
import os
from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.manifest import HostValue, IndexTable
from lumienv.project.conda_files import read_environment
from lumienv.project.imported import Imported, on_image
from lumienv.project.init import Chosen, init, new_folder
from lumienv.project.requirement_files import read_requirements
from lumienv.ui import plain


def requirements(folder: Path, text: str, **others: str) -> Imported:
    for name, content in {"requirements": text, **others}.items():
        (folder / f"{name}.txt").write_text(content)
    return read_requirements(folder / "requirements.txt", folder)


def conda(folder: Path, text: str) -> Imported:
    (folder / "environment.yml").write_text(text)
    return read_environment(folder / "environment.yml", folder)


def test_requirements_are_taken_as_they_are_without_comments_and_hashes(tmp_path: Path) -> None:
    text = (
        "# ours\nrich>=13  # nice\nh5py==3.1 \\\n  --hash=sha256:aa \\\n  --hash=sha256:bb\n"
        "x[y]; python_version<'4'\n"
    )
    found = requirements(tmp_path, text)
    assert found.dependencies == ("rich>=13", "h5py==3.1", "x[y]; python_version<'4'")
    assert found.notes == ("left out: the hashes of 1 of the requirements (the lock has its own)",)


def test_nested_files_and_constraints_are_followed_and_each_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("-r ../requirements.txt\nb\n--constraint=limits.txt\n")
    (tmp_path / "sub" / "limits.txt").write_text("c[x]<2\nd\ne @ https://example.org/e-1-py3-none-any.whl\n")
    found = requirements(tmp_path, "a\n-r sub/more.txt\n")
    assert found.dependencies == ("a", "b")
    assert found.constraints == ("c<2",)
    assert [note.partition("(")[0] for note in found.notes] == [
        "limits.txt:3: left out: e @ https://example.org/e-1-py3-none-any.whl "
    ]


def test_indexes_become_tables_private_ones_first_and_without_passwords(tmp_path: Path) -> None:
    text = (
        "-i https://example.org/simple\n--extra-index-url=https://me:geheim@group.example.org/simple\n"
        "-f ./wheels\n--extra-index-url https://example.org/whl/cu121\n"
    )
    found = requirements(tmp_path, text)
    assert found.indexes == (
        IndexTable("https://group.example.org/simple"),
        IndexTable("./wheels", format="flat"),
        IndexTable("https://example.org/simple"),
    )
    assert "geheim" not in str(found)
    assert any("cu121 (it has builds for NVIDIA's GPUs" in note for note in found.notes)


def test_folders_archives_and_addresses_get_their_names(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "pyproject.toml").write_text('[project]\nname = "one-pkg"\n')
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "setup.cfg").write_text("[metadata]\nname = two\n")
    text = (
        "-e ./one[dev]\n./two ; python_version < '4'\n./w/three-1.0-py3-none-any.whl\n"
        "git+https://example.org/g/four@v1#egg=four&subdirectory=py\n"
        "https://example.org/five-1.0.tar.gz\n-e git+https://example.org/g/six#egg=six\n"
    )
    found = requirements(tmp_path, text)
    assert found.dependencies == (
        "one-pkg[dev]",
        "two; python_version < '4'",
        "three",
        "four @ git+https://example.org/g/four@v1#subdirectory=py",
        "five @ https://example.org/five-1.0.tar.gz",
        "six @ git+https://example.org/g/six",
    )
    assert found.sources == {
        "one-pkg": {"path": "./one", "editable": True},
        "two": {"path": "./two"},
        "three": {"path": "./w/three-1.0-py3-none-any.whl"},
    }
    assert len(found.notes) == 1
    assert "not editable" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("what is this", "left out: what is this (it is no requirement"),
        ("./nowhere", "left out: ./nowhere (its name is not known"),
        ("x @ hg+https://example.org/x", "it is kept in hg, and lumienv knows git only"),
        ("x @ git+https://${TOKEN}@example.org/x", "left out: x @ git+https://example.org/x (lumienv reads"),
        (
            "x @ https://a:geheim@example.org/x-1.tar.gz",
            "left out: x @ https://example.org/x-1.tar.gz (it contains",
        ),
        ("--trusted-host example.org", "left out: --trusted-host example.org (lumienv checks"),
        ("--no-index", "left out: --no-index (offline is"),
        ("--use-feature=fast-deps", "left out: --use-feature=fast-deps (an option of pip's alone)"),
        ("git+https://example.org/x", "left out: git+https://example.org/x (its name is not known"),
    ],
)
def test_what_cannot_be_taken_is_named_in_one_line(tmp_path: Path, line: str, said: str) -> None:
    found = requirements(tmp_path, f"{line}\n")
    assert found.dependencies == ()
    assert len(found.notes) == 1
    assert found.notes[0].startswith("requirements.txt:1: ")
    assert said in found.notes[0]
    assert "geheim" not in found.notes[0]


def test_pips_options_for_prereleases_and_wheels_have_their_keys(tmp_path: Path) -> None:
    found = requirements(tmp_path, "--pre\n--only-binary :all:\n")
    assert (found.prerelease, found.build, found.notes) == ("allow", "never", ())


def test_a_file_that_is_not_there_is_named_with_who_names_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.txt cannot be read: no such file") as caught:
        requirements(tmp_path, "-r none.txt\n")
    assert caught.value.facts == ("requirements.txt:1 names it",)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("-r ../secret.txt", "it lies elsewhere"),
        ("-r no\0name.txt", "it names no file"),
        ("-c ../secret.txt", "it lies elsewhere"),
        ("-r link.txt", "it lies elsewhere"),
        ("-r /proc/self/environ", "it lies elsewhere"),
        ("-r .", "it is no file"),
        ("-r pipe", "it is no file"),
        ("-r", "it names no file"),
        ("-r https://example.org/requirements.txt", "nothing is fetched"),
    ],
)
def test_a_file_reads_no_other_that_is_not_the_projects(tmp_path: Path, option: str, why: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret.txt").write_text("hunter2\n")
    (project / "link.txt").symlink_to("../secret.txt")
    os.mkfifo(project / "pipe")
    found = requirements(project, f"{option}\n")
    assert (found.dependencies, found.constraints) == ((), ())
    assert [note.partition(" (")[0] for note in found.notes] == [f"requirements.txt:1: left out: {option}"]
    assert why in found.notes[0]


def test_a_file_in_a_folder_may_include_one_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "base.txt").write_text("a\n")
    (tmp_path / "requirements" / "dev.txt").write_text("-r ../base.txt\nb\n")
    assert read_requirements(tmp_path / "requirements" / "dev.txt", tmp_path).dependencies == ("a", "b")


def test_several_options_may_stand_on_one_line(tmp_path: Path) -> None:
    found = requirements(tmp_path, "-i https://one.example/s --extra-index-url https://two.example/s --pre\n")
    assert [table.url for table in found.indexes] == ["https://two.example/s", "https://one.example/s"]
    assert (found.prerelease, found.notes) == ("allow", ())


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://me:geheim@example.org/simple",
        "https://me:geh@eim@example.org/simple",
        "https://geheim@example.org/simple",
        "https://example.org/simple?token=geheim",
    ],
)
def test_no_form_of_an_address_brings_its_secret_along(tmp_path: Path, url: str) -> None:
    found = requirements(
        tmp_path, f"--extra-index-url {url}\n-f {url}\nx y {url}\n-q {url.partition('?')[0]}\n"
    )
    assert {table.url.lower() for table in found.indexes} == {"https://example.org/simple"}
    shown = plain(str(found))
    assert "geheim" not in shown
    assert "eim@" not in shown


def test_a_query_in_an_address_is_pointed_out(tmp_path: Path) -> None:
    text = "x @ https://example.org/x-1.tar.gz?raw=1\nhttps://example.org/y-1.tar.gz?raw=1\n"
    notes = requirements(tmp_path, text).notes
    assert ["the address of x has a query" in notes[0], "the address of y has a query" in notes[1]] == [
        True
    ] * 2


def test_what_conda_built_somewhere_else_is_taken_by_its_name(tmp_path: Path) -> None:
    there = tmp_path / "there-1.tar.gz"
    there.touch()
    text = f"certifi @ file:///croot/certifi_1/work/certifi\nthere @ file://{there}\n"
    found = requirements(tmp_path, text)
    assert found.dependencies == ("certifi", f"there @ file://{there}")
    assert found.notes == (
        "requirements.txt:1: certifi is taken without its address: "
        "there is no /croot/certifi_1/work/certifi here",
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_from_windows_is_read(tmp_path: Path, encoding: str) -> None:
    text = "# Größe\r\na==1 \\\r\n  --hash=sha256:aa\r\n-e .\r\n"
    (tmp_path / "requirements.txt").write_bytes(text.encode(encoding))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "own"\n')
    found = read_requirements(tmp_path / "requirements.txt", tmp_path)
    assert found.dependencies == ("a==1", "own")
    assert found.sources == {"own": {"path": ".", "editable": True}}


def test_conda_packages_are_taken_in_pips_words(tmp_path: Path) -> None:
    found = conda(
        tmp_path,
        "name: x\nchannels: [conda-forge]\nvariables: {HF_HOME: /scratch/x, HF_TOKEN: geheim}\n"
        "dependencies:\n"
        "- python=3.11\n- pytorch=2.5\n- conda-forge::numpy>=1.20, <3\n- scikit-learn=1.3.0=py311_0\n"
        "- scipy 1.11.*\n- pandas 2.1\n- h5py\n- rich==13.0\n- cudatoolkit=11.8\n- pip\n"
        "- pip:\n  - wandb>=0.16 # w\n",
    )
    assert found.dependencies == (
        *("torch==2.5.*", "numpy>=1.20,<3", "scikit-learn==1.3.0", "scipy==1.11.*", "pandas==2.1", "h5py"),
        *("rich==13.0", "wandb>=0.16"),
    )
    assert found.python == "==3.11.*"
    assert found.env == {"HF_HOME": "/scratch/x", "HF_TOKEN": HostValue("HF_TOKEN")}
    assert "geheim" not in str(found)
    assert [note.removeprefix("environment.yml: ").partition(" (")[0] for note in found.notes] == [
        "left out: channels",
        "HF_TOKEN is taken from the host when a command starts: its value is not written",
        "pytorch is called torch outside of conda",
        "left out: cudatoolkit=11.8",
        "taken from conda by their names: torch, numpy, scikit-learn, scipy, pandas, h5py, rich; "
        "an index may lack one",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("librosa", "libcst", "libtmux", "libpysal", "libusb1", "libensemble", "libertem-blobfinder"),
        *("boost-histogram", "cuda-python", "cuda-bindings", "cuda-core"),
    ],
)
def test_a_python_package_that_is_called_like_a_library_is_kept(tmp_path: Path, name: str) -> None:
    assert conda(tmp_path, f"dependencies: [{name}=1.0]\n").dependencies == (f"{name}==1.0.*",)


@pytest.mark.parametrize(
    "name",
    [
        *("libblas", "libgcc-ng", "libstdcxx-ng", "libtiff", "libllvm15", "libxml2", "libgomp", "libcublas"),
        *("boost", "boost-cpp", "libboost", "libboost-headers", "cuda-cudart", "cuda-nvcc", "cuda-version"),
        *("cuda", "cudatoolkit", "clang", "clangxx-17", "gcc_linux-64"),
    ],
)
def test_a_library_or_a_compiler_of_condas_is_left_to_the_image(tmp_path: Path, name: str) -> None:
    found = conda(tmp_path, f"dependencies: [{name}=1.0]\n")
    assert found.dependencies == ()
    assert found.notes == (
        f"environment.yml: left out: {name}=1.0 (no Python package; the image has its own)",
    )


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("thing[version='>=1.2,<3']", "thing>=1.2,<3"),
        ('thing[build=py3*, version="1.2.*"]', "thing==1.2.*"),
        ("thing[channel=conda-forge]", "thing"),
        ("thing=2.1.*=cuda*", "thing==2.1.*"),
        ("conda-forge/linux-64::thing=2.1=py312h1_0", "thing==2.1"),
        ("thing>=1.0=py312_0", "thing>=1.0"),
        ("thing 1.8*", "thing==1.8.*"),
        ("thing >=1.8,<2.0a0", "thing>=1.8,<2.0a0"),
    ],
)
def test_no_way_of_condas_to_name_a_version_is_lost(tmp_path: Path, spec: str, text: str) -> None:
    found = conda(tmp_path, f"dependencies:\n- {json.dumps(spec)}\n")
    assert found.dependencies == (text,)
    assert len(found.notes) == 1  # that its name is conda's


def test_variables_that_hold_a_secret_or_no_text_are_not_written(tmp_path: Path) -> None:
    found = conda(
        tmp_path,
        "dependencies: [rich]\nvariables:\n  GOOD: 1\n  DB: postgres://me:geheim@example.org/x\n"
        "  HF_AUTH: geheim\n  SSH_PRIVATE_KEY: geheim\n  NOTHING:\n  yes: geheim\n  GRÖSSE: geheim\n",
    )
    assert found.env == {
        "GOOD": "1",
        **{name: HostValue(name) for name in ("DB", "HF_AUTH", "SSH_PRIVATE_KEY")},
    }
    assert "geheim" not in str(found)
    assert [note.split()[3] for note in found.notes if "left out: variable" in note] == ["variable"] * 3


def test_what_yaml_can_multiply_is_not_shown(tmp_path: Path) -> None:
    aliases = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 12))
    text = f"x0: &x0 [y]\n{aliases}dependencies: [*x11, {{pip: {{a: *x11}}}}, {{y: *x11}}]\n"
    found = conda(tmp_path, text)
    assert sum(map(len, found.notes)) < 2000
    assert "environment.yml: left out: a section y (neither a package nor a pip section)" in found.notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not valid YAML"),
        ("@EXPLICIT\n", "is not valid YAML"),
        ("name: x\n", "no list of dependencies"),
    ],
)
def test_what_is_no_environment_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        conda(tmp_path, text)


def test_pins_of_image_packages_become_bare_names_and_ranges_stay() -> None:
    asked = Imported(
        (
            "torch==2.5.1",
            "Numpy==1.26.4",
            "scipy>=2",
            "rich>=13",
            "einops==1",
            "torchvision @ https://example.org/t.whl",
        ),
        constraints=("torch<2.6", "numpy<2", "pyarrow<19"),
        python="==3.11.*",
    )
    have = {"torch": "2.7.1+rocm6", "numpy": "1.26.4", "scipy": "1.11", "rich": "14.0", "torchvision": "0.22"}
    found = on_image(asked, have, "3.12.9")
    assert found.dependencies == ("torch", "Numpy", "scipy>=2", "rich>=13", "einops==1", "torchvision")
    assert found.constraints == ("pyarrow<19",)
    assert found.notes == (
        "torch==2.5.1: written without version: the image has 2.7.1+rocm6",
        "scipy>=2: the image has 1.11; the lock will tell what can be done about it",
        "torchvision: written without its address: the image has 0.22",
        "written without version, as the image has just this one: Numpy",
        "torch<2.6: left out of the constraints: the image has 2.7.1+rocm6",
        "python==3.11.*: left out: the image has Python 3.12.9",
    )


def test_a_build_for_nvidias_gpus_is_taken_by_its_name_even_where_the_image_is_not_known() -> None:
    found = on_image(Imported(("torchvision==0.20.1+cu121; python_version<'4'", "x==1+local")), {})
    assert found.dependencies == ('torchvision; python_version < "4"', "x==1+local")
    assert found.notes == (
        "torchvision==0.20.1+cu121: written without version: it is a build for NVIDIA's GPUs",
    )


def test_what_is_for_nvidias_gpus_is_left_out() -> None:
    found = on_image(Imported(("nvidia-cublas-cu12==12.1", "nvidia-nccl-cu12", "nvidia-ml-py", "rich")), {})
    assert found.dependencies == ("nvidia-ml-py", "rich")
    assert found.notes == ("left out, as they are for NVIDIA's GPUs: nvidia-cublas-cu12, nvidia-nccl-cu12",)


def test_a_pin_of_what_an_image_package_stands_for_goes_too(tmp_path: Path) -> None:
    chosen = Chosen({"name": "pytorch"}, provided={"pytorch-triton-rocm": "3.3.1"})
    outcome = init(tmp_path, chosen, Imported(("triton==3.1.0",)))
    assert outcome.dependencies == ("triton",)
    assert outcome.notes == ("triton==3.1.0: written without version: the image has 3.3.1",)


def test_a_manifest_that_came_while_the_user_was_asked_stays(tmp_path: Path) -> None:
    folder = new_folder(None, str(tmp_path))
    (folder / "lumienv.toml").write_text("# somebody else's")
    with pytest.raises(ManifestError, match="already"):
        init(folder, Chosen({"host": "python3"}), Imported())
    assert [path.read_text() for path in folder.iterdir()] == ["# somebody else's"]
