"""TAB in real shells, at a real terminal: what stands in the line then, and what is offered."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt import Prompt
from wheels import make_wheel
from workspace import Workspace, make_workspace

pytestmark = pytest.mark.once
SHELLS = ("bash", "zsh", "fish")
# As docs/reference/completion.md tells to install it.
INSTALL = {
    "bash": 'eval "$(lumienv completion bash)"',
    "zsh": 'eval "$(lumienv completion zsh)"',
    "fish": "lumienv completion fish | source",
}
IMAGE = "lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1.sif"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project that is locked and synced, with files beside it; no runtime, and no index but a folder."""
    place = tmp_path_factory.mktemp("completion")
    images = place / "images"
    images.mkdir()
    (images / IMAGE).write_bytes(b"")
    made = make_workspace(
        place / "project",
        place / "cache",
        LUMIENV_IMAGE_PATH=str(images),
        LUMIENV_SITE="generic",
        LUMIENV_RUNTIME="/bin/false",
        PATH=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    )
    wheels = made.directory / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "thing", "1.0", ["beneath"], entry_points={"thingctl": "thing:main"})
    make_wheel(wheels, "beneath", "2.0")
    made.write(
        f'host = "{sys.executable}"',
        ["thing"],
        '[[index]]\nname = "nearby"\nurl = "./wheels"\nformat = "flat"\n'
        '[dependency-groups]\ndev = ["beneath"]\nplots = []\n'
        '[tasks]\nteach = "python train.py"\n"$(touch broken)" = "true"\n',
    )
    made.lumienv("sync")
    (made.directory / "training set").mkdir()
    (made.directory / "training set" / "first.csv").touch()
    (made.directory / "requirements.txt").touch()
    return made


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, require: Callable[[bool, str], None]) -> str:
    require(
        shutil.which(request.param) is not None, f"no {request.param} here: run tests/lab/install-tools.sh"
    )
    return str(request.param)


@pytest.fixture(scope="module")
def prompt(shell: str, project: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompt]:
    home = tmp_path_factory.mktemp("home") / shell
    with Prompt(shell, home, INSTALL[shell], project.directory, project.environment({})) as one:
        yield one


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("lumienv sy", "lumienv sync "),
        ("lumienv comp", "lumienv completion "),
        ("lumienv completion fi", "lumienv completion fish "),
        ("lumienv image fr", "lumienv image freeze "),
        ("lumienv cache cl", "lumienv cache clean "),
        ("lumienv sync --mo", "lumienv sync --mode "),
        ("lumienv sync --mode sq", "lumienv sync --mode squashfs "),
        ("lumienv sync --mode=sq", "lumienv sync --mode=squashfs "),
        ("lumienv sync --builder ap", "lumienv sync --builder append "),
        ("lumienv lock --color al", "lumienv lock --color always "),
        ("lumienv run --launcher d", "lumienv run --launcher direct "),
        ("lumienv export --format cy", "lumienv export --format cyclonedx "),
        ("lumienv sync --group pl", "lumienv sync --group plots "),
        ("lumienv add --index ne", "lumienv add --index nearby "),
        ("lumienv remove th", "lumienv remove thing "),
        ("lumienv remove --dev be", "lumienv remove --dev beneath "),
        ("lumienv why be", "lumienv why beneath "),
        ("lumienv lock -P be", "lumienv lock -P beneath "),
        ("lumienv tree --package th", "lumienv tree --package thing "),
        ("lumienv init --image py", "lumienv init --image pytorch "),
        ("lumienv init --image pytorch --rocm ", "lumienv init --image pytorch --rocm 6.2.4 "),
        ("lumienv image show pyt", "lumienv image show pytorch "),
        ("lumienv image show lumi", f"lumienv image show {IMAGE} "),
        ("lumienv run te", "lumienv run teach "),
        ("lumienv run --no-sync te", "lumienv run --no-sync teach "),
        ("lumienv run -- te", "lumienv run -- teach "),
        ("lumienv run thingc", "lumienv run thingctl "),
        ("lumienv run python requ", "lumienv run python requirements.txt "),
        ("lumienv srun --pri", "lumienv srun --pri"),  # Slurm's --priority, and --print
        ("lumienv srun --print -N2 --part", "lumienv srun --print -N2 --partition "),
        ("lumienv srun -N2 -- te", "lumienv srun -N2 -- teach "),
        ("lumienv sbatch --arr", "lumienv sbatch --array "),
        ("lumienv add -r requ", "lumienv add -r requirements.txt "),
        ("lumienv sync --output=requ", "lumienv sync --output=requirements.txt "),
        ("lumienv sync -C whe", "lumienv sync -C wheels/"),
    ],
)
def test_what_can_only_be_one_word_is_completed(prompt: Prompt, typed: str, line: str) -> None:
    assert prompt.tab(typed).text == line


def test_a_file_whose_name_has_a_blank_is_completed_as_the_shell_writes_it(
    prompt: Prompt, shell: str
) -> None:
    folder = "training\\ set/"
    assert prompt.tab("lumienv run python training").text == f"lumienv run python {folder}"
    assert prompt.tab(f"lumienv run python {folder}fi").text == f"lumienv run python {folder}first.csv "


def test_what_can_be_several_words_is_shown(prompt: Prompt, shell: str) -> None:
    offered = prompt.tab("lumienv ").offered
    for name in ("init", "lock", "sync", "run", "srun", "image", "doctor", "cache", "completion"):
        assert name in offered.split(), offered
    values = prompt.tab("lumienv sync --mode ").offered.split()
    assert {"venv", "squashfs", "sif"} <= set(values)
    options = prompt.tab("lumienv cache clean --").offered.split()
    assert {"--wheels", "--older-than", "--dry-run", "--json", "--offline"} <= set(options)


def test_a_word_is_shown_with_what_it_is_for_where_the_shell_can(prompt: Prompt, shell: str) -> None:
    offered = prompt.tab("lumienv s").offered
    assert ("Make the environment match the lock." in offered) is (shell != "bash")
    options = prompt.tab("lumienv sync --").offered
    assert ("Use the lock as it is, up to date or not." in options) is (shell != "bash")


def test_an_option_that_is_there_is_not_offered_again_unless_it_may_be_repeated(
    prompt: Prompt, shell: str
) -> None:
    prompt.enter("true")  # zsh may still be drawing what it has offered before
    offered = prompt.tab("lumienv sync --locked --group dev --").offered
    # By what they are for: shells may show what was typed once more.
    locked, group = "A lock that is not up to date is an error.", "Include a dependency group."
    if shell == "bash":
        locked, group = "--locked ", "--group "
        offered = offered.rpartition("ready> ")[0]
    assert locked not in offered
    assert group in offered


def test_the_name_of_a_task_means_nothing_to_the_shell(prompt: Prompt, project: Workspace) -> None:
    line = prompt.tab("lumienv run \\$").text
    assert "touch" in line
    assert "broken" in line
    assert prompt.enter(line.replace("run", "run --print", 1)).count("true") >= 1
    assert not (project.directory / "broken").exists()


@pytest.mark.parametrize(
    "text",
    [None, "[image\n", "tasks = 7\n[dependency-groups]\ndev = 5\n", "\0"],
    ids=["no project", "no TOML", "wrong types", "no text"],
)
def test_where_lumienv_toml_says_nothing_the_rest_is_completed_and_nothing_complained_of(
    shell: str, project: Workspace, tmp_path: Path, text: str | None
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "train.py").touch()
    if text is not None:
        (here / "lumienv.toml").write_text(text)
    with Prompt(shell, tmp_path / "home", INSTALL[shell], here, project.environment({})) as prompt:
        assert prompt.tab("lumienv sy").text == "lumienv sync "
        for typed in (
            "lumienv remove ",
            "lumienv why ",
            "lumienv sync --group ",
            "lumienv lock -P ",
            "lumienv no-such-command ",
            "lumienv remove --group dev ",
        ):
            line = prompt.tab(typed)
            assert line.text.rstrip() == typed.rstrip()
            assert not any(word in line.offered for word in ("Traceback", "rror", "warning")), line.offered
        assert "srun" in prompt.tab("lumienv run --launcher ").offered.split()
        assert prompt.tab("lumienv run python tra").text == "lumienv run python train.py "


def test_what_fish_is_asked_for_by_a_program_has_the_help_behind_a_tab(
    project: Workspace, tmp_path: Path, require: Callable[[bool, str], None]
) -> None:
    require(shutil.which("fish") is not None, "no fish here: run tests/lab/install-tools.sh")
    ask = f"{INSTALL['fish']}; complete -C 'lumienv sy'; complete -C 'lumienv run te'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask],
        cwd=project.directory,
        env=project.environment({"HOME": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "sync\tMake the environment match the lock.",
        "teach\tpython train.py",
    ]


def test_a_folder_of_the_shells_own_is_as_good_as_a_line_in_its_settings(
    shell: str, project: Workspace, tmp_path: Path
) -> None:
    """What a module file does: it puts folders in front that hold the scripts."""
    share = tmp_path / "share"
    place, setup, variables = {
        "bash": (
            share / "bash-completion/completions/lumienv",
            f". {share}/bash-completion/completions/lumienv",
            {},
        ),
        "zsh": (
            share / "zsh/site-functions/_lumienv",
            "",
            {"FPATH": f"{share}/zsh/site-functions:{_fpath()}"},
        ),
        "fish": (
            share / "fish/vendor_completions.d/lumienv.fish",
            "",
            {"XDG_DATA_DIRS": f"{share}:/usr/share"},
        ),
    }[shell]
    place.parent.mkdir(parents=True)
    place.write_text(project.lumienv("completion", shell))
    env = project.environment(variables)
    with Prompt(shell, tmp_path / "home", setup, project.directory, env) as prompt:
        assert prompt.tab("lumienv sy").text == "lumienv sync "
        assert prompt.tab("lumienv run te").text == "lumienv run teach "


def _fpath() -> str:
    """Where zsh looks for functions by itself."""
    asked = ["zsh", "-f", "-c", "print -r -- ${(j.:.)fpath}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False) if shutil.which("zsh") else None
    return done.stdout.strip() if done is not None else ""


def test_a_module_file_as_the_page_shows_it_has_bash_complete(
    project: Workspace, tmp_path: Path, require: Callable[[bool, str], None]
) -> None:
    init = Path("/usr/share/lmod/lmod/init/bash")
    require(init.is_file(), "no Lmod here: run tests/lab/install-tools.sh")
    root, modules = tmp_path / "root", tmp_path / "modules"
    place = root / "share/bash-completion/completions/lumienv"
    for folder in (place.parent, modules / "lumienv"):
        folder.mkdir(parents=True)
    place.write_text(project.lumienv("completion", "bash"))
    page = (Path(__file__).parents[2] / "docs/reference/completion.md").read_text()
    (lines,) = re.findall(r"^```lua\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (modules / "lumienv" / "1.0.lua").write_text(f'local root = "{root}"\n{lines}')
    setup = f". {init}; module use {modules}; module load lumienv"
    with Prompt("bash", tmp_path / "home", setup, project.directory, project.environment({})) as prompt:
        assert prompt.tab("lumienv sy").text == "lumienv sync "
        assert f"{root}/share" in prompt.enter("echo $XDG_DATA_DIRS")
