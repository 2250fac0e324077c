"""The words of `lumienv run`: the short way and click must understand the same."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.cli.main import cli
from lumienv.cli.run_command import command as click_run
from lumienv.launch.arguments import OPTIONS, RunArguments, arguments, parse, variable
from lumienv.launch.slurm import LAUNCHERS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python"], RunArguments(("python",))),
        (["--", "python", "-c", "x"], RunArguments(("python", "-c", "x"))),
        (["python", "--", "-q", "--print"], RunArguments(("python", "--", "-q", "--print"))),
        (["--", "--", "x"], RunArguments(("--", "x"))),
        (["-"], RunArguments(("-",))),
        ([""], RunArguments(("",))),
        (["-C", "dir", "x"], RunArguments(("x",), project="dir")),
        (["--project=dir", "x"], RunArguments(("x",), project="dir")),
        (["--project", "--", "x"], RunArguments(("x",), project="--")),
        (["--print", "x"], RunArguments(("x",), print_only=True)),
        (["--launcher", "direct", "x"], RunArguments(("x",), launcher="direct")),
        (["--srun", "-N 2 -n 4", "x"], RunArguments(("x",), srun="-N 2 -n 4")),
        (["--srun=--mem=0", "x"], RunArguments(("x",), srun="--mem=0")),
        (["--no-sync", "x"], RunArguments(("x",), no_sync=True)),
        (["--env", "A=1", "--env=B=c d", "x"], RunArguments(("x",), env=("A=1", "B=c d"))),
        (["--bind=/a:/b:ro", "x"], RunArguments(("x",), bind=("/a:/b:ro",))),
        (["-q", "--offline", "x", "-q"], RunArguments(("x", "-q"), quiet=True, offline=True)),
    ],
)
def test_options_end_where_the_command_begins(words: list[str], expected: RunArguments) -> None:
    assert parse(words, {}) == expected


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--"],
        ["-q"],
        ["--help"],
        ["--no-such-option", "x"],
        ["--prin", "x"],
        ["--print=yes", "x"],
        ["--launcher", "mpirun", "x"],
        ["--env"],
        ["-Cdir", "x"],
    ],
)
def test_whatever_is_unusual_is_left_to_click(words: list[str]) -> None:
    assert parse(words, {}) is None


def by_click(words: list[str]) -> RunArguments | None:
    """What click makes of the same words; None where it refuses them or shows its help."""
    try:
        with click_run.make_context("run", list(words)) as context:
            values = dict(context.params)
            return arguments(values.pop("command"), values)
    except (click.UsageError, click.exceptions.Exit):
        return None


_NAMES = st.sampled_from([name for option in OPTIONS for name in option.names])
_TEXTS = st.sampled_from(
    ["python", "", "-", "A=1", "direct", "srun", "a b", "--", "-x", "-N 2", "--help", "é\n"]
)
_WORDS = st.lists(
    st.one_of(_NAMES, _TEXTS, st.builds("{}={}".format, _NAMES, _TEXTS), st.text(max_size=4)), max_size=6
)


@examples(500)
@given(words=_WORDS)
def test_both_parsers_understand_the_same(words: list[str]) -> None:
    short = parse(words, {})
    if short is not None:
        assert by_click(words) == short


@examples(200)
@given(words=_WORDS)
def test_what_click_refuses_is_not_run(words: list[str]) -> None:
    if by_click(words) is None:
        assert parse(words, {}) is None


def test_click_has_the_options_of_the_table_and_no_others() -> None:
    def shape(param: click.Option) -> tuple[object, ...]:
        choices = tuple(param.type.choices) if isinstance(param.type, click.Choice) else ()
        return tuple(param.opts), param.is_flag, param.multiple, choices, param.help

    found = [shape(param) for param in click_run.params if isinstance(param, click.Option)]
    assert found == [
        (option.names, not option.metavar, option.repeated, option.choices, option.help) for option in OPTIONS
    ]


def test_every_option_is_a_field_of_the_arguments_and_every_launcher_can_be_chosen() -> None:
    fields = set(RunArguments.__dataclass_fields__) - {"command", "options", "beside"}
    assert {option.field for option in OPTIONS} == fields
    (choices,) = {option.choices for option in OPTIONS if option.field == "launcher"}
    assert choices == LAUNCHERS


# -- the environment -------------------------------------------------------------------------------------


def test_every_option_has_its_variable() -> None:
    assert {variable(option) for option in OPTIONS} == {
        *("LUMIENV_PROJECT", "LUMIENV_PRINT", "LUMIENV_LAUNCHER", "LUMIENV_SRUN", "LUMIENV_NO_SYNC"),
        *("LUMIENV_ENV", "LUMIENV_BIND", "LUMIENV_QUIET", "LUMIENV_OFFLINE", "LUMIENV_MODE"),
        *("LUMIENV_VERBOSE", "LUMIENV_COLOR", "LUMIENV_NO_PROGRESS", "LUMIENV_PRESET"),
    }


def test_variables_are_read_and_typed_options_win() -> None:
    environ = {"LUMIENV_PROJECT": "/p", "LUMIENV_LAUNCHER": "direct", "LUMIENV_BIND": "/a /b"}
    read = parse(["x"], environ)
    assert read == RunArguments(("x",), project="/p", launcher="direct", bind=("/a", "/b"))
    typed = parse(["-C", "/q", "--launcher=srun", "x"], environ)
    assert typed is not None
    assert (typed.project, typed.launcher) == ("/q", "srun")


@pytest.mark.parametrize(
    ("text", "on"), [("1", True), ("true", True), ("yes", True), ("0", False), ("no", False), ("", False)]
)
def test_a_flag_is_switched_by_its_variable(text: str, on: bool) -> None:
    assert parse(["x"], {"LUMIENV_NO_SYNC": text}) == RunArguments(("x",), no_sync=on)


def test_a_variable_with_a_value_that_is_no_choice_is_left_to_click() -> None:
    assert parse(["x"], {"LUMIENV_LAUNCHER": "mpirun"}) is None


def test_click_reads_the_same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMIENV_PROJECT", "/p")
    monkeypatch.setenv("LUMIENV_NO_SYNC", "1")
    with (
        cli.make_context("lumienv", ["run", "x"], auto_envvar_prefix="LUMIENV") as group,
        click_run.make_context("run", ["x"], parent=group) as context,
    ):
        assert (context.params["project"], context.params["no_sync"]) == ("/p", True)
