"""What `lumienv export` writes, read by what it is for: pip, uv, a CycloneDX validator, Apptainer."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import uv
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from ruamel.yaml import YAML
from wheels import make_wheel

from lumienv.files import remove_tree

pytestmark = pytest.mark.once

LAB = Path(__file__).parents[1] / "lab"
UV = uv.find_uv_bin()
# An unprivileged user, as on LUMI; root of a machine that keeps capabilities back cannot run %post.
AS_USER = ["bash", str(LAB / "user.sh")] if os.geteuid() == 0 else []
COTAINR = """
import io, sys, urllib.request
script = open("installer.sh", "rb").read()
urllib.request.urlopen = lambda url: io.BytesIO(script)
from cotainr.cli import main
main(sys.argv[1:])
"""
CONDA_INSTALLER = r"""
prefix=$4
mkdir -p "$prefix/bin" "$prefix/etc/profile.d"
echo "PATH=$prefix/bin:\$PATH" >"$prefix/etc/profile.d/conda.sh"
cat >"$prefix/bin/conda" <<'END'
#!/bin/sh
prefix=${0%/bin/conda}
case "$1 $2" in
  "info --base") echo "$prefix" ;;
  "env create") mkdir -p "$prefix/envs/$6" && cp "$4" "$prefix/envs/$6/asked.yml" ;;
esac
END
chmod +x "$prefix/bin/conda"
"""


@pytest.fixture
def project(local, wheels, tmp_path):
    """A locked project on a Python that provides `shipped`, which its dependency rests on."""
    base = tmp_path / "base"
    shipped = make_wheel(tmp_path, "shipped", "2.1")
    assert local.shell([UV, "venv", "-q", "--python", sys.executable, str(base)]).status == 0
    python = str(base / "bin/python")
    assert local.shell([UV, "pip", "install", "-q", "--python", python, str(shipped)]).status == 0
    make_wheel(wheels, "thing", "1.0", ["other", "shipped"])
    make_wheel(wheels, "other", "1.0")
    make_wheel(wheels, "tool", "3.0")
    local.write(f'host = "{python}"', ["thing"], '[dependency-groups]\ndev = ["tool"]\n')
    local.lumienv("lock")
    return local


def pip(project, *words):
    """What pip would install into the base."""
    python = str(project.directory.parent / "base/bin/python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--dry-run", *words]
    said = project.shell(command, PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    assert said.status == 0, said
    return re.search("^Would install (.*)$", said.out, re.MULTILINE)[1].split()


def uv_pip(project, *words):
    """What uv would install into the base."""
    python = str(project.directory.parent / "base/bin/python")
    index = project.environ["PIP_INDEX_URL"]
    said = project.shell(
        [UV, "pip", "install", "--dry-run", "--python", python, *words],
        UV_DEFAULT_INDEX=index,
        UV_NO_CONFIG="1",
    )
    assert said.status == 0, said
    return re.findall(r"^ \+ (.*)==(.*)$", said.err, re.MULTILINE)


def test_requirements_with_hashes_are_read_by_pip_and_uv(project):
    project.lumienv("export", "-o", "requirements.txt")
    assert pip(project, "-r", "requirements.txt") == ["other-1.0", "thing-1.0", "tool-3.0"]
    assert pip(project, "--require-hashes", "--no-deps", "-r", "requirements.txt") != []
    assert uv_pip(project, "--require-hashes", "--no-deps", "-r", "requirements.txt") == [
        ("other", "1.0"),
        ("thing", "1.0"),
        ("tool", "3.0"),
    ]


def test_a_file_that_was_exchanged_is_refused_by_its_hash(project, wheels):
    project.lumienv("export", "-o", "requirements.txt")
    make_wheel(wheels, "other", "1.0", modules={"other.py": "print('another')\n"})
    said = project.shell(
        [UV, "pip", "install", "--no-deps", "--python", "../base/bin/python", "-r", "requirements.txt"],
        UV_DEFAULT_INDEX=project.environ["PIP_INDEX_URL"],
        UV_NO_CACHE="1",
    )
    assert said.status != 0
    assert "Hash mismatch" in said.err


def test_a_plain_pylock_is_read_by_pip_and_uv(project):
    project.lumienv("export", "--no-dev", "-o", "pylock.toml")
    assert pip(project, "--no-deps", "-r", "pylock.toml") == ["other-1.0", "thing-1.0"]
    assert uv_pip(project, "-r", "pylock.toml") == [("other", "1.0"), ("thing", "1.0")]


def test_sources_without_a_hash_are_read_by_pip_and_uv(project, wheels):
    folder = project.directory / "local"
    (folder / "local").mkdir(parents=True)
    (folder / "local/__init__.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "local"\nversion = "7.0"\n')
    text = (project.directory / "lumienv.toml").read_text().replace('"thing",', '"other",\n    "local",')
    (project.directory / "lumienv.toml").write_text(text + '[sources.local]\npath = "./local"\n')
    project.lumienv("lock")
    refused = project.try_("export")
    assert refused.status == 1
    assert "lumienv export --no-hashes" in refused.err
    project.lumienv("export", "--no-hashes", "--no-dev", "-o", "requirements.txt")
    assert ("other", "1.0") in uv_pip(project, "--no-deps", "-r", "requirements.txt")
    assert "warning" not in project.try_("export", "--no-hashes").err
    assert "./local" in (project.directory / "requirements.txt").read_text().splitlines()


def test_a_plain_pylock_that_pip_would_refuse_is_said_to_be_for_uv(project):
    folder = project.directory / "local"
    folder.mkdir()
    (folder / "local.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "local"\nversion = "7.0"\n')
    project.lumienv("add", "--no-sync", "./local")
    said = project.try_("export", "-o", "pylock.toml")
    assert "warning: pip takes hashes for all packages or for none, and local cannot have one" in said.err
    assert ("thing", "1.0") in uv_pip(project, "-r", "pylock.toml")
    python = str(project.directory.parent / "base/bin/python")
    words = ["--python", python, "install", "--dry-run", "--no-deps", "-r", "pylock.toml"]
    refused = project.shell([sys.executable, "-m", "pip", *words], PIP_CONFIG_FILE=os.devnull)
    assert refused.status != 0
    assert "hashes" in refused.err


def test_a_bill_of_materials_is_valid(project):
    text = project.lumienv("export", "--format", "cyclonedx")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert "shipped" in text


def test_a_conda_environment_is_yaml_with_the_images_packages_first(project):
    project.lumienv("export", "-o", "environment.yml")
    text = (project.directory / "environment.yml").read_text()
    made = YAML(typ="safe", pure=True).load(text)  # as conda reads it
    assert made == yaml.safe_load(text)
    pins = made["dependencies"][-1]["pip"]
    assert pins == ["shipped==2.1", "other==1.0", "thing==1.0", "tool==3.0"]


def test_cotainr_builds_from_a_conda_environment_on_a_base_without_conda(project, lab, runtime):
    # A conda would come from the network, so one stands in for it, and keeps what it was asked for. All else
    # is cotainr's own: the sandbox, the installer run in it, the environment handed on, the image packed.
    folder = project.directory
    project.lumienv("export", "-o", "environment.yml")
    with tempfile.TemporaryDirectory(prefix="lumienv-export-") as name:
        Path(name).chmod(0o777)
        bash = Path(name, "bash")
        bash.write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
        bash.chmod(0o755)
        Path(name, "base.def").write_text(
            f"Bootstrap: localimage\nFrom: {lab.images['no_python']}\n%files\n    {bash} /bin/bash\n"
        )
        command = [*AS_USER, runtime, "build", f"{name}/base.sif", f"{name}/base.def"]
        built = project.shell(command, CWD=name)
        assert built.status == 0, built.err
        (folder / "installer.sh").write_text(CONDA_INSTALLER)
        words = ["--base-image", f"{name}/base.sif", "--conda-env", "environment.yml", "--accept-licenses"]
        made = project.shell([sys.executable, "-c", COTAINR, "build", "out.sif", *words])
        assert made.status == 0, made.err
    said = project.shell([runtime, "exec", "out.sif", "sh", "-c", "cat /opt/cotainr/conda/envs/*/asked.yml"])
    assert said.out == (folder / "environment.yml").read_text()


def test_exports_need_no_network_no_image_and_no_place_of_this_machine(project, index, tmp_path):
    remove_tree(project.directory.parent / "base")
    remove_tree(project.cache)
    index.close()
    for format_ in ("requirements.txt", "environment.yml", "def", "cyclonedx"):
        text = project.lumienv("export", "--format", format_)
        assert str(tmp_path) not in text
        assert "127.0.0.1" not in text
    assert str(tmp_path) not in project.lumienv("export", "--format", "pylock")


def test_only_what_lumienv_exported_is_replaced(project):
    (project.directory / "requirements.txt").write_text("numpy\n")
    refused = project.try_("export", "-o", "requirements.txt")
    assert refused.status == 1
    assert "not a file that lumienv has exported" in refused.err
    assert (project.directory / "requirements.txt").read_text() == "numpy\n"
    lock = project.lock_path.read_bytes()
    assert project.try_("export", "-o", project.lock_path.name).status == 1
    assert project.lock_path.read_bytes() == lock
    for ending in ("txt", "yml", "def", "json"):
        for _ in range(2):
            project.lumienv("export", "-o", f"made.{ending}")


def test_what_only_mentions_an_export_and_what_is_no_file_stay_as_they_are(project):
    mine = "# how this is made: lumienv export\nnumpy\n"
    for name in ("notes.txt", "settings.json"):
        (project.directory / name).write_text(mine if name == "notes.txt" else '{"run": "lumienv export"}')
        before = (project.directory / name).read_text()
        assert "not a file that lumienv has exported" in project.try_("export", "-o", name).err
        assert (project.directory / name).read_text() == before
    os.mkfifo(project.directory / "pipe.txt")
    said = project.try_("export", "-o", "pipe.txt")
    assert (said.status, "pipe.txt is no file" in said.err) == (1, True)
    said = project.try_("export", "-o", "none/requirements.txt")
    assert said.status == 1
    assert "help: make it: mkdir -p " in said.err


def test_a_stale_lock_is_exported_with_a_warning_and_a_missing_one_is_an_error(project):
    project.write('host = "python3"', ["thing", "other"])
    said = project.try_("export", "--no-hashes")
    assert said.status == 0
    assert "warning: the lock is not up to date" in said.err
    assert said.out.splitlines()[-1] == "thing==1.0"
    project.lock_path.unlink()
    said = project.try_("export")
    assert said.status == 1
    assert "lumienv lock" in said.err


def test_wrong_words_are_answered_with_the_right_ones(project):
    said = project.try_("export", "--format", "pilock")
    assert said.status == 2
    assert "did you mean pylock?" in said.err
    said = project.try_("export", "--format", "pylock", "-o", "lock.toml")
    assert said.status == 2
    assert "pylock.NAME.toml" in said.err
    assert project.try_("export", "--group", "nope").status == 2


def test_a_definition_file_builds_an_image_that_imports_the_packages(
    local, wheels, index, small_image, runtime
):
    with tempfile.TemporaryDirectory(prefix="lumienv-export-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        make_wheel(wheels, "thing", "1.0", ["shipped"])
        local.write(f'path = "{small_image}"', ["thing"])
        local.lumienv("lock")
        local.lumienv("export", "-o", str(folder / "environment.def"))
        # The small image has no pip. uv is one file.
        shutil.copy(UV, folder / "uv")
        (folder / "uv").chmod(0o755)
        (folder / "base.def").write_text(
            f"Bootstrap: localimage\nFrom: {small_image}\n%files\n    {folder}/uv /usr/local/bin/uv\n"
        )

        def build(*words):
            command = [*AS_USER, runtime, "build", *words]
            return local.shell(command, CWD=name)

        assert build(f"{name}/base.sif", f"{name}/base.def").status == 0
        arguments = ["--build-arg", f"sif={name}/base.sif", "--build-arg", f"index={index.url}"]
        built = build(*arguments, f"{name}/out.sif", f"{name}/environment.def")
        assert built.status == 0, built.err
        code = "import thing; print(thing.__file__)"
        said = local.shell([*AS_USER, runtime, "exec", f"{name}/out.sif", "python", "-c", code], CWD=name)
        assert said.out.startswith("/opt/venv/lib/"), said

        # Another image than was locked for is refused before anything is installed.
        text = (folder / "environment.def").read_text()
        (folder / "other.def").write_text(text.replace("\nshipped==2.1\n", "\nshipped==9.9\n"))
        refused = build(*arguments, f"{name}/other.sif", f"{name}/other.def")
        assert refused.status != 0
        assert "this image has shipped 2.1, and the lock rests on 9.9" in refused.out + refused.err
