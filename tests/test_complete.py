"""What a shell is answered on TAB; tests/integration/test_completion.py presses it."""

import subprocess
import sys
from pathlib import Path

import pytest
from entry_point import clean_environment, lumienv

from lumienv.cli.complete import shown

ASKED = [("sync", "--m"), ("run", ""), ("srun", "-N2", "--", ""), ("why", ""), ("init", "--image", "")]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lumienv.toml, which one stands in."""
    (tmp_path / "lumienv.toml").write_text(
        'dependencies = ["h5py>=3.11", "datasets[audio]"]\n[image]\nhost = "python3"\n'
        '[tasks]\n"say hi" = "echo hi"\n"\\u001b]0;title\\u0007" = "true"\nbeep = "printf \\u0007"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(shell: str, *typed: str) -> list[str]:
    """The words, without what they are for."""
    lines = shown(shell, typed, {"HOME": "/nowhere"}).splitlines()
    return [line.partition("\t")[0] for line in (lines if shell == "fish" else lines[1:])]


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_tab_imports_nothing_that_takes_long(project: Path, words: tuple[str, ...]) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "lumienv", "__complete", "zsh", *words]
    env = clean_environment(project)
    for _ in range(2):  # what is kept from the first time on, is kept
        done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=True)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lumienv.cli.complete" in modules
    assert modules & {"click", "rich", "packaging", "urllib3", "json", "subprocess", "tomlkit"} == set()
    assert {name for name in modules if name.startswith(("lumienv.project", "lumienv.index"))} == set()


def test_whatever_is_asked_the_program_succeeds_and_is_quiet(project: Path) -> None:
    env = clean_environment(project)
    for words in ((), ("bash",), ("tcsh", "sy"), ("zsh", "\x80")):
        done = lumienv("__complete", *words, cwd=project, env=env)
        assert (done.returncode, done.stderr) == (0, "")
    gone = project / "gone"
    gone.mkdir()
    asked = 'cd "$1" && rmdir "$1" && exec "$2" -m lumienv __complete zsh run ""'
    words = ["sh", "-c", asked, "sh", str(gone), sys.executable]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "files\n", "")


def test_bash_gets_the_part_behind_the_sign_at_which_it_takes_words_apart(project: Path) -> None:
    assert offered("bash", "sync", "--mode", "=", "sq") == ["squashfs"]
    assert offered("bash", "sync", "--mode", "=") == ["venv", "squashfs", "sif"]
    assert offered("bash", "sync", "--mode=sq") == ["--mode=squashfs"]  # with COMP_WORDBREAKS of one's own
    assert offered("zsh", "sync", "--mode=sq") == ["--mode=squashfs"]


def test_words_are_understood_as_the_shell_will(project: Path) -> None:
    assert offered("bash", "remove", "'h5") == ["h5py"]
    assert offered("zsh", "remove", "h5\\p") == ["h5py"]
    assert offered("zsh", "remove", "h5py", "") == ["datasets"]
    elsewhere = project / "else where"
    elsewhere.mkdir()
    (elsewhere / "lumienv.toml").write_text('dependencies = ["einops"]\n')
    assert offered("bash", "remove", "-C", '"else where"', "") == ["einops"]
    assert offered("fish", "remove", "--project=else where", "") == ["einops"]


def test_a_name_from_a_file_is_one_harmless_word(project: Path) -> None:
    assert offered("bash", "run", "") == ["'say hi'", "beep"]
    assert offered("zsh", "run", "") == ["say hi", "beep"]
    assert all(line.isprintable() for line in shown("zsh", ["run", "b"], {}).replace("\t", " ").splitlines())


def test_behind_a_command_words_are_the_commands(project: Path) -> None:
    for before in (["run", "python"], ["run", "--", "python"], ["srun", "-n2", "--", "python"]):
        assert shown("zsh", [*before, "--m"], {}) == "files\n"
    assert "--mode" in offered("zsh", "run", "--m")
    assert "--mode" in offered("zsh", "srun", "-n2", "--m")


def test_slurms_own_options_are_offered_before_the_dashes_alone(project: Path) -> None:
    assert {"--print", "--partition", "--ntasks"} <= set(offered("zsh", "srun", "--"))
    assert "--array" in offered("zsh", "sbatch", "--")
    assert "--array" not in offered("zsh", "srun", "--")
    assert shown("zsh", ["srun", "--output=r"], {}) == "files\n"


def test_what_takes_no_arguments_offers_its_options_its_own_first(project: Path) -> None:
    first, *_, last = offered("zsh", "sync", "")
    assert (first, last) == ("--mode", "--no-progress")
    assert offered("zsh", "sync", "--mode", "venv", "--mo") == []
    assert offered("zsh", "sync", "--group", "a", "--gr") == ["--group"]
    assert offered("zsh", "--ver") == ["--version"]


def test_fish_gets_files_as_words(project: Path) -> None:
    (project / "a folder").mkdir()
    for name in ("a file", "a folder/below", ".hidden"):
        (project / name).touch()
    assert offered("fish", "run", "python", "a") == ["a file", "a folder/"]
    assert offered("fish", "run", "python", "a folder/") == ["a folder/below"]
    assert offered("fish", "sync", "--output=a fi") == ["--output=a file"]
    assert offered("fish", "sync", "-C", "") == ["a folder/"]


def test_facts_of_images_are_those_of_the_image_that_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1",
        "lumi-jax-rocm-6.2.0-python-3.11-jax-0.4.35",
    ):
        (project / f"{name}.sif").touch()
    env = {"LUMIENV_IMAGE_PATH": str(project), "LUMIENV_SITE": "generic"}
    assert "pytorch\tlumi-pytorch" in shown("zsh", ["init", "--image", ""], env)
    assert shown("zsh", ["init", "--image", "jax", "--rocm", ""], env) == "nothing\n6.2.0\t\n"
    assert "6.2.4" in shown("zsh", ["init", "--rocm", ""], env)
